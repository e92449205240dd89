package broker

import (
	"fmt"
	"strconv"
	"strings"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/wire"
)

// alterKey is one key of a resource to alter, as AlterConfigs and IncrementalAlterConfigs ask for
// it.
type alterKey struct {
	name  string
	value *string
	op    catalog.AlterOp
}

// alterRequest is one resource to alter.
type alterRequest struct {
	resource catalog.Resource
	keys     []alterKey
}

// screenAlters finds the requests that this broker refuses before the decider sees them, in Kafka's
// order of checks; the error at the index of one that may go on is the zero value. What is checked
// here gets INVALID_REQUEST, also for values of broker configs; what the decider refuses is mostly
// INVALID_CONFIG.
func screenAlters(nodeID int32, requests []alterRequest) []catalog.Error {
	mentions := map[catalog.Resource]int{}
	for i := range requests {
		mentions[requests[i].resource]++
	}
	refused := make([]catalog.Error, len(requests))
	for i := range requests {
		if mentions[requests[i].resource] > 1 {
			refused[i] = badAlter("Each resource must appear at most once.")
			continue
		}
		refused[i] = requests[i].screen(nodeID)
	}
	return refused
}

func badAlter(format string, args ...any) catalog.Error {
	return catalog.Error{Code: wire.CodeInvalidRequest, Message: fmt.Sprintf(format, args...)}
}

func (a *alterRequest) screen(nodeID int32) catalog.Error {
	seen := map[string]bool{}
	var nulls []string
	for _, k := range a.keys {
		if seen[k.name] {
			return badAlter("Error due to duplicate config keys")
		}
		seen[k.name] = true
		if k.value == nil && k.op != catalog.OpDelete {
			nulls = append(nulls, k.name)
		}
	}
	if len(nulls) > 0 {
		return badAlter("Null value not supported for : %s", strings.Join(nulls, ", "))
	}
	switch a.resource.Type {
	case catalog.ResourceTopic:
		if a.resource.Name == "" {
			return badAlter("Default topic resources are not allowed.")
		}
		return catalog.Error{}
	case catalog.ResourceBroker:
		return a.screenBroker(nodeID)
	case catalog.ResourceBrokerLogger, catalog.ResourceClientMetrics, catalog.ResourceGroup:
		return badAlter("This broker has no configs of resource type %d to alter.",
			a.resource.Type)
	default:
		return badAlter("Unknown resource type %d", a.resource.Type)
	}
}

// screenBroker checks changes of this broker's configs, or with an empty name of the defaults of
// all.
func (a *alterRequest) screenBroker(nodeID int32) catalog.Error {
	if name := a.resource.Name; name != "" {
		if e := checkOwnID(nodeID, name); !e.OK() {
			return e
		}
	}
	for _, k := range a.keys {
		if e := k.screenBroker(a.resource.Name == ""); !e.OK() {
			return e
		}
	}
	return catalog.Error{}
}

// checkOwnID says whether a resource's name is this broker's id. Only the broker itself knows
// whether a value suits it.
func checkOwnID(nodeID int32, name string) catalog.Error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return badAlter("Broker id must be an integer, but it is: %s", name)
	}
	if int32(id) != nodeID {
		return badAlter("Unexpected broker id, expected %d or an empty string, but received %s",
			nodeID, name)
	}
	return catalog.Error{}
}

func (k *alterKey) screenBroker(forAll bool) catalog.Error {
	def := config.BrokerDef(k.name)
	switch k.op {
	case catalog.OpDelete:
		return catalog.Error{}
	case catalog.OpSet:
		if def == nil {
			return catalog.Error{} // The decider knows what to do with it.
		}
	case catalog.OpAppend, catalog.OpSubtract:
		if def == nil || def.Type != config.List {
			return catalog.Error{}
		}
		if k.op == catalog.OpSubtract && def.Mode != config.ReadOnly {
			return catalog.Error{} // What is taken away need not be allowed.
		}
	default:
		return badAlter("Unknown operation %d for config %s", k.op, k.name)
	}
	if err := config.CheckDynamic(k.name, *k.value, forAll); err != nil {
		return badAlter("%v", err)
	}
	return catalog.Error{}
}

// alterConfigs screens the requests, lets decide have those that may go on, and returns one error
// for each request.
func (b *Broker) alterConfigs(
	requests []alterRequest, validateOnly bool,
	decide func(
		im *catalog.Image, env *catalog.Environment, requests []alterRequest,
	) ([]catalog.Change, []catalog.ResourceResult),
) []catalog.Error {
	errors := screenAlters(b.nodeID, requests)
	var going []alterRequest
	var at []int // For each of them, its index in requests.
	for i := range requests {
		if errors[i].OK() {
			going = append(going, requests[i])
			at = append(at, i)
		}
	}
	if len(going) == 0 {
		return errors
	}
	results, err := decideChanges(b, validateOnly,
		func(im *catalog.Image) ([]catalog.Change, []catalog.ResourceResult) {
			return decide(im, b.environment(), going)
		})
	for i, index := range at {
		switch {
		case i < len(results) && !results[i].OK():
			errors[index] = results[i].Error
		case err != nil:
			errors[index] = storageError()
		}
	}
	return errors
}
