package limits

import (
	"fmt"
	"math"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// blockingDial returns a blocking socket, so that the client is one system call per step and the
// Go poller has no part in what is measured.
func blockingDial(b *testing.B, s *Server) int {
	b.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	number, err := strconv.Atoi(port)
	if err != nil {
		b.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		b.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		b.Fatal(err)
	}
	return fd
}

// drive keeps depth requests in flight on each socket until n were answered on all together, every
// answer having answerBytes, which are discarded in the kernel (MSG_TRUNC, tcp(7)).
func drive(b *testing.B, fds []int, request []byte, answerBytes, depth, n int) {
	b.Helper()
	var all sync.WaitGroup
	for i, fd := range fds {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			mine := n/len(fds) + min(1, n%len(fds)/(i+1))
			buf := make([]byte, 1<<20)
			sent, received := 0, 0
			for received < mine*answerBytes {
				for ; sent < mine && sent*answerBytes < received+depth*answerBytes; sent++ {
					for rest := request; len(rest) > 0; {
						k, err := unix.Write(fd, rest)
						if err != nil {
							b.Error(err)
							return
						}
						rest = rest[k:]
					}
				}
				k, _, err := unix.Recvfrom(fd, buf, unix.MSG_TRUNC)
				if k <= 0 {
					b.Error("closed", err)
					return
				}
				received += k
			}
		})
	}
	all.Wait()
}

// BenchmarkFetch shows how near the server comes to the rows of the discarding client.
func BenchmarkFetch(b *testing.B) {
	for _, connections := range []int{1, 8} {
		for _, size := range []int{64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%dc/%s", connections, sizeName(size)), func(b *testing.B) {
				s := startServer(b, ServerOptions{Append: true})
				batch := makeBatch(b, 1, size-80, 1)
				conn := dial(b, s)
				if _, err := producePipelined(conn, "topic", 0, batch, 512<<20/size); err != nil {
					b.Fatal(err)
				}
				request := appendFetch(nil, 1, "topic", 0, 3, len(batch))
				answerBytes := 4 + 4 + 4 + 2 + 4 + 4 + 2 + len("topic") + 4 + 4 + 2 + 8 + 8 + 8 + 4 + 4 + 4 + len(batch)
				var fds []int
				for range connections {
					fds = append(fds, blockingDial(b, s))
				}
				b.SetBytes(int64(size))
				b.ResetTimer()
				drive(b, fds, request, answerBytes, 4, b.N)
				b.StopTimer()
				reportCPU(b, s, size)
			})
		}
	}
}

// BenchmarkProduce is the same for receive, CRC and pwrite.
func BenchmarkProduce(b *testing.B) {
	for _, connections := range []int{1, 8, 64} {
		for _, size := range []int{100, 4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%dc/%s", connections, sizeName(size)), func(b *testing.B) {
				s := startServer(b, ServerOptions{CheckCRC: true, Append: true})
				batch := makeBatch(b, 1, max(10, size-80), 1)
				request := appendProduce(nil, 1, "topic", 0, 1, batch)
				var fds []int
				for range connections {
					fds = append(fds, blockingDial(b, s))
				}
				depth := 5
				if size == 100 {
					depth = 1
				}
				b.SetBytes(int64(size))
				b.ResetTimer()
				drive(b, fds, request, 4+4+4+2+len("topic")+4+4+2+8+8+8+4+2+4, depth, b.N)
				b.StopTimer()
				reportCPU(b, s, size)
			})
		}
	}
}

func reportCPU(b *testing.B, s *Server, size int) {
	usage, err := s.Stop()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(usage.CPUSeconds*1e9/float64(b.N)/float64(size), "cpu-ns/B")
	b.ReportMetric(usage.CPUSeconds*1e6/float64(b.N), "cpu-us/req")
}

// BenchmarkPingPong is one request in flight on one connection: its latencies are the floor for any
// broker that appends.
func BenchmarkPingPong(b *testing.B) {
	for name, options := range map[string]ServerOptions{"bare": {}, "append": {CheckCRC: true, Append: true}} {
		b.Run(name, func(b *testing.B) {
			s := startServer(b, options)
			fd := blockingDial(b, s)
			request := appendProduce(nil, 1, "topic", 0, 1, makeBatch(b, 1, 100, 1))
			buf := make([]byte, 4096)
			us := make([]float64, 0, b.N)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ResetTimer()
			for range b.N {
				start := time.Now()
				if _, err := unix.Write(fd, request); err != nil {
					b.Fatal(err)
				}
				if n, err := unix.Read(fd, buf); n <= 0 {
					b.Fatal(n, err)
				}
				us = append(us, float64(time.Since(start))/1e3)
			}
			b.StopTimer()
			slices.Sort(us)
			at := func(p float64) float64 { return us[int(math.Ceil(p*float64(len(us))))-1] }
			b.ReportMetric(at(0.5), "p50-us")
			b.ReportMetric(at(0.99), "p99-us")
			reportCPU(b, s, 100)
		})
	}
}
