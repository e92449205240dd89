package limits

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"sluice/wire"
)

// programs builds the C programs once per test binary, in a folder that TestMain removes.
var programs = sync.OnceValues(func() (Programs, error) { return Build(programsDir) })

var programsDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "limits-")
	if err != nil {
		panic(err)
	}
	programsDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func needPrograms(t testing.TB) Programs {
	t.Helper()
	p, err := programs()
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startServer(t testing.TB, options ServerOptions) *Server {
	t.Helper()
	p := needPrograms(t)
	options.Dir = t.TempDir()
	s, err := StartServer(context.Background(), p, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial connects with a deadline so that a server that does not answer fails the test.
func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// makeBatch returns a valid batch of so many records, whose values hold seed.
func makeBatch(t testing.TB, records, valueBytes int, seed byte) []byte {
	t.Helper()
	b := wire.NewBatchBuilder()
	value := make([]byte, valueBytes)
	for i := range value {
		value[i] = seed + byte(i)
	}
	for range records {
		b.Append(1_700_000_000_000, nil, value)
	}
	batch, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

var be = binary.BigEndian

func appendString(dst []byte, s string) []byte {
	return append(be.AppendUint16(dst, uint16(len(s))), s...)
}

// appendRequest frames a request; body appends what follows the header.
func appendRequest(dst []byte, key, version int16, correlation int32, body func([]byte) []byte) []byte {
	start := len(dst)
	dst = be.AppendUint32(dst, 0)
	dst = be.AppendUint16(dst, uint16(key))
	dst = be.AppendUint16(dst, uint16(version))
	dst = be.AppendUint32(dst, uint32(correlation))
	dst = body(appendString(dst, "limit-test"))
	be.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendProduce(dst []byte, correlation int32, topic string, partition int32,
	acks int16, batch []byte,
) []byte {
	return appendRequest(dst, wire.KeyProduce, 8, correlation, func(b []byte) []byte {
		b = be.AppendUint16(b, 0xffff) // no transactional id
		b = be.AppendUint16(b, uint16(acks))
		b = be.AppendUint32(b, 30_000)
		b = appendString(be.AppendUint32(b, 1), topic)
		b = be.AppendUint32(be.AppendUint32(b, 1), uint32(partition))
		return append(be.AppendUint32(b, uint32(len(batch))), batch...)
	})
}

func appendFetch(dst []byte, correlation int32, topic string, partition int32,
	offset int64, bytesMax int,
) []byte {
	return appendRequest(dst, wire.KeyFetch, 11, correlation, func(b []byte) []byte {
		b = be.AppendUint32(b, 0xffffffff) // a consumer
		b = be.AppendUint32(b, 500)
		b = be.AppendUint32(b, 1)
		b = be.AppendUint32(b, 64<<20)
		b = append(b, 0)
		b = be.AppendUint32(b, 0)
		b = be.AppendUint32(b, 0xffffffff)
		b = appendString(be.AppendUint32(b, 1), topic)
		b = be.AppendUint32(be.AppendUint32(b, 1), uint32(partition))
		b = be.AppendUint32(b, 0xffffffff)
		b = be.AppendUint64(b, uint64(offset))
		b = be.AppendUint64(b, 0)
		b = be.AppendUint32(b, uint32(bytesMax))
		return appendString(be.AppendUint32(b, 0), "")
	})
}

// answer is either response; what a Produce lacks stays zero.
type answer struct {
	correlation int32
	topic       string
	partition   int32
	code        int16
	offset      int64 // base offset, or the high watermark
	start       int64 // log start offset
	records     []byte
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, be.Uint32(size[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

// reader takes fields off a frame, and remembers having run short.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, n = true, 0
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) int(bytes int) int64 {
	var v int64
	for i, b := range r.bytes(bytes) {
		if i == 0 {
			v = int64(int8(b))
			continue
		}
		v = v<<8 | int64(b)
	}
	return v
}

func (r *reader) want(what string, bytes int, value int64) error {
	if got := r.int(bytes); got != value || r.bad {
		return fmt.Errorf("%s is %d, want %d", what, got, value)
	}
	return nil
}

func readProduceAnswer(conn io.Reader) (answer, error) {
	frame, err := readFrame(conn)
	if err != nil {
		return answer{}, err
	}
	r := &reader{b: frame}
	a := answer{correlation: int32(r.int(4))}
	err = r.want("topics", 4, 1)
	a.topic = string(r.bytes(int(r.int(2))))
	err = errors.Join(err, r.want("partitions", 4, 1))
	a.partition = int32(r.int(4))
	a.code = int16(r.int(2))
	a.offset = r.int(8)
	err = errors.Join(err, r.want("log append time", 8, -1))
	a.start = r.int(8)
	err = errors.Join(err, r.want("record errors", 4, 0), r.want("message", 2, -1), r.want("throttle", 4, 0))
	return a, errors.Join(err, r.end())
}

func readFetchAnswer(conn io.Reader) (answer, error) {
	frame, err := readFrame(conn)
	if err != nil {
		return answer{}, err
	}
	r := &reader{b: frame}
	a := answer{correlation: int32(r.int(4))}
	err = errors.Join(r.want("throttle", 4, 0), r.want("error", 2, 0), r.want("session", 4, 0),
		r.want("topics", 4, 1))
	a.topic = string(r.bytes(int(r.int(2))))
	err = errors.Join(err, r.want("partitions", 4, 1))
	a.partition = int32(r.int(4))
	a.code = int16(r.int(2))
	a.offset = r.int(8)
	err = errors.Join(err, r.want("last stable offset", 8, a.offset))
	a.start = r.int(8)
	err = errors.Join(err, r.want("aborted", 4, -1), r.want("preferred replica", 4, -1))
	a.records = r.bytes(int(r.int(4)))
	return a, errors.Join(err, r.end())
}

func (r *reader) end() error {
	if r.bad || len(r.b) > 0 {
		return fmt.Errorf("frame ran short (%t) or has %d bytes too many", r.bad, len(r.b))
	}
	return nil
}
