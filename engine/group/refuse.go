package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// Refuse implements coordinator.Input. A heartbeat that comes while the group is loaded is answered as
// if all were well, so that nobody rejoins for that (class GroupCoordinatorService).
func (in *Input) Refuse(code int16) any {
	switch in.Kind {
	case Join:
		return joinError(in.Request.(*kmsg.JoinGroupRequest).MemberID, code)
	case Sync:
		return syncError(code)
	case Heartbeat:
		if code == wire.CodeCoordinatorLoadInProgress {
			code = wire.CodeNone
		}
		response := kmsg.NewPtrHeartbeatResponse()
		response.ErrorCode = code
		return response
	case Leave:
		response := kmsg.NewPtrLeaveGroupResponse()
		response.ErrorCode = code
		return response
	case OffsetCommit:
		return refusedOffsetCommit(in.Request.(*kmsg.OffsetCommitRequest), code)
	case TxnOffsetCommit:
		return refusedTxnOffsetCommit(in.Request.(*kmsg.TxnOffsetCommitRequest), code)
	case OffsetDelete:
		response := kmsg.NewPtrOffsetDeleteResponse()
		response.ErrorCode = code
		return response
	case OffsetFetch:
		response := kmsg.NewOffsetFetchResponseGroup()
		response.Group, response.ErrorCode = in.Group, code
		return &response
	case Describe:
		response := describedGroup(in.Group)
		response.ErrorCode = code
		return response
	case Delete:
		return deletedGroup(in.Group, code)
	case List:
		response := kmsg.NewPtrListGroupsResponse()
		response.ErrorCode = code
		return response
	case EndTxn:
		return code
	default:
		return nil
	}
}
