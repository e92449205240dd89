package load

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// startLog catches the line in which the broker says where it listens.
type startLog struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
	addr chan string
	once sync.Once
}

var listening = regexp.MustCompile(`sluice is ready.* listen=\w+://([^ ,]+)`)

func (l *startLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if m := listening.FindSubmatch(l.text.Bytes()); m != nil && bytes.HasSuffix(p, []byte("\n")) {
		l.once.Do(func() { l.addr <- string(m[1]) })
	}
	return len(p), nil
}

// startBroker builds the broker, starts it and creates topics of four partitions.
func startBroker(t *testing.T, topics ...string) string {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", bin, "sluice/cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("building the broker: %v\n%s", err, out)
	}
	log := &startLog{addr: make(chan string, 1)}
	cmd := exec.Command(bin, "server", "--override", "listeners=PLAINTEXT://127.0.0.1:0",
		"--override", "log.dirs="+filepath.Join(dir, "data"), "--override", "admin.listener=")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
	})
	var addr string
	select {
	case addr = <-log.addr:
	case <-exited:
		t.Fatalf("the broker ended at its start:\n%s", log.text.String())
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 4, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
	return addr
}

// The built broker takes what the client writes, and gives it back.
func TestAgainstTheBroker(t *testing.T) {
	t.Parallel()
	modes := []workload.Mode{workload.Produce, workload.E2E, workload.Consume, workload.Backlog}
	var topics []string
	for _, mode := range modes {
		topics = append(topics, string(mode), string(mode)+"-open")
	}
	addr := startBroker(t, topics...)
	for _, topic := range topics {
		t.Run(topic, func(t *testing.T) {
			mode, open := modeOf(topic)
			s := workload.Spec{
				Mode: mode, Topic: topic, Partitions: 4, BatchBytes: 16384, Connections: 2, InFlight: 4,
				Duration: workload.Duration(400 * time.Millisecond),
				Warmup:   workload.Duration(50 * time.Millisecond),
			}
			if mode == workload.Consume || mode == workload.Backlog {
				s.Preload = 4 << 20
			}
			if mode == workload.Produce {
				s.Idempotence = true
			}
			if open && mode != workload.Consume {
				s.Rate, s.Compression, s.Keys = 2000, "lz4", 100
			} else if open {
				s.Client = workload.Discarding
			}
			s = s.Normalize()
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			out, err := Run(context.Background(), drive.Target{Addrs: []string{addr}}, s, drive.Hooks{})
			// The only thing there may be to say is that this user may not have real-time priority.
			notes := slices.DeleteFunc(out.Notes, func(n string) bool {
				return strings.HasPrefix(n, noPriority)
			})
			if err != nil || len(out.Errors) > 0 || len(notes) > 0 {
				t.Fatalf("error %v, errors %v, notes %v", err, out.Errors, out.Notes)
			}
			if s.Produces() && out.Produced.Records == 0 || s.Consumes() && out.Consumed.Records == 0 {
				t.Errorf("produced %+v, consumed %+v", out.Produced, out.Consumed)
			}
			if s.Rate > 0 {
				if n := out.Stages[result.StageAck].Count(); n < 799 || n > 801 {
					t.Errorf("%d latencies, want 800", n)
				}
			}
		})
	}
}

func modeOf(topic string) (workload.Mode, bool) {
	name, open := topic, false
	if n := len(topic) - len("-open"); n > 0 && topic[n:] == "-open" {
		name, open = topic[:n], true
	}
	return workload.Mode(name), open
}
