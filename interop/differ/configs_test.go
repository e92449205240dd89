//go:build interop

package differ

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func describeReq(v int16, kind kmsg.ConfigResourceType, name string, keys ...string,
) *kmsg.DescribeConfigsRequest {
	req := at(kmsg.NewPtrDescribeConfigsRequest(), v)
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, keys
	req.Resources = append(req.Resources, r)
	return req
}

// describe records a DescribeConfigs without the documentation's wording.
func (s *side) describe(label string, req *kmsg.DescribeConfigsRequest) {
	resp := must[*kmsg.DescribeConfigsResponse](s, req)
	for i := range resp.Resources {
		for j := range resp.Resources[i].Configs {
			c := &resp.Resources[i].Configs[j]
			if c.Documentation != nil && *c.Documentation != "" {
				c.Documentation = ptr("a text")
			}
		}
	}
	lines, raw := s.names.flatten(resp)
	s.steps = append(s.steps, step{
		"DescribeConfigs v" + plainInt(req.Version) + ": " + label,
		lines, raw,
	})
}

const (
	ofTopic  = kmsg.ConfigResourceTypeTopic
	ofBroker = kmsg.ConfigResourceTypeBroker
)

// TestDescribeTopicConfigs compares names, values, sources, types and synonyms of all configs.
func TestDescribeTopicConfigs(t *testing.T) {
	compare(t, func(s *side) {
		s.create("dc", 1, "retention.ms", "123456", "cleanup.policy", "compact,delete",
			"max.message.bytes", "2000000")
		for v := int16(1); v <= 4; v++ {
			s.describe("all", describeReq(v, ofTopic, "dc"))
			synonyms := describeReq(v, ofTopic, "dc")
			synonyms.IncludeSynonyms = true
			s.describe("with synonyms", synonyms)
			if v >= 3 {
				synonyms.IncludeDocumentation = true
				s.describe("with documentation", synonyms)
			}
			s.describe("some", describeReq(v, ofTopic, "dc", "retention.ms", "no.such", "segment.ms"))
			none := describeReq(v, ofTopic, "dc")
			none.Resources[0].ConfigNames = []string{}
			s.describe("an empty list of names", none)
			s.describe("missing topic", describeReq(v, ofTopic, "dc-missing"))
			s.describe("invalid topic", describeReq(v, ofTopic, "d c"))
			s.describe("empty topic", describeReq(v, ofTopic, ""))
			for _, kind := range []kmsg.ConfigResourceType{0, 1, 3, 5, 8, 9, 16, 32, 64, -1} {
				req := describeReq(v, kind, "1")
				resp, err := s.ask(req)
				if err != nil {
					s.record("kind "+plainInt(int16(kind))+" v"+plainInt(v), "connection",
						outcome(err))
					continue
				}
				r := resp.(*kmsg.DescribeConfigsResponse).Resources[0]
				s.record("kind "+plainInt(int16(kind))+" v"+plainInt(v), "ErrorCode",
					errorName(r.ErrorCode))
			}
		}
		s.create("dc-raw", 1, "retention.ms", " 5 ", "preallocate", "TRUE", "flush.ms", "+7",
			"cleanup.policy", " compact , delete ,compact ", "min.cleanable.dirty.ratio", " 0.250",
			"message.timestamp.type", " LogAppendTime", "segment.ms", "007777777777")
		raw := describeReq(4, ofTopic, "dc-raw")
		raw.IncludeSynonyms = true
		s.describe("values as written", raw)
		s.describe("values as written", describeReq(4, ofTopic, "dc-raw"))
		s.describe("no resource", at(kmsg.NewPtrDescribeConfigsRequest(), 4))
		twice := describeReq(4, ofTopic, "dc", "retention.ms")
		twice.Resources = append(twice.Resources, twice.Resources[0])
		s.describe("one topic twice", twice)
	})
}

// brokerConfigs are the keys whose description is compared; a broker may have more.
var brokerConfigs = []string{
	"auto.create.topics.enable", "delete.topic.enable", "num.partitions",
	"default.replication.factor", "log.segment.bytes", "log.retention.ms", "log.retention.hours",
	"log.retention.minutes", "log.retention.bytes", "log.cleanup.policy", "compression.type",
	"message.max.bytes", "min.insync.replicas", "log.roll.ms", "log.roll.hours",
	"log.index.interval.bytes", "log.index.size.max.bytes", "log.message.timestamp.type",
	"log.message.timestamp.after.max.ms", "log.message.timestamp.before.max.ms",
	"socket.request.max.bytes", "socket.send.buffer.bytes", "socket.receive.buffer.bytes",
	"max.connections", "max.connections.per.ip", "connections.max.idle.ms", "fetch.max.bytes",
	"max.incremental.fetch.session.cache.slots", "queued.max.requests", "num.network.threads",
	"num.io.threads", "producer.id.expiration.ms", "unclean.leader.election.enable",
	"log.preallocate", "log.flush.interval.messages", "log.flush.interval.ms",
	"log.segment.delete.delay.ms", "replica.lag.time.max.ms", "broker.rack",
	"listener.security.protocol.map", "inter.broker.listener.name", "log.dir",
}

