package broker

import (
	"runtime"
	"sync/atomic"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/netpoll"
	"sluice/wire"
)

// metrics are one broker's figures. There is no global registry, so that one process can run
// several brokers; docs/METRICS.md lists every name.
//
// What requests touch is kept in one shard per reactor: a reactor's counters lie in cache lines
// that no other core writes, and a request costs a few uncontended atomic additions and no
// allocation. Scrapes add the shards up. A scrape is no snapshot: requests that end meanwhile may
// be in one figure and not yet in another.
type metrics struct {
	// refused counts requests whose connection was closed in place of an answer.
	refused *vm.Counter
	// apis is filled by api before the first request, and only read from then on.
	apis   [apiKeysMax]*apiMetrics
	shards int
	topics topicMetricsTable
	// broker is where gauges are read from at scrape time; see watch.
	broker atomic.Pointer[Broker]
}

const (
	// apiKeysMax bounds API keys: the table of handlers has as many.
	apiKeysMax = 128
	// versionsMax is the first version that is not told apart from higher ones. Only ApiVersions,
	// which is answered in any version, can get there.
	versionsMax = 31
	// codesMax bounds error codes that are told apart; what lies outside counts as
	// UNKNOWN_SERVER_ERROR. Kafka's highest is below.
	codesMax = 160
	// shardsMax bounds the shards, and with them the memory: about 2 KiB for each API and shard.
	shardsMax = 64
)

// newMetrics makes the figures of one broker. topicsMax bounds the topics that are told apart.
func newMetrics(topicsMax int) *metrics {
	m := &metrics{refused: new(vm.Counter), shards: shardCount(runtime.NumCPU())}
	m.topics.init(topicsMax)
	return m
}

// shardCount is the power of two from which the number of reactors' shards follows.
func shardCount(reactors int) int {
	n := 1
	for n < reactors && n < shardsMax {
		n *= 2
	}
	return n
}

// stage is a part of a request's time.
type stage uint8

const (
	// stageQueue: between the frame's last byte and the handler; for control requests also the
	// way to a worker and back.
	stageQueue stage = iota
	// stageLocal: the handler worked.
	stageLocal
	// stageRemote: the request waited for somebody else: replicas (acks=all), or the append before.
	stageRemote
	// stagePoll: a fetch waited for records, as its client asked (a long poll). It is no work and
	// no delay, so it is in no other stage and not in the total.
	stagePoll
	// stageThrottle: the client was told to be silent for so long.
	stageThrottle
	// stageSend: between the finished response and its last byte in the socket.
	stageSend
	// stageTotal: between the request's last byte and the response's, without stagePoll.
	stageTotal
	stageCount
)

var stageNames = [stageCount]string{
	"queue", "local", "remote", "poll", "throttle", "send", "total",
}

// apiMetrics are the figures of one API key.
type apiMetrics struct {
	name   string
	shards []apiShard
	// errors counts answered errors by code+1: one for each partition or resource that has it. They
	// are rare, so reactors share them.
	errors [codesMax]atomic.Uint64
}

// apiShard is one reactor's part of an API's figures.
type apiShard struct {
	requests [versionsMax + 1]atomic.Uint64 // by version
	failed   atomic.Uint64                  // requests with an error in the answer
	bytes    atomic.Uint64                  // of record batches, in or out
	stages   [stageCount]histogram
	_        [64]byte // keeps the next shard out of this one's last cache line
}

// api returns the figures of an API key and makes them at the first call. Calls must be over
// before the first request.
func (m *metrics) api(key int16) *apiMetrics {
	a := m.apis[key]
	if a == nil {
		a = &apiMetrics{name: wire.APIName(key), shards: make([]apiShard, m.shards)}
		m.apis[key] = a
	}
	return a
}

func (a *apiMetrics) shard(reactor int) *apiShard {
	return &a.shards[reactor&(len(a.shards)-1)]
}

