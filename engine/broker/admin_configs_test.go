package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// describeRequest asks about one resource.
func describeRequest(
	version int16, kind kmsg.ConfigResourceType, name string, keys ...string,
) *kmsg.DescribeConfigsRequest {
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.SetVersion(version)
	q.Resources = []kmsg.DescribeConfigsRequestResource{{
		ResourceType: kind, ResourceName: name, ConfigNames: keys,
	}}
	return q
}

// described returns one config of one resource as value, source and flags.
func (tb *testBroker) described(kind kmsg.ConfigResourceType, name, key string) string {
	tb.t.Helper()
	q := describeRequest(4, kind, name, key)
	q.IncludeSynonyms = true
	r := tb.roundTrip(q).(*kmsg.DescribeConfigsResponse).Resources[0]
	if r.ErrorCode != 0 || r.ErrorMessage == nil || *r.ErrorMessage != "" {
		tb.t.Errorf("%s %q: %+v", key, name, r)
	}
	if len(r.Configs) == 0 {
		return ""
	}
	c := &r.Configs[0]
	value := "null"
	if c.Value != nil {
		value = *c.Value
	}
	s := fmt.Sprintf("%s from %d", value, c.Source)
	for _, x := range c.ConfigSynonyms {
		s += fmt.Sprintf(", %s %d", x.Name, x.Source)
	}
	return s
}

const (
	topicKind  = kmsg.ConfigResourceTypeTopic
	brokerKind = kmsg.ConfigResourceTypeBroker
)

// TestDescribeConfigsSources: every layer shows up with its source, strongest first (KIP-226).
func TestDescribeConfigsSources(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.segment.bytes=2000000")
	tb.mustCreate("t", 1, config1("max.message.bytes", "1000"))
	check := func(kind kmsg.ConfigResourceType, name, key, want string) {
		t.Helper()
		if got := tb.described(kind, name, key); got != want {
			t.Errorf("%s of %q: %q, want %q", key, name, got, want)
		}
	}
	self := fmt.Sprint(tb.nodeID)
	check(topicKind, "t", "max.message.bytes", "1000 from 1, max.message.bytes 1, message.max.bytes 5")
	check(topicKind, "t", "segment.bytes",
		"2000000 from 4, log.segment.bytes 4, log.segment.bytes 5")
	check(topicKind, "t", "cleanup.policy", "delete from 5, log.cleanup.policy 5")
	check(brokerKind, self, "log.segment.bytes",
		"2000000 from 4, log.segment.bytes 4, log.segment.bytes 5")
	check(brokerKind, "", "log.retention.ms", "")
	tb.mustSet(brokerKind, "", "log.retention.ms", "5000")
	check(brokerKind, "", "log.retention.ms", "5000 from 3, log.retention.ms 3")
	check(topicKind, "t", "retention.ms", "5000 from 3, log.retention.ms 3, log.retention.hours 5")
	tb.mustSet(brokerKind, self, "log.retention.ms", "6000")
	check(brokerKind, self, "log.retention.ms",
		"6000 from 2, log.retention.ms 2, log.retention.ms 3, log.retention.hours 5")
	if got := tb.topics.namedString("t").settings.Load().config.RetentionMs; got != 6000 {
		t.Errorf("the topic is kept for %d ms", got)
	}
}

// mustSet sets one config.
func (tb *testBroker) mustSet(kind kmsg.ConfigResourceType, name, key, value string) {
	tb.t.Helper()
	if code := tb.altered(1, kind, name, 0, key, &value, false); code != 0 {
		tb.t.Fatalf("setting %s of %q: code %d", key, name, code)
	}
}

// altered sends one operation and returns the code.
func (tb *testBroker) altered(
	version int16, kind kmsg.ConfigResourceType, name string,
	op int8, key string, value *string, validateOnly bool,
) int16 {
	tb.t.Helper()
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.SetVersion(version)
	q.ValidateOnly = validateOnly
	q.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{
		ResourceType: kind, ResourceName: name,
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{
			{Name: key, Op: kmsg.IncrementalAlterConfigOp(op), Value: value},
		},
	}}
	r := tb.roundTrip(q).(*kmsg.IncrementalAlterConfigsResponse).Resources[0]
	// Only an operation that does not exist is refused without a word.
	if (r.ErrorMessage == nil) != (r.ErrorCode == 0 || r.ErrorCode == -1) {
		tb.t.Errorf("%s of %q: %+v", key, name, r)
	}
	return r.ErrorCode
}