// TestDescribeBrokerConfigs compares the configs that both brokers know, by name.
func TestDescribeBrokerConfigs(t *testing.T) {
	compare(t, func(s *side) {
		me := plain32(s.names.nodeID)
		for v := int16(1); v <= 4; v++ {
			for _, key := range brokerConfigs {
				s.describe(key, describeReq(v, ofBroker, me, key))
			}
			s.describe("other broker", describeReq(v, ofBroker, "77", "num.partitions"))
			s.describe("all brokers", describeReq(v, ofBroker, "", "num.partitions"))
			s.describe("not a number", describeReq(v, ofBroker, "x", "num.partitions"))
		}
		for _, key := range brokerConfigs {
			req := describeReq(4, ofBroker, me, key)
			req.IncludeSynonyms = true
			s.describe(key+" with synonyms", req)
		}
	})
}

func incrementalReq(v int16, kind kmsg.ConfigResourceType, name string, ops ...alter,
) *kmsg.IncrementalAlterConfigsRequest {
	req := at(kmsg.NewPtrIncrementalAlterConfigsRequest(), v)
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	for _, op := range ops {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = op.key, kmsg.IncrementalAlterConfigOp(op.op), op.value
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	return req
}

// alter is one change of IncrementalAlterConfigs: 0 set, 1 delete, 2 append, 3 subtract.
type alter struct {
	key   string
	op    int8
	value *string
}

// dynamic describes the configs that were set on the resource itself.
func (s *side) dynamic(label string, kind kmsg.ConfigResourceType, name string) {
	s.settle(describeReq(4, kind, name))
	resp := must[*kmsg.DescribeConfigsResponse](s, describeReq(4, kind, name))
	r := &resp.Resources[0]
	r.Configs = slices.DeleteFunc(r.Configs, func(c kmsg.DescribeConfigsResponseResourceConfig) bool {
		return c.Source != kmsg.ConfigSourceDynamicTopicConfig &&
			c.Source != kmsg.ConfigSourceDynamicBrokerConfig &&
			c.Source != kmsg.ConfigSourceDynamicDefaultBrokerConfig
	})
	lines, raw := s.names.flatten(resp)
	s.steps = append(s.steps, step{label, lines, raw})
}

// TestIncrementalAlterConfigs covers the four operations and what is refused.
func TestIncrementalAlterConfigs(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 1; v++ {
			name := "iac-v" + plainInt(v)
			s.create(name, 1, "retention.ms", "5000")
			for _, c := range incrementalCases() {
				req := incrementalReq(v, ofTopic, name, c.ops...)
				req.ValidateOnly = c.validate
				s.send(c.label, req)
				s.dynamic("after "+c.label, ofTopic, name)
			}
			set := alter{"retention.ms", 0, ptr("1")}
			s.send("missing topic", incrementalReq(v, ofTopic, "iac-missing", set))
			s.send("invalid topic", incrementalReq(v, ofTopic, "i a c", set))
			s.send("empty topic", incrementalReq(v, ofTopic, "", set))
			s.send("unknown kind", incrementalReq(v, 5, name, set))
			s.send("no resource", at(kmsg.NewPtrIncrementalAlterConfigsRequest(), v))
			twice := incrementalReq(v, ofTopic, name, set)
			twice.Resources = append(twice.Resources, twice.Resources[0])
			s.send("one topic twice", twice)
			mixed := incrementalReq(v, ofTopic, name, set)
			mixed.Resources = append(mixed.Resources,
				incrementalReq(v, ofTopic, "iac-missing", set).Resources[0])
			s.send("one good, one missing", mixed)
		}
	})
}

type alterCase struct {
	label    string
	validate bool
	ops      []alter
}

