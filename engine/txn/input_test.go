package txn

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// FuzzInputs: whatever clients ask, in whatever order, over a log that may hold a foreign record and may
// refuse appends: nothing panics, everybody who waits is answered once, and the state is the one that a
// reload gives (checked after each step by rig.handle).
func FuzzInputs(f *testing.F) {
	f.Add([]byte{}, []byte("\x00\x04\x09\x02\x11\x00\x03\x01\x12\x08\x05\x33\x06\x00\x07\x00"))
	f.Add(appendValue(nil, 1, &meta{
		producerID: 3, epoch: epochMax - 1, state: Ongoing, prevID: -1, nextID: -1, version: 2,
	}, []TopicPartition{{"t", 1}}), []byte("\x02\x05\x11\x03\x03\x00\x06\x07\x05\x00\x08\x10"))
	f.Fuzz(func(t *testing.T, value, script []byte) {
		if len(script) > 300 {
			t.Skip("longer scripts show nothing else")
		}
		r := newRig(t, DefaultConfig())
		foreign := record(appendKey(nil, "a"), value)
		if New(r.config).Replay(foreign, -1, -1) == nil {
			r.log.records = append(r.log.records, foreign)
		}
		r.load()
		z := fuzzer{r: r, script: script, answers: map[*Input]int{}}
		r.reply = func(in *Input, _ any) { z.answers[in]++ }
		r.errnd = z.errand
		r.log.fail = func() int16 {
			if z.next()%8 == 7 {
				return wire.CodeNotEnoughReplicas
			}
			return wire.CodeNone
		}
		for len(z.script) > 0 {
			z.step()
		}
		for in, n := range z.answers {
			if n != 1 {
				t.Fatalf("%+v was answered %d times", in, n)
			}
		}
	})
}

type fuzzer struct {
	r       *rig
	script  []byte
	answers map[*Input]int
	sent    []*SendMarkers
}

func (z *fuzzer) errand(e any) {
	if m, ok := e.(*SendMarkers); ok {
		z.sent = append(z.sent, m)
	}
}

func (z *fuzzer) next() int {
	if len(z.script) == 0 {
		return 0
	}
	b := z.script[0]
	z.script = z.script[1:]
	return int(b)
}

// producer is one that may be right.
func (z *fuzzer) producer() (int64, int16) {
	e := z.r.m.table
	if _, known := e.get("a"); known != nil && z.next()%4 > 0 {
		return known.producerID, known.epoch + int16(z.next()%3) - 1
	}
	return int64(z.next()) - 1, int16(z.next() - 1)
}

func (z *fuzzer) handle(in *Input) {
	if z.next()%5 == 4 {
		in.NewProducerID = coordinator.NoProducer
	}
	if in.Refuse(wire.CodeNone) != nil {
		z.answers[in] = 0
	}
	z.r.handle(in)
}

func (z *fuzzer) step() {
	ids := []string{"a", "b", "", strings.Repeat("x", 40_000)}
	id := ids[z.next()%4]
	switch z.next() % 11 {
	case 0:
		pid, epoch := z.producer()
		z.handle(z.r.initInput(id, int16(z.next()%6), int32(z.next()*1000), pid, epoch))
	case 1:
		z.handle(z.r.initInput(id, 4, 60_000, -1, -1))
	case 2, 3:
		pid, epoch := z.producer()
		topics := []TopicPartition{{"t", int32(z.next() % 3)}, {ids[z.next()%4], -1}}
		z.handle(addInput(id, int16(z.next()%6), pid, epoch, z.next()%2 > 0, topics[:z.next()%3]...))
	case 4, 5:
		pid, epoch := z.producer()
		z.handle(z.r.endInput(id, int16(z.next()%6), pid, epoch, z.next()%2 > 0))
	case 6:
		if len(z.sent) > 0 {
			m := z.sent[z.next()%len(z.sent)]
			z.r.handle(m.Written(m.Partitions[:z.next()%(len(m.Partitions)+1)]...))
		}
	case 7:
		z.handle(&Input{Kind: TimeOut, TransactionalID: id, NewProducerID: z.r.offer()})
	case 8:
		z.r.nowMs += int64(z.next()-100) * int64(z.next()*z.next()) * 1000
		z.handle(&Input{Kind: Describe, TransactionalID: id})
	case 9:
		z.r.config.TxnVersion = int16(z.next() % 3)
		z.r.handle(&Input{Kind: SetVersion, TxnVersion: z.r.config.TxnVersion})
		pattern := string([]byte{byte(z.next()), byte(z.next())})
		req := kmsg.NewPtrListTransactionsRequest()
		req.TransactionalIDPattern = &pattern
		z.handle(&Input{Kind: List, Request: req, Version: 2})
	case 10:
		z.r.unload(wire.CodeNotCoordinator, len(z.r.log.records))
		z.sent = nil
		z.r.load()
	}
}

