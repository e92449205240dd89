package txn

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// fakeLog is a partition of __transaction_state.
type fakeLog struct {
	records []coordinator.Record
	// fail refuses an append with the code it returns, unless that is 0.
	fail func() int16
	// seen is told each record that is appended.
	seen func(coordinator.Record)
}

func (l *fakeLog) Append(b coordinator.Batch) (int64, int16) {
	if b.Marker != nil || b.ProducerID != coordinator.NoProducer || b.Guard != 0 {
		panic("a transaction's records are plain")
	}
	if l.fail != nil {
		if code := l.fail(); code != 0 {
			return -1, code
		}
	}
	for _, r := range b.Records {
		l.records = append(l.records, coordinator.Record{
			Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value),
		})
		if l.seen != nil {
			l.seen(r)
		}
	}
	return int64(len(l.records)) - 1, 0
}

// rig is a shard, its log, and what came out of it.
type rig struct {
	t      testing.TB
	config Config
	log    *fakeLog
	m      *Machine
	shard  *coordinator.Shard[*Input]
	nowMs  int64
	epoch  int32
	// hwHeld keeps the high watermark at hw.
	hwHeld bool
	hw     int64
	// nextID is the next producer id to offer.
	nextID int64
	// out is called with each released answer and errand.
	reply func(in *Input, response any)
	errnd func(any)
	// checkEvery is how many steps lie between two comparisons with a reload; 0 compares always.
	checkEvery, steps int
}

func newRig(t testing.TB, config Config) *rig {
	r := &rig{t: t, config: config, log: &fakeLog{}, nowMs: 1_000_000, nextID: 1000}
	r.load()
	return r
}

// replayed is a machine with what the records say.
func replayed(t testing.TB, config Config, records []coordinator.Record) *Machine {
	m := New(config)
	for _, rec := range records {
		if err := m.Replay(rec, coordinator.NoProducer, coordinator.NoProducer); err != nil {
			t.Fatalf("replaying: %v", err)
		}
	}
	return m
}

func (r *rig) load() {
	r.config.TxnVersion = max(r.config.TxnVersion, 0)
	r.m = replayed(r.t, r.config, r.log.records)
	r.shard = coordinator.NewShard[*Input](r.m, r.log, int64(len(r.log.records)))
	r.epoch++
	r.shard.Loaded(r.nowMs, r.epoch)
	r.release()
}

// unload ends the shard; the log keeps its first kept records.
func (r *rig) unload(code int16, kept int) {
	var rel coordinator.Released[*Input]
	r.shard.Unload(code, &rel)
	r.deliver(rel)
	r.log.records = r.log.records[:kept]
	r.hw = min(r.hw, int64(kept))
}

func (r *rig) handle(inputs ...*Input) {
	r.shard.Handle(r.nowMs, inputs...)
	r.release()
	if r.steps++; r.checkEvery == 0 || r.steps%r.checkEvery == 0 {
		r.check()
	}
}

func (r *rig) release() {
	if !r.hwHeld {
		r.hw = int64(len(r.log.records))
	}
	var rel coordinator.Released[*Input]
	r.shard.Release(r.hw, &rel)
	r.deliver(rel)
}

func (r *rig) deliver(rel coordinator.Released[*Input]) {
	for _, a := range rel.Replies {
		if r.reply != nil {
			r.reply(a.To, a.Response)
		}
	}
	for _, e := range rel.Errands {
		if r.errnd != nil {
			r.errnd(e)
		}
	}
}

// persistent is what a machine would find again after a reload, in the order of the ids.
func persistent(m *Machine) []string {
	var all []string
	for slot := range m.table.used {
		e := m.table.at(slot)
		if e.state == vacant {
			continue
		}
		all = append(all, fmt.Sprintf("%s %s %d/%d next=%d timeout=%d start=%d update=%d v%d %v",
			m.table.name(slot), e.state, e.producerID, e.epoch, e.nextID, e.timeoutMs, e.startMs,
			e.updateMs, e.version, m.table.partitions(e)))
	}
	slices.Sort(all)
	return all
}

// check holds that a reload would give the same state, and that the machine's parts agree.
func (r *rig) check() {
	r.t.Helper()
	again := replayed(r.t, r.config, r.log.records)
	if want, got := persistent(r.m), persistent(again); !slices.Equal(want, got) {
		r.t.Fatalf("state:\n%v\nafter a reload:\n%v", want, got)
	}
	checkParts(r.t, r.m)
}

