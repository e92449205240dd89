package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// The endpoint types of DescribeCluster (KIP-919).
const (
	endpointBroker     = 1
	endpointController = 2
)

// handleDescribeCluster lists the brokers (KIP-700), with fenced ones where asked for (KIP-1073).
func handleDescribeCluster(b *Broker, r *request, q kmsg.Request) kmsg.Response {
	p := describeCluster(b.view(r.conn.Listener()), q.(*kmsg.DescribeClusterRequest))
	if p.ErrorCode == wire.CodeNone {
		p.ClusterID = b.clusterID
	}
	return p
}

func describeCluster(
	v *clusterView, req *kmsg.DescribeClusterRequest,
) *kmsg.DescribeClusterResponse {
	p := kmsg.NewPtrDescribeClusterResponse()
	switch req.EndpointType {
	case endpointBroker:
	case endpointController:
		p.ErrorCode = wire.CodeMismatchedEndpointType
		p.ErrorMessage = textOf("This endpoint is a broker's; controllers have none of their own.")
		return p
	default:
		p.ErrorCode = wire.CodeUnsupportedEndpointType
		p.ErrorMessage = textOf(fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType))
		return p
	}
	p.ControllerID = v.controller()
	if req.IncludeClusterAuthorizedOperations {
		p.ClusterAuthorizedOperations = clusterOperations
	}
	for i := range v.brokers {
		if e := &v.brokers[i]; !e.fenced || req.IncludeFencedBrokers {
			p.Brokers = append(p.Brokers, kmsg.DescribeClusterResponseBroker{
				NodeID: e.id, Host: e.host, Port: e.port, Rack: e.rackOf(), IsFenced: e.fenced,
			})
		}
	}
	return p
}
