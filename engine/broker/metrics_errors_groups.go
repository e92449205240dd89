package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// eachGroupError is eachError for groups.
func eachGroupError(p kmsg.Response, f func(code int16)) {
	switch p := p.(type) {
	case *kmsg.FindCoordinatorResponse:
		f(p.ErrorCode)
		for i := range p.Coordinators {
			f(p.Coordinators[i].ErrorCode)
		}
	case *kmsg.JoinGroupResponse:
		f(p.ErrorCode)
	case *kmsg.SyncGroupResponse:
		f(p.ErrorCode)
	case *kmsg.HeartbeatResponse:
		f(p.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		f(p.ErrorCode)
		for i := range p.Members {
			f(p.Members[i].ErrorCode)
		}
	case *kmsg.DescribeGroupsResponse:
		for i := range p.Groups {
			f(p.Groups[i].ErrorCode)
		}
	case *kmsg.ListGroupsResponse:
		f(p.ErrorCode)
	case *kmsg.DeleteGroupsResponse:
		for i := range p.Groups {
			f(p.Groups[i].ErrorCode)
		}
	default:
		eachOffsetError(p, f)
	}
}

// eachOffsetError is eachError for committed offsets.
func eachOffsetError(p kmsg.Response, f func(code int16)) {
	switch p := p.(type) {
	case *kmsg.OffsetCommitResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.OffsetFetchResponse:
		f(p.ErrorCode)
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
		for i := range p.Groups {
			f(p.Groups[i].ErrorCode)
			for j := range p.Groups[i].Topics {
				for k := range p.Groups[i].Topics[j].Partitions {
					f(p.Groups[i].Topics[j].Partitions[k].ErrorCode)
				}
			}
		}
	case *kmsg.OffsetDeleteResponse:
		f(p.ErrorCode)
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	default:
		eachTxnError(p, f)
	}
}

// eachTxnError is eachError for transactions.
func eachTxnError(p kmsg.Response, f func(code int16)) {
	switch p := p.(type) {
	case *kmsg.AddOffsetsToTxnResponse:
		f(p.ErrorCode)
	case *kmsg.EndTxnResponse:
		f(p.ErrorCode)
	case *kmsg.ListTransactionsResponse:
		f(p.ErrorCode)
	case *kmsg.AddPartitionsToTxnResponse:
		eachAddPartitionsError(p, f)
	case *kmsg.WriteTxnMarkersResponse:
		for i := range p.Markers {
			for j := range p.Markers[i].Topics {
				for k := range p.Markers[i].Topics[j].Partitions {
					f(p.Markers[i].Topics[j].Partitions[k].ErrorCode)
				}
			}
		}
	case *kmsg.TxnOffsetCommitResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.DescribeTransactionsResponse:
		for i := range p.TransactionStates {
			f(p.TransactionStates[i].ErrorCode)
		}
	case *kmsg.DescribeProducersResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	}
}

func eachAddPartitionsError(p *kmsg.AddPartitionsToTxnResponse, f func(code int16)) {
	f(p.ErrorCode)
	for i := range p.Transactions {
		for j := range p.Transactions[i].Topics {
			for k := range p.Transactions[i].Topics[j].Partitions {
				f(p.Transactions[i].Topics[j].Partitions[k].ErrorCode)
			}
		}
	}
	for i := range p.Topics {
		for j := range p.Topics[i].Partitions {
			f(p.Topics[i].Partitions[j].ErrorCode)
		}
	}
}
