package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// keyedBatch builds a batch of records key=value; without "=" a tombstone, "=value" has a null key.
func keyedBatch(pairs ...string) []byte {
	b := wire.NewBatchBuilder()
	for _, pair := range pairs {
		key, value, set := strings.Cut(pair, "=")
		k, v := []byte(key), []byte(value)
		if key == "" {
			k = nil
		}
		if !set {
			v = nil
		}
		b.Append(1_700_000_000_000, k, v)
	}
	batch, err := b.Build(nil)
	if err != nil {
		panic(err)
	}
	return batch
}

// contents fetches partition 0 from the beginning to the end, as offset:key=value.
func (tb *testBroker) contents(topic string) string {
	tb.t.Helper()
	var all []string
	for at := int64(0); ; {
		q := fetchSpec{topic: topic, epoch: -1, offsets: map[int32]int64{0: at}, partMaxBytes: 1}
		p := tb.fetch(q).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			tb.t.Fatalf("fetch at %d: code %d", at, p.ErrorCode)
		}
		if len(p.RecordBatches) == 0 {
			return strings.Join(all, " ")
		}
		for rest := p.RecordBatches; len(rest) > 0; {
			b, next, err := wire.NextBatch(rest)
			if err != nil {
				tb.t.Fatal(err)
			}
			rest, at = next, b.NextOffset()
			err = wire.EachRecord(b, new(wire.Records), func(r *wire.Record) bool {
				all = append(all, fmt.Sprintf("%d:%s=%s", r.Offset, r.Key, r.Value))
				return true
			})
			if err != nil {
				tb.t.Fatal(err)
			}
		}
	}
}

func (tb *testBroker) rollLog(topic string) {
	tb.t.Helper()
	if err := tb.topics.namedString(topic).replica(0).log.Load().Roll(); err != nil {
		tb.t.Fatal(err)
	}
}

// cleanNext cleans the log whose turn it is, and names its topic; empty for none.
func (tb *testBroker) cleanNext() string {
	ctx := context.Background()
	j := tb.cleaner.next(ctx, tb.cleanerSettings())
	if j == nil {
		return ""
	}
	tb.cleaner.clean(ctx, j)
	return j.r.topic.name
}

// A topic is compacted when its policy says so and enough of it is dirty, the dirtiest first; what is
// left can be fetched, through gaps (classes LogCleaner and LogCleanerManager).
func TestCleanerChoosesLogs(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.cleaner.enable=false")
	tb.mustCreate("both", 1, config1("cleanup.policy", "compact,delete"))
	tb.mustCreate("compact", 1, config1("cleanup.policy", "compact"))
	tb.mustCreate("delete", 1)
	for _, topic := range []string{"both", "compact", "delete"} {
		tb.mustProduce(topic, 0, keyedBatch("a=1", "b=1"))
		tb.mustProduce(topic, 0, keyedBatch("a=2"))
		tb.mustProduce(topic, 0, keyedBatch("b=2", "c=1"))
	}
	f := func(want string) {
		t.Helper()
		if got := tb.cleanNext(); got != want {
			t.Errorf("cleaned %q, want %q", got, want)
		}
	}
	f("") // Everything is in active segments.
	for _, topic := range []string{"both", "compact", "delete"} {
		tb.rollLog(topic)
	}
	first, second := tb.cleanNext(), tb.cleanNext()
	if first+second != "bothcompact" && first+second != "compactboth" {
		t.Errorf("cleaned %q and %q", first, second)
	}
	f("")
	const all, left = "0:a=1 1:b=1 2:a=2 3:b=2 4:c=1", "2:a=2 3:b=2 4:c=1"
	for topic, want := range map[string]string{"both": left, "compact": left, "delete": all} {
		if got := tb.contents(topic); got != want {
			t.Errorf("%s holds %s, want %s", topic, got, want)
		}
	}
	tb.mustSet(topicKind, "delete", "cleanup.policy", "compact")
	f("delete")
	tb.mustSet(topicKind, "compact", "cleanup.policy", "delete")
	for _, topic := range []string{"compact", "delete"} {
		tb.mustProduce(topic, 0, keyedBatch("a=3"))
		tb.rollLog(topic)
	}
	tb.mustSet(topicKind, "delete", "min.cleanable.dirty.ratio", "0.9")
	f("")
	tb.mustSet(topicKind, "delete", "min.cleanable.dirty.ratio", "0.1")
	f("delete")
	if got := tb.contents("delete"); got != "3:b=2 4:c=1 5:a=3" {
		t.Errorf("delete holds %s", got)
	}
	if runs := tb.cleaner.stats.runs.Load(); runs != 4 {
		t.Errorf("%d runs", runs)
	}
}

