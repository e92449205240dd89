package broker

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/wire"
)

// describeMentionsMax is how often a request may name one resource: a few bytes of request cost
// some kilobytes of answer, and only a client that means harm asks for the same again and again.
const describeMentionsMax = 16

// handleDescribeConfigs shows the configs of topics and of this broker, with the source of each
// value (KIP-133, 226, 569). Values of passwords are never shown.
func handleDescribeConfigs(b *Broker, _ *request, q kmsg.Request) kmsg.Response {
	req := q.(*kmsg.DescribeConfigsRequest)
	p := kmsg.NewPtrDescribeConfigsResponse()
	describable := true
	for i := range req.Resources {
		describable = describable && describableType(req.Resources[i].ResourceType)
	}
	im := b.image()
	mentions := map[catalog.Resource]int{}
	for i := range req.Resources {
		from := &req.Resources[i]
		// One type that nobody knows fails the whole request.
		entries, e := []config.Entry(nil), badAlter("Unexpected resource type in the request.")
		if describable {
			key := catalog.Resource{
				Type: catalog.ResourceType(from.ResourceType), Name: from.ResourceName,
			}
			if mentions[key]++; mentions[key] <= describeMentionsMax {
				entries, e = b.describeResource(im, from)
			} else {
				e = badAlter("The resource was named too often.")
			}
		}
		to := kmsg.NewDescribeConfigsResponseResource()
		to.ResourceType, to.ResourceName = from.ResourceType, from.ResourceName
		// Without an error the message is empty, not null.
		to.ErrorCode, to.ErrorMessage = e.Code, &e.Message
		for j := range entries {
			to.Configs = append(to.Configs, configAnswer(&entries[j], req))
		}
		p.Resources = append(p.Resources, to)
	}
	return p
}

func describableType(t kmsg.ConfigResourceType) bool {
	switch catalog.ResourceType(t) {
	case catalog.ResourceTopic, catalog.ResourceBroker, catalog.ResourceBrokerLogger,
		catalog.ResourceClientMetrics, catalog.ResourceGroup:
		return true
	default:
		return false
	}
}

// describeResource returns the configs of one resource. An empty list of names asks for all.
func (b *Broker) describeResource(
	im *catalog.Image, from *kmsg.DescribeConfigsRequestResource,
) ([]config.Entry, catalog.Error) {
	name := from.ResourceName
	switch catalog.ResourceType(from.ResourceType) {
	case catalog.ResourceTopic:
		if e := catalog.CheckTopicName(name); !e.OK() {
			return nil, e
		}
		if im.Topic(name) == nil {
			return nil, catalog.Error{Code: wire.CodeUnknownTopicOrPartition}
		}
		return config.DescribeTopic(b.layersIn(im, name),
			knownNames(from.ConfigNames, func(key string) bool {
				return config.TopicDef(key) != nil
			})), catalog.Error{}
	case catalog.ResourceBroker:
		layers := brokerLayers(im, b.cfg.Static, b.nodeID)
		names := knownNames(from.ConfigNames, func(key string) bool {
			return config.BrokerDef(key) != nil || isSet(layers, key)
		})
		if name == "" {
			return config.DescribeDefault(layers, names), catalog.Error{}
		}
		if e := checkOwnID(b.nodeID, name); !e.OK() {
			return nil, e
		}
		return config.DescribeBroker(layers, names), catalog.Error{}
	case catalog.ResourceBrokerLogger:
		// There are no loggers whose level could be set one by one: the list is empty.
		if name == "" {
			return nil, badAlter("Broker id must not be empty")
		}
		return nil, checkOwnID(b.nodeID, name)
	default:
		// Client metrics and groups have no configs of their own here.
		if name == "" {
			return nil, badAlter("The resource's name must not be empty")
		}
		return nil, catalog.Error{}
	}
}

// knownNames leaves out names that stand for nothing and repetitions, so that the work for a
// resource is bounded by what there is to describe, not by the request. Nil means all.
func knownNames(asked []string, known func(string) bool) []string {
	if len(asked) == 0 {
		return nil
	}
	names := []string{}
	seen := map[string]bool{}
	for _, name := range asked {
		if !seen[name] && known(name) {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// isSet says whether any layer sets a key.
func isSet(l config.Layers, key string) bool {
	for _, layer := range [...]config.Getter{l.DynamicBroker, l.DynamicDefault, l.Static} {
		if _, ok := layer.Get(key); ok {
			return true
		}
	}
	return false
}

// brokerLayers are the layers of a broker's configuration, each of which can list its keys.
func brokerLayers(im *catalog.Image, static config.Map, nodeID int32) config.Layers {
	own := catalog.Resource{Type: catalog.ResourceBroker, Name: strconv.Itoa(int(nodeID))}
	all := catalog.Resource{Type: catalog.ResourceBroker}
	return config.Layers{
		DynamicBroker:  layerOf(im.Configs(own)),
		DynamicDefault: layerOf(im.Configs(all)),
		Static:         static,
	}
}

func layerOf(c *catalog.Configs) config.Map {
	m := make(config.Map, c.Len())
	for i := range c.Len() {
		m[c.At(i).Name] = c.At(i).Value
	}
	return m
}

// configAnswer is one config as the response shows it. kmsg leaves out what a version has not.
func configAnswer(
	e *config.Entry, req *kmsg.DescribeConfigsRequest,
) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value = e.Name, e.Value
	c.ReadOnly, c.IsSensitive = e.ReadOnly, e.Sensitive
	c.Source, c.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	c.IsDefault = e.Source == config.SourceDefault
	if req.IncludeDocumentation {
		c.Documentation = &e.Doc
	}
	if req.IncludeSynonyms {
		for i := range e.Synonyms {
			s := &e.Synonyms[i]
			c.ConfigSynonyms = append(c.ConfigSynonyms,
				kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{
					Name: s.Name, Value: s.Value, Source: kmsg.ConfigSource(s.Source),
				})
		}
	}
	return c
}
