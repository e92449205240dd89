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
		fetchers.Go(func() {
			for !stop.Load() {
				_, _ = nc.Write(request)
				discard(b, nc, 4+4+1<<20+3)
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
	for i := range clients {
		clients[i] = dial(b, addr)
		_, _ = clients[i].Write(request)
		discard(b, clients[i], answerBytes)
	}
	poisoned := poisoning.Swap(false)
	defer poisoning.Store(poisoned)
	b.SetBytes(int64(answerBytes))
	b.ReportAllocs()
	b.ResetTimer()
	var done sync.WaitGroup
	for _, nc := range clients {
		done.Go(func() {
			for left.Add(-1) >= 0 {
				_, _ = nc.Write(request)
				discard(b, nc, answerBytes)
			}
		})
	}
	done.Wait()
	b.StopTimer()
}

// discard receives n bytes without looking at them.
func discard(t testing.TB, nc *net.TCPConn, n int) {
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	discardRaw(t, raw, n)
}

func discardRaw(t testing.TB, raw syscall.RawConn, n int) {
	err := raw.Read(func(fd uintptr) bool {
		for n > 0 {
			got, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, fd, 0, uintptr(n),
				unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
			if err == unix.EAGAIN {
				return false
			}
			if err != 0 || got == 0 {
				n = -1
				return true
			}
			n -= int(got)
		}
		return true
	})
	if err != nil || n < 0 {
		t.Error("connection lost")
		runtime.Goexit()
	}
}
