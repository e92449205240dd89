package broker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/netpoll"
	"sluice/pagecache"
)

// testBroker is a whole broker without sockets: real logs in a temporary folder, one loop that the
// test drives, a clock that moves only when told to.
type testBroker struct {
	*Broker
	t     *testing.T
	loop  *testLoop
	clock atomic.Int64 // wall clock, ms
}

// newTestBroker starts a broker with the given overrides (key=value) and stops it with the test.
func newTestBroker(t *testing.T, overrides ...string) *testBroker {
	t.Helper()
	tb := startTestBroker(t, t.TempDir(), overrides...)
	t.Cleanup(tb.stop)
	return tb
}

func startTestBroker(t *testing.T, dir string, overrides ...string) *testBroker {
	t.Helper()
	tb, err := tryTestBroker(t, dir, nil, overrides...)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}

// tryTestBroker starts a broker that may refuse to; tweak, unless nil, changes its environment.
func tryTestBroker(
	t *testing.T, dir string, tweak func(*Environment), overrides ...string,
) (*testBroker, error) {
	t.Helper()
	tb := &testBroker{t: t, loop: newTestLoop()}
	tb.clock.Store(1_700_000_000_000)
	all := append([]string{"log.dirs=" + dir, "admin.listener="}, overrides...)
	cfg, err := config.Load("", all)
	if err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	source := rand.NewChaCha8(seed)
	var mu sync.Mutex
	env := Environment{
		FS: pagecache.OS{}, NowMs: tb.clock.Load,
		NanoTime: func() int64 { return tb.clock.Load() * 1e6 },
		Random: func(p []byte) {
			mu.Lock()
			defer mu.Unlock()
			_, _ = source.Read(p)
		},
		Log: slog.New(slog.DiscardHandler), Version: "test",
		// A gate without a clock stays open: whether an append runs inline is then the test's choice.
		Gate: func() *pagecache.Gate {
			return pagecache.NewGate(pagecache.GateOptions{Clock: func() int64 { return 1 }})
		},
	}
	if tweak != nil {
		tweak(&env)
	}
	b, err := New(cfg, env)
	if err != nil {
		return nil, err
	}
	tb.Broker = b
	b.loops = []*loopState{{wake: newWakeList(tb.loop)}}
	endpoint := catalog.Endpoint{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "h", Port: 9092}
	if err := b.register([]catalog.Endpoint{endpoint}, false); err != nil {
		t.Fatal(err)
	}
	b.state.Store(stateServing)
	return tb, nil
}

func (tb *testBroker) stop() {
	if err := tb.Broker.Stop(context.Background()); err != nil {
		tb.t.Error(err)
	}
}

// mustCreate creates a topic with that many partitions.
func (tb *testBroker) mustCreate(name string, partitions int32, configs ...catalog.ConfigValue) {
	tb.t.Helper()
	var results []catalog.TopicResult
	err := tb.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		changes, results = catalog.CreateTopics(im, tb.environment(), []catalog.NewTopic{{
			Name: name, Partitions: partitions, ReplicationFactor: 1, Configs: configs,
		}}, []catalog.UUID{tb.newUUID()})
		return changes
	})
	if err != nil || !results[0].OK() {
		tb.t.Fatalf("creating %s: %v %v", name, err, results)
	}
}

// testConn is a connection of a testBroker.
type testConn struct {
	tb        *testBroker
	r         *request
	chain     *netpoll.Chain
	corr      int32
	ended     atomic.Bool
	responded bool
	cause     error
	answer    []byte // the frame, without its length
	lent      []byte
}

func (tb *testBroker) connect() *testConn {
	c := &testConn{tb: tb, chain: netpoll.NewChain()}
	c.r = tb.newRequest(c)
	return c
}

func (c *testConn) Chain() *netpoll.Chain { return c.chain }
func (c *testConn) Done()                 { c.end() }
func (c *testConn) Mute(time.Duration)    {}
func (c *testConn) ArrivedNs() int64      { return c.tb.loop.nowNs }
func (c *testConn) Listener() string      { return "PLAINTEXT" }
func (c *testConn) Peer() netip.AddrPort  { return netip.MustParseAddrPort("127.0.0.1:50000") }
func (c *testConn) Local() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:9092") }
func (c *testConn) Loop() Loop            { return c.tb.loop }

func (c *testConn) Close(cause error) {
	c.cause = cause
	c.end()
}

// Keep copies, and poisons what was lent, so that whoever held on to it fails.
func (c *testConn) Keep() []byte {
	kept := bytes.Clone(c.lent)
	for i := range c.lent {
		c.lent[i] = 0xdb
	}
	return kept
}

