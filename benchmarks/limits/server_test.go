package limits

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/wire"
)

// producePipelined sends n batches without waiting and returns their answers, which must come
// in the order of the requests.
func producePipelined(conn net.Conn, topic string, partition int32, batch []byte, n int) ([]answer, error) {
	var frames []byte
	for i := range n {
		frames = appendProduce(frames, int32(i), topic, partition, 1, batch)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(frames)
		sent <- err
	}()
	var answers []answer
	for i := range n {
		a, err := readProduceAnswer(conn)
		if err != nil {
			return answers, err
		}
		if a.correlation != int32(i) || a.topic != topic || a.partition != partition || a.code != 0 {
			return answers, fmt.Errorf("answer %d is %+v", i, a)
		}
		answers = append(answers, a)
	}
	return answers, <-sent
}

// Several connections append to one partition at once, in sizes below, around and above a receive
// (256 KiB); all offsets are handed out once, and each batch is found where its answer said.
func TestProduceThenFetch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ threads, records, valueBytes, batches int }{
		{1, 1, 100, 500},
		{2, 1, 100, 500},
		{2, 4, 1000, 200},
		{2, 3, 21_000, 60},
		{2, 5, 60_000, 20},
		{1, 11, 100_000, 10},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, ServerOptions{Threads: c.threads, CheckCRC: true, Append: true})
			const connections = 4
			written := produceFromMany(t, s, connections, c.batches, func(seed int) []byte {
				return makeBatch(t, c.records, c.valueBytes, byte(seed))
			})
			fetchAll(t, s, written, int64(c.records), 1)
			fetchAll(t, s, written, int64(c.records), 300_000)
		})
	}
}

// produceFromMany returns the batches as they must be found in the log, by base offset.
func produceFromMany(
	t *testing.T, s *Server, connections, batches int, batch func(int) []byte,
) map[int64][]byte {
	t.Helper()
	type done struct {
		batch   []byte
		answers []answer
		err     error
	}
	results := make(chan done)
	for i := range connections {
		conn, b := dial(t, s), batch(i)
		go func() {
			answers, err := producePipelined(conn, "topic", 7, b, batches)
			results <- done{b, answers, err}
		}()
	}
	written := map[int64][]byte{}
	for range connections {
		d := <-results
		if d.err != nil {
			t.Error(d.err)
		}
		for _, a := range d.answers {
			stored := bytes.Clone(d.batch)
			wire.Batch(stored).SetBaseOffset(a.offset)
			if written[a.offset] != nil {
				t.Errorf("offset %d was given twice", a.offset)
			}
			written[a.offset] = stored
		}
	}
	return written
}

// fetchAll reads the log from its start to its end with four requests in flight, as fast readers do.
func fetchAll(t *testing.T, s *Server, written map[int64][]byte, records int64, bytesMax int) {
	t.Helper()
	conn := dial(t, s)
	end := int64(len(written)) * records
	for offset := int64(0); offset < end; {
		const depth = 4
		var frames []byte
		for i := range int32(depth) {
			frames = appendFetch(frames, i, "topic", 7, offset, bytesMax)
		}
		if _, err := conn.Write(frames); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for i := range int32(depth) {
			a, err := readFetchAnswer(conn)
			if err != nil || a.correlation != i || a.code != 0 || a.offset != end || len(a.records) == 0 {
				t.Fatalf("fetch at %d: code %d, high watermark %d of %d, %d bytes: %v",
					offset, a.code, a.offset, end, len(a.records), err)
			}
			if got != nil && !bytes.Equal(got, a.records) {
				t.Fatalf("fetch at %d: two answers differ", offset)
			}
			got = a.records
		}
		if size := len(written[0]); len(got) > max(size, bytesMax) || len(got)%size != 0 {
			t.Fatalf("fetch at %d: %d bytes of batches of %d, at most %d asked", offset, len(got), size, bytesMax)
		}
		offset = matchBatches(t, written, got, offset)
	}
	if _, err := conn.Write(appendFetch(nil, 9, "topic", 7, end, bytesMax)); err != nil {
		t.Fatal(err)
	}
	if a, err := readFetchAnswer(conn); err != nil || a.code != 0 || len(a.records) != 0 {
		t.Fatalf("fetch at the end: %+v, %v", a, err)
	}
}

