package config

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryDefaultIsAllowed: and every key says what it takes and what it is for.
func TestEveryDefaultIsAllowed(t *testing.T) {
	for _, d := range append(append([]*Def{}, TopicDefs()...), BrokerDefs()...) {
		if !d.NoDefault {
			if err := d.Check(d.Default); err != nil {
				t.Errorf("default: %v", err)
			}
		}
		if d.Allowed() == "" || d.Doc == "" || !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s: allowed %q, doc %q", d.Name, d.Allowed(), d.Doc)
		}
	}
	if len(TopicDefs()) < 37 || len(BrokerDefs()) < 340 {
		t.Errorf("%d topic and %d broker keys", len(TopicDefs()), len(BrokerDefs()))
	}
}

// TestSynonymsAgree: a topic key and the broker key that supplies its default have one type, one
// default and one range.
func TestSynonymsAgree(t *testing.T) {
	for _, d := range TopicDefs() {
		if d.Synonym == "" {
			continue
		}
		b := BrokerDef(d.Synonym)
		if b == nil {
			t.Errorf("%s: no broker key %s", d.Name, d.Synonym)
			continue
		}
		value, ok := b.Default, !b.NoDefault
		for _, a := range chains[b.Name] {
			if coarse := BrokerDef(a.name); !ok && !coarse.NoDefault {
				value, ok = scale(coarse.Default, a.unitMs), true
			}
		}
		if b.Type != d.Type || !ok || value != d.Default {
			t.Errorf("%s has type %d and default %q, %s type %d and %q",
				d.Name, d.Type, d.Default, b.Name, b.Type, value)
		}
		if b.Mode == ReadOnly {
			t.Errorf("%s: %s cannot be changed dynamically", d.Name, b.Name)
		}
	}
}

// TestResolve: each field of Topic follows its key.
func TestResolve(t *testing.T) {
	base := Resolve(Layers{})
	f := func(key, value string, changed func(Topic) bool) {
		t.Helper()
		got := Resolve(Layers{Topic: Map{key: value}})
		if got == base || !changed(got) {
			t.Errorf("%s=%s gives %+v", key, value, got)
		}
	}
	f("cleanup.policy", "compact", func(c Topic) bool { return c.CleanupCompact && !c.CleanupDelete })
	f("cleanup.policy", "", func(c Topic) bool { return !c.CleanupCompact && !c.CleanupDelete })
	f("cleanup.policy", " compact,compact ", func(c Topic) bool { return c.CleanupCompact && !c.CleanupDelete })
	f("retention.ms", " 5 ", func(c Topic) bool { return c.RetentionMs == 5 })
	f("min.cleanable.dirty.ratio", " 0.25 ", func(c Topic) bool { return c.MinCleanableDirtyRate == 0.25 })
	f("message.timestamp.type", " LogAppendTime ", func(c Topic) bool { return c.LogAppendTime })
	f("max.decompressed.message.bytes", "1", func(c Topic) bool { return c.MaxDecompressedMessageBytes == 1 })
	f("cleanup.policy", "delete, compact", func(c Topic) bool { return c.CleanupCompact && c.CleanupDelete })
	f("retention.ms", "-1", func(c Topic) bool { return c.RetentionMs == -1 })
	f("compression.type", "uncompressed", func(c Topic) bool { return c.Compression == CompressionNone })
	f("compression.type", "zstd", func(c Topic) bool { return c.Compression == CompressionZstd })
	f("log.durability", "disk", func(c Topic) bool { return c.Durability == DurabilityDisk })
	f("log.validation", "header", func(c Topic) bool { return c.Validation == ValidationHeader })
	f("message.timestamp.type", "LogAppendTime", func(c Topic) bool { return c.LogAppendTime })
	f("preallocate", " TRUE ", func(c Topic) bool { return c.Preallocate })
	f("min.insync.replicas", "2", func(c Topic) bool { return c.MinInSyncReplicas == 2 })
	if got := Resolve(Layers{DynamicDefault: Map{"log.roll.ms": " 7 "}}); got.SegmentMs != 7 {
		t.Errorf("a broker's value in blanks gives %d ms", got.SegmentMs)
	}
	static := Map{"log.retention.hours": "9223372036854775807"}
	if got := Resolve(Layers{Static: static}); got.RetentionMs != math.MaxInt64 {
		t.Errorf("hours that overflow give %d ms", got.RetentionMs)
	}
}

