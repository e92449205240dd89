package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

func TestProperties(t *testing.T) {
	f := func(text string, want map[string]string) {
		t.Helper()
		got, err := ParseProperties(text)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	f("", nil)
	f("a=1\nb: 2\nc 3\r\n# x=1\n! y\n\n  d = 4 ", map[string]string{"a": "1", "b": "2", "c": "3", "d": "4 "})
	f("a=1\na=2", map[string]string{"a": "2"})
	f("a=1,\\\n   2\nb=x\\\\\nc", map[string]string{"a": "1,2", "b": `x\`, "c": ""})
	f(`k\=e\:y=v=\t\u00e9\q`, map[string]string{"k=e:y": "v=\té" + "q"})
	if _, err := ParseProperties("a=1\nb=\\u12"); err == nil || !strings.HasPrefix(err.Error(), "line 2") {
		t.Error(err)
	}
}

func TestBootstrap(t *testing.T) {
	f := func(list, want string) {
		t.Helper()
		got, err := ParseBootstrap(list)
		if err != nil {
			got = []string{"error"}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %v, %v; want %s", list, got, err, want)
		}
	}
	f("h:1", "h:1")
	f("h", "h:9092")
	f(" a:1, b:2,", "a:1 b:2")
	f("PLAINTEXT://h:1", "h:1")
	f("[::1]:5", "[::1]:5")
	f("[::1]", "[::1]:9092")
	f("", "error")
	f("h:0", "error")
	f("h:x", "error")
	f(":1", "error")
}

func TestLoadPrefersTheCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "client.properties")
	text := "bootstrap.servers=file:1\nclient.id=me\nmystery.key=1\nkey.serializer=x\nlinger.ms=7\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load("", file, [][2]string{{"client.id", "you"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Bootstrap[0] != "file:1" || s.Get("client.id", "") != "you" {
		t.Errorf("%+v", s)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "mystery.key") {
		t.Errorf("warnings %q", s.Warnings)
	}
	if d := s.Millis("linger.ms", 0); d != 7*time.Millisecond {
		t.Error(d)
	}
	if s, err = Load("flag:2", file, nil); err != nil || s.Bootstrap[0] != "flag:2" {
		t.Error(s, err)
	}
	if s, err = Load("", "", nil); err != nil || s.Bootstrap[0] != DefaultBootstrap {
		t.Error(s, err)
	}
	for _, bad := range [][2]string{{"security.protocol", "SASL_SSL"}, {"request.timeout.ms", "soon"}} {
		if _, err := Load("", "", [][2]string{bad}); err == nil || !strings.Contains(err.Error(), bad[1]) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := Load("", "/nonexistent/x", nil); err == nil {
		t.Error("a missing file went unnoticed")
	}
}

// TestUnreachable proves that each way of not being a broker ends in one sentence.
func TestUnreachable(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		s, err := Load(address, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Dial(context.Background())
		var gone *UnreachableError
		if !errors.As(err, &gone) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want …%s…", address, err, want)
		}
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f(closed.Addr().String(), "connection refused")

	hangup, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangup.Close()
	go func() {
		for {
			c, err := hangup.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	f(hangup.Addr().String(), "closed at once")
}

func TestExplain(t *testing.T) {
	f := func(err error, message, want string) {
		t.Helper()
		if got := fmt.Sprint(Explain(err, message)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(nil, "", "<nil>")
	f(kerr.TopicAlreadyExists, "Topic 'a' already exists.",
		"Topic 'a' already exists (TOPIC_ALREADY_EXISTS)")
	f(kerr.InvalidPartitions, "",
		"Number of partitions is below 1 (INVALID_PARTITIONS)")
	f(context.DeadlineExceeded, "", "the broker did not answer in time")
}

func FuzzParseProperties(f *testing.F) {
	f.Add("a=1\nb: 2\\\n3\n\\u0041 x")
	f.Fuzz(func(t *testing.T, text string) {
		if props, err := ParseProperties(text); err == nil && props == nil {
			t.Error("neither properties nor an error")
		}
	})
}