func matchBatches(t *testing.T, written map[int64][]byte, got []byte, offset int64) int64 {
	t.Helper()
	for len(got) > 0 {
		b, rest, err := wire.NextBatch(got)
		if err != nil || !b.Intact() || b.BaseOffset() != offset || !bytes.Equal(b, written[offset]) {
			t.Fatalf("the batch at %d is not the one written (%v)", offset, err)
		}
		offset, got = b.NextOffset(), rest
	}
	return offset
}

func TestBadCRC(t *testing.T) {
	t.Parallel()
	for _, valueBytes := range []int{100, 20_000, 700_000} {
		s := startServer(t, ServerOptions{CheckCRC: true, Append: true})
		conn := dial(t, s)
		good := makeBatch(t, 1, valueBytes, 1)
		for _, damaged := range []int{17, 21, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[damaged] ^= 1
			if a := produceOne(t, conn, bad); a.code != 2 || a.offset != -1 {
				t.Errorf("byte %d of %d damaged: %+v, want error 2", damaged, len(good), a)
			}
		}
		// What the CRC does not cover may differ, and a refused batch leaves no hole.
		unlike := bytes.Clone(good)
		wire.Batch(unlike).SetLeaderEpoch(3)
		for i := range int64(2) {
			if a := produceOne(t, conn, unlike); a.code != 0 || a.offset != i {
				t.Errorf("good batch %d: %+v", i, a)
			}
		}
	}
}

