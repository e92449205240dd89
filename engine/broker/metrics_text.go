package broker

import (
	"io"
	"iter"
	runtimemetrics "runtime/metrics"
	"strconv"

	vm "github.com/VictoriaMetrics/metrics"

	"sluice/wire"
)

// exposition builds a page in Prometheus's text format (version 0.0.4): for each family its help and
// type, then its samples.
type exposition struct {
	buf    []byte
	family string
}

// The types of metric families.
const (
	kindCounter   = "counter"
	kindGauge     = "gauge"
	kindHistogram = "histogram"
)

// begin starts a family: the samples that follow belong to it.
func (e *exposition) begin(name, kind, help string) {
	e.family = name
	e.buf = append(e.buf, "# HELP "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, help...)
	e.buf = append(e.buf, "\n# TYPE "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, '\n')
}

// count appends a sample that is a whole number; labels come in pairs of name and value.
func (e *exposition) count(value uint64, labels ...string) {
	e.name("", labels)
	e.buf = strconv.AppendUint(e.buf, value, 10)
	e.buf = append(e.buf, '\n')
}

// gauge appends a sample that may be negative.
func (e *exposition) gauge(value int64, labels ...string) {
	e.name("", labels)
	e.buf = strconv.AppendInt(e.buf, value, 10)
	e.buf = append(e.buf, '\n')
}

// float appends a sample with a fraction.
func (e *exposition) float(value float64, labels ...string) {
	e.name("", labels)
	e.buf = strconv.AppendFloat(e.buf, value, 'g', -1, 64)
	e.buf = append(e.buf, '\n')
}

