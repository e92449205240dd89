// Package replication is the arithmetic of keeping copies of one partition alike: the high
// watermark, the in-sync replica set (ISR) and leader epochs. It does no I/O, reads no clock and
// draws no random number; every input is an argument and every output a value, so any run can be
// replayed. A lone broker runs the same code as a cluster, with an ISR of one.
//
// # The leader
//
// A Leader is built when a replica becomes leader and lives for that one leader epoch. It hears of
// four kinds of event, and answers each with Effects:
//
//	Appended         the own log grew, or more of it was flushed
//	FollowerFetched  a follower asked for an offset, and so told its own log end offset
//	Tick             time passed: replicas that lag too long leave the ISR
//	Committed, AlterFailed, SetPolicy, SetState
//	                 the controller answered, or the cluster's metadata moved on
//
// Its rules:
//
//   - The high watermark (HW) is the smallest log end offset (LEO) over the maximal ISR: the
//     committed ISR plus the members that this leader has asked to add. While an addition is in
//     flight the new member already holds the HW back; while a removal is in flight the removed
//     member still does. So whichever of the two sets the controller commits, no offset below the
//     HW is missing from any of its members. A replica outside the ISR that is caught up and may
//     join holds the HW back as well, or it could never catch a busy leader (Partition's
//     maybeIncrementLeaderHW).
//   - The HW never exceeds the LEO, and under one leadership it never moves back.
//   - While the ISR is smaller than the effective min.insync.replicas the HW stands still
//     (KIP-966): what was not on enough replicas must not become visible.
//   - With Durable set, the leader's own share in the minimum is what it has flushed, not its LEO.
//   - A follower is caught up as of the time of its last fetch that reached the LEO, or that
//     reached the LEO as it stood at the fetch before. One that is not for
//     replica.lag.time.max.ms leaves.
//   - A follower may join when its LEO has reached the HW and the start of this leader's epoch
//     (KIP-207), and the cluster considers that very incarnation of the broker live (KIP-841,
//     KIP-903).
//   - ISR changes are requests to the controller, compared and swapped on the partition epoch
//     (KIP-497). One is in flight at a time.
//
// # Epochs
//
// Epochs remembers at which offset each leader epoch began. From it follow the answers to
// OffsetForLeaderEpoch (KIP-101, KIP-279), the divergence check of Fetch v12 (KIP-595), fencing
// (KIP-320) and a follower's truncation: a log is cut where two histories part, not at the HW.
//
// # The follower
//
// A Follower asks with (epoch, LEO, last epoch of its log), truncates where the leader says that
// histories part, refuses batches newer than the epoch it asked under, and lets its HW follow as
// the smaller of the leader's HW and its own LEO.
//
// # Locks
//
// Nothing here locks. A Leader or Follower belongs to the owner of the partition's append lock, and
// every method but those on values is called with it held. Leader.Appended with an ISR of one, the
// case on the produce path of a single replica, costs a few comparisons and never allocates.
package replication