// TestEveryTopicKeyResolves: no key is defined that has no effect on Topic.
func TestEveryTopicKeyResolves(t *testing.T) {
	base := Resolve(Layers{})
	other := map[Type][]string{
		Boolean: {"true", "false"}, Int: {"2097152", "5", "2"}, Long: {"12345"}, Double: {"0.25"},
		List: {"compact", "1:2"}, String: {"disk", "header", "LogAppendTime", "lz4"},
	}
	for _, d := range TopicDefs() {
		if d.valid.kind == ruleWords && len(d.valid.words) == 1 {
			continue // Nothing else to move to.
		}
		moved := false
		for _, v := range other[d.Type] {
			moved = moved || d.Check(v) == nil && Resolve(Layers{Topic: Map{d.Name: v}}) != base
		}
		if !moved {
			t.Errorf("%s moves no field of Topic", d.Name)
		}
	}
}

// TestShippedFile: the example that is shipped loads without a warning and changes no default that
// it only explains.
func TestShippedFile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "server.properties"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(string(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Warnings {
		t.Errorf("warning: %s", w)
	}
	// What is commented out must load as well, and be the default.
	var shown []string
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(line, "#"), "="); ok && strings.HasPrefix(line, "#") &&
			!strings.Contains(strings.TrimSpace(key), " ") {
			shown = append(shown, key+"="+strings.TrimSpace(value))
			d := BrokerDef(key)
			if d == nil {
				t.Errorf("the file shows %s, which is no key", key)
			} else if err := d.Check(strings.TrimSpace(value)); err != nil {
				t.Errorf("the file shows %v", err)
			}
		}
	}
	if len(shown) < 20 {
		t.Errorf("only %d keys are shown", len(shown))
	}
}

// TestCheckDynamic: which keys may change how (KIP-226).
func TestCheckDynamic(t *testing.T) {
	f := func(name, value string, forAll, ok bool) {
		t.Helper()
		if err := CheckDynamic(name, value, forAll); (err == nil) != ok {
			t.Errorf("CheckDynamic(%s, %s, %t) = %v", name, value, forAll, err)
		}
	}
	f("log.retention.ms", "1", true, true)
	f("log.retention.ms", "1", false, true)
	f("log.retention.ms", "x", false, false)
	f("log.retention.hours", "1", false, false)
	f("listeners", "PLAINTEXT://:9092", true, false)
	f("ssl.keystore.location", "/k", false, false)
	f("listener.name.a.ssl.keystore.location", "/k", false, true)
	f("listener.name.a.ssl.keystore.location", "/k", true, false)
	f("listener.name.a.max.connections", "5", true, true)
	f("leader.replication.throttled.rate", "5", false, true)
	f("nosuch", "5", false, false)
}

// TestCheck: what a key takes, and what its refusal says.
func TestCheck(t *testing.T) {
	f := func(d *Def, value, want string) {
		t.Helper()
		got := ""
		if err := d.Check(value); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s=%s: got %q, want %q", d.Name, value, got, want)
		}
	}
	for _, d := range []*Def{TopicDef("log.durability"), BrokerDef("log.durability")} {
		f(d, "pagecache", "")
		f(d, " disk ",
			"log.durability=disk: not available in this version yet; must be pagecache")
		f(d, "tape", "log.durability=tape: must be pagecache")
	}
	if err := CheckDynamic("log.durability", "disk", true); err == nil {
		t.Error("log.durability=disk can be set dynamically")
	}
	for _, d := range []*Def{TopicDef("cleanup.policy"), BrokerDef("log.cleanup.policy")} {
		f(d, "delete,delete", "")
		f(d, "delete,,delete", d.Name+"=delete,,delete: must be a list of any of: compact, delete")
	}
	f(BrokerDef("process.roles"), "broker,broker",
		"process.roles=broker,broker: must be a list of any of: broker, controller")
	bound := TopicDef("max.decompressed.message.bytes")
	f(bound, "1", "")
	f(bound, "2147483639", "")
	f(bound, "0",
		"max.decompressed.message.bytes=0: must be a whole number from 1 to 2147483639")
}

