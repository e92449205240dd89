package peers

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// canned is a server that answers whatever is asked with the same bytes.
type canned struct {
	io.Reader
	asked bytes.Buffer
}

func (c *canned) Write(p []byte) (int, error) { return c.asked.Write(p) }

// The frames of the Kafka protocol guide, byte by byte: ApiVersions v0.
func TestExchange(t *testing.T) {
	const response = "\x00\x00\x00\x0a" + "\x00\x00\x00\x51" + "\x00\x00" + "\x00\x00\x00\x00"
	c := &canned{Reader: strings.NewReader(response)}
	answer, err := exchange(c, keyAPIVersions, versionAPIs, nil)
	if err != nil || string(answer) != response[8:] {
		t.Errorf("answer %q, %v", answer, err)
	}
	const request = "\x00\x00\x00\x0a" + "\x00\x12\x00\x00" + "\x00\x00\x00\x51" + "\x00\x00"
	if c.asked.String() != request {
		t.Errorf("request %q, want %q", c.asked.String(), request)
	}
}

func TestChecks(t *testing.T) {
	f := func(check func([]byte) error, answer, want string) {
		t.Helper()
		err := check([]byte(answer))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", answer, err, want)
		}
	}
	f(checkAPIVersions, "\x00\x00", "")
	f(checkAPIVersions, "\x00\x23", "error code 35")
	f(checkAPIVersions, "\x00", "1 bytes")
	f(checkLive, "\x00\x00\x00\x01", "")
	f(checkLive, "\x00\x00\x00\x00", "no live broker")
	f(checkLive, "\xff\xff\xff\xff", "no live broker")
	f(checkLive, "", "no live broker")
}

// The NATS client protocol: INFO, then PONG for PING.
func TestGreetNATS(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		err := greetNATS(&canned{Reader: strings.NewReader(text)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("INFO {\"jetstream\":true}\r\nPONG\r\n", "")
	f("INFO {\"jetstream\":true}\r\n-ERR 'no'\r\n", "-ERR")
	f("INFO {\"jetstream\":false}\r\nPONG\r\n", "no JetStream")
	f("INFO {}\r\nPONG\r\n", "no JetStream")
	f("INFO {]\r\n", "not a NATS server")
	f("HTTP/1.1 400 Bad Request\r\n", "not a NATS server")
	f("", "EOF")
}

// Whatever listens on a port, a probe neither panics nor takes it for a broker without the bytes
// that make one, nor holds more of its answer than the bound.
func FuzzProbes(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x0a\x00\x00\x00\x51\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\x00\x00\x00\x51"))
	f.Add([]byte("INFO {\"jetstream\":true}\r\nPONG\r\n"))
	f.Add([]byte("SSH-2.0-OpenSSH_9.6\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		body, err := exchange(&canned{Reader: bytes.NewReader(answer)}, keyMetadata, versionMetadata, nil)
		if err == nil && !bytes.Contains(answer, body) {
			t.Errorf("body %q is not in %q", body, answer)
		}
		if err == nil {
			_ = checkAPIVersions(body)
			_ = checkLive(body)
		}
		err = greetNATS(&canned{Reader: bytes.NewReader(answer)})
		if err == nil && !(bytes.HasPrefix(answer, []byte("INFO ")) && bytes.Contains(answer, []byte("\nPONG"))) {
			t.Errorf("%q was taken for a NATS server", answer)
		}
	})
}
