package netpoll

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkEcho is a ping-pong of 100 bytes on 1 and on 64 connections, each with one request out.
func BenchmarkEcho(b *testing.B) {
	for _, conns := range []int{1, 64} {
		b.Run(fmt.Sprintf("connections=%d", conns), func(b *testing.B) {
			_, addr := startServer(b, Config{Reactors: 1}, &handler{frame: echo})
			benchmarkClients(b, addr, conns, framed(make([]byte, 100)), 104)
		})
	}
}

// BenchmarkRegion answers requests with one region of the page cache. The client lets the kernel
// drop the bytes (MSG_TRUNC), so that the figure is the server's and not the client's copying.
func BenchmarkRegion(b *testing.B) {
	f := newFile(b, make([]byte, 16<<20))
	for _, conns := range []int{1, 8} {
		for _, size := range []int{16 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("connections=%d/bytes=%d", conns, size), func(b *testing.B) {
				_, addr := startServer(b, Config{Reactors: 1}, &handler{frame: regions(f)})
				request := binary.BigEndian.AppendUint64(nil, 0)
				request = binary.BigEndian.AppendUint64(request, uint64(size))
				benchmarkClients(b, addr, conns, framed(request), 4+4+size+3)
			})
		}
	}
}

// BenchmarkPingBesideFetchers is a ping-pong beside two connections that fetch a mebibyte at a time
// as fast as they can: what it takes longer than BenchmarkEcho is what bulk costs the others.
func BenchmarkPingBesideFetchers(b *testing.B) {
	f := newFile(b, make([]byte, 16<<20))
	answer := regions(f)
	_, addr := startServer(b, Config{Reactors: 1}, &handler{frame: answer})
	request := binary.BigEndian.AppendUint64(nil, 0)
	request = framed(binary.BigEndian.AppendUint64(request, 1<<20))
	var stop atomic.Bool
	var fetched atomic.Int64
	var fetchers sync.WaitGroup
	for range 2 {
		nc := dial(b, addr)
		s := newSink(b, nc)
		fetchers.Go(func() {
			for !stop.Load() {
				_, _ = nc.Write(request)
				s.discard(4 + 4 + 1<<20 + 3)
				fetched.Add(1 << 20)
			}
		})
	}
	nc := dial(b, addr)
	var slowest time.Duration
	b.ResetTimer()
	fetched.Store(0)
	for b.Loop() {
		start := time.Now()
		call(b, nc, nil)
		slowest = max(slowest, time.Since(start))
	}
	b.ReportMetric(float64(fetched.Load())/b.Elapsed().Seconds()/1e9, "fetched-GB/s")
	b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
	stop.Store(true)
	fetchers.Wait()
}

// BenchmarkReceive takes frames that are answered with four bytes, as Produce is.
func BenchmarkReceive(b *testing.B) {
	short := func(c *Conn, _ []byte) {
		c.Chain().Buf = append(c.Chain().Buf, "done"...)
		c.Respond()
	}
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			_, addr := startServer(b, Config{Reactors: 1}, &handler{frame: short})
			benchmarkClients(b, addr, 1, framed(make([]byte, size)), 8)
			b.SetBytes(int64(size))
		})
	}
}

// benchmarkClients has b.N requests answered over conns connections.
func benchmarkClients(b *testing.B, addr string, conns int, request []byte, answerBytes int) {
	var left atomic.Int64
	left.Store(int64(b.N))
	clients := make([]*net.TCPConn, conns)
	sinks := make([]*sink, conns)
	for i := range clients {
		clients[i] = dial(b, addr)
		sinks[i] = newSink(b, clients[i])
		_, _ = clients[i].Write(request)
		sinks[i].discard(answerBytes)
	}
	poisoned := poisoning.Swap(false)
	defer poisoning.Store(poisoned)
	b.SetBytes(int64(answerBytes))
	b.ReportAllocs()
	b.ResetTimer()
	var done sync.WaitGroup
	for i, nc := range clients {
		done.Go(func() {
			for left.Add(-1) >= 0 {
				_, _ = nc.Write(request)
				sinks[i].discard(answerBytes)
			}
		})
	}
	done.Wait()
	b.StopTimer()
}

// sink receives bytes without looking at them and without allocating.
type sink struct {
	t    testing.TB
	raw  syscall.RawConn
	left int
	take func(fd uintptr) bool
}

func newSink(t testing.TB, nc *net.TCPConn) *sink {
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{t: t, raw: raw}
	s.take = s.takeSome
	return s
}

// discard waits for n bytes.
func (s *sink) discard(n int) {
	s.left = n
	if err := s.raw.Read(s.take); err != nil || s.left < 0 {
		s.t.Error("connection lost")
		runtime.Goexit()
	}
}

func (s *sink) takeSome(fd uintptr) bool {
	for s.left > 0 {
		got, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, 0, uintptr(s.left),
			unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
		if err == unix.EAGAIN {
			return false
		}
		if err != 0 || got == 0 {
			s.left = -1
			return true
		}
		s.left -= int(got)
	}
	return true
}