// TestDescribeConfigsVersions: names, documentation from v3 on, and types.
func TestDescribeConfigsVersions(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1)
	for version := int16(1); version <= 4; version++ {
		all := tb.roundTrip(describeRequest(version, topicKind, "t")).(*kmsg.DescribeConfigsResponse)
		if n := len(all.Resources[0].Configs); n < 30 {
			t.Errorf("v%d: %d configs", version, n)
		}
		q := describeRequest(version, topicKind, "t", "retention.ms", "no.such")
		q.IncludeDocumentation = true
		got := tb.roundTrip(q).(*kmsg.DescribeConfigsResponse).Resources[0]
		if len(got.Configs) != 1 || len(got.Configs[0].ConfigSynonyms) != 0 {
			t.Fatalf("v%d: %+v", version, got)
		}
		c := &got.Configs[0]
		if (c.Documentation != nil) != (version >= 3) ||
			(c.ConfigType == kmsg.ConfigTypeLong) != (version >= 3) {
			t.Errorf("v%d: %+v", version, c)
		}
		q.Resources[0].ConfigNames = []string{}
		some := tb.roundTrip(q).(*kmsg.DescribeConfigsResponse).Resources[0]
		if len(some.Configs) != len(all.Resources[0].Configs) {
			t.Errorf("v%d: no names: %d configs", version, len(some.Configs))
		}
	}
}

// TestDescribeConfigsAddress: which resources there are.
func TestDescribeConfigsAddress(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1)
	self := fmt.Sprint(tb.nodeID)
	check := func(kind int8, name string, want int16) {
		t.Helper()
		q := describeRequest(4, kmsg.ConfigResourceType(kind), name)
		r := tb.roundTrip(q).(*kmsg.DescribeConfigsResponse).Resources[0]
		if r.ErrorCode != want || r.ErrorMessage == nil {
			t.Errorf("type %d %q: %+v, want %d", kind, name, r, want)
		}
	}
	check(2, "t", 0)
	check(2, "missing", wire.CodeUnknownTopicOrPartition)
	check(2, "", wire.CodeInvalidTopicException)
	check(2, "a b", wire.CodeInvalidTopicException)
	check(4, self, 0)
	check(4, "", 0)
	check(4, "77", wire.CodeInvalidRequest)
	check(4, "x", wire.CodeInvalidRequest)
	check(8, self, 0)
	check(8, "", wire.CodeInvalidRequest)
	check(16, "m", 0)
	check(16, "", wire.CodeInvalidRequest)
	check(32, "g", 0)
	for _, kind := range []int8{0, 1, 3, 5, 9, 64, -1} {
		check(kind, "t", wire.CodeInvalidRequest)
	}
	often := describeRequest(4, topicKind, "t", "retention.ms", "retention.ms", "no.such")
	for len(often.Resources) < describeMentionsMax+1 {
		often.Resources = append(often.Resources, often.Resources[0])
	}
	for i, r := range tb.roundTrip(often).(*kmsg.DescribeConfigsResponse).Resources {
		if i < describeMentionsMax && (r.ErrorCode != 0 || len(r.Configs) != 1) ||
			i >= describeMentionsMax && r.ErrorCode != wire.CodeInvalidRequest {
			t.Errorf("mention %d: %+v", i, r)
		}
	}
	q := describeRequest(4, topicKind, "t")
	q.Resources = append(q.Resources, describeRequest(4, 5, "t").Resources...)
	for _, r := range tb.roundTrip(q).(*kmsg.DescribeConfigsResponse).Resources {
		if r.ErrorCode != wire.CodeInvalidRequest || len(r.Configs) != 0 {
			t.Errorf("beside an unknown type: %+v", r)
		}
	}
}

// TestIncrementalAlterConfigs: operations and refusals of topics and brokers (KIP-339).
func TestIncrementalAlterConfigs(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1)
	self := fmt.Sprint(tb.nodeID)
	check := func(
		want int16, kind kmsg.ConfigResourceType, name string, op int8, key string, value *string,
	) {
		t.Helper()
		for version := int16(0); version <= 1; version++ {
			if got := tb.altered(version, kind, name, op, key, value, false); got != want {
				t.Errorf("v%d %s of %q op %d: %d, want %d", version, key, name, op, got, want)
			}
		}
	}
	x := textOf
	check(0, topicKind, "t", 0, "retention.ms", x("1234"))
	if got := tb.topics.namedString("t").settings.Load().config.RetentionMs; got != 1234 {
		t.Errorf("retention of %d ms", got)
	}
	check(0, topicKind, "t", 2, "cleanup.policy", x("compact"))
	if got := tb.described(topicKind, "t", "cleanup.policy"); got !=
		"delete,compact from 1, cleanup.policy 1, log.cleanup.policy 5" {
		t.Error(got)
	}
	check(0, topicKind, "t", 3, "cleanup.policy", x("delete"))
	check(0, topicKind, "t", 1, "retention.ms", nil)
	check(0, topicKind, "t", 1, "no.such", nil)
	check(40, topicKind, "t", 0, "no.such", x("1"))
	check(40, topicKind, "t", 0, "retention.ms", x("x"))
	check(40, topicKind, "t", 2, "retention.ms", x("1"))
	check(42, topicKind, "t", 0, "retention.ms", nil)
	check(-1, topicKind, "t", 4, "retention.ms", x("1"))
	check(-1, topicKind, "t", -1, "retention.ms", x("1"))
	check(3, topicKind, "missing", 0, "retention.ms", x("1"))
	check(17, topicKind, "a b", 0, "retention.ms", x("1"))
	check(42, topicKind, "", 0, "retention.ms", x("1"))
	check(42, 7, "t", 0, "retention.ms", x("1"))
	check(42, 8, self, 0, "root", x("INFO"))
	check(42, brokerKind, self, 0, "num.partitions", x("1"))
	check(42, brokerKind, self, 0, "log.retention.ms", x("x"))
	check(42, brokerKind, "77", 0, "log.retention.ms", x("1"))
	if code := tb.altered(1, topicKind, "t", 0, "retention.ms", x("9"), true); code != 0 {
		t.Errorf("validate only: %d", code)
	}
	if got := tb.described(topicKind, "t", "retention.ms"); got[:9] == "9 from 1" {
		t.Error("validation changed the config")
	}
}

