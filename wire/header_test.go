package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// headerV2 is a Metadata v9 header of client "me" with one unknown tagged field, and a body.
var headerV2 = []byte("\x00\x03\x00\x09\x00\x00\x00\x2a\x00\x02me\x01\x07\x03abcBODY")

// TestRequestHeader proves both header versions: v2 from the API's first flexible version on,
// with an int16 client id and unknown tagged fields skipped (KIP-482).
func TestRequestHeader(t *testing.T) {
	t.Parallel()
	f := func(frame, client, body string, key, version int16) {
		t.Helper()
		h, rest, err := ParseRequestHeader([]byte(frame))
		if err != nil {
			t.Fatal(err)
		}
		if h.APIKey != key || h.APIVersion != version || h.CorrelationID != 42 ||
			string(h.ClientID) != client || string(rest) != body {
			t.Errorf("%q: got %+v and %q", frame, h, rest)
		}
	}
	f(string(headerV2), "me", "BODY", KeyMetadata, 9)
	f("\x00\x03\x00\x08\x00\x00\x00\x2a\x00\x02meBODY", "me", "BODY", KeyMetadata, 8)
	f("\x00\x03\x00\x09\x00\x00\x00\x2a\xff\xff\x00", "", "", KeyMetadata, 9)
	f("\x00\x11\x00\x01\x00\x00\x00\x2a\x00\x00X", "", "X", KeySASLHandshake, 1)
	f("\x00\x2f\x00\x00\x00\x00\x00\x2a\x00\x00X", "", "X", KeyOffsetDelete, 0)
	f("\x00\x12\x00\x63\x00\x00\x00\x2a\x00\x00\x00X", "", "X", KeyAPIVersions, 99)
	if h, _, _ := ParseRequestHeader([]byte("\x00\x03\x00\x01\x00\x00\x00\x2a\xff\xff")); h.ClientID != nil {
		t.Error("a null client id is not nil")
	}
}

// TestRequestHeaderTruncated proves that a header cut anywhere is malformed, and absurd counts too.
func TestRequestHeaderTruncated(t *testing.T) {
	t.Parallel()
	for n := range len(headerV2) - len("BODY") {
		if _, _, err := ParseRequestHeader(headerV2[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	f := func(tags string) {
		t.Helper()
		frame := append(bytes.Clone(headerV2[:12]), tags...)
		if _, _, err := ParseRequestHeader(frame); !errors.Is(err, ErrMalformed) {
			t.Errorf("tags %q: %v", tags, err)
		}
	}
	f("\xff\xff\xff\xff\x0f")
	f("\xff\xff\xff\xff\xff\xff")
	f("\x01\x00\xff\xff\xff\xff\x0f")
	f("\x02\x00\x00\x00")
	_, _, err := ParseRequestHeader([]byte("GET / HTTP/1.1\r\n"))
	if !errors.Is(err, ErrUnknownAPI) {
		t.Error("an HTTP request:", err)
	}
}

// TestRequestHeaderOfClients parses what a client library writes, for every API and version.
func TestRequestHeaderOfClients(t *testing.T) {
	t.Parallel()
	formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("client"))
	for _, api := range APIs() {
		req := kmsg.RequestForKey(api.Key)
		if req == nil || api.Removed() {
			continue
		}
		for v := api.RealMin; v <= min(api.MaxVersion, req.MaxVersion()); v++ {
			req.SetVersion(v)
			frame := formatter.AppendRequest(nil, req, 77)
			h, body, err := ParseRequestHeader(frame[FrameLengthSize:])
			if err != nil || h.APIKey != api.Key || h.APIVersion != v || h.CorrelationID != 77 ||
				string(h.ClientID) != "client" || !bytes.Equal(body, req.AppendTo(nil)) {
				t.Errorf("%s v%d: %+v, %v", api.Name, v, h, err)
			}
		}
	}
}

// TestResponseHeader proves response headers v0 and v1, and that ApiVersions stays at v0 (KIP-511).
func TestResponseHeader(t *testing.T) {
	t.Parallel()
	f := func(key, version int16, want string) {
		t.Helper()
		header := AppendResponseHeader([]byte("x"), 5, ResponseHeaderVersion(key, version) == 1)
		if string(header[1:]) != want {
			t.Errorf("%s v%d: %q", APIName(key), version, header[1:])
		}
	}
	f(KeyMetadata, 8, "\x00\x00\x00\x05")
	f(KeyMetadata, 9, "\x00\x00\x00\x05\x00")
	f(KeyAPIVersions, 3, "\x00\x00\x00\x05")
	f(KeySASLHandshake, 1, "\x00\x00\x00\x05")
	if ResponseHeaderVersion(999, 0) != 0 {
		t.Error("an unknown key")
	}
}

func TestRequestHeaderAllocatesNothing(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if _, _, err := ParseRequestHeader(headerV2); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per header", n)
	}
}

func FuzzRequestHeader(f *testing.F) {
	f.Add(headerV2)
	f.Add([]byte("\x00\x00\x00\x03\x00\x00\x00\x01\xff\xffbody"))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")) // A TLS hello.
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, body, err := ParseRequestHeader(frame)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(frame, body) || !bytes.Contains(frame, h.ClientID) {
			t.Error("body or client id do not lie in the frame")
		}
	})
}

func BenchmarkRequestHeader(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(headerV2)))
	for b.Loop() {
		if _, _, err := ParseRequestHeader(headerV2); err != nil {
			b.Fatal(err)
		}
	}
}
