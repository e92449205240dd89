package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/benchmarks"
	measured "sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// benchArgs are the flags of a short run against a broker.
func benchArgs(address string, more ...string) []string {
	return append([]string{"bench", more[0], "-b", address, "-q"}, more[1:]...)
}

// short makes a run that is over soon.
var short = []string{"--duration", "500ms", "--warmup", "100ms", "--partitions", "2"}

// bench runs the binary and wants an exit code among those given.
func runBench(t *testing.T, codes []int, address string, more ...string) ran {
	t.Helper()
	r := run(t, "", benchArgs(address, more...)...)
	for _, code := range codes {
		if r.code == code {
			return r
		}
	}
	t.Errorf("%q: exit %d, want %v\n%s%s", more, r.code, codes, r.out, r.err)
	return r
}

// done are the exit codes of a run that went well: on a machine that is busy with other things the
// generator may be late for its schedule.
var done = []int{0, exitInvalid}

// TestBenchModes: each mode and client ends with a report that holds its main stage, and leaves no
// topic behind.
func TestBenchModes(t *testing.T) {
	t.Parallel()
	f := func(mode workload.Mode, stage string, more ...string) {
		t.Helper()
		topic := "bench-" + strings.ReplaceAll(strings.Join(append([]string{string(mode)}, more...), ""), "/", "")
		topic = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, topic)
		file := filepath.Join(t.TempDir(), "result.json")
		args := append([]string{string(mode), "--topic", topic, "--json", file}, short...)
		r := runBench(t, done, server(), append(args, more...)...)
		if r.err != "" || !strings.Contains(r.out, "\n  "+stage+" ") || !strings.Contains(r.out, "p99.9") {
			t.Errorf("%s %q:\n%s%s", mode, more, r.out, r.err)
		}
		var res measured.Result
		text, err := os.ReadFile(file)
		if err != nil || json.Unmarshal(text, &res) != nil {
			t.Errorf("%v\n%s", err, text)
			return
		}
		if res.Spec.Mode != mode || res.Stages[stage] == nil || res.Usage == nil || res.Usage.Broker == nil ||
			len(res.Command) == 0 {
			t.Errorf("%s", text)
		}
		if left := sluice(t, "", "topic", "list", topic+".*", "-o", "json"); left != "[]\n" {
			t.Errorf("%s: left behind: %s", mode, left)
		}
	}
	f(workload.Produce, "ack")
	f(workload.Produce, "ack", "--client", "kgo")
	f(workload.Produce, "lag", "--rate", "1000", "--acks", "all", "--idempotence")
	f(workload.Consume, "fetch", "--preload", "4MiB")
	f(workload.Consume, "fetch", "--preload", "4MiB", "--client", "discarding")
	f(workload.E2E, "e2e", "--rate", "1000", "--compression", "lz4")
	f(workload.E2E, "e2e", "--rate", "1000", "--client", "kgo")
	f(workload.Mixed, "fetch")
	f(workload.Backlog, "catchup", "--rate", "1000", "--preload", "4MiB")
	f(workload.Connections, "ping", "--connections", "50")
	f(workload.Topics, "describe", "--topics", "5")
}

// TestBenchTopics: a topic that exists is not written to unasked, and one that the run did not make
// is not deleted.
func TestBenchTopics(t *testing.T) {
	t.Parallel()
	create(t, "bench-mine", "-p", "2")
	args := append([]string{"produce", "--topic", "bench-mine"}, short...)
	r := runBench(t, []int{1}, server(), args...)
	if !strings.Contains(r.err, "topic bench-mine exists; --use-existing measures on it") {
		t.Error(r.err)
	}
	r = runBench(t, []int{1}, server(), append(args, "--use-existing", "--partitions", "3")...)
	if !strings.Contains(r.err, "topic bench-mine has 2 partitions, not 3") {
		t.Error(r.err)
	}
	runBench(t, done, server(), append(args, "--use-existing")...)
	args[2] = "bench-kept"
	runBench(t, done, server(), append(args, "--keep", "--topic-config", "retention.ms=999999")...)
	if got := sluice(t, "", "topic", "describe", "bench-kept"); !strings.Contains(got, "retention.ms=999999") {
		t.Error(got)
	}
	if got := sluice(t, "", "topic", "list", "bench-(mine|kept)", "-o", "json"); strings.Count(got, `"name"`) != 2 {
		t.Error(got)
	}
	r = runBench(t, []int{1}, server(), append(args, "--topic", "bench-odd", "--topic-config", "retention.ms=soon")...)
	if !strings.Contains(r.err, "creating topic bench-odd: ") {
		t.Error(r.err)
	}
}

