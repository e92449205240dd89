package e2etest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// slowBytes is what each slow reader asks for.
const slowBytes = 50 << 20

// fill writes slowBytes to partition 0 in batches of a mebibyte.
func fill(t *testing.T, b *broker, topic string) {
	t.Helper()
	createTopic(t, b, topic, 1, "max.message.bytes", "2097152")
	c := dial(t, b)
	for i := range slowBytes >> 20 {
		value := string(noise(uint64(i), 1<<20))
		must(t, produceError(produceRaw(t, c, topic, goodBatch(t, value))))
	}
}

// TestSlowReaders has clients ask for 50 MiB each and read nothing. Others go on, on every reactor, and
// what waits to be sent costs the broker no memory. When the slow ones read at last, they get
// every byte.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir(), "fetch.max.bytes=67108864")
	fill(t, b, "slow")
	createTopic(t, b, "fast", 1)
	serves(t, b)
	before := b.memoryBytes(t, "VmRSS")
	req := fetchRequest("slow", 0, 0)
	req.MaxBytes = slowBytes + 8<<20
	req.Topics[0].Partitions[0].PartitionMaxBytes = req.MaxBytes
	type reader struct {
		*rawConn
		first byte // of its answer
	}
	var slow []reader
	for range 16 {
		c := dial(t, b)
		must(t, c.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
		must(t, c.send(req))
		// Its answer has begun, and fills the socket's buffers.
		var head [1]byte
		_, err := io.ReadFull(c, head[:])
		must(t, err)
		slow = append(slow, reader{c, head[0]})
	}
	for i := range 16 {
		c := dial(t, b)
		value := fmt.Sprint("fast ", i)
		p := produceRaw(t, c, "fast", goodBatch(t, value))
		want(t, "offset", p.BaseOffset, int64(i))
		got := values(t, fetchRaw(t, c, "fast", int64(i)).RecordBatches)
		want(t, "values", len(got), 1)
	}
	if grown := b.memoryBytes(t, "VmRSS") - before; grown > memoryGrowthMax() {
		t.Errorf("%d slow readers made the broker grow by %d bytes", len(slow), grown)
	}
	for _, c := range slow[2:] {
		c.Close()
	}
	for _, c := range slow[:2] {
		readSlow(t, c.rawConn, c.first, req)
	}
	serves(t, b)
}

// readSlow reads the rest of an answer whose first byte was read.
func readSlow(t *testing.T, c *rawConn, first byte, req *kmsg.FetchRequest) {
	t.Helper()
	rest := &rawConn{Conn: &prefixed{Conn: c.Conn, prefix: []byte{first}}, correlation: c.correlation}
	resp, err := rest.receive(req)
	must(t, err)
	got := values(t, resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches)
	want(t, "records", len(got), slowBytes>>20)
	for i, v := range got {
		if v != string(noise(uint64(i), 1<<20)) {
			t.Fatalf("record %d differs", i)
		}
	}
}

// prefixed puts bytes in front of what a connection reads.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		n := copy(b, p.prefix)
		p.prefix = p.prefix[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// TestStopWithSlowReader: a client that does not read its answer cannot keep a broker from ending
// cleanly.
func TestStopWithSlowReader(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	fill(t, b, "stuck")
	c := dial(t, b)
	must(t, c.Conn.(*net.TCPConn).SetReadBuffer(64<<10))
	must(t, c.send(fetchRequest("stuck", 0, 0)))
	_, err := io.ReadFull(c, make([]byte, 1))
	must(t, err)
	must(t, b.cmd.Process.Signal(syscall.SIGTERM))
	must(t, b.await())
	want(t, "exit code", b.cmd.ProcessState.ExitCode(), 0)
	want(t, "clean marker", exists(b.dir+"/"+cleanMarker), true)
}

// TestConnectionsPerIP: one connection over the bound is closed, and counts again once another ends.
func TestConnectionsPerIP(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir(), "max.connections.per.ip=4")
	var open []*rawConn
	for range 4 {
		c := dial(t, b)
		ask(t, c, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
		open = append(open, c)
	}
	for range 100 {
		c, err := connect(b)
		must(t, err)
		must(t, c.closed())
		c.Close()
	}
	checkThrottled(t, b, 100)
	for _, c := range open {
		ask(t, c, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
	}
	open[0].Close()
	// The broker learns of the end in its own time.
	for end := time.Now().Add(patience); ; {
		c, err := connect(b)
		must(t, err)
		_, err = c.request(apiVersions())
		c.Close()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the end of a connection made no room for another")
		}
	}
}

// TestConnectionsMax: at the bound the broker accepts no more until one ends, as Kafka does.
func TestConnectionsMax(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir(), "max.connections=3")
	var open []*rawConn
	for range 3 {
		c := dial(t, b)
		ask(t, c, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
		open = append(open, c)
	}
	waiting := dial(t, b)
	req := apiVersions()
	must(t, waiting.send(req))
	for _, c := range open {
		ask(t, c, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
	}
	open[0].Close()
	_, err := waiting.receive(req)
	must(t, err)
}

// TestIdleConnections: who says nothing is closed; who waits in a long poll is not idle.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir(), "connections.max.idle.ms=300")
	createTopic(t, b, "idle", 1)
	parked := dial(t, b)
	poll := fetchRequest("idle", 0, 0)
	poll.MaxWaitMillis = forever
	must(t, parked.send(poll))
	silent, once, half := dial(t, b), dial(t, b), dial(t, b)
	ask(t, once, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
	_, err := half.Write([]byte{0, 0})
	must(t, err)
	must(t, silent.closed())
	must(t, once.closed())
	must(t, half.closed())
	must(t, produceError(produceRaw(t, dial(t, b), "idle", goodBatch(t, "at last"))))
	resp, err := parked.receive(poll)
	must(t, err)
	records := resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
	want(t, "the awaited record is there", bytes.Contains(records, []byte("at last")), true)
}
