package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

// configInfo is one entry of a resource's configuration. A nil value is a sensitive or unset one.
type configInfo struct {
	Name      string        `json:"name"`
	Value     *string       `json:"value"`
	Source    string        `json:"source"`
	Sensitive bool          `json:"sensitive,omitempty"`
	ReadOnly  bool          `json:"readOnly,omitempty"`
	Synonyms  []synonymInfo `json:"synonyms,omitempty"`
	Doc       string        `json:"doc,omitempty"`

	source kmsg.ConfigSource
}

type synonymInfo struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

// resource names what has a configuration: a topic, or a broker by its id, empty for the default of
// all brokers.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// describeConfigs returns the entries of the resources, in their order. A resource about which the
// broker reports an error has it in the same place of errs. Broker resources are asked of that
// broker.
func describeConfigs(ctx context.Context, cl *kgo.Client, resources []resource, doc bool,
) (entries [][]configInfo, errs []error, err error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, doc
	where := make(map[resource]int, len(resources))
	for i, r := range resources {
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = r.kind, r.name
		req.Resources = append(req.Resources, rr)
		where[r] = i
	}
	entries, errs = make([][]configInfo, len(resources)), make([]error, len(resources))
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, nil, shard.Err
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			i, ok := where[resource{r.ResourceType, r.ResourceName}]
			if !ok {
				return nil, nil, fmt.Errorf("the broker answered for %s, which nobody asked for", r.ResourceName)
			}
			errs[i] = brokerError(r.ErrorCode, client.Message(r.ErrorMessage))
			for j := range r.Configs {
				entries[i] = append(entries[i], newConfigInfo(&r.Configs[j]))
			}
		}
	}
	return entries, errs, nil
}

func newConfigInfo(c *kmsg.DescribeConfigsResponseResourceConfig) configInfo {
	info := configInfo{
		Name: c.Name, Value: c.Value, Source: sourceName(c.Source), source: c.Source,
		Sensitive: c.IsSensitive, ReadOnly: c.ReadOnly, Doc: client.Message(c.Documentation),
	}
	for _, s := range c.ConfigSynonyms {
		info.Synonyms = append(info.Synonyms, synonymInfo{s.Name, s.Value, sourceName(s.Source)})
	}
	return info
}

// sourceName writes a source as Kafka's ConfigEntry.ConfigSource does.
func sourceName(s kmsg.ConfigSource) string {
	switch s {
	case kmsg.ConfigSourceDynamicTopicConfig:
		return "DYNAMIC_TOPIC_CONFIG"
	case kmsg.ConfigSourceDynamicBrokerConfig:
		return "DYNAMIC_BROKER_CONFIG"
	case kmsg.ConfigSourceDynamicDefaultBrokerConfig:
		return "DYNAMIC_DEFAULT_BROKER_CONFIG"
	case kmsg.ConfigSourceStaticBrokerConfig:
		return "STATIC_BROKER_CONFIG"
	case kmsg.ConfigSourceDefaultConfig:
		return "DEFAULT_CONFIG"
	case kmsg.ConfigSourceDynamicBrokerLoggerConfig:
		return "DYNAMIC_BROKER_LOGGER_CONFIG"
	}
	return "UNKNOWN"
}

// text returns an entry's value, or what stands for none.
func (c *configInfo) text() string { return orNull(c.Value) }

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// configChange sets a key, or deletes it if value is nil.
type configChange struct {
	name  string
	value *string
}

// alterConfigs changes the configuration of one resource, all or nothing.
func alterConfigs(ctx context.Context, cl *kgo.Client, r resource, changes []configChange,
	dryRun bool,
) error {
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = r.kind, r.name
	for _, ch := range changes {
		rc := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		rc.Name, rc.Value, rc.Op = ch.name, ch.value, kmsg.IncrementalAlterConfigOpSet
		if ch.value == nil {
			rc.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		rr.Configs = append(rr.Configs, rc)
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dryRun
	req.Resources = append(req.Resources, rr)
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return shard.Err
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := brokerError(r.ErrorCode, client.Message(r.ErrorMessage)); err != nil {
				return err
			}
		}
	}
	return nil
}

// changesOf makes changes of what a command line sets and deletes.
func changesOf(set [][2]string, remove []string) []configChange {
	var out []configChange
	for _, s := range set {
		out = append(out, configChange{s[0], kmsg.StringPtr(s[1])})
	}
	for _, name := range remove {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, configChange{name, nil})
		}
	}
	return out
}
