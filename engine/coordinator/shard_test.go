package coordinator

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sluice/wire"
)

// op is the input of the test's machine: it adds one to its key's number.
type op struct {
	key   string
	write bool
	// saw is the number that Decide saw.
	saw int
}

func (o *op) Key() string { return o.key }

func (o *op) Refuse(code int16) any { return fmt.Sprint("refused ", code) }

// counters is a machine with a number per key; records hold "key" → number in text.
type counters struct {
	state   map[string]string
	timers  []*op
	waiting []*op
	loaded  int32
}

func (c *counters) Decide(_ int64, in *op, out *Outcome[*op]) {
	in.saw = len(c.state[in.key])
	if !in.write {
		out.Reply(in, c.state[in.key])
		return
	}
	out.Records = append(out.Records, Record{Key: []byte(in.key), Value: []byte(c.state[in.key] + "x")})
}

func (c *counters) Settle(_ int64, in *op, out *Outcome[*op], code int16) {
	if code != wire.CodeNone {
		out.Reply(in, fmt.Sprint("code ", code))
		return
	}
	out.Reply(in, c.state[in.key])
	out.Errands = append(out.Errands, in.key)
}

func (c *counters) Replay(r Record, _ int64, _ int16) error {
	c.state[string(r.Key)] = string(r.Value)
	return nil
}

func (c *counters) ReplayMarker(Marker) {}

func (c *counters) Loaded(_ int64, epoch int32, _ *Outcome[*op]) { c.loaded = epoch }

func (c *counters) Due(int64) (*op, bool) {
	if len(c.timers) == 0 {
		return nil, false
	}
	in := c.timers[0]
	c.timers = c.timers[1:]
	return in, true
}

func (c *counters) NextDueMs() int64 { return Never }

func (c *counters) Waiting() []*op { return c.waiting }

// tape is a log that keeps batches in text, and refuses while code is set.
type tape struct {
	batches []string
	end     int64
	code    int16
}

func (t *tape) Append(b Batch) (int64, int16) {
	if t.code != wire.CodeNone {
		return 0, t.code
	}
	var keys []string
	for _, r := range b.Records {
		keys = append(keys, string(r.Key)+"="+string(r.Value))
	}
	t.batches = append(t.batches, strings.Join(keys, " "))
	t.end += int64(len(b.Records))
	return t.end - 1, wire.CodeNone
}

func newCounters() (*Shard[*op], *counters, *tape) {
	m, l := &counters{state: map[string]string{}}, &tape{}
	return NewShard[*op](m, l, 0), m, l
}

func released(s *Shard[*op], hw int64) (answers []string) {
	var r Released[*op]
	s.Release(hw, &r)
	for _, x := range r.Replies {
		answers = append(answers, x.To.key+":"+x.Response.(string))
	}
	return answers
}

func want(t *testing.T, what string, got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s: got %v, want %v", what, got, wanted)
	}
}

func w(key string) *op { return &op{key: key, write: true} }

// Inputs of different keys share a batch; a second input of one key sees what the first has done.
func TestShardBatchesKeys(t *testing.T) {
	s, m, l := newCounters()
	again := w("a")
	s.Handle(1, w("a"), w("b"), w("c"), again, w("b"))
	want(t, "batches", l.batches, []string{"a=x b=x c=x", "a=xx b=xx"})
	want(t, "what the second input saw", again.saw, 1)
	want(t, "state", m.state, map[string]string{"a": "xx", "b": "xx", "c": "x"})
	want(t, "answers", released(s, 5), []string{"a:x", "b:x", "c:x", "a:xx", "b:xx"})
}

// An answer leaves when the high watermark has passed all that was appended when it was made.
func TestShardHoldsAnswers(t *testing.T) {
	s, _, _ := newCounters()
	s.Handle(1, w("a"))
	s.Handle(2, &op{key: "b"})
	want(t, "before the high watermark", released(s, 0), []string(nil))
	s.Handle(3, w("b"))
	want(t, "holding", s.Holding(), true)
	want(t, "after the first record", released(s, 1), []string{"a:x", "b:"})
	want(t, "after the second", released(s, 2), []string{"b:x"})
	want(t, "holding", s.Holding(), false)
}

// A refused append changes nothing, is answered in a coordinator's terms, and does not stop the shard.
func TestShardFailedAppend(t *testing.T) {
	s, m, l := newCounters()
	l.code = wire.CodeNotEnoughReplicas
	s.Handle(1, w("a"), w("b"))
	want(t, "state", m.state, map[string]string{})
	answer := fmt.Sprint("code ", wire.CodeCoordinatorNotAvailable)
	want(t, "answers", released(s, 0), []string{"a:" + answer, "b:" + answer})
	want(t, "last code", s.LastCode(), wire.CodeNotEnoughReplicas)
	want(t, "last code, once", s.LastCode(), wire.CodeNone)
	l.code = wire.CodeNone
	s.Handle(2, w("a"))
	want(t, "state", m.state, map[string]string{"a": "x"})
}

// Timers come before inputs, and unloading refuses whoever is not answered, in order.
func TestShardTimersAndUnload(t *testing.T) {
	s, m, l := newCounters()
	s.Loaded(0, 7)
	want(t, "epoch", m.loaded, int32(7))
	m.timers = []*op{w("t")}
	s.Handle(1, w("a"))
	want(t, "batches", l.batches, []string{"t=x a=x"})
	m.waiting = []*op{w("p")}
	var r Released[*op]
	s.Unload(wire.CodeNotCoordinator, &r)
	var refused []string
	for _, x := range r.Replies {
		refused = append(refused, x.To.key+":"+x.Response.(string))
	}
	answer := fmt.Sprint("refused ", wire.CodeNotCoordinator)
	want(t, "refused", refused, []string{"t:" + answer, "a:" + answer, "p:" + answer})
}

// A batch stays small, but one outcome is never split.
func TestShardBatchBytes(t *testing.T) {
	s, m, l := newCounters()
	m.state["a"] = strings.Repeat("y", batchRecordBytes)
	s.Handle(1, w("b"), w("a"), w("c"), w("d"))
	var sizes []int
	for _, b := range l.batches {
		sizes = append(sizes, strings.Count(b, "="))
	}
	want(t, "records in the batches", sizes, []int{1, 1, 2})
}

// What Java's "…".hashCode() gives, made positive, by 50 partitions (Utils.abs, KIP-98).
func TestPartitionFor(t *testing.T) {
	for _, x := range []struct {
		key  string
		want int32
	}{
		{"", 0},
		{"a", 97 % 50},
		{"console-consumer-1", 24},
		{"grüße", 23},
		{"polygenelubricants", 0}, // Its hash is the one int32 that has no positive counterpart.
		{"\U0001F600", 1772899 % 50},
	} {
		if got := PartitionFor(x.key, 50); got != x.want {
			t.Errorf("%q: partition %d, want %d", x.key, got, x.want)
		}
	}
}
