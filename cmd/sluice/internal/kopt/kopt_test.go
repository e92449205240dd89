package kopt

import (
	"fmt"
	"strings"
	"testing"
)

func testSet() *Set {
	return NewSet(
		Option{Name: "list", Help: "List everything there is, in a sentence that is long."},
		Option{Name: "topic", Kind: Value, Arg: "topic", Help: "The topic."},
		Option{Name: "config", Kind: Value, Arg: "name=value"},
		Option{Name: "time", Kind: Value, Arg: "ms"},
		Option{Name: "codec", Kind: Optional, Arg: "codec"},
		Option{Name: "bootstrap-server", Short: "b", Kind: Value, Arg: "host:port"},
	)
}

// TestParse holds the rules of jopt-simple that Kafka's scripts depend on.
func TestParse(t *testing.T) {
	f := func(words, want string) {
		t.Helper()
		line, err := testSet().Parse(strings.Fields(words))
		got := ""
		if err != nil {
			got = "error: " + err.Error()
		} else {
			for _, name := range []string{"list", "topic", "config", "time", "codec", "bootstrap-server"} {
				if line.Has(name) {
					got += fmt.Sprintf("%s=%q ", name, line.All(name))
				}
			}
			got += fmt.Sprintf("rest=%q", line.Rest)
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", words, got, want)
		}
	}
	f("", `rest=[]`)
	f("--list", `list=[""] rest=[]`)
	f("--topic a --topic=b", `topic=["a" "b"] rest=[]`)
	f("--config a=b=c", `config=["a=b=c"] rest=[]`)
	f("--config=a=b", `config=["a=b"] rest=[]`)
	f("--topic=", `topic=[""] rest=[]`)
	f("--time -2 --list", `list=[""] time=["-2"] rest=[]`)
	f("--codec --list", `list=[""] codec=[""] rest=[]`)
	f("--codec zstd --list", `list=[""] codec=["zstd"] rest=[]`)
	f("--codec", `codec=[""] rest=[]`)
	f("a --list b", `list=[""] rest=["a" "b"]`)
	f("-b x:1", `bootstrap-server=["x:1"] rest=[]`)
	f("-- --list", `rest=["--list"]`)
	f("--lis", `error: lis is not a recognized option`)
	f("-list", `error: list is not a recognized option`)
	f("--topic", `error: Option topic requires an argument`)
	f("--list=x", `error: Option list takes no argument`)
}

func TestLine(t *testing.T) {
	line, err := testSet().Parse(strings.Fields("--time 12 --topic x --config a=1 --config b=2"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := line.Int("time", 32, 7); n != 12 || err != nil {
		t.Error(n, err)
	}
	if n, err := line.Int("codec", 32, 7); n != 7 || err != nil {
		t.Error(n, err)
	}
	want := "Cannot parse argument 'x' of option topic"
	if _, err := line.Int("topic", 32, 0); err == nil || err.Error() != want {
		t.Error(err)
	}
	want = `Missing required argument "[list]"`
	if err := line.Require("topic", "list"); err == nil || err.Error() != want {
		t.Error(err)
	}
	want = `Option "[time]" can't be used with option "[topic]"`
	if err := line.Forbid("time", "list", "topic"); err == nil || err.Error() != want {
		t.Error(err)
	}
	pairs, err := line.Pairs("config")
	if fmt.Sprint(pairs) != "[[a 1] [b 2]]" || err != nil {
		t.Error(pairs, err)
	}
	if _, err := line.Pairs("topic"); err == nil {
		t.Error("x taken for a pair")
	}
}

func TestUsageNamesEveryDocumentedOption(t *testing.T) {
	var b strings.Builder
	testSet().Usage(&b)
	want := "  --list           List everything there is, in a sentence that is long.\n" +
		"  --topic <topic>  The topic.\n"
	if b.String() != want {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
	for _, line := range wrap(strings.Repeat("word ", 50), 30) {
		if len(line) > 30 {
			t.Errorf("line too long: %q", line)
		}
	}
}
