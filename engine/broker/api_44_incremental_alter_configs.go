package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// handleIncrementalAlterConfigs changes single configs of topics and brokers (KIP-339). Of each
// resource either all operations take effect or none.
func handleIncrementalAlterConfigs(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.IncrementalAlterConfigsRequest)
	requests := make([]alterRequest, len(req.Resources))
	for i := range req.Resources {
		from, to := &req.Resources[i], &requests[i]
		to.resource = catalog.Resource{
			Type: catalog.ResourceType(from.ResourceType), Name: from.ResourceName,
		}
		for _, c := range from.Configs {
			to.keys = append(to.keys, alterKey{
				name: c.Name, value: c.Value, op: catalog.AlterOp(c.Op),
			})
		}
	}
	errors := b.alterConfigs(requests, req.ValidateOnly, decideIncrements)
	p := kmsg.NewPtrIncrementalAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewIncrementalAlterConfigsResponseResource()
		r.ResourceType = req.Resources[i].ResourceType
		r.ResourceName = req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = errors[i].Code, messageOf(errors[i])
		p.Resources = append(p.Resources, r)
	}
	return p
}

// decideIncrements decides requests that were screened. An operation that does not exist fails all
// of them: what the client means cannot be told, and Kafka answers UNKNOWN_SERVER_ERROR without a
// word.
func decideIncrements(
	im *catalog.Image, env *catalog.Environment, requests []alterRequest,
) ([]catalog.Change, []catalog.ResourceResult) {
	wanted := make([]catalog.AlterResource, len(requests))
	unknown := false
	for i := range requests {
		wanted[i].Resource = requests[i].resource
		for _, k := range requests[i].keys {
			unknown = unknown || k.op < catalog.OpSet || k.op > catalog.OpSubtract
			wanted[i].Ops = append(wanted[i].Ops,
				catalog.ConfigOp{Op: k.op, Name: k.name, Value: k.value})
		}
	}
	if !unknown {
		return catalog.IncrementalAlterConfigs(im, env, wanted)
	}
	results := make([]catalog.ResourceResult, len(requests))
	for i := range results {
		results[i].Resource = requests[i].resource
		results[i].Error = catalog.Error{Code: wire.CodeUnknownServerError}
	}
	return nil, results
}