// request records a request that has ended just now, on its reactor: what ended it read the clock. A
// request whose API was not found has
// no figures but refused.
func (m *metrics) request(r *request) {
	if r.api == nil {
		return
	}
	loop := r.conn.Loop()
	s := r.api.stats.shard(loop.Index())
	s.requests[boundedVersion(r.header.APIVersion)].Add(1)
	nowNs, localNs := loop.NowNs(), r.localNs
	if r.api.inline != nil {
		// A control worker has timed its work itself.
		localNs += nowNs - r.startedNs
	}
	s.stages[stageLocal].observe(localNs)
	s.stages[stageQueue].observe(nowNs - r.conn.ArrivedNs() - localNs - r.waitedNs)
	if r.waitedNs > 0 {
		s.stages[waitStage(r.header.APIKey)].observe(r.waitedNs)
	}
	if r.throttleMs > 0 {
		s.stages[stageThrottle].observe(int64(r.throttleMs) * 1e6)
	}
}

// waitStage is what an API's waiting counts as.
func waitStage(key int16) stage {
	if key == wire.KeyFetch {
		return stagePoll
	}
	return stageRemote
}

func boundedVersion(version int16) int {
	if version < 0 || version > versionsMax {
		return versionsMax
	}
	return int(version)
}

// The layout of a note, from the highest bit down:
//
//	63     set, so that no note is 0
//	55-48  reactor's shard
//	47-40  API key
//	39-0   time waited in a long poll, in µs (12 days fit)
const (
	noteSet       = uint64(1) << 63
	noteShardAt   = 48
	noteKeyAt     = 40
	notePollUsMax = int64(1)<<noteKeyAt - 1
)

// noteOf packs what sent must know of a request into its chain's note. Any goroutine that has the
// request may call it; a fetch's wait must be over.
func noteOf(r *request) uint64 {
	key := r.header.APIKey
	if key < 0 || key >= apiKeysMax {
		return 0
	}
	note := noteSet | uint64(key)<<noteKeyAt |
		uint64(r.conn.Loop().Index()&(shardsMax-1))<<noteShardAt
	if key == wire.KeyFetch {
		note |= uint64(min(max(r.waitedNs, 0)/1e3, notePollUsMax))
	}
	return note
}

// sent records that a response has left, on its connection's reactor.
func (m *metrics) sent(s netpoll.Sent) {
	if s.Note&noteSet == 0 {
		return
	}
	a := m.apis[s.Note>>noteKeyAt&(apiKeysMax-1)]
	if a == nil {
		return
	}
	shard := a.shard(int(s.Note >> noteShardAt & (shardsMax - 1)))
	shard.stages[stageSend].observe(s.SentNs - s.QueuedNs)
	pollNs := int64(s.Note) & notePollUsMax * 1e3
	shard.stages[stageTotal].observe(s.SentNs - s.ArrivedNs - pollNs)
}

// stats returns the request's shard of its API's figures.
func (r *request) stats() *apiShard { return r.api.stats.shard(r.conn.Loop().Index()) }

// fetched counts the bytes of record batches in a fetch's answer.
func (r *request) fetched(bytes int64) {
	if bytes > 0 {
		r.stats().bytes.Add(uint64(bytes))
	}
}

// produced counts the bytes of record batches that passed validation, and whether any partition of
// the request failed.
func (r *request) produced(bytes int64, failed bool) {
	s := r.stats()
	if bytes > 0 {
		s.bytes.Add(uint64(bytes))
	}
	if failed {
		s.failed.Add(1)
	}
}

// erred counts one error in the request's answer; any goroutine that has the request.
func (r *request) erred(code int16) {
	if code == wire.CodeNone {
		return
	}
	at := int(code) + 1
	if at < 0 || at >= codesMax {
		at = 0
	}
	r.api.stats.errors[at].Add(1)
}

// answered counts the errors in a control request's response, on the worker that made it.
func (r *request) answered(p kmsg.Response) {
	failed := false
	eachError(p, func(code int16) {
		failed = failed || code != wire.CodeNone
		r.erred(code)
	})
	if failed {
		r.stats().failed.Add(1)
	}
}
