package broker

import "sluice/replication"

// leaderOfTwo is a leadership whose ISR has another member, broker 7.
func leaderOfTwo(r *replica, self int32) *replication.Leader {
	leo := r.log.Load().LEO()
	return replication.NewLeader(replication.LeaderConfig{
		Self: self,
		Committed: replication.Committed{
			LeaderEpoch: r.leaderEpoch.Load(), Replicas: []int32{self, 7}, ISR: []int32{self, 7},
		},
		EpochStartOffset: leo, HighWatermark: leo,
		Local:  replication.Local{LEO: leo, Flushed: leo},
		Policy: replication.Policy{MinInSync: 1, LagTimeMaxMs: 30_000},
	}, r.clockMs())
}