// TestBenchOutput: JSON on request, and a file of percentiles for each stage.
func TestBenchOutput(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	args := append([]string{
		"run", "1-topic-1-partition-100b", "--topic", "bench-out", "--hgrm", dir, "-o", "json",
		"--target-name", "me", "--variant", "v", "--name", "a/b",
	}, short...)
	r := runBench(t, done, server(), args...)
	var res measured.Result
	if err := json.Unmarshal([]byte(r.out), &res); err != nil {
		t.Fatal(err)
	}
	if res.Target.Name != "me" || res.Target.Variant != "v" || res.Spec.RecordSize != "100" || res.Spec.Partitions != 2 {
		t.Errorf("%+v %+v", res.Target, res.Spec)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a_b-ack.hgrm"))
	if err != nil || !strings.Contains(string(text), "1/(1-Percentile)") {
		t.Errorf("%v %s", err, text)
	}
}

// TestBenchRefuses: impossible options stop with the option, the value and what it must be, before
// a broker is asked.
func TestBenchRefuses(t *testing.T) {
	t.Parallel()
	f := func(want string, args ...string) {
		t.Helper()
		r := run(t, "", append([]string{"bench"}, args...)...)
		if r.code != exitUsage || r.out != "" || !strings.HasPrefix(r.err, "sluice: "+want) {
			t.Errorf("%q: %+v", args, r)
		}
	}
	f("--in-flight 9000: must be 1 to 1000", "produce", "--in-flight", "9000")
	f("--acks 1: must be -1 (all) with --idempotence", "produce", "--acks", "1", "--idempotence")
	f("--acks many: must be 0, 1 or all", "produce", "--acks", "many")
	f("--batch-bytes 64KB2: must be a number of bytes", "produce", "--batch-bytes", "64KB2")
	f("--batch-bytes 100: must be 1094 (one record", "produce", "--batch-bytes", "100")
	f("--client discarding: must be reading or kgo in mode e2e", "e2e", "--client", "discarding")
	f("--search-step 5s: must be 30s to 1h0m0s", "produce", "--search-p99", "5ms", "--search-step", "5s")
	f("--search-p99 5ms: must be left out in mode consume", "consume", "--search-p99", "5ms")
	f("--rate 5: must be 0 in a search", "produce", "--search-p99", "5ms", "--rate", "5")
	f("--duration soon: it must be a time such as", "produce", "--duration", "soon")
	f("--live sometimes: must be auto, on or off", "produce", "--live", "sometimes")
	f("--command-config x: sluice bench takes no client properties", "produce", "--command-config", "x")
	f("--bootstrap-server a:b: ", "produce", "-b", "a:b")
	f("there is no workload \"nope\"", "run", "nope")
	f("unknown flag: --frobnicate", "produce", "--frobnicate")
	f(`there is no command "prodcue" of sluice bench; did you mean produce?`, "prodcue")
	path := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(path, []byte("mode: produce\nin_flite: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(path+`:2: there is no option "in_flite"`, "run", path)
	r := run(t, "", "bench", "produce", "--json", "/nowhere/at/all.json")
	if r.code != exitFailed || !strings.Contains(r.err, "--json: ") {
		t.Errorf("%+v", r)
	}
}

// TestBenchFlags: each option of a workload has a flag, and what flags say arrives: a workload that
// is printed and read again, from flags and from its file, is the same.
func TestBenchFlags(t *testing.T) {
	a := &app{}
	b := &bench{app: a}
	c := a.benchRunCmd()
	fields := reflect.TypeOf(workload.Spec{})
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "mode" || name == "search" {
			continue
		}
		if c.Flags().Lookup(flagName(name)) == nil {
			t.Errorf("there is no flag for %s", name)
		}
	}
	args := strings.Fields("--topic t --topics 2 --partitions 3 --replication 1 --topic-config a=b --keep " +
		"--record-size uniform:100-200 --batch-bytes 32KiB --batch-records 7 --compression lz4 " +
		"--compressibility 0.5 --acks all --idempotence --keys 9 --client kgo --producers 2 --consumers 3 " +
		"--connections 4 --in-flight 5 --threads 2 --fetch-bytes 2MiB --fetch-min-bytes 10 --fetch-wait 0s " +
		"--placement shared --seed 77 --linger 0s --duration 40s --warmup 0s --search-p99 3ms " +
		"--search-from 500 --search-step 31s --search-precision 0.1 --name n --description d --preload 1MiB")
	c.ResetFlags()
	b.flags(c)
	if err := c.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	spec := b.complete(c, workload.Spec{Mode: workload.Backlog}, map[string]bool{"mode": true})
	if err := spec.Validate(); err != nil {
		t.Fatal(err)
	}
	if spec.Linger != 0 || spec.Warmup != 0 || spec.FetchWait != 0 || spec.BatchBytes != 32<<10 ||
		spec.Acks != -1 ||
		spec.TopicConfig["a"] != "b" || spec.Search.Step.D() != 31*time.Second || spec.Preload != 1<<20 {
		t.Errorf("%+v", spec)
	}
	var text bytes.Buffer
	if err := spec.WriteYAML(&text); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "w.yaml")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	back, _, err := benchmarks.LoadWorkload(path, false)
	if err != nil || !reflect.DeepEqual(back, spec) {
		t.Errorf("%v\n%+v\n%+v", err, back, spec)
	}
	// The file's own zeros survive flags that are laid over it.
	out := sluice(t, "", "bench", "run", path, "--rate", "0", "--topic", "u", "--dry-run")
	if !strings.Contains(out, "\nlinger: 0s\n") || !strings.Contains(out, "\ntopic: u\n") ||
		!strings.Contains(out, "\nwarmup: 0s\n") {
		t.Error(out)
	}
	out = sluice(t, "", "bench", "run", "1-topic-1-partition-100b", "--long", "--in-flight", "2", "--dry-run")
	if !strings.Contains(out, "duration: 2m30s") || !strings.Contains(out, "in_flight: 2\n") {
		t.Error(out)
	}
}

// underWay is a run of the binary that has begun to measure.
type underWay struct {
	cmd      *exec.Cmd
	out, err *safeBuffer
}

// beginBench starts a run and waits until a second of it was measured.
func beginBench(t *testing.T, address string, more ...string) *underWay {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	u := &underWay{out: &safeBuffer{}, err: &safeBuffer{}}
	args := append([]string{"bench", more[0], "-b", address, "--live", "on", "--warmup", "0s"}, more[1:]...)
	u.cmd = exec.CommandContext(ctx, binary, args...)
	u.cmd.Stdout, u.cmd.Stderr = u.out, u.err
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(u.err.String(), "run ") {
		if ctx.Err() != nil {
			t.Fatalf("nothing is measured:\n%s%s", u.out, u.err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return u
}

// end waits for the end and wants an exit code.
func (u *underWay) end(t *testing.T, codes ...int) (out, err string) {
	t.Helper()
	_ = u.cmd.Wait()
	code := u.cmd.ProcessState.ExitCode()
	for _, c := range codes {
		if c == code {
			return u.out.String(), u.err.String()
		}
	}
	t.Errorf("exit %d, want %v\n%s\n%s", code, codes, u.out, u.err)
	return u.out.String(), u.err.String()
}

// ownBroker starts a broker that a test may ill-treat.
func ownBroker(t *testing.T) *testBroker {
	t.Helper()
	b, err := startBroker(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.cmd.Process.Signal(syscall.SIGCONT)
		_ = b.cmd.Process.Kill()
		<-b.ended
		b.ended <- nil
	})
	return b
}

// TestBenchNoBroker: a listener that says nothing, and none at all, end in a sentence.
func TestBenchNoBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := func(address, want string, more ...string) {
		t.Helper()
		r := runBench(t, []int{1}, address, more...)
		if !strings.Contains(r.err, "sluice: cannot reach a broker at "+address+": "+want) ||
			!strings.Contains(r.out, "\nFAILED: cannot reach a broker") || strings.Contains(r.out, "p99") {
			t.Errorf("%+v", r)
		}
	}
	f(l.Addr().String(), "it accepts connections or packets, but did not answer within 6s", "produce")
	f("127.0.0.1:1", "connection refused", "connections")
	f("127.0.0.1:1", "connection refused", "topics")
	f("127.0.0.1:1", "connection refused", "e2e", "--client", "kgo")
}

// TestBenchBrokerKilled: kill -9 of the broker ends the run with a report that says so.
func TestBenchBrokerKilled(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"produce"}, {"e2e", "--rate", "500", "--client", "kgo"}, {"connections", "--connections", "20"}} {
		b := ownBroker(t)
		u := beginBench(t, b.address, append(args, "--duration", "60s")...)
		if err := b.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		out, errs := u.end(t, exitFailed)
		want := "the broker (process " + strconv.Itoa(b.cmd.Process.Pid) + ") ended during the run"
		if !strings.Contains(out, "FAILED: "+want) || !strings.Contains(errs, want) || strings.Contains(out, "p99") {
			t.Errorf("%q:\n%s\n%s", args, out, errs)
		}
	}
}