// compact,delete means both: retention takes segments away that were compacted.
func TestCleanerBesideRetention(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.cleaner.enable=false")
	tb.mustCreate("t", 1, config1("cleanup.policy", "compact,delete"), config1("retention.ms", "1000"))
	tb.mustProduce("t", 0, keyedBatch("a=1", "b=1"))
	tb.mustProduce("t", 0, keyedBatch("a=2"))
	tb.rollLog("t")
	if tb.cleanNext() != "t" {
		t.Fatal("nothing was cleaned")
	}
	tb.clock.Add(5000)
	tb.retain(tb.nowMs())
	log := tb.topics.namedString("t").replica(0).log.Load()
	if log.StartOffset() != 3 || log.SizeBytes() != 0 {
		t.Errorf("log starts at %d with %d bytes", log.StartOffset(), log.SizeBytes())
	}
}

// A record without key is refused by a compacted topic (INVALID_RECORD, class LogValidator).
func TestCompactedTopicWantsKeys(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t)
	tb.mustCreate("t", 1, config1("cleanup.policy", "compact"))
	q := produceRequest("t", -1, map[int32][]byte{0: keyedBatch("a=1", "=2")})
	p := tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if p.ErrorCode != wire.CodeInvalidRecord || len(p.ErrorRecords) != 1 ||
		p.ErrorRecords[0].RelativeOffset != 1 {
		t.Errorf("%+v", p)
	}
}

// A log with a damaged batch is not cleaned again, and counted; other logs go on.
func TestCleanerSetsDamagedLogsAside(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.cleaner.enable=false")
	for _, topic := range []string{"bad", "good"} {
		tb.mustCreate(topic, 1, config1("cleanup.policy", "compact"))
		tb.mustProduce(topic, 0, keyedBatch("a=1", "a=2"))
		tb.rollLog(topic)
	}
	name := filepath.Join(tb.dirs[0].path, "bad-0", "00000000000000000000.log")
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xff}, 70); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	cleaned := tb.cleanNext() + tb.cleanNext() + tb.cleanNext()
	if cleaned != "badgood" && cleaned != "goodbad" {
		t.Errorf("tried %q", cleaned)
	}
	if n := tb.cleaner.uncleanable(tb.dirs[0]); n != 1 {
		t.Errorf("%d logs count as uncleanable", n)
	}
	tb.mustDelete("bad")
	if n := tb.cleaner.uncleanable(tb.dirs[0]); n != 0 {
		t.Errorf("%d logs count as uncleanable after the deletion", n)
	}
}

// log.cleaner.io.max.bytes.per.second bounds all threads together, and time not used is not saved up.
func TestCleanerPace(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.cleaner.enable=false")
	f := func(bytes int64, perSecond float64, want time.Duration) {
		t.Helper()
		if got := tb.cleaner.owed(bytes, perSecond); got != want {
			t.Errorf("%d bytes at %v: %s, want %s", bytes, perSecond, got, want)
		}
	}
	f(1000, math.MaxFloat64, 0)
	f(1000, 1000, time.Second)
	f(500, 1000, 1500*time.Millisecond)
	tb.clock.Add(1000)
	f(500, 1000, time.Second)
	tb.clock.Add(60_000)
	f(100, 1000, 100*time.Millisecond)
	f(100, 0, 0)
	f(1<<40, 1, time.Minute+100*time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := tb.cleaner.pace(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("pace after the end: %v", err)
	}
}

// The cleaner's goroutines clean what is due and end with the broker.
func TestCleanerRuns(t *testing.T) {
	t.Parallel()
	tb := newTestBroker(t, "log.cleaner.backoff.ms=1", "log.cleaner.threads=2")
	var logs []interface{ SizeBytes() int64 }
	for i := range 5 {
		topic := fmt.Sprint("t", i)
		tb.mustCreate(topic, 1, config1("cleanup.policy", "compact"))
		tb.mustProduce(topic, 0, keyedBatch("a=1", "b=1"))
		tb.mustProduce(topic, 0, keyedBatch("a=2", "b=2"))
		tb.rollLog(topic)
		logs = append(logs, tb.topics.namedString(topic).replica(0).log.Load())
	}
	size := logs[0].SizeBytes()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { tb.cleaner.run(ctx); close(done) }()
	for _, log := range logs {
		for log.SizeBytes() == size {
			runtime.Gosched()
		}
	}
	cancel()
	<-done
}
