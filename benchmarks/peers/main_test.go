package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience ends a test that hangs. A loaded machine needs a small part of it.
const patience = 3 * time.Minute

// harnessEnv makes the test binary act as a harness that is killed (TestKilledHarnessLeavesNothing).
const harnessEnv = "SLUICE_PEERS_TEST_HARNESS"

// kafkaEnv allows the tests that install and start Apache Kafka.
const kafkaEnv = "SLUICE_BENCH_KAFKA"

var testDir string

func TestMain(m *testing.M) {
	if os.Getenv(harnessEnv) != "" {
		harness()
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if testDir, err = os.MkdirTemp("", "sluice-peers-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(testDir)
	// Tests build into a cache of their own; only Kafka's downloads are worth keeping.
	if os.Getenv(kafkaEnv) == "" {
		os.Setenv("SLUICE_BENCH_CACHE", filepath.Join(testDir, "cache"))
	}
	return m.Run()
}

// sluiceBinary builds the broker, once.
var sluiceBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(testDir, "sluice")
	out, err := exec.Command("go", "build", "-o", path, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the broker: %w\n%s", err, out)
	}
	return path, nil
})

func newSluice(t *testing.T) *Sluice {
	t.Helper()
	path, err := sluiceBinary()
	if err != nil {
		t.Fatal(err)
	}
	return &Sluice{Binary: path}
}

// installKFake installs kfake, once.
var installKFake = sync.OnceValue(func() error {
	var log bytes.Buffer
	if err := (&KFake{}).Install(context.Background(), &log); err != nil {
		return fmt.Errorf("%w\n%s", err, log.String())
	}
	return nil
})

func newKFake(t *testing.T) *KFake {
	t.Helper()
	err := installKFake()
	if errors.Is(err, ErrRegistry) {
		t.Skipf("kfake's modules are not cached and cannot be downloaded: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &KFake{}
}

// kinds makes each peer that a test can start everywhere.
var kinds = map[string]func(t *testing.T) Peer{
	"sluice": func(t *testing.T) Peer { return newSluice(t) },
	"kfake":  func(t *testing.T) Peer { return newKFake(t) },
}

// eachPeer runs a test with each of the kinds.
func eachPeer(t *testing.T, test func(t *testing.T, p Peer)) {
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

// start starts a peer that is stopped with the test, at the latest.
func start(t *testing.T, p Peer, o StartOptions) *Instance {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	i, err := p.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// What Stop says is for the tests that are about it.
	t.Cleanup(func() { _ = i.Stop(context.Background()) })
	return i
}

// script starts a shell script in place of a broker: it is ready when it has written "ready at X".
func script(t *testing.T, text string) *Instance {
	t.Helper()
	i, err := scriptLaunch(text).start(t.Context(), StartOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.process.destroy() })
	return i
}

func scriptLaunch(text string) *launch {
	return &launch{
		name: "script", command: []string{"sh", "-c", text},
		listening: regexp.MustCompile(`ready at (\S+)`),
		probe:     func(context.Context, string) error { return nil },
	}
}

// watch is a pidfd: it tells the end of exactly this process, whatever becomes of its number.
type watch int

func watchProcess(t *testing.T, pid int) watch {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return watch(fd)
}

// ended waits for the end of the process, at most for limit.
func (w watch) ended(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		fds := []unix.PollFd{{Fd: int32(w), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(0, time.Until(deadline)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n == 1
		}
	}
}

// statusField reads a field of /proc/PID/status (proc_pid_status(5)).
func statusField(t *testing.T, path, name string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("%s has no %s", path, name)
	return ""
}

func statusPath(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/status" }