// TestAlterConfigs replaces the whole set of a resource's configs (KIP-133).
func TestAlterConfigs(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1, config1("max.message.bytes", "1000"))
	ask := func(want int16, name string, validateOnly bool, pairs ...string) {
		t.Helper()
		for version := int16(0); version <= 2; version++ {
			q := kmsg.NewPtrAlterConfigsRequest()
			q.SetVersion(version)
			q.ValidateOnly = validateOnly
			r := kmsg.NewAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = topicKind, name
			for i := 0; i < len(pairs); i += 2 {
				r.Configs = append(r.Configs, kmsg.AlterConfigsRequestResourceConfig{
					Name: pairs[i], Value: &pairs[i+1],
				})
			}
			q.Resources = append(q.Resources, r)
			got := tb.roundTrip(q).(*kmsg.AlterConfigsResponse).Resources[0]
			if got.ErrorCode != want || (got.ErrorMessage != nil) != (want != 0) {
				t.Errorf("v%d: %+v, want %d", version, got, want)
			}
		}
	}
	config := func() string {
		c := tb.topics.namedString("t").settings.Load().config
		return fmt.Sprint(c.MaxMessageBytes, c.RetentionMs)
	}
	ask(0, "t", true, "retention.ms", "5")
	if got := config(); got != "1000 604800000" {
		t.Errorf("after validation: %s", got)
	}
	ask(0, "t", false, "retention.ms", "5")
	if got := config(); got != "1048588 5" {
		t.Errorf("after the change: %s", got)
	}
	ask(40, "t", false, "retention.ms", "x")
	ask(42, "t", false, "retention.ms", "1", "retention.ms", "1")
	ask(3, "missing", false, "retention.ms", "1")
	ask(17, "a b", false, "retention.ms", "1")
	ask(0, "t", false)
	if got := config(); got != "1048588 604800000" {
		t.Errorf("after all are gone: %s", got)
	}
}

// TestDescribeLogDirs: sizes of what is there, null for everything, and a dir that failed
// (KIP-113).
func TestDescribeLogDirs(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("ld", 2)
	batch := batchOf(3, 10)
	size := int64(len(batch))
	tb.mustProduce("ld", 0, batch)
	ask := func(version int16, topics ...kmsg.DescribeLogDirsRequestTopic) string {
		t.Helper()
		q := kmsg.NewPtrDescribeLogDirsRequest()
		q.SetVersion(version)
		q.Topics = topics
		p := tb.roundTrip(q).(*kmsg.DescribeLogDirsResponse)
		knowsRoom := version >= 4 && p.Dirs[0].ErrorCode == 0
		if len(p.Dirs) != 1 || (p.Dirs[0].TotalBytes > 0) != knowsRoom {
			t.Errorf("v%d: %+v", version, p)
		}
		s := fmt.Sprintf("code %d", p.Dirs[0].ErrorCode)
		for _, x := range p.Dirs[0].Topics {
			for _, y := range x.Partitions {
				s += fmt.Sprintf(", %s-%d %d lag %d", x.Topic, y.Partition, y.Size, y.OffsetLag)
			}
		}
		return s
	}
	part := func(name string, indexes ...int32) kmsg.DescribeLogDirsRequestTopic {
		return kmsg.DescribeLogDirsRequestTopic{Topic: name, Partitions: indexes}
	}
	first := fmt.Sprintf("code 0, ld-0 %d lag 0", size)
	for version := int16(1); version <= 5; version++ {
		check := func(want string, topics ...kmsg.DescribeLogDirsRequestTopic) {
			t.Helper()
			if got := ask(version, topics...); got != want {
				t.Errorf("v%d %v: %q, want %q", version, topics, got, want)
			}
		}
		check(first + ", ld-1 0 lag 0")
		check(first, part("ld", 0))
		check(first, part("ld", 0, 0, 9, -1), part("missing", 0), part("ld", 0))
		check("code 0", part("ld"))
		check("code 0", []kmsg.DescribeLogDirsRequestTopic{part("missing", 0)}...)
	}
	tb.Broker.dirs[0].failed.Store(true)
	if got := ask(5); got != "code 56" {
		t.Errorf("failed: %q", got)
	}
	tb.Broker.dirs[0].failed.Store(false)
}