// name appends the sample's name with its labels and the space before the value.
func (e *exposition) name(suffix string, labels []string) {
	e.buf = append(e.buf, e.family...)
	e.buf = append(e.buf, suffix...)
	for i := 0; i+1 < len(labels); i += 2 {
		open := byte(',')
		if i == 0 {
			open = '{'
		}
		e.buf = append(e.buf, open)
		e.buf = append(e.buf, labels[i]...)
		e.buf = append(e.buf, `="`...)
		e.escape(labels[i+1])
		e.buf = append(e.buf, '"')
	}
	if len(labels) > 0 {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

// escape appends a label's value. Paths may hold anything.
func (e *exposition) escape(value string) {
	for i := range len(value) {
		switch c := value[i]; c {
		case '\\', '"':
			e.buf = append(e.buf, '\\', c)
		case '\n':
			e.buf = append(e.buf, `\n`...)
		default:
			e.buf = append(e.buf, c)
		}
	}
}

// bucketLabels are the bounds of buckets in seconds, as Prometheus labels them.
var bucketLabels = func() (labels [bucketCount]string) {
	for i, ns := range bucketBoundsNs {
		labels[i] = strconv.FormatFloat(float64(ns)/1e9, 'g', -1, 64)
	}
	labels[bucketCount-1] = "+Inf"
	return labels
}()

// histogram appends a histogram's samples, in seconds.
func (e *exposition) histogram(h *histogramSum, labels ...string) {
	withBound := append(append([]string(nil), labels...), "le", "")
	below := uint64(0)
	for i := range h.counts {
		below += h.counts[i]
		withBound[len(withBound)-1] = bucketLabels[i]
		e.name("_bucket", withBound)
		e.buf = strconv.AppendUint(e.buf, below, 10)
		e.buf = append(e.buf, '\n')
	}
	e.name("_sum", labels)
	e.buf = strconv.AppendFloat(e.buf, float64(h.sumNs)/1e9, 'g', -1, 64)
	e.buf = append(e.buf, '\n')
	e.name("_count", labels)
	e.buf = strconv.AppendUint(e.buf, h.count, 10)
	e.buf = append(e.buf, '\n')
}

// write writes every metric of the broker, then those of the process and the Go runtime.
func (m *metrics) write(w io.Writer) error {
	e := exposition{buf: make([]byte, 0, 64<<10)}
	m.writeRequests(&e)
	m.writeTopics(&e)
	if b := m.broker.Load(); b != nil {
		b.writeGauges(&e)
	}
	if _, err := w.Write(e.buf); err != nil {
		return err
	}
	// The library's page reads runtime.MemStats, which gathers the counts that threads keep to
	// themselves; what is read behind it is therefore exact.
	vm.WriteProcessMetrics(w)
	e.buf = e.buf[:0]
	e.writeHeapAllocs()
	_, err := w.Write(e.buf)
	return err
}

// writeHeapAllocs writes what the heap has handed out since the start: their growth is what shows
// that the hot paths make no garbage.
func (e *exposition) writeHeapAllocs() {
	samples := []runtimemetrics.Sample{
		{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"},
	}
	runtimemetrics.Read(samples)
	e.begin("go_gc_heap_allocs_objects_total", kindCounter, "Objects allocated on the heap.")
	e.count(samples[0].Value.Uint64())
	e.begin("go_gc_heap_allocs_bytes_total", kindCounter, "Bytes allocated on the heap.")
	e.count(samples[1].Value.Uint64())
}

func (m *metrics) writeRequests(e *exposition) {
	e.begin("kafka_network_requestmetrics_requests_total", kindCounter, "Requests that ended.")
	m.eachAPI(func(a *apiMetrics) {
		for version := range versionsMax + 1 {
			n := a.sum(func(s *apiShard) uint64 { return s.requests[version].Load() })
			switch {
			case n == 0:
			case version == versionsMax:
				e.count(n, "request", a.name, "version", topicOther)
			default:
				e.count(n, "request", a.name, "version", strconv.Itoa(version))
			}
		}
	})
	e.begin("kafka_network_requestmetrics_errors_total", kindCounter, "Errors in responses, one for "+
		"each partition, topic or resource that has one.")
	m.eachAPI(func(a *apiMetrics) {
		for name, n := range a.errorsByName() {
			e.count(n, "request", a.name, "error", name)
		}
	})
	e.begin("sluice_requests_failed_total", kindCounter, "Requests with an error in their answer.")
	m.eachAPI(func(a *apiMetrics) {
		e.count(a.sum(func(s *apiShard) uint64 { return s.failed.Load() }), "request", a.name)
	})
	e.begin("sluice_requests_refused_total", kindCounter, "Requests whose connection was closed in "+
		"place of an answer: malformed, unknown or not served.")
	e.count(m.refused.Get())
	e.begin("sluice_request_payload_bytes_total", kindCounter, "Bytes of record batches taken or "+
		"given.")
	m.eachAPI(func(a *apiMetrics) {
		if n := a.sum(func(s *apiShard) uint64 { return s.bytes.Load() }); n > 0 {
			e.count(n, "request", a.name)
		}
	})
	m.writeStages(e)
}

func (m *metrics) writeStages(e *exposition) {
	e.begin("sluice_request_stage_seconds", kindHistogram, "Time of requests by stage.")
	m.eachAPI(func(a *apiMetrics) {
		for i := range stageCount {
			var sum histogramSum
			for s := range a.shards {
				sum.add(&a.shards[s].stages[i])
			}
			if sum.count > 0 {
				e.histogram(&sum, "request", a.name, "stage", stageNames[i])
			}
		}
	})
}

func (m *metrics) eachAPI(f func(*apiMetrics)) {
	for _, a := range m.apis {
		if a != nil {
			f(a)
		}
	}
}

func (a *apiMetrics) sum(of func(*apiShard) uint64) (n uint64) {
	for i := range a.shards {
		n += of(&a.shards[i])
	}
	return n
}

// writeTopics writes the counters of topics. Names and meanings are those that a JMX exporter gives
// Kafka's BrokerTopicMetrics.
func (m *metrics) writeTopics(e *exposition) {
	topics := m.topics.all()
	family := func(name, help string, of func(*topicMetrics) *vm.Counter) {
		e.begin("kafka_server_brokertopicmetrics_"+name, kindCounter, help)
		for _, t := range topics {
			e.count(of(t).Get(), "topic", t.name)
		}
	}
	family("messagesin_total", "Records produced.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.recordsIn })
	family("bytesin_total", "Bytes of record batches produced.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.bytesIn })
	family("bytesout_total", "Bytes of record batches fetched.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.bytesOut })
	family("totalproducerequests_total", "Record batches that passed validation.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.batchesIn })
	family("failedproducerequests_total", "Partitions of produce requests that got an error.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.refusedBatches })
	family("bytesrejected_total", "Bytes of record batches that were too large.",
		func(t *topicMetrics) *vm.Counter { return &t.cells.refusedBytes })
}

// errorsByName yields the names and counts of the errors that were answered. Codes that have no name
// of their own share one.
func (a *apiMetrics) errorsByName() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		nameless := a.errors[0].Load()
		for at := 1; at < codesMax; at++ {
			n := a.errors[at].Load()
			if n == 0 {
				continue
			}
			name := wire.CodeName(int16(at) - 1)
			if name == unknownServerError {
				nameless += n
			} else if !yield(name, n) {
				return
			}
		}
		if nameless > 0 {
			yield(unknownServerError, nameless)
		}
	}
}

var unknownServerError = wire.CodeName(wire.CodeUnknownServerError)
