package broker

import (
	"testing"

	"sluice/engine/catalog"
	"sluice/wire"
)

// TestScreenAlters: what is refused with INVALID_REQUEST before a decider looks, as measured on
// Kafka (ConfigAdminManager.preprocess).
func TestScreenAlters(t *testing.T) {
	x := func(s string) *string { return &s }
	set := func(name, value string) alterKey { return alterKey{name: name, value: &value} }
	topic := catalog.Resource{Type: catalog.ResourceTopic, Name: "t"}
	self := catalog.Resource{Type: catalog.ResourceBroker, Name: "1"}
	all := catalog.Resource{Type: catalog.ResourceBroker}
	check := func(what string, wantCode int16, r catalog.Resource, keys ...alterKey) {
		t.Helper()
		e := screenAlters(1, []alterRequest{{resource: r, keys: keys}})[0]
		if e.Code != wantCode || e.OK() != (e.Message == "") {
			t.Errorf("%s: %d %q, want %d", what, e.Code, e.Message, wantCode)
		}
	}
	const ok, bad = wire.CodeNone, wire.CodeInvalidRequest
	check("nothing", ok, topic)
	check("set", ok, topic, set("retention.ms", "wrong: the decider's matter"))
	check("key twice", bad, topic, set("a", "1"), set("a", "1"))
	check("null", bad, topic, alterKey{name: "a"})
	check("null deleted", ok, topic, alterKey{name: "a", op: catalog.OpDelete})
	check("default topic", bad, catalog.Resource{Type: catalog.ResourceTopic})
	check("loggers", bad, catalog.Resource{Type: catalog.ResourceBrokerLogger, Name: "1"})
	check("groups", bad, catalog.Resource{Type: catalog.ResourceGroup, Name: "g"})
	check("unknown type", bad, catalog.Resource{Type: 7, Name: "t"})
	check("other broker", bad, catalog.Resource{Type: catalog.ResourceBroker, Name: "77"})
	check("no number", bad, catalog.Resource{Type: catalog.ResourceBroker, Name: "x"})
	check("dynamic", ok, self, set("log.retention.ms", "86400000"))
	check("dynamic for all", ok, all, set("log.retention.ms", "86400000"))
	check("wrong value", bad, self, set("log.retention.ms", "x"))
	check("read-only", bad, self, set("num.partitions", "3"))
	check("read-only for all", bad, all, set("num.partitions", "3"))
	check("read-only deleted", ok, self, alterKey{name: "num.partitions", op: catalog.OpDelete})
	check("unknown operation", bad, self, alterKey{name: "log.retention.ms", value: x("1"), op: 9})
	check("append", ok, self, alterKey{
		name: "log.cleanup.policy", value: x("compact"), op: catalog.OpAppend,
	})
	check("append wrong", bad, self, alterKey{
		name: "log.cleanup.policy", value: x("shrink"), op: catalog.OpAppend,
	})
	check("subtract what is not allowed", ok, self, alterKey{
		name: "log.cleanup.policy", value: x("shrink"), op: catalog.OpSubtract,
	})
}

// TestScreenAltersTwice: a resource that is named twice is refused at each mention; others go on.
func TestScreenAltersTwice(t *testing.T) {
	topic := func(name string) alterRequest {
		return alterRequest{resource: catalog.Resource{Type: catalog.ResourceTopic, Name: name}}
	}
	got := screenAlters(1, []alterRequest{topic("a"), topic("b"), topic("a")})
	if got[0].Code != wire.CodeInvalidRequest || !got[1].OK() ||
		got[2].Code != wire.CodeInvalidRequest {
		t.Errorf("%v", got)
	}
}
