package broker

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestControlRequestsHaveShapes proves that every request which is left to the library's decoder is
// one whose shape can be checked before, in all versions that are served.
func TestControlRequestsHaveShapes(t *testing.T) {
	t.Parallel()
	for _, a := range newAPITable(newMetrics(1)).byKey {
		if a == nil || a.inline != nil {
			continue
		}
		for v := a.spec.RealMin; a.spec.Serves(v, false); v++ {
			q := kmsg.RequestForKey(a.spec.Key)
			q.SetVersion(v)
			if err := wire.CheckShape(a.spec.Key, v, q.AppendTo(nil)); err != nil {
				t.Errorf("%s v%d: %v", a.spec.Name, v, err)
			}
		}
	}
}

// TestTagBomb proves that a request which claims 2^32-1 tagged fields (KIP-482) and ends there costs
// its connection and no more, also on the reactor.
func TestTagBomb(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	f := func(q kmsg.Request, version int16) {
		t.Helper()
		q.SetVersion(version)
		c := tb.connect()
		formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))
		frame := formatter.AppendRequest(nil, q, 1)[4:]
		c.sendFrame(append(frame[:len(frame)-1], 0xff, 0xff, 0xff, 0xff, 0x0f))
		c.wait()
		if c.responded || !errors.Is(c.cause, wire.ErrMalformed) ||
			!strings.HasSuffix(c.cause.Error(), "at tagged fields") {
			t.Errorf("%s v%d: answered %t: %v", kmsg.NameForKey(q.Key()), version, c.responded, c.cause)
		}
	}
	f(kmsg.NewPtrMetadataRequest(), 12)
	f(kmsg.NewPtrCreateTopicsRequest(), 7)
	f(kmsg.NewPtrJoinGroupRequest(), 9)
	f(kmsg.NewPtrHeartbeatRequest(), 4)
}

// TestLargeHeartbeatsAreNotExpress proves that the reactor leaves a heartbeat to the workers that takes
// long to decode.
func TestLargeHeartbeatsAreNotExpress(t *testing.T) {
	t.Parallel()
	tb := newCoordinatingTestBroker(t)
	// It reports whether the request ended before the loop went on.
	f := func(tags uint32) bool {
		t.Helper()
		q := kmsg.NewPtrHeartbeatRequest()
		q.Version, q.Group, q.MemberID = 4, "g", "m"
		for tag := range tags {
			q.UnknownTags.Set(tag, nil)
		}
		c := tb.connect()
		c.send(q)
		ended := c.ended.Load()
		p := c.receive(q).(*kmsg.HeartbeatResponse)
		if p.ErrorCode != wire.CodeUnknownMemberID {
			t.Fatalf("%d tagged fields: code %d", tags, p.ErrorCode)
		}
		return ended
	}
	for range 20 {
		if f(expressBytesMax / 2) {
			t.Fatal("the reactor decoded a large heartbeat")
		}
	}
	for tries := 0; !f(9); tries++ { // A shard that has just loaded may not rest yet.
		if tries == 1000 {
			t.Fatal("no heartbeat was answered on the reactor")
		}
	}
}
