package recfmt

import (
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func record() *kgo.Record {
	return &kgo.Record{
		Topic: "top", Partition: 3, Offset: 255, LeaderEpoch: 7,
		Key: []byte("k"), Value: []byte("v\xff"),
		Timestamp: time.UnixMilli(1700000000123),
		Headers:   []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b"}},
	}
}

func TestVerbs(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		parsed, err := Parse(format)
		if err != nil {
			t.Errorf("%q: %v", format, err)
			return
		}
		if got := string(parsed.Append(nil, record(), 9)); got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
	f(`%t %p %o %k %v\n`, "top 3 255 k v\xff\n")
	f(`%s %S %V %K %H %e %i %d %T`, "v\xff 2 2 1 2 7 9 1700000000123 1700000000123")
	f(`%h`, "a=1,b=NULL")
	f(`%h{[%k:%v:%V]}%%`, "[a:1:1][b::-1]%")
	f(`%v{hex} %v{base64} %k{json} %o{hex}`, `76ff dv8= "k" ff`)
	f(`%V{big32}%v`, "\x00\x00\x00\x02v\xff")
	f(`%p{little16}%p{big8}%p{big64}`, "\x03\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03")
	f(`%d{iso} %d{go[2006]}`, "2023-11-14T22:13:20.123Z 2023")
	f(`\t\0\\\x41\r`, "\t\x00\\A\r")
	f("plain", "plain")
	f("", "")
}

func TestNullsInVerbs(t *testing.T) {
	f, err := Parse(`[%k][%K][%v][%V][%v{json}]`)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, &kgo.Record{}, 1)); got != "[][-1][][-1][null]" {
		t.Error(got)
	}
}

func TestBadFormats(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		if _, err := Parse(format); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", format, err, want)
		}
	}
	f(`%`, `format "%": it ends inside a verb; a percent sign is written %%`)
	f(`%y`, `format "%y": there is no verb %y here`)
	f(`%v{`, `format "%v{": the brace behind %v is not closed`)
	f(`%v{}`, `format "%v{}": the braces behind %v are empty`)
	f(`%v{x}`, `format "%v{x}": %v{x}: bytes are written as hex, base64 or json`)
	f(`%o{big7}`,
		`format "%o{big7}": %o{big7}: numbers are written as hex, big8 to big64 or little8 to little64`)
	f(`%h{%o}`, `format "%h{%o}": %h{%o}: there is no verb %o here`)
	f(`\q`, `format "\\q": there is no escape \q`)
	f(`\x4`, `format "\\x4": \x needs two hexadecimal digits`)
	f(`a\`, `format "a\\": it ends in a lone backslash`)
}

func TestJSONLosesNoByte(t *testing.T) {
	got := string(AppendJSONRecord(nil, record()))
	want := `{"topic":"top","partition":3,"offset":255,"timestamp":1700000000123,` +
		`"headers":[{"key":"a","value":"1"},{"key":"b","value":null}],"key":"k","value_base64":"dv8="}` + "\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("not JSON")
	}
}

// TestKafkaFormatter holds what kafka-console-consumer of Kafka 4.3 prints for the same properties.
func TestKafkaFormatter(t *testing.T) {
	f := func(r *kgo.Record, want string, properties ...string) {
		t.Helper()
		k := NewKafka()
		for i := 0; i < len(properties); i += 2 {
			if known, err := k.Set(properties[i], properties[i+1]); !known || err != nil {
				t.Fatal(properties[i], known, err)
			}
		}
		got, err := k.Append(nil, r)
		if err != nil || string(got) != want {
			t.Errorf("%v: got %q, %v; want %q", properties, got, err, want)
		}
	}
	r := record()
	r.Value = []byte("one")
	f(r, "one\n")
	f(&kgo.Record{}, "null\n")
	f(r, "CreateTime:1700000000123\tone\n", "print.timestamp", "true")
	f(r, "Partition:3\tOffset:255\tDelivery:NOT_PRESENT\tEpoch:7\ta:1,b:null\tk\tone\n",
		"print.key", "true", "print.offset", "true", "print.partition", "true",
		"print.headers", "true", "print.epoch", "true", "print.delivery", "true")
	f(&kgo.Record{}, "NO_HEADERS|NIL$", "print.headers", "true", "print.key", "true",
		"key.separator", "|", "line.separator", "$", "null.literal", "NIL", "print.value", "false")
	long := &kgo.Record{Value: binary.BigEndian.AppendUint64(nil, 42)}
	class := "org.apache.kafka.common.serialization.LongDeserializer"
	f(long, "42\n", "value.deserializer", class)
	k := NewKafka()
	if _, err := k.Set("value.deserializer", class); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Append(nil, r); err == nil {
		t.Error("three bytes taken for a long")
	}
	if _, err := k.Set("value.deserializer", "com.example.Mine"); err == nil {
		t.Error("a foreign class taken")
	}
	if known, _ := k.Set("print.nothing", "true"); known {
		t.Error("unknown property taken")
	}
}

func TestPrintingAllocatesNothing(t *testing.T) {
	f, err := Parse(`%t %p %o %k %v %h %d{iso}\n`)
	if err != nil {
		t.Fatal(err)
	}
	r, dst := record(), make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { dst = f.Append(dst[:0], r, 1) }); n != 0 {
		t.Errorf("%v allocations per record", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`%t %p %v{hex} %h{%k=%v}\n`)
	f.Add(`%d{go[2006]}%V{big32}\x00`)
	f.Fuzz(func(t *testing.T, format string) {
		if parsed, err := Parse(format); err == nil {
			parsed.Append(nil, record(), 1)
		}
	})
}