// checkParts holds the machine's own invariants.
func checkParts(t testing.TB, m *Machine) {
	t.Helper()
	var counts Counts
	opens := 0
	for slot := range m.table.used {
		e := m.table.at(slot)
		if e.state == vacant {
			if e.heapAt >= 0 || e.open >= 0 {
				t.Fatalf("vacant slot %d is in use", slot)
			}
			continue
		}
		counts.States[e.state]++
		if s, _ := m.table.get(string(m.table.name(slot))); s != slot {
			t.Fatalf("slot %d is found at %d", slot, s)
		}
		if e.state.open() != (e.open >= 0) {
			t.Fatalf("%s in state %s has open=%d", m.table.name(slot), e.state, e.open)
		}
		if e.open >= 0 {
			opens++
		}
		if e.state == Ongoing && m.loaded && e.heapAt < 0 && e.deadlineMs() < math.MaxInt64 {
			t.Fatalf("%s is open without a timer", m.table.name(slot))
		}
		if e.heapAt >= 0 && m.timers.heap[e.heapAt] != slot {
			t.Fatalf("slot %d is not at its place in the heap", slot)
		}
		if e.updateMs < m.sweep.oldestMs && m.sweep.cursor < 0 {
			t.Fatalf("%s is older than the oldest", m.table.name(slot))
		}
	}
	counts.Retrying = len(m.retries)
	if m.Counts() != counts {
		t.Fatalf("counts are %+v, not %+v", m.Counts(), counts)
	}
	if opens != len(m.table.opens)-len(m.table.freeOpens) {
		t.Fatalf("%d open transactions, %d in the table", opens, len(m.table.opens))
	}
	for i := 1; i < len(m.timers.heap); i++ {
		if m.timers.due((i-1)/2) > m.timers.due(i) {
			t.Fatalf("the heap is out of order at %d", i)
		}
	}
}

func (r *rig) offer() int64 {
	r.nextID++
	return r.nextID - 1
}

func (r *rig) initInput(id string, version int16, timeoutMs int32, pid int64, epoch int16) *Input {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.Version, req.TransactionalID, req.TransactionTimeoutMillis = version, &id, timeoutMs
	req.ProducerID, req.ProducerEpoch = pid, epoch
	return &Input{
		Kind: InitProducerID, Request: req, Version: version, TransactionalID: id,
		NewProducerID: r.offer(),
	}
}

func addInput(
	id string, version int16, pid int64, epoch int16, verify bool, partitions ...TopicPartition,
) *Input {
	t := &kmsg.AddPartitionsToTxnRequestTransaction{
		TransactionalID: id, ProducerID: pid, ProducerEpoch: epoch, VerifyOnly: verify,
	}
	for _, p := range partitions {
		if n := len(t.Topics); n == 0 || t.Topics[n-1].Topic != p.Topic {
			t.Topics = append(t.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: p.Topic})
		}
		topic := &t.Topics[len(t.Topics)-1]
		topic.Partitions = append(topic.Partitions, p.Partition)
	}
	return &Input{Kind: AddPartitions, Version: version, TransactionalID: id, Partitions: t}
}

func (r *rig) endInput(id string, version int16, pid int64, epoch int16, commit bool) *Input {
	req := kmsg.NewPtrEndTxnRequest()
	req.Version, req.TransactionalID, req.Commit = version, id, commit
	req.ProducerID, req.ProducerEpoch = pid, epoch
	return &Input{
		Kind: EndTxn, Request: req, Version: version, TransactionalID: id, NewProducerID: r.offer(),
	}
}

func codeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return kerr.TypedErrorForCode(code).Message
}

// codeNamed is the code of that name.
func codeNamed(t testing.TB, name string) int16 {
	for code := int16(-1); code < 140; code++ {
		if code != 0 && codeName(code) == name {
			return code
		}
	}
	t.Fatalf("no code is named %s", name)
	return 0
}

func record(key, value []byte) coordinator.Record {
	return coordinator.Record{Key: key, Value: value}
}

// rewritten are records of all that a machine holds.
func rewritten(m *Machine) (all []coordinator.Record) {
	for slot := range m.table.used {
		if e := m.table.at(slot); e.state != vacant {
			all = append(all, m.record(string(m.table.name(slot)), &e.meta, m.table.partitions(e)))
		}
	}
	return all
}
