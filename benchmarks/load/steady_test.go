package load

import (
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/workload"
	"sluice/wire"
)

// steady is a thread whose connection ends in this test, which plays the broker's part between two
// turns. Neither side allocates.
type steady struct {
	t      *testing.T
	thread *thread
	peer   int
	input  []byte
	answer []byte
}

func newSteady(t *testing.T, th *thread, c *conn) *steady {
	t.Helper()
	fds := tcpPair(t)
	if err := th.poller.add(fds[0], c.slot, c.generation); err != nil {
		t.Fatal(err)
	}
	c.fd, c.state, c.writable = fds[0], connUp, true
	c.role.up(th.s.now())
	th.s.start.Store(th.s.now())
	th.s.begin.Store(1)
	th.s.end.Store(1 << 60)
	return &steady{t: t, thread: th, peer: fds[1], input: make([]byte, 1<<20)}
}

// tcpPair returns the two non-blocking ends of a connection over loopback (MSG_TRUNC drops bytes of
// TCP alone).
func tcpPair(t *testing.T) (fds [2]int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	a, err := resolve(l.Addr().String())
	must(err)
	fds[0], err = dial(a)
	must(err)
	peer, err := l.Accept()
	must(err)
	defer peer.Close()
	file, err := peer.(*net.TCPConn).File()
	must(err)
	defer file.Close()
	fds[1], err = unix.Dup(int(file.Fd()))
	must(err)
	must(unix.SetNonblock(fds[1], true))
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds
}

// turn lets the thread do what it can.
func (s *steady) turn() { s.thread.turn(s.thread.poller.wait(0)) }

// request reads the requests that the thread has sent, and returns how many.
func (s *steady) requests() int {
	n, err := unix.Read(s.peer, s.input)
	if err != nil {
		return 0
	}
	count := 0
	for b := s.input[:n]; len(b) >= 4; count++ {
		b = b[4+binary.BigEndian.Uint32(b):]
	}
	return count
}

func (s *steady) reply(correlation int32) {
	binary.BigEndian.PutUint32(s.answer[4:], uint32(correlation))
	if n, err := unix.Write(s.peer, s.answer); n != len(s.answer) {
		s.t.Fatalf("%d of %d bytes written: %v", n, len(s.answer), err)
	}
}

