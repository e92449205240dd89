package kgoload

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// server accepts connections and treats each as told, until the test ends.
func server(t *testing.T, treat func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				treat(c)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// TestNoBroker: what can be known before a run begins ends it before it begins.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	for _, c := range []struct{ name, addr, want string }{
		{"nobody listens", free, drive.ErrorConnectRefused},
		{"closes at once", server(t, func(net.Conn) {}), drive.ErrorConnectionLost},
		{"never answers", server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), drive.ErrorUnanswered},
		{"not Kafka", server(t, func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_, _ = io.Copy(io.Discard, c)
		}), drive.ErrorBadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := false
			o, err := Run(deadline(t), drive.Target{Addrs: []string{c.addr}}, small(workload.Produce, nil),
				drive.Hooks{Begin: func() { began = true }})
			if err == nil || began {
				t.Fatalf("error %v, begun %v", err, began)
			}
			if o.Errors[c.want] == 0 {
				t.Errorf("errors %v, want %s: %v", o.Errors, c.want, err)
			}
		})
	}
}

// TestBrokerGoes: a broker that dies or stands still ends the run with what was seen until then.
func TestBrokerGoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		signal  syscall.Signal
		mode    workload.Mode
		rate    float64
		refused bool
	}{
		{"dies/produce", syscall.SIGKILL, workload.Produce, 0, true},
		{"dies/e2e", syscall.SIGKILL, workload.E2E, 1000, true},
		{"dies/consume", syscall.SIGKILL, workload.Consume, 0, true},
		{"hangs/produce", syscall.SIGSTOP, workload.Produce, 1000, false},
		{"hangs/consume", syscall.SIGSTOP, workload.Consume, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := broker(t)
			s := small(c.mode, func(s *workload.Spec) {
				s.Rate, s.Duration = c.rate, workload.Duration(time.Hour)
			})
			prepare(t, b, s, 100)
			t.Cleanup(func() { _ = syscall.Kill(b.Pid, syscall.SIGCONT) })
			var once sync.Once
			ended := false
			o, err := Run(deadline(t), drive.Target{Addrs: []string{b.Addr}}, s, drive.Hooks{
				Live: func(k drive.Tick) {
					if !k.Warmup && k.Point.ProducedRecords+k.Point.ConsumedRecords > 0 {
						once.Do(func() { _ = syscall.Kill(b.Pid, c.signal) })
					}
				},
				End: func() { ended = true },
			})
			if err == nil || !ended {
				t.Fatalf("error %v, end of measured time told: %v", err, ended)
			}
			if c.refused && o.Errors[drive.ErrorConnectRefused] == 0 {
				t.Errorf("errors %v", o.Errors)
			}
			unanswered := o.Errors[drive.ErrorUnanswered]
			if c.mode == workload.Produce && c.signal == syscall.SIGSTOP && unanswered == 0 {
				t.Errorf("errors %v", o.Errors)
			}
			if o.Produced.Records+o.Consumed.Records == 0 || o.Seconds < drive.FailAfter.Seconds() {
				t.Errorf("%v s, produced %+v, consumed %+v", o.Seconds, o.Produced, o.Consumed)
			}
		})
	}
}

// TestRefusals: answers with errors are counted by their name, and no percentile is of failures.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := broker(t)
	s := small(workload.Produce, func(s *workload.Spec) {
		s.Rate, s.Duration = 500, workload.Duration(time.Hour)
	})
	prepare(t, b, s, 0, "max.message.bytes", "100")
	o, err := Run(deadline(t), drive.Target{Addrs: []string{b.Addr}}, s, drive.Hooks{})
	if err == nil || o.Errors["MESSAGE_TOO_LARGE"] == 0 {
		t.Errorf("error %v, errors %v", err, o.Errors)
	}
	if h := o.Stages[result.StageAck]; h != nil || o.Produced.Records > 0 {
		t.Errorf("%d latencies, %+v", h.Count(), o.Produced)
	}
}

// TestNoTopic: topics must exist, with all partitions that are asked for.
func TestNoTopic(t *testing.T) {
	t.Parallel()
	b := broker(t)
	target := drive.Target{Addrs: []string{b.Addr}}
	s := small(workload.Produce, nil)
	o, err := Run(deadline(t), target, s, drive.Hooks{})
	if !errors.Is(err, kerr.UnknownTopicOrPartition) || o.Errors["UNKNOWN_TOPIC_OR_PARTITION"] == 0 {
		t.Errorf("no topic: %v, %v", err, o.Errors)
	}
	prepare(t, b, s, 0)
	s.Partitions++
	if _, err = Run(deadline(t), target, s, drive.Hooks{}); err == nil {
		t.Error("a partition that is not there was not missed")
	}
	s = small(workload.Consume, nil)
	s.Preload = 0
	if _, err = Run(deadline(t), target, s, drive.Hooks{}); err == nil {
		t.Error("an empty log was consumed")
	}
}

func TestErrorNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{kerr.NotLeaderForPartition, "NOT_LEADER_FOR_PARTITION"},
		{errors.Join(errors.New("x"), kerr.MessageTooLarge), "MESSAGE_TOO_LARGE"},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, drive.ErrorConnectRefused},
		{io.ErrUnexpectedEOF, drive.ErrorConnectionLost},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, drive.ErrorConnectionLost},
		{kgo.ErrRecordRetries, drive.ErrorConnectionLost},
		{context.DeadlineExceeded, drive.ErrorUnanswered},
		{errors.New("encoded crc 1 does not match calculated crc 2"), drive.ErrorBadCRC},
		{errors.New("something else"), drive.ErrorBadAnswer},
	} {
		if got := errorName(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
	}
}
