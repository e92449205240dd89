package group

import (
	"runtime"
	"testing"
	"weak"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// framed is a request's frame, of which the test wants to know how long it is kept.
func framed() (frame []byte, held weak.Pointer[byte]) {
	frame = make([]byte, 1<<20)
	return frame, weak.Make(&frame[0])
}

// TestParkedRequestsHoldNoFrame: what a frame holds besides what counts against the bounds goes when the
// request is parked.
func TestParkedRequestsHoldNoFrame(t *testing.T) {
	t.Parallel()
	m := New(Defaults())
	var ids []string
	decide := func(nowMs int64, in *Input) {
		out := &outcome{ProducerID: coordinator.NoProducer}
		m.Decide(nowMs, in, out)
		for _, r := range out.Replies {
			ids = append(ids, r.Response.(*kmsg.JoinGroupResponse).MemberID)
		}
	}
	join := func(id string) weak.Pointer[byte] {
		frame, held := framed()
		q := kmsg.NewPtrJoinGroupRequest()
		q.Version, q.ProtocolType = 3, "consumer"
		q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 10_000, 60_000
		q.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: frame[:2]}}
		q.UnknownTags.Set(7, frame[2:])
		decide(0, &Input{Kind: Join, Request: q, Version: 3, Group: "g", NewID: id})
		return held
	}
	sync := func(id string) weak.Pointer[byte] {
		frame, held := framed()
		q := kmsg.NewPtrSyncGroupRequest()
		q.Version, q.MemberID, q.Generation = 3, id, 1
		q.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberAssignment: frame}}
		decide(3000, &Input{Kind: Sync, Request: q, Version: 3, Group: "g"})
		return held
	}
	m.Loaded(0, 0, &outcome{})
	joins := []weak.Pointer[byte]{join("1"), join("2")}
	runtime.GC()
	for i, held := range joins {
		if held.Value() != nil {
			t.Errorf("join %d keeps its frame", i)
		}
	}
	for in, ok := m.Due(3000); ok; in, ok = m.Due(3000) {
		decide(3000, in)
	}
	if len(ids) != 2 {
		t.Fatalf("joined: %q", ids)
	}
	held := sync(ids[1])
	runtime.GC()
	if held.Value() != nil {
		t.Error("the follower's sync keeps its frame")
	}
	if len(m.Waiting()) != 1 {
		t.Errorf("%d wait", len(m.Waiting()))
	}
}
