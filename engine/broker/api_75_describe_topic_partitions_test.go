package broker

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
)

// showPage renders an answer: name:code[partitions] for each topic, then the cursor.
func showPage(p *kmsg.DescribeTopicPartitionsResponse) string {
	s := ""
	for i := range p.Topics {
		t := &p.Topics[i]
		s += fmt.Sprintf("%s:%d[", *t.Topic, t.ErrorCode)
		for j := range t.Partitions {
			s += fmt.Sprint(t.Partitions[j].Partition)
		}
		s += "] "
	}
	if c := p.NextCursor; c != nil {
		s += fmt.Sprintf("next %s-%d", c.Topic, c.Partition)
	}
	return s
}

// TestDescribeTopicPartitionsPages: ordering, limits and cursors (KIP-966), as Kafka 4.4 answers.
func TestDescribeTopicPartitionsPages(t *testing.T) {
	im := withTopic(t, testImage(t), "a", 1, on(nodeUp), on(nodeUp), on(nodeUp))
	im = withTopic(t, im, "b", 2, on(nodeUp), on(nodeUp))
	ask := func(limit int, cursor string, index int32, names ...string) string {
		q := kmsg.NewPtrDescribeTopicPartitionsRequest()
		for _, name := range names {
			q.Topics = append(q.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
		}
		if cursor != "-" {
			q.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: cursor, Partition: index}
		}
		p := describeTopicPartitions(testView(im), q, limit)
		return showPage(p.(*kmsg.DescribeTopicPartitionsResponse))
	}
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check(ask(9, "-", 0), "a:0[012] b:0[01] ")
	check(ask(9, "-", 0, "b", "a", "b"), "a:0[012] b:0[01] ")
	check(ask(9, "-", 0, "x", "a"), "a:0[012] x:3[] ")
	check(ask(1, "-", 0), "a:0[0] next a-1")
	check(ask(3, "-", 0), "a:0[012] next b-0")
	check(ask(4, "-", 0), "a:0[012] b:0[0] next b-1")
	check(ask(5, "-", 0), "a:0[012] b:0[01] ")
	check(ask(9, "a", 1), "a:0[12] b:0[01] ")
	check(ask(1, "a", 1, "a", "b"), "a:0[1] next a-2")
	check(ask(9, "b", 0), "b:0[01] ")
	check(ask(9, "a", 7, "a", "b"), "a:0[] b:0[01] ")
	check(ask(9, "a", 2147483647), "a:0[] b:0[01] ")
	check(ask(9, "aa", 1), "b:0[01] ")
	check(ask(9, "c", 0), "")
	check(ask(9, "c", 0, "a", "b"), "a:42[] b:42[] ")
	check(ask(9, "aa", 0, "a", "b"), "a:42[] b:42[] ")
	check(ask(9, "a", -1, "a", "b"), "a:42[] b:42[] ")
	check(ask(9, "a", -1), "")
	check(ask(9, "x", 0, "a", "x"), "x:3[] ")
	check(ask(9, "-", 0, "a", "a b"), "a:-1[] a b:-1[] ")
	check(ask(9, "-", 0, ""), ":-1[] ")
	check(ask(3, "-", 0, "a", "a b"), "a:0[012] next a b-0")
	check(ask(9, "b", 0, "a b", "b"), "b:0[01] ")
}

// TestDescribeTopicPartitionsFields: lists that Kafka sends empty are not null, operations are
// always told, and a failed or unreachable leader is -1 without a code.
func TestDescribeTopicPartitionsFields(t *testing.T) {
	elr := on(nodeHidden)
	elr.ELR, elr.LastELR = []int32{4}, []int32{5}
	im := withTopic(t, testImage(t), "a", 1, on(nodeUp), elr)
	im = withTopic(t, im, "__consumer_offsets", 2, on(nodeUp))
	q := kmsg.NewPtrDescribeTopicPartitionsRequest()
	p := describeTopicPartitions(testView(im), q, 10).(*kmsg.DescribeTopicPartitionsResponse)
	internal, a := &p.Topics[0], &p.Topics[1]
	if !internal.IsInternal || a.IsInternal || a.AuthorizedOperations != 3576 ||
		catalog.UUID(a.TopicID) != (catalog.UUID{1}) {
		t.Errorf("topics: %+v %+v", internal, a)
	}
	one, two := a.Partitions[0], a.Partitions[1]
	if one.LeaderID != nodeUp || one.EligibleLeaderReplicas == nil || one.LastKnownELR == nil ||
		one.LeaderEpoch != 7 {
		t.Errorf("first: %+v", one)
	}
	if two.LeaderID != -1 || two.ErrorCode != 0 || fmt.Sprint(two.EligibleLeaderReplicas) != "[4]" ||
		fmt.Sprint(two.LastKnownELR, two.OfflineReplicas) != "[5] [3]" {
		t.Errorf("second: %+v", two)
	}
}