// TestShown: a value is shown as its type writes it (ConfigDef.parseValue and convertToString).
func TestShown(t *testing.T) {
	f := func(kind Type, value, want string) {
		t.Helper()
		if got := (&Def{Type: kind}).shown(value); got != want {
			t.Errorf("type %d: %q is shown as %q, want %q", kind, value, got, want)
		}
	}
	f(Long, " 5 ", "5")
	f(Int, "+007", "7")
	f(Short, "-1", "-1")
	f(Long, "many", "many")
	f(Boolean, " TRUE", "true")
	f(String, " LogAppendTime ", "LogAppendTime")
	f(List, " compact , delete ", "compact,delete")
	f(List, "a,b,a", "a,b,a")
	f(List, " ", "")
	f(Double, " 0.250", "0.25")
	f(Double, "1", "1.0")
	f(Double, "-0", "-0.0")
	f(Double, "9999999", "9999999.0")
	f(Double, "1e7", "1.0E7")
	f(Double, "0.001", "0.001")
	f(Double, "0.00015", "1.5E-4")
	f(Double, "1.7976931348623157E308", "1.7976931348623157E308")
	f(Double, "much", "much")
	if got := TopicDef("cleanup.policy").shown("delete, compact,delete"); got != "delete,compact" {
		t.Errorf("a repeated word is shown: %q", got)
	}
}

// TestSecretsStayOut: an error about a password does not repeat it.
func TestSecretsStayOut(t *testing.T) {
	d := Def{Name: "p", Type: Password, valid: oneOf("x")}
	if err := d.Check("hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func FuzzProperties(f *testing.F) {
	f.Add("a=1\nb\\\n c: d\\u0041\n#x\n")
	f.Add("\\")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseProperties(text)
		if err == nil && len(list) > strings.Count(text, "\n")+strings.Count(text, "\r")+1 {
			t.Fatalf("%d settings in %q", len(list), text)
		}
	})
}

func FuzzListeners(f *testing.F) {
	f.Add("PLAINTEXT://:9092,A://[::1]:0")
	f.Fuzz(func(t *testing.T, value string) {
		list, err := ParseListeners(value, map[string]string{"PLAINTEXT": "PLAINTEXT", "A": "SSL"})
		if err != nil {
			return
		}
		for _, l := range list {
			if l.Protocol == "" || strings.ContainsAny(l.Host, "[]/ ") {
				t.Fatalf("%q gives %+v", value, l)
			}
		}
		_ = checkDistinct(list, false)
	})
}

// FuzzLoad: no file makes loading panic, and what loads resolves.
func FuzzLoad(f *testing.F) {
	f.Add("listeners=PLAINTEXT://:9092\nlog.retention.hours=1\nnode.id=2")
	f.Add("log.cleaner.threads=3\nmax.connections.per.ip.overrides=a:1")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load(text, nil)
		if err != nil {
			return
		}
		Resolve(s.TopicLayers(nil, nil, nil))
		DescribeBroker(Layers{Static: s.Static}, nil)
	})
}

func BenchmarkResolve(b *testing.B) {
	l := Defaults().TopicLayers(Map{"retention.ms": "5"}, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		Resolve(l)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load("listeners=PLAINTEXT://localhost:9092\nlog.dirs=/a,/b\n", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDescribeBroker(b *testing.B) {
	l := Layers{Static: Map{"node.id": "1"}}
	b.ReportAllocs()
	for b.Loop() {
		DescribeBroker(l, nil)
	}
}

func BenchmarkDescribeTopic(b *testing.B) {
	l := Layers{Static: Map{"node.id": "1"}}
	b.ReportAllocs()
	for b.Loop() {
		DescribeTopic(l, nil)
	}
}
