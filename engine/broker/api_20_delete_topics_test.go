package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// named and identified mention a topic.
func named(name string) kmsg.DeleteTopicsRequestTopic {
	return kmsg.DeleteTopicsRequestTopic{Topic: &name}
}

func identified(id byte) kmsg.DeleteTopicsRequestTopic {
	return kmsg.DeleteTopicsRequestTopic{TopicID: [16]byte{id}}
}

// deletions renders answers as name/id:code.
func deletions(answers []kmsg.DeleteTopicsResponseTopic) string {
	s := ""
	for i := range answers {
		a := &answers[i]
		name := "null"
		if a.Topic != nil {
			name = *a.Topic
		}
		s += fmt.Sprintf("%s/%d:%d ", name, a.TopicID[0], a.ErrorCode)
	}
	return s
}

// TestPlanDeletions: mentions by name, by id, twice and contradictory
// (ControllerApis.deleteTopics).
func TestPlanDeletions(t *testing.T) {
	im := withTopic(t, testImage(t), "a", 1, on(nodeUp))
	im = withTopic(t, im, "b", 2, on(nodeUp))
	both := identified(1)
	both.Topic = textOf("a")
	check := func(wantRefs, wantAnswers string, mentions ...kmsg.DeleteTopicsRequestTopic) {
		t.Helper()
		refs, answers := planDeletions(im, mentions)
		got := ""
		for _, ref := range refs {
			if ref.Name != "" {
				t.Errorf("a deletion by name: %v", ref)
			}
			got += fmt.Sprintf("%d ", ref.ID[0])
		}
		if got != wantRefs || deletions(answers) != wantAnswers {
			t.Errorf("got %q %q, want %q %q", got, deletions(answers), wantRefs, wantAnswers)
		}
	}
	check("", "")
	check("1 2 ", "", named("a"), named("b"))
	check("1 2 ", "", identified(1), named("b"))
	check("1 ", "x/0:3 ", named("x"), named("a"))
	check("", "/0:3 a b/0:3 ", named(""), named("a b"))
	check("", "null/9:100 ", identified(9))
	check("", "null/0:42 ", kmsg.DeleteTopicsRequestTopic{})
	check("", "a/1:42 ", both)
	check("2 ", "a/0:42 ", named("a"), named("b"), named("a"), named("a"))
	check("", "null/1:42 ", identified(1), identified(1))
	check("", "a/1:42 ", named("a"), identified(1))
	check("", "a/1:42 ", identified(1), named("a"))
	check("1 ", "a/0:42 ", named("a"), named("a"), identified(1))
	check("", "a/1:42 null/1:42 ", named("a"), identified(1), identified(1))
}

// TestDeleteTopicsVersions deletes by name in every version and by id in the last.
func TestDeleteTopicsVersions(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	for version := int16(1); version <= 6; version++ {
		name := fmt.Sprintf("v%d", version)
		tb.mustCreate(name, 2)
		id := tb.image().Topic(name).ID
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.SetVersion(version)
		q.TopicNames = []string{name, "missing"}
		q.Topics = []kmsg.DeleteTopicsRequestTopic{{TopicID: id}, named("missing")}
		p := tb.roundTrip(q).(*kmsg.DeleteTopicsResponse)
		codes := map[string]int16{}
		for _, x := range p.Topics {
			codes[*x.Topic] = x.ErrorCode
			if x.ErrorCode == 0 && version >= 6 && catalog.UUID(x.TopicID) != id {
				t.Errorf("v%d: id %v, want %v", version, x.TopicID, id)
			}
			if got := x.ErrorMessage != nil; got != (version >= 5 && x.ErrorCode != 0) {
				t.Errorf("v%d: code %d with message: %v", version, x.ErrorCode, got)
			}
		}
		if len(codes) != 2 || codes[name] != 0 ||
			codes["missing"] != wire.CodeUnknownTopicOrPartition {
			t.Errorf("v%d: %v", version, codes)
		}
		if tb.image().Topic(name) != nil || tb.topics.namedString(name) != nil {
			t.Errorf("v%d: the topic is still there", version)
		}
	}
}

// TestDeleteTopicsRefused: delete.topic.enable=false has a code of its own from version 3 on, and a
// timeout that has passed is REQUEST_TIMED_OUT; nothing is deleted.
func TestDeleteTopicsRefused(t *testing.T) {
	t.Parallel()
	check := func(tb *testBroker, version int16, timeoutMs int32, want int16) {
		t.Helper()
		q := kmsg.NewPtrDeleteTopicsRequest()
		q.SetVersion(version)
		q.TimeoutMillis = timeoutMs
		q.TopicNames = []string{"t"}
		q.Topics = []kmsg.DeleteTopicsRequestTopic{named("t")}
		p := tb.roundTrip(q).(*kmsg.DeleteTopicsResponse)
		if len(p.Topics) != 1 || p.Topics[0].ErrorCode != want {
			t.Errorf("v%d timeout %d: %+v, want %d", version, timeoutMs, p.Topics, want)
		}
		if tb.image().Topic("t") == nil {
			t.Error("the topic is gone")
		}
	}
	off := newTestBroker(t, "delete.topic.enable=false")
	off.mustCreate("t", 1)
	check(off, 2, 1000, wire.CodeInvalidRequest)
	check(off, 3, 1000, wire.CodeTopicDeletionDisabled)
	check(off, 6, 1000, wire.CodeTopicDeletionDisabled)
	on := newTestBroker(t)
	on.mustCreate("t", 1)
	check(on, 5, 0, wire.CodeRequestTimedOut)
	check(on, 6, -1, wire.CodeRequestTimedOut)
}
