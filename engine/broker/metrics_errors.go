package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// eachError calls f with every error code of a control request's response, CodeNone included: those
// that Kafka counts in ErrorsPerSec.
func eachError(p kmsg.Response, f func(code int16)) {
	switch p := p.(type) {
	case *kmsg.ListOffsetsResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.MetadataResponse:
		f(p.ErrorCode)
		for i := range p.Topics {
			f(p.Topics[i].ErrorCode)
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.OffsetForLeaderEpochResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.DescribeTopicPartitionsResponse:
		for i := range p.Topics {
			f(p.Topics[i].ErrorCode)
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.DescribeProducersResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.InitProducerIDResponse:
		f(p.ErrorCode)
	case *kmsg.DescribeClusterResponse:
		f(p.ErrorCode)
	case *kmsg.DescribeLogDirsResponse:
		f(p.ErrorCode)
		for i := range p.Dirs {
			f(p.Dirs[i].ErrorCode)
		}
	default:
		eachChangeError(p, f)
	}
}

// eachChangeError is eachError for requests that change something.
func eachChangeError(p kmsg.Response, f func(code int16)) {
	switch p := p.(type) {
	case *kmsg.CreateTopicsResponse:
		for i := range p.Topics {
			f(p.Topics[i].ErrorCode)
		}
	case *kmsg.DeleteTopicsResponse:
		for i := range p.Topics {
			f(p.Topics[i].ErrorCode)
		}
	case *kmsg.CreatePartitionsResponse:
		for i := range p.Topics {
			f(p.Topics[i].ErrorCode)
		}
	case *kmsg.DeleteRecordsResponse:
		for i := range p.Topics {
			for j := range p.Topics[i].Partitions {
				f(p.Topics[i].Partitions[j].ErrorCode)
			}
		}
	case *kmsg.DescribeConfigsResponse:
		for i := range p.Resources {
			f(p.Resources[i].ErrorCode)
		}
	case *kmsg.AlterConfigsResponse:
		for i := range p.Resources {
			f(p.Resources[i].ErrorCode)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for i := range p.Resources {
			f(p.Resources[i].ErrorCode)
		}
	default:
		eachGroupError(p, f)
	}
}