func produceOne(t *testing.T, conn net.Conn, batch []byte) answer {
	t.Helper()
	if _, err := conn.Write(appendProduce(nil, 5, "topic", 0, 1, batch)); err != nil {
		t.Fatal(err)
	}
	a, err := readProduceAnswer(conn)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Without CRC and append the server acknowledges anything that is framed as a batch.
func TestPingPong(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{})
	conn := dial(t, s)
	bad := makeBatch(t, 3, 100, 1)
	bad[17]++
	for i := range int64(3) {
		if a := produceOne(t, conn, bad); a.code != 0 || a.offset != 3*i {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
	// Of two batches, the first without an ack, only the second is answered.
	frames := appendProduce(nil, 1, "topic", 0, 0, bad)
	frames = appendProduce(frames, 2, "topic", 0, 1, bad)
	if _, err := conn.Write(frames); err != nil {
		t.Fatal(err)
	}
	if a, err := readProduceAnswer(conn); err != nil || a.correlation != 2 {
		t.Errorf("answer %+v, %v; want that of request 2", a, err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{CheckCRC: true, Append: true})
	conn := dial(t, s)
	fetch := func(topic string, offset int64) int16 {
		if _, err := conn.Write(appendFetch(nil, 1, topic, 0, offset, 1000)); err != nil {
			t.Fatal(err)
		}
		a, err := readFetchAnswer(conn)
		if err != nil || len(a.records) > 0 {
			t.Fatalf("%d bytes, %v", len(a.records), err)
		}
		return a.code
	}
	if code := fetch("absent", 0); code != 3 {
		t.Errorf("absent topic: %d, want 3", code)
	}
	if a := produceOne(t, conn, makeBatch(t, 1, 100, 0)); a.code != 0 {
		t.Errorf("first batch: %+v", a)
	}
	if a := produceOne(t, conn, makeBatch(t, 1, 101, 0)); a.code != 87 {
		t.Errorf("batch of another size: %+v, want 87", a)
	}
	if a := produceOne(t, conn, makeBatch(t, 1, 100, 0)); a.code != 0 || a.offset != 1 {
		t.Errorf("second batch: %+v", a)
	}
	empty := makeBatch(t, 1, 100, 0)
	be.PutUint32(empty[57:], 0)
	wire.Batch(empty).Reseal()
	if a := produceOne(t, conn, empty); a.code != 87 {
		t.Errorf("batch of no records: %+v, want 87", a)
	}
	for offset, want := range map[int64]int16{-1: 1, 2: 0, 3: 1, 1 << 60: 1} {
		if code := fetch("topic", offset); code != want {
			t.Errorf("fetch at %d of 2: %d, want %d", offset, code, want)
		}
	}
	for _, name := range []string{"../up", "..", "a/b", "nul\x00"} {
		frame := appendProduce(nil, 1, name, 0, 1, makeBatch(t, 1, 10, 0))
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		if a, err := readProduceAnswer(conn); err != nil || a.code != 3 {
			t.Errorf("topic %q: %+v, %v; want 3", name, a, err)
		}
	}
}

// A file is written from its start again after RetainBytes; offsets go on.
func TestRetain(t *testing.T) {
	t.Parallel()
	batch := makeBatch(t, 2, 1000, 9)
	s := startServer(t, ServerOptions{CheckCRC: true, Append: true, RetainBytes: int64(10*len(batch) + 1)})
	conn := dial(t, s)
	if _, err := producePipelined(conn, "topic", 0, batch, 25); err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[int64]int{0: 0, 29: 0, 30: 5, 39: 1, 40: 10 - 0, 48: 1, 50: 0} {
		if _, err := conn.Write(appendFetch(nil, 1, "topic", 0, offset, 100*len(batch))); err != nil {
			t.Fatal(err)
		}
		a, err := readFetchAnswer(conn)
		if err != nil || a.start != 30 || a.offset != 50 {
			t.Fatalf("fetch at %d: %d to %d, %v", offset, a.start, a.offset, err)
		}
		// An answer ends where the file does: at offset 40 the third lap began.
		if offset == 40 {
			want = 5
		}
		if len(a.records) != want*len(batch) || (offset < 30) != (a.code == 1) {
			t.Errorf("fetch at %d: %d bytes, code %d; want %d batches", offset, len(a.records), a.code, want)
		}
		if want > 0 {
			wire.Batch(batch).SetBaseOffset(offset / 2 * 2)
			if !bytes.Equal(a.records[:len(batch)], batch) {
				t.Errorf("fetch at %d: another batch, %d", offset, wire.Batch(a.records).BaseOffset())
			}
		}
	}
}

// Whatever is not one of the two requests closes its connection, and no other.
func TestGarbageCloses(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{CheckCRC: true, Append: true})
	batch := makeBatch(t, 1, 100, 0)
	produce := appendProduce(nil, 1, "topic", 0, 1, batch)
	change := func(position int, value byte) []byte {
		frame := bytes.Clone(produce)
		frame[position] = value
		return frame
	}
	recordsLength := len(produce) - len(batch) - 4
	for name, frame := range map[string][]byte{
		"text":             []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"negative size":    bytes.Repeat([]byte{255}, 64),
		"huge size":        change(0, 0x40),
		"other version":    change(7, 9),
		"other api":        change(5, 18),
		"client id length": change(12, 0x7f),
		"two topics":       change(12+2+10+2+2+4+3, 2),
		"records length":   change(recordsLength+3, produce[recordsLength+3]+1),
		"negative records": change(recordsLength, 0x80),
		"no batch": appendRequest(nil, 0, 8, 1, func(b []byte) []byte {
			return append(b, make([]byte, 40)...)
		}),
		"long fetch": appendFetch(nil, 1, strings.Repeat("x", 5000), 0, 0, 0),
		"short fetch": appendRequest(nil, 1, 11, 1, func(b []byte) []byte {
			return append(b, 1, 2, 3)
		}),
	} {
		conn := dial(t, s)
		if _, err := conn.Write(frame); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// A reset is a close too: the server may leave bytes unread.
		rest, err := io.ReadAll(conn)
		if len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %d bytes, %v; want the connection closed", name, len(rest), err)
		}
	}
	if a := produceOne(t, dial(t, s), batch); a.code != 0 || a.offset != 0 {
		t.Errorf("afterwards: %+v", a)
	}
}

// A frame may come in any pieces.
func TestByteByByte(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{CheckCRC: true, Append: true})
	conn := dial(t, s)
	frames := appendProduce(nil, 1, "topic", 0, 1, makeBatch(t, 1, 10, 0))
	frames = appendFetch(frames, 2, "topic", 0, 0, 0)
	for i := range frames {
		if _, err := conn.Write(frames[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := readProduceAnswer(conn); err != nil || a.code != 0 {
		t.Errorf("produce: %+v, %v", a, err)
	}
	if a, err := readFetchAnswer(conn); err != nil || a.code != 0 || !wire.Batch(a.records).Intact() {
		t.Errorf("fetch: %+v, %v", a, err)
	}
}

// A producer that dies in the middle of a batch gives its slot back.
func TestDeathInABatch(t *testing.T) {
	t.Parallel()
	s := startServer(t, ServerOptions{CheckCRC: true, Append: true})
	batch := makeBatch(t, 1, 10_000, 0)
	dying, conn := dial(t, s), dial(t, s)
	frame := appendProduce(nil, 1, "topic", 0, 1, batch)
	// The first batch's answer shows that the half one behind it has been received with it.
	if _, err := dying.Write(append(bytes.Clone(frame), frame[:5000]...)); err != nil {
		t.Fatal(err)
	}
	if _, err := readProduceAnswer(dying); err != nil {
		t.Fatal(err)
	}
	dying.Close()
	if _, err := producePipelined(conn, "topic", 0, batch, 2); err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	for end < 3 { // until the server has seen the close; the deadline of conn bounds it
		if _, err := conn.Write(appendFetch(nil, 1, "topic", 0, 0, 0)); err != nil {
			t.Fatal(err)
		}
		a, err := readFetchAnswer(conn)
		if err != nil {
			t.Fatal(err)
		}
		end = a.offset
	}
}

// firstCore returns a core that this process may run on.
func firstCore(t *testing.T) int {
	t.Helper()
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		t.Fatal(err)
	}
	core := 0
	for !mine.IsSet(core) {
		core++
	}
	return core
}

func TestServerLife(t *testing.T) {
	t.Parallel()
	p := needPrograms(t)
	if _, err := StartServer(t.Context(), p, ServerOptions{Append: true}); err == nil {
		t.Error("Append without a Dir was accepted")
	}
	if _, err := StartServer(t.Context(), p, ServerOptions{Threads: 1000}); err == nil ||
		!strings.Contains(err.Error(), "-threads") {
		t.Errorf("1000 threads: %v", err)
	}
	_, err := StartServer(t.Context(), Programs{Server: "/nonexistent"}, ServerOptions{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}

	core := firstCore(t)
	s := startServer(t, ServerOptions{Threads: 2, CPU: &core})
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid))
	if err != nil || !slices.Contains(strings.Split(string(status), "\n"), fmt.Sprint("Cpus_allowed_list:\t", core)) {
		t.Errorf("not on core %d alone: %v\n%s", core, err, status)
	}
	usage, err := s.Stop()
	if err != nil || usage.CPUSeconds <= 0 {
		t.Errorf("stop: %+v, %v", usage, err)
	}
	if again, err := s.Stop(); again != usage || err != nil {
		t.Errorf("second stop: %+v, %v", again, err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err = StartServer(ctx, p, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, s)
	cancel()
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := s.Stop(); err == nil {
		t.Error("a cancelled server must say that it was cancelled")
	}

	// When stdin closes, as it does when the starting process dies, the server ends cleanly.
	s = startServer(t, ServerOptions{})
	conn = dial(t, s)
	s.stdin.Close()
	if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("stdin closed: %v", err)
	}
}