// TestSameInputsSameLog: two runs of one simulation write the same bytes.
func TestSameInputsSameLog(t *testing.T) {
	logs := make([][]coordinator.Record, 2)
	for i := range logs {
		s := newSim(t, 7)
		s.run(20_000)
		logs[i] = s.r.log.records
	}
	if !slices.EqualFunc(logs[0], logs[1], func(a, b coordinator.Record) bool {
		return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
	}) {
		t.Fatal("two runs differ")
	}
}

// TestBatchOfIDs: inputs of different ids in one call are appended together, and one that fails fails
// all of them alone.
func TestBatchOfIDs(t *testing.T) {
	r := newRig(t, DefaultConfig())
	var codes []int16
	r.reply = func(_ *Input, response any) { codes = append(codes, codeOf(response)) }
	appends := 0
	r.log.fail = func() int16 {
		if appends++; appends == 2 {
			return wire.CodeNotEnoughReplicas
		}
		return wire.CodeNone
	}
	batch := func() []*Input {
		return []*Input{
			r.initInput("a", 4, 1000, -1, -1), r.initInput("b", 4, 1000, -1, -1),
			r.initInput("c", 4, 1000, -1, -1),
		}
	}
	r.handle(batch()...)
	r.handle(batch()...)
	na := wire.CodeCoordinatorNotAvailable
	if want := []int16{0, 0, 0, na, na, na}; appends != 2 || !slices.Equal(codes, want) {
		t.Fatalf("%d appends, codes %v", appends, codes)
	}
}

// TestRefuse: whoever waits can be refused, in the words of the request's version.
func TestRefuse(t *testing.T) {
	r := newRig(t, DefaultConfig())
	fenced, old := wire.CodeProducerFenced, wire.CodeInvalidProducerEpoch
	for _, c := range []struct {
		in   *Input
		want int16
	}{
		{r.initInput("a", 3, 1, -1, -1), old},
		{r.initInput("a", 4, 1, -1, -1), fenced},
		{addInput("a", 1, 1, 1, false, TopicPartition{"t", 1}), old},
		{addInput("a", 2, 1, 1, false, TopicPartition{"t", 1}), fenced},
		{r.endInput("a", 1, 1, 1, true), old},
		{r.endInput("a", 2, 1, 1, true), fenced},
	} {
		if got := codeOf(c.in.Refuse(fenced)); got != c.want {
			t.Errorf("%+v: code %d, not %d", c.in, got, c.want)
		}
	}
	for _, k := range []Kind{MarkersWritten, TimeOut, SetVersion, Timer} {
		if response := (&Input{Kind: k}).Refuse(fenced); response != nil {
			t.Errorf("kind %d is answered %v", k, response)
		}
	}
}

// TestIdleIDsHaveNoTimers: a shard of idle ids wants to be called for expiry alone, and finds what has
// expired in steps.
func TestIdleIDsHaveNoTimers(t *testing.T) {
	const ids = 3*sweepSlots + 10
	r := newRig(t, DefaultConfig())
	for i := range ids {
		m := meta{producerID: int64(i), prevID: -1, nextID: -1, state: CompleteCommit, updateMs: int64(i)}
		r.log.records = append(r.log.records,
			record(appendKey(nil, strings.Repeat("i", i%7)+string(rune(0x4000+i))), appendValue(nil, 1, &m, nil)))
	}
	r.load()
	if len(r.m.timers.heap) != 0 || r.m.NextDueMs() < r.nowMs+DefaultConfig().ExpirationScanMs {
		t.Fatalf("%d timers, next at %d", len(r.m.timers.heap), r.m.NextDueMs())
	}
	// Half of them have expired. One search returns exactly those, so many slots a step at most.
	r.nowMs = DefaultConfig().ExpirationMs + ids/2
	steps, gone := 0, 0
	for ; r.m.sweep.beganMs != r.nowMs || r.m.sweep.cursor >= 0; steps++ {
		before := r.m.Counts().IDs()
		r.shard.Handle(r.nowMs + int64(steps))
		if n := before - r.m.Counts().IDs(); n > sweepSlots {
			t.Fatalf("a step took %d", n)
		}
		gone = ids - r.m.Counts().IDs()
		if steps > 10 {
			break
		}
		r.m.sweep.beganMs = min(r.m.sweep.beganMs, r.nowMs)
	}
	if steps < 3 || gone < ids/2 || gone > ids/2+10 {
		t.Fatalf("%d steps, %d of %d ids gone", steps, gone, ids)
	}
	r.check()
}
