package txn

import (
	"sluice/engine/coordinator"
)

// Machine is the transaction coordinator of one partition of __transaction_state. It implements
// coordinator.Machine[*Input], and is not safe for concurrent use.
type Machine struct {
	config Config
}

var _ coordinator.Machine[*Input] = (*Machine)(nil)

// New returns an empty machine.
func New(config Config) *Machine { return &Machine{config: config} }

// Decide implements coordinator.Machine.
func (m *Machine) Decide(nowMs int64, in *Input, out *coordinator.Outcome[*Input]) {
	panic("BUG: not decided yet")
}

// Settle implements coordinator.Machine.
func (m *Machine) Settle(nowMs int64, in *Input, out *coordinator.Outcome[*Input], code int16) {}

// Replay implements coordinator.Machine.
func (m *Machine) Replay(r coordinator.Record, producerID int64, producerEpoch int16) error {
	return nil
}

// ReplayMarker implements coordinator.Machine. No transaction writes to __transaction_state.
func (m *Machine) ReplayMarker(coordinator.Marker) {}

// Loaded implements coordinator.Machine.
func (m *Machine) Loaded(nowMs int64, leaderEpoch int32, out *coordinator.Outcome[*Input]) {}

// Due implements coordinator.Machine.
func (m *Machine) Due(nowMs int64) (*Input, bool) { return nil, false }

// NextDueMs implements coordinator.Machine.
func (m *Machine) NextDueMs() int64 { return coordinator.Never }

// Waiting implements coordinator.Machine. Every input is answered when it has been decided and
// settled, so nobody ever waits for more.
func (m *Machine) Waiting() []*Input { return nil }
