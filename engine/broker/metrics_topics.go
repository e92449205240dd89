package broker

import (
	"maps"
	"slices"
	"sync"

	vm "github.com/VictoriaMetrics/metrics"

	"sluice/wire"
)

// topicOther is the label of the topics that are not told apart. A topic of that name, which Kafka
// allows, is always among them.
const topicOther = "other"

// topicMetrics are the figures of one topic, or of all topics beyond the bound together. Counters
// lie side by side in an object of whole cache lines, so that two busy topics share none.
type topicMetrics struct {
	name string
	// bytesOut counts bytes of record batches in fetch answers.
	bytesOut *vm.Counter
	cells    struct {
		bytesIn, recordsIn, batchesIn, bytesOut vm.Counter
		refusedBatches, refusedBytes            vm.Counter
	}
	_ [56]byte
}

func newTopicMetrics(name string) *topicMetrics {
	t := &topicMetrics{name: name}
	t.bytesOut = &t.cells.bytesOut
	return t
}

// in counts one batch that passed validation.
func (t *topicMetrics) in(bytes, records int) {
	t.cells.batchesIn.Inc()
	t.cells.bytesIn.Add(bytes)
	t.cells.recordsIn.Add(records)
}

// failed counts one partition's produce that ended with an error; bytes is the batch's length. Only
// what was too large counts as rejected bytes, as in Kafka.
func (t *topicMetrics) failed(code int16, bytes int) {
	t.cells.refusedBatches.Inc()
	if code == wire.CodeMessageTooLarge || code == wire.CodeRecordListTooLarge {
		t.cells.refusedBytes.Add(bytes)
	}
}

// topicMetricsTable holds the topics that are told apart.
type topicMetricsTable struct {
	max   int
	other *topicMetrics

	// mu guards the map; nothing is locked under it.
	mu     sync.Mutex
	byName map[string]*topicMetrics
}

func (t *topicMetricsTable) init(topicsMax int) {
	t.max = topicsMax
	t.other = newTopicMetrics(topicOther)
	t.byName = map[string]*topicMetrics{}
}

// topic returns the figures of a topic: its own as long as there is room. The topic keeps them, so
// this is no hot path.
func (m *metrics) topic(name string) *topicMetrics {
	t := &m.topics
	t.mu.Lock()
	defer t.mu.Unlock()
	if x := t.byName[name]; x != nil {
		return x
	}
	if len(t.byName) >= t.max || name == topicOther {
		return t.other
	}
	x := newTopicMetrics(name)
	t.byName[name] = x
	return x
}

// dropTopic forgets a deleted topic and makes room for another. A topic of the same name that comes
// later begins at zero; requests that still hold the old figures count into nothing.
func (m *metrics) dropTopic(name string) {
	m.topics.mu.Lock()
	defer m.topics.mu.Unlock()
	delete(m.topics.byName, name)
}

// all returns the topics that are told apart in the order of their names, then the others.
func (t *topicMetricsTable) all() []*topicMetrics {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*topicMetrics, 0, len(t.byName)+1)
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		list = append(list, t.byName[name])
	}
	return append(list, t.other)
}
