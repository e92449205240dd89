package group

// settleOther ends the inputs that are about offsets.
func (m *Machine) settleOther(_ int64, in *Input, out *outcome, code int16) {
	switch in.Kind {
	case OffsetCommit:
		m.settleOffsetCommit(in, out, code)
	case TxnOffsetCommit:
		m.settleTxnOffsetCommit(in, out, code)
	case OffsetDelete:
		m.settleOffsetDelete(in, out, code)
	case EndTxn:
		m.settleEndTxn(in, out, code)
	case TopicsDeleted, Timer:
		m.settlePass(code)
	}
}