func incrementalCases() []alterCase {
	return []alterCase{
		{"validate only", true, []alter{{"retention.ms", 0, ptr("7000")}}},
		{"set", false, []alter{{"retention.ms", 0, ptr("7000")}}},
		{"set two", false, []alter{{"segment.ms", 0, ptr("9")}, {"flush.ms", 0, ptr("8")}}},
		{"delete", false, []alter{{"segment.ms", 1, nil}}},
		{"delete an absent key", false, []alter{{"segment.bytes", 1, nil}}},
		{"delete an unknown key", false, []alter{{"no.such", 1, nil}}},
		{"delete with a value", false, []alter{{"flush.ms", 1, ptr("8")}}},
		{"append", false, []alter{{"cleanup.policy", 2, ptr("compact")}}},
		{"append again", false, []alter{{"cleanup.policy", 2, ptr("compact")}}},
		{"append two", false, []alter{{"cleanup.policy", 2, ptr("compact,delete")}}},
		{"append wrong", false, []alter{{"cleanup.policy", 2, ptr("shrink")}}},
		{"append to no list", false, []alter{{"retention.ms", 2, ptr("1")}}},
		{"append to an unknown key", false, []alter{{"no.such", 2, ptr("1")}}},
		{"subtract", false, []alter{{"cleanup.policy", 3, ptr("delete")}}},
		{"subtract an absent one", false, []alter{{"cleanup.policy", 3, ptr("delete")}}},
		{"subtract the last", false, []alter{{"cleanup.policy", 3, ptr("compact")}}},
		{"subtract from no list", false, []alter{{"retention.ms", 3, ptr("1")}}},
		{"set null", false, []alter{{"retention.ms", 0, nil}}},
		{"append null", false, []alter{{"cleanup.policy", 2, nil}}},
		{"set wrong", false, []alter{{"retention.ms", 0, ptr("x")}}},
		{"set unknown", false, []alter{{"no.such", 0, ptr("1")}}},
		{"set empty", false, []alter{{"retention.ms", 0, ptr("")}}},
		{
			"one good, one wrong", false,
			[]alter{{"segment.ms", 0, ptr("77")}, {"retention.ms", 0, ptr("x")}},
		},
		{
			"the same key twice", false,
			[]alter{{"segment.ms", 0, ptr("78")}, {"segment.ms", 0, ptr("79")}},
		},
		{"unknown operation", false, []alter{{"segment.ms", 4, ptr("78")}}},
		{"negative operation", false, []alter{{"segment.ms", -1, ptr("78")}}},
		{"nothing", false, nil},
	}
}

// TestAlterConfigs: what is not named goes back to its default.
func TestAlterConfigs(t *testing.T) {
	compare(t, func(s *side) {
		for v := int16(0); v <= 2; v++ {
			name := "ac-v" + plainInt(v)
			s.create(name, 1, "retention.ms", "5000", "segment.ms", "6000")
			ask := func(label, topic string, validate bool, pairs ...*string) {
				req := at(kmsg.NewPtrAlterConfigsRequest(), v)
				req.ValidateOnly = validate
				r := kmsg.NewAlterConfigsRequestResource()
				r.ResourceType, r.ResourceName = ofTopic, topic
				for i := 0; i < len(pairs); i += 2 {
					c := kmsg.NewAlterConfigsRequestResourceConfig()
					c.Name, c.Value = *pairs[i], pairs[i+1]
					r.Configs = append(r.Configs, c)
				}
				req.Resources = append(req.Resources, r)
				s.send(label, req)
				s.dynamic("after "+label, ofTopic, name)
			}
			ask("validate only", name, true, ptr("flush.ms"), ptr("1"))
			ask("replace", name, false, ptr("flush.ms"), ptr("1"))
			ask("wrong", name, false, ptr("flush.ms"), ptr("x"))
			ask("unknown", name, false, ptr("no.such"), ptr("x"))
			ask("null", name, false, ptr("flush.ms"), nil)
			ask("twice the same key", name, false, ptr("flush.ms"), ptr("1"), ptr("flush.ms"), ptr("2"))
			ask("all gone", name, false)
			ask("missing topic", "ac-missing", false, ptr("flush.ms"), ptr("1"))
			ask("invalid topic", "a c", false, ptr("flush.ms"), ptr("1"))
		}
	})
}

// TestAlterBrokerConfigs covers dynamic broker configs, of one broker and of all.
func TestAlterBrokerConfigs(t *testing.T) {
	compare(t, func(s *side) {
		me := plain32(s.names.nodeID)
		cases := []alterCase{
			{"set a cluster-wide key", false, []alter{{"log.retention.ms", 0, ptr("86400000")}}},
			{"set a read-only key", false, []alter{{"num.partitions", 0, ptr("3")}}},
			{"set an unknown key", false, []alter{{"no.such", 0, ptr("3")}}},
			{"set a wrong value", false, []alter{{"log.retention.ms", 0, ptr("x")}}},
			{"delete it", false, []alter{{"log.retention.ms", 1, nil}}},
		}
		for _, name := range []string{me, ""} {
			for _, c := range cases {
				s.send(c.label+" on "+s.brokerLabel(name), incrementalReq(1, ofBroker, name, c.ops...))
				s.dynamic("after "+c.label, ofBroker, me)
			}
		}
		s.send("set on another broker", incrementalReq(1, ofBroker, "77",
			alter{"log.retention.ms", 0, ptr("1")}))
		s.send("not a number", incrementalReq(1, ofBroker, "x",
			alter{"log.retention.ms", 0, ptr("1")}))
	})
}

func (s *side) brokerLabel(name string) string {
	if name == "" {
		return "all brokers"
	}
	return "this broker"
}
