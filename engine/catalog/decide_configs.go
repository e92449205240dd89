package catalog

import (
	"slices"
	"strconv"
	"strings"

	"sluice/engine/catalog/config"
)

func incrementalAlterConfigs(
	im *Image, env *Environment, resources []AlterResource,
) ([]Change, []ResourceResult) {
	twice := repeats(resources, func(a AlterResource) Resource { return a.Resource })
	var changes []Change
	results := make([]ResourceResult, 0, len(resources))
	for _, a := range resources {
		more, e := alterOne(im, env, a, twice[a.Resource])
		if e.OK() {
			changes = append(changes, more...)
		}
		results = append(results, ResourceResult{Error: e, Resource: a.Resource})
	}
	return changes, results
}

// alterOne decides one resource of an IncrementalAlterConfigs request.
func alterOne(im *Image, env *Environment, a AlterResource, twice bool) ([]Change, Error) {
	if twice {
		return nil, refuse(codeInvalidRequest, "Each resource must appear at most once.")
	}
	if e := checkResource(im, a.Resource); !e.OK() {
		return nil, e
	}
	if len(repeats(a.Ops, func(op ConfigOp) string { return op.Name })) > 0 {
		return nil, refuse(codeInvalidRequest, "Error due to duplicate config keys")
	}
	after := asMap(im.Configs(a.Resource))
	var touched []string
	for _, op := range a.Ops {
		before, had := after[op.Name]
		if e := applyOp(env, a.Resource, after, op); !e.OK() {
			return nil, e
		}
		now, has := after[op.Name]
		// Setting a broker config to what it is makes the broker read what the value names, such
		// as a renewed certificate, so it is a change as well.
		if had != has || before != now || has && a.Resource.Type == ResourceBroker {
			touched = append(touched, op.Name)
		}
	}
	return changesTo(env, a.Resource, after, touched)
}

// asMap is a copy of a resource's configs that may be changed.
func asMap(c *Configs) config.Map {
	m := config.Map{}
	for i := range c.Len() {
		m[c.At(i).Name] = c.At(i).Value
	}
	return m
}

// applyOp applies one operation to a resource's configs.
func applyOp(env *Environment, r Resource, after config.Map, op ConfigOp) Error {
	if op.Op == OpDelete {
		delete(after, op.Name)
		return Error{}
	}
	if op.Value == nil {
		return refuse(codeInvalidRequest, "Null value not supported for : %s", op.Name)
	}
	switch op.Op {
	case OpSet:
		after[op.Name] = *op.Value
		return Error{}
	case OpAppend, OpSubtract:
		return editList(env, r, after, op)
	default:
		return refuse(codeInvalidRequest, "Unknown operation %d for config %s", op.Op, op.Name)
	}
}

// editList appends to or subtracts from a list: the one set on the resource, or where none is, the
// one that holds without it.
func editList(env *Environment, r Resource, after config.Map, op ConfigOp) Error {
	def := definition(r, op.Name)
	if def == nil || def.Type != config.List {
		word := "APPEND"
		if op.Op == OpSubtract {
			word = "SUBTRACT"
		}
		return refuse(codeInvalidConfig, "Can't %s to key %s because its type is not LIST.",
			word, op.Name)
	}
	value, set := after[op.Name]
	if !set {
		value = inherited(env, r, op.Name)
	}
	items := config.SplitList(value)
	for _, item := range config.SplitList(*op.Value) {
		at := slices.Index(items, item)
		switch {
		case op.Op == OpAppend && at < 0:
			items = append(items, item)
		case op.Op == OpSubtract && at >= 0:
			items = slices.Delete(items, at, at+1)
		}
	}
	after[op.Name] = strings.Join(items, ",")
	return Error{}
}

func definition(r Resource, name string) *config.Def {
	if r.Type == ResourceTopic {
		return config.TopicDef(name)
	}
	return config.BrokerDef(name)
}

// inherited is the value that a key has when the resource itself does not set it.
func inherited(env *Environment, r Resource, name string) string {
	layers := env.Layers
	layers.Topic = nil
	entries := config.DescribeTopic(layers, []string{name})
	if r.Type == ResourceBroker {
		layers.DynamicBroker = nil
		entries = config.DescribeBroker(layers, []string{name})
	}
	if len(entries) == 0 || entries[0].Value == nil {
		return ""
	}
	return *entries[0].Value
}