func (c *testConn) Respond() {
	frame, err := c.chain.AppendTo(nil)
	if err != nil {
		c.tb.t.Error(err)
		return
	}
	c.answer, c.responded = frame[4:], true
	c.end()
}

func (c *testConn) end() {
	c.chain.Reset()
	c.ended.Store(true)
}

// send begins a request; its answer may come later.
func (c *testConn) send(q kmsg.Request) {
	c.corr++
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))
	c.sendFrame(f.AppendRequest(nil, q, c.corr)[4:])
}

func (c *testConn) sendFrame(frame []byte) {
	c.ended.Store(false)
	c.responded, c.cause, c.answer, c.lent = false, nil, nil, frame
	c.tb.dispatch(c.r, frame)
}

// wait drives the loop until the request has ended.
func (c *testConn) wait() {
	for !c.ended.Load() {
		c.tb.loop.next()
	}
}

// receive waits for the answer to q and decodes it.
func (c *testConn) receive(q kmsg.Request) kmsg.Response {
	c.tb.t.Helper()
	c.wait()
	return c.decode(q)
}

func (c *testConn) decode(q kmsg.Request) kmsg.Response {
	c.tb.t.Helper()
	if !c.responded {
		c.tb.t.Fatalf("%s v%d: no answer: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), c.cause)
	}
	if got := int32(binary.BigEndian.Uint32(c.answer)); got != c.corr {
		c.tb.t.Fatalf("correlation id %d, want %d", got, c.corr)
	}
	body := c.answer[4:]
	p := q.ResponseKind()
	p.SetVersion(q.GetVersion())
	if p.IsFlexible() && q.Key() != 18 {
		body = body[1:]
	}
	if err := p.ReadFrom(body); err != nil {
		c.tb.t.Fatalf("%s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	return p
}

// roundTrip sends q on a connection of its own and returns the answer.
func (tb *testBroker) roundTrip(q kmsg.Request) kmsg.Response {
	tb.t.Helper()
	c := tb.connect()
	c.send(q)
	p := c.receive(q)
	tb.closed(c.r)
	return p
}

// testLoop is a reactor that runs what is posted when the test says so.
type testLoop struct {
	nowNs  int64
	posted chan *netpoll.Task
	timers map[*netpoll.Timer]int64
	due    []*netpoll.Timer
}

func newTestLoop() *testLoop {
	return &testLoop{
		nowNs: 1e9, posted: make(chan *netpoll.Task, 1024), timers: map[*netpoll.Timer]int64{},
	}
}

func (l *testLoop) Post(t *netpoll.Task)                    { l.posted <- t }
func (l *testLoop) NowNs() int64                            { return l.nowNs }
func (l *testLoop) ReadNs() int64                           { return l.nowNs }
func (l *testLoop) StartTimer(t *netpoll.Timer, atNs int64) { l.timers[t] = atNs }
func (l *testLoop) StopTimer(t *netpoll.Timer)              { delete(l.timers, t) }
func (l *testLoop) Index() int                              { return 0 }

// next runs one posted task, waiting for it.
func (l *testLoop) next() { (<-l.posted).Run() }

// drain runs what is posted now, and what that posts.
func (l *testLoop) drain() {
	for {
		select {
		case t := <-l.posted:
			t.Run()
		default:
			return
		}
	}
}

// advance moves the clock and fires what is due, in order.
func (l *testLoop) advance(ns int64) {
	l.nowNs += ns
	due := l.due[:0]
	for t, at := range l.timers {
		if at <= l.nowNs {
			due = append(due, t)
		}
	}
	l.due = due
	slices.SortFunc(due, func(a, b *netpoll.Timer) int { return cmp.Compare(l.timers[a], l.timers[b]) })
	for _, t := range due {
		delete(l.timers, t)
		t.Fire()
	}
	l.drain()
}

// coordinators makes a coordinators' topic, and waits until all of its shards are loaded.
func (tb *testBroker) coordinators(topic string) {
	tb.t.Helper()
	if code := tb.ensureInternalTopic(topic); code != 0 {
		tb.t.Fatalf("%s: code %d", topic, code)
	}
	tb.loaded()
}

// loaded waits until every shard of both coordinators is loaded.
func (tb *testBroker) loaded() {
	for {
		loading := 0
		for _, s := range tb.groups.all() {
			loading += s.loading()
		}
		for _, s := range tb.txns.all() {
			loading += s.loading()
		}
		if loading == 0 {
			return
		}
		runtime.Gosched()
	}
}

func (s *hostedShard[In]) loading() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == shardLoading {
		return 1
	}
	return 0
}
