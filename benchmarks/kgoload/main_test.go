package kgoload

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/workload"
)

// patience ends a test that hangs. A loaded machine needs a small part of it.
const patience = 2 * time.Minute

// sluiceBin is the broker that the tests run against.
var sluiceBin string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kgoload-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluiceBin = filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", sluiceBin, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the broker: %v\n%s\n", err, out)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines were left behind:", err)
		return 1
	}
	return code
}

// broker starts a broker that ends with the test.
func broker(t *testing.T) *peers.Instance {
	t.Helper()
	i, err := (&peers.Sluice{Binary: sluiceBin}).Start(deadline(t), peers.StartOptions{
		Dir: t.TempDir(), Overrides: map[string]string{"auto.create.topics.enable": "false"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A test that has killed its broker gets an error here, which is no finding.
		_ = i.Stop(context.Background())
		if t.Failed() {
			if f, err := os.Open(i.Log); err == nil {
				defer f.Close()
				text, _ := io.ReadAll(f)
				t.Logf("the broker's log:\n%s", text)
			}
		}
	})
	return i
}

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// small is a spec that is over soon.
func small(mode workload.Mode, change func(*workload.Spec)) workload.Spec {
	s := workload.Spec{
		Mode: mode, Topic: "load", Client: workload.KGO, Partitions: 4, RecordSize: "200",
		BatchBytes: 16 << 10, Warmup: workload.Duration(100 * time.Millisecond),
		Duration: workload.Duration(500 * time.Millisecond),
		Linger:   workload.Duration(time.Millisecond),
	}
	if change != nil {
		change(&s)
	}
	return s.Normalize()
}

// prepare makes the spec's topics, with n records of 200 bytes in each partition.
func prepare(t testing.TB, i *peers.Instance, s workload.Spec, n int, config ...string) {
	t.Helper()
	ctx := deadline(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(i.Addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	settings := map[string]*string{}
	for j := 0; j < len(config); j += 2 {
		settings[config[j]] = &config[j+1]
	}
	made, err := kadm.NewClient(client).CreateTopics(ctx, int32(s.Partitions), 1, settings, s.TopicNames()...)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range s.TopicNames() {
		for p := range s.Partitions {
			for range n {
				client.Produce(ctx, &kgo.Record{Topic: topic, Partition: int32(p), Value: make([]byte, 200)},
					func(_ *kgo.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
			}
		}
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// carry runs a spec on a broker and fails the test on an error or a spec that is impossible.
func carry(t *testing.T, i *peers.Instance, s workload.Spec, hooks drive.Hooks) drive.Outcome {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	o, err := Run(deadline(t), drive.Target{Addrs: []string{i.Addr}}, s, hooks)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