// TestBenchBrokerStops: a broker that hangs is not waited for for ever, and what it did not answer
// is not left out unsaid.
func TestBenchBrokerStops(t *testing.T) {
	t.Parallel()
	b := ownBroker(t)
	u := beginBench(t, b.address, "produce", "--rate", "1000", "--duration", "3s")
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out, errs := u.end(t, exitFailed, exitInvalid)
	if !strings.Contains(out, "UNANSWERED") || !strings.Contains(out, "FAILED: ") && !strings.Contains(out, "INVALID: ") {
		t.Errorf("%s\n%s", out, errs)
	}
}

// TestBenchTopicDeleted: errors of the broker are counted by name, and the run does not count.
func TestBenchTopicDeleted(t *testing.T) {
	t.Parallel()
	u := beginBench(t, server(), "produce", "--topic", "bench-gone", "--duration", "20s", "--rate", "1000")
	sluice(t, "", "topic", "delete", "bench-gone")
	out, errs := u.end(t, exitFailed, exitInvalid)
	if !strings.Contains(out, "UNKNOWN_TOPIC_OR_PARTITION") || !strings.Contains(out, "FAILED: ") && !strings.Contains(out, "INVALID: ") {
		t.Errorf("%s\n%s", out, errs)
	}
}

// TestBenchTooFast: a rate that nobody reaches makes the run invalid, and is not waited for.
func TestBenchTooFast(t *testing.T) {
	t.Parallel()
	r := runBench(t, []int{exitInvalid, exitFailed}, server(), "produce", "--topic", "bench-fast", "--rate", "20000000",
		"--duration", "1s", "--warmup", "0s")
	if !strings.Contains(r.out, "asked: ") && !strings.Contains(r.out, "FAILED: ") {
		t.Errorf("%+v", r)
	}
}

// TestBenchInterrupted: Ctrl-C ends the run with the report so far.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	u := beginBench(t, server(), "produce", "--topic", "bench-int", "--duration", "600s")
	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	out, errs := u.end(t, exitInterrupted)
	if !strings.Contains(out, "INVALID: interrupted after ") || !strings.Contains(out, "\n  ack ") ||
		strings.Contains(errs, "sluice: ") {
		t.Errorf("%s\n%s", out, errs)
	}
	if left := sluice(t, "", "topic", "list", "bench-int", "-o", "json"); left != "[]\n" {
		t.Errorf("left behind: %s", left)
	}
}