// produceReply is an answer that brokers give to a Produce v8 request.
func produceReply(topic string, index int32) []byte {
	b := make([]byte, 8)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(index))
	b = append(b, 0, 0)
	b = append(b, make([]byte, 8+8+8+4)...)
	b = append(b, 0xff, 0xff, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// fetchReply is an answer to a Fetch v11 request for one partition.
func fetchReply(topic string, index int32, records []byte) []byte {
	b := make([]byte, 4+4+4+2+4)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = appendString(b, topic)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(index))
	b = append(b, make([]byte, 2+8+8+8)...)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = binary.BigEndian.AppendUint32(b, uint32(len(records)))
	b = append(b, records...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// The hot path of producing does not allocate, in any of the ways in which batches are made.
func TestProduceDoesNotAllocate(t *testing.T) {
	f := func(name string, stamped, open bool, change func(s *workload.Spec)) {
		t.Run(name, func(t *testing.T) {
			spec := testSpec(func(s *workload.Spec) {
				s.Partitions, s.InFlight, s.BatchBytes, s.RecordSize = 1, 5, 16384, "1000"
				change(s)
			})
			if open {
				spec.Rate, spec.Producers, spec.Linger = 1e5, 1, 0
			}
			p := testConn(t, spec, stamped)
			th := p.t
			th.s.open = open
			if open {
				th.s.planOpen()
				for _, c := range th.conns {
					if c.slot != 0 {
						p = c.role.(*produceConn)
					}
				}
			} else {
				p.newLane(th.s.cluster.parts[0])
				th.s.encodeClosed()
			}
			s := newSteady(t, th, &p.conn)
			s.answer = produceReply(spec.Topic, 0)
			next := int32(0)
			step := func() {
				s.turn()
				for range s.requests() {
					s.reply(next)
					next++
				}
				s.turn()
			}
			for range 200 {
				step()
			}
			before := th.gauges.acked.Load()
			if n := testing.AllocsPerRun(300, step); n != 0 && raceEnabled {
				t.Logf("%g allocations in a round: pools lose items under the race detector", n)
			} else if n != 0 {
				t.Errorf("%g allocations in a round", n)
			}
			if th.gauges.acked.Load() == before || len(th.tally.errors)+len(th.tally.early) > 0 {
				t.Errorf("nothing was acknowledged, or errors: %v", th.tally.errors)
			}
		})
	}
	none := func(*workload.Spec) {}
	f("closed", false, false, none)
	f("closed small", false, false, func(s *workload.Spec) { s.BatchRecords, s.RecordSize = 1, "100" })
	f("closed idempotent", false, false, func(s *workload.Spec) { s.Acks = -1 })
	f("stamped", true, false, none)
	f("keyed", true, false, func(s *workload.Spec) { s.Keys = 100 })
	f("varying", true, false, func(s *workload.Spec) { s.RecordSize = "uniform:100-1000" })
	f("open", false, true, none)
	f("open keyed", true, true, func(s *workload.Spec) { s.Keys = 100 })
	f("lz4", true, false, func(s *workload.Spec) { s.Compression, s.Compressibility = "lz4", 0.5 })
	f("snappy", true, false, func(s *workload.Spec) { s.Compression, s.Compressibility = "snappy", 0.5 })
	f("zstd", true, false, func(s *workload.Spec) { s.Compression, s.Compressibility = "zstd", 0.5 })
}

// newSteadyReader is a connection that reads a partition of three batches of ten records, which each
// answer brings whole.
func newSteadyReader(t *testing.T, spec workload.Spec, tail bool) (*fetchConn, *steady) {
	t.Helper()
	c := newCluster(nil, true, spec)
	v := &layout{leaders: make([]int32, 1)}
	se, err := newSession(t.Context(), c, v, spec, newMaker(spec, tail), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(se.release)
	b := wire.NewBatchBuilder()
	se.maker.build(b, &lane{part: c.parts[0]}, 0, 10, 0, func(int64) int64 { return 5 }, nil)
	batch, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	if tail {
		se.planTails(bounds{start: []int64{0}, end: []int64{30}})
	} else {
		se.planReplay(bounds{
			start: []int64{0}, end: []int64{30}, batchBytes: int64(len(batch)), batchRecords: 10,
		})
	}
	conn := firstReader(se)
	s := newSteady(t, se.threads[0], &conn.conn)
	var records []byte
	for i := range int64(3) {
		wire.Batch(batch).SetBaseOffset(i * 10)
		records = append(records, batch...)
	}
	s.answer = fetchReply("steady", 0, records)
	return conn, s
}

// Nor does that of consuming: whole answers in one piece or many, read, dropped, or timed.
func TestFetchDoesNotAllocate(t *testing.T) {
	f := func(name string, tail bool, change func(s *workload.Spec)) {
		t.Run(name, func(t *testing.T) {
			spec := testSpec(func(s *workload.Spec) {
				s.Mode, s.Partitions, s.BatchBytes, s.RecordSize = workload.Consume, 1, 16384, "1000"
				s.Topic, s.FetchBytes = "steady", 100_000
				change(s)
			})
			conn, s := newSteadyReader(t, spec, tail)
			th := conn.t
			next := int32(0)
			step := func() {
				if tail {
					conn.sources[0].expect, conn.sources[0].fresh = 0, true
				}
				s.turn()
				for range s.requests() {
					s.reply(next)
					next++
				}
				s.turn()
				s.turn()
			}
			for range 20 {
				step()
			}
			before := th.gauges.consumed.Load()
			if n := testing.AllocsPerRun(300, step); n != 0 {
				t.Errorf("%g allocations in a round", n)
			}
			y := th.tally
			if th.gauges.consumed.Load() == before || len(y.errors)+len(y.early) > 0 {
				t.Errorf("nothing was read, or errors: %v", y.errors)
			}
			if tail && y.stages[stageE2E].Count() == 0 {
				t.Errorf("no arrival was timed: %v", y.notes)
			}
		})
	}
	f("reading", false, func(*workload.Spec) {})
	f("discarding", false, func(s *workload.Spec) { s.Client = workload.Discarding })
	f("tail", true, func(*workload.Spec) {})
}