// changesTo validates a resource's configs as they are to be, and returns the changes of the
// touched ones, ordered by name.
func changesTo(
	env *Environment, r Resource, after config.Map, touched []string,
) ([]Change, Error) {
	if e := checkConfigs(env, r, after); !e.OK() {
		return nil, e
	}
	slices.Sort(touched)
	changes := make([]Change, 0, len(touched))
	for _, name := range touched {
		value, has := after[name]
		changes = append(changes, ConfigChanged{
			Resource: r, Name: name, Value: value, Remove: !has,
		})
	}
	return changes, Error{}
}

func checkConfigs(env *Environment, r Resource, after config.Map) Error {
	layers := env.Layers
	if r.Type == ResourceTopic {
		layers.Topic = after
		if err := config.CheckTopic(layers, after.Names()); err != nil {
			return refuse(codeInvalidConfig, "%v", err)
		}
		return Error{}
	}
	for _, name := range after.Names() {
		if err := config.CheckDynamic(name, after[name], r.Name == ""); err != nil {
			return refuse(codeInvalidConfig, "%v", err)
		}
	}
	layers.Topic = nil
	if r.Name == "" {
		layers.DynamicDefault = after
	} else {
		layers.DynamicBroker = after
	}
	if err := config.CheckBroker(layers); err != nil {
		return refuse(codeInvalidConfig, "%v", err)
	}
	return Error{}
}

// checkResource says whether a resource exists and has configs here.
func checkResource(im *Image, r Resource) Error {
	switch r.Type {
	case ResourceTopic:
		if e := CheckTopicName(r.Name); !e.OK() {
			return e
		}
		if im.Topic(r.Name) == nil {
			return refuse(codeUnknownTopicOrPartition, "The topic '%s' does not exist.", r.Name)
		}
		return Error{}
	case ResourceBroker:
		if r.Name == "" {
			return Error{}
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil || id < 0 || strconv.FormatInt(id, 10) != r.Name {
			return refuse(codeInvalidRequest, "Broker id must be an integer, but it is: %q", r.Name)
		}
		if im.Broker(int32(id)) == nil {
			return refuse(codeBrokerNotRegistered, "No broker with id %d found.", id)
		}
		return Error{}
	default:
		return refuse(codeInvalidRequest, "Unsupported resource type %d.", r.Type)
	}
}

func alterConfigs(
	im *Image, env *Environment, resources []ReplaceConfigs,
) ([]Change, []ResourceResult) {
	twice := repeats(resources, func(a ReplaceConfigs) Resource { return a.Resource })
	var changes []Change
	results := make([]ResourceResult, 0, len(resources))
	for _, a := range resources {
		more, e := replaceOne(im, env, a, twice[a.Resource])
		if e.OK() {
			changes = append(changes, more...)
		}
		results = append(results, ResourceResult{Error: e, Resource: a.Resource})
	}
	return changes, results
}

// replaceOne decides one resource of an AlterConfigs request.
func replaceOne(im *Image, env *Environment, a ReplaceConfigs, twice bool) ([]Change, Error) {
	if twice {
		return nil, refuse(codeInvalidRequest, "Each resource must appear at most once.")
	}
	if e := checkResource(im, a.Resource); !e.OK() {
		return nil, e
	}
	before, after := asMap(im.Configs(a.Resource)), config.Map{}
	for _, c := range a.Configs {
		if c.Value == nil {
			return nil, refuse(codeInvalidRequest, "Null value not supported for : %s", c.Name)
		}
		if _, twice := after[c.Name]; twice {
			return nil, refuse(codeInvalidRequest, "Error due to duplicate config keys")
		}
		after[c.Name] = *c.Value
	}
	var touched []string
	for name, value := range after {
		old, had := before[name]
		if !had || old != value || a.Resource.Type == ResourceBroker {
			touched = append(touched, name)
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			touched = append(touched, name)
		}
	}
	return changesTo(env, a.Resource, after, touched)
}
