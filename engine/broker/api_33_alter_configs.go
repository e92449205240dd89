package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
)

// handleAlterConfigs replaces the dynamic configs of resources as a whole (KIP-133): what is not
// named returns to its default. Clients should use IncrementalAlterConfigs, which cannot lose an
// update.
func handleAlterConfigs(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.AlterConfigsRequest)
	requests := make([]alterRequest, len(req.Resources))
	for i := range req.Resources {
		from, to := &req.Resources[i], &requests[i]
		to.resource = catalog.Resource{
			Type: catalog.ResourceType(from.ResourceType), Name: from.ResourceName,
		}
		for _, c := range from.Configs {
			to.keys = append(to.keys, alterKey{name: c.Name, value: c.Value, op: catalog.OpSet})
		}
	}
	errors := b.alterConfigs(requests, req.ValidateOnly, decideReplacements)
	p := kmsg.NewPtrAlterConfigsResponse()
	for i := range req.Resources {
		r := kmsg.NewAlterConfigsResponseResource()
		r.ResourceType = req.Resources[i].ResourceType
		r.ResourceName = req.Resources[i].ResourceName
		r.ErrorCode, r.ErrorMessage = errors[i].Code, messageOf(errors[i])
		p.Resources = append(p.Resources, r)
	}
	return p
}

func decideReplacements(
	im *catalog.Image, env *catalog.Environment, requests []alterRequest,
) ([]catalog.Change, []catalog.ResourceResult) {
	wanted := make([]catalog.ReplaceConfigs, len(requests))
	for i := range requests {
		wanted[i].Resource = requests[i].resource
		for _, k := range requests[i].keys {
			wanted[i].Configs = append(wanted[i].Configs,
				catalog.ConfigValue{Name: k.name, Value: k.value})
		}
	}
	return catalog.AlterConfigs(im, env, wanted)
}
