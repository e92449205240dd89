package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// props writes client properties to a file and returns its path.
func props(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "client.properties")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGroupCommands: consume as a member, look at the group, move it, delete it.
func TestGroupCommands(t *testing.T) {
	t.Parallel()
	create(t, "grouped", "-p", "2")
	sluice(t, "a\nb\nc\n", "produce", "grouped", "-p", "0")
	sluice(t, "d\ne\n", "produce", "grouped", "-p", "1")
	if got := sluice(t, "", "consume", "grouped", "--group", "gc", "-n", "5"); len(got) != 10 {
		t.Errorf("%q", got)
	}
	// What was printed is committed when the member ends, and it is no longer in the group.
	got := sluice(t, "", "group", "describe", "gc")
	want := "group gc  state Empty  type classic  assignor -  coordinator 1 (" + server() + ")  0 members, lag 0\n" +
		"TOPIC    PARTITION  COMMITTED  END  LAG  MEMBER\n" +
		"grouped  0          3          3    0    -\n" +
		"grouped  1          2          2    0    -\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := sluice(t, "", "group", "list", "gc"); got != "GROUP  STATE  TYPE     PROTOCOL  COORDINATOR\n"+
		"gc     Empty  classic  consumer  1\n" {
		t.Errorf("%q", got)
	}
	f := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"group", "seek", "gc", "--execute"}, args...)
		out := sluice(t, "", args...)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		var moves []string
		for _, l := range lines[1:] {
			w := strings.Fields(l)
			moves = append(moves, w[1]+":"+w[2]+">"+w[3])
		}
		if got := strings.Join(moves, " "); got != want {
			t.Errorf("%q: got %s, want %s", args, got, want)
		}
	}
	f("0:3>0 1:2>0", "--to", "start")
	f("0:0>3", "--to", "end", "--topic", "grouped:0")
	f("0:3>1 1:0>0", "--to", "-2")
	f("0:1>3 1:0>2", "--to", "+99")
	f("1:2>1", "--to", "1", "--topic", "grouped:1")
	f("0:3>0 1:1>0", "--to", "@-1h")
	f("0:0>3 1:0>2", "--to", "@4000000000")
	f("1:2>1", "--to", "-1", "-t", "grouped:1")
	if got := sluice(t, "", "consume", "grouped", "--group", "gc", "-n", "1"); got != "e\n" {
		t.Errorf("after a seek: %q", got)
	}
	r := run(t, "", "-b", server(), "group", "seek", "gc", "--to", "start", "-o", "json")
	var plan struct {
		Executed bool
		Moves    []struct{ From, To *int64 }
	}
	if err := json.Unmarshal([]byte(r.out), &plan); err != nil || plan.Executed || len(plan.Moves) != 2 ||
		*plan.Moves[0].From != 3 || *plan.Moves[0].To != 0 {
		t.Errorf("%v: %+v", err, r)
	}
	r = run(t, "", "-b", server(), "group", "seek", "gc", "--to", "start")
	if r.code != 0 || !strings.Contains(r.err, "nothing was changed; --execute") {
		t.Errorf("%+v", r)
	}
	sluice(t, "", "group", "delete", "gc", "--topic", "grouped:0")
	if got := sluice(t, "", "group", "describe", "gc"); strings.Contains(got, "grouped  0") {
		t.Errorf("%q", got)
	}
	if got := sluice(t, "", "group", "delete", "gc"); got != "gc deleted\n" {
		t.Errorf("%q", got)
	}
}

// TestGroupMistakes: each mistake has its exit code and a sentence.
func TestGroupMistakes(t *testing.T) {
	t.Parallel()
	create(t, "mistaken")
	fails(t, 1, "group nobody does not exist", "group", "describe", "nobody")
	fails(t, 1, "nobody: it does not exist", "group", "delete", "nobody")
	if got := sluice(t, "", "group", "delete", "nobody", "--if-exists"); got != "nobody absent\n" {
		t.Errorf("%q", got)
	}
	fails(t, 1, "with --topic its offsets can be set", "group", "seek", "nobody", "--to", "end")
	fails(t, 2, "--to is missing", "group", "seek", "nobody")
	fails(t, 2, "--to 12x: it must be one of", "group", "seek", "nobody", "--to", "12x")
	fails(t, 2, `"x" is not a partition`, "group", "seek", "nobody", "--to", "1", "-t", "mistaken:x")
	fails(t, 1, "has no partition 9", "group", "seek", "nobody", "--to", "1", "-t", "mistaken:9")
	fails(t, 1, "topic nowhere does not exist", "group", "seek", "nobody", "--to", "1", "-t", "nowhere")
	fails(t, 1, "has committed nothing that", "group", "seek", "nobody", "--to", "-1", "-t", "mistaken")
	fails(t, 2, "--partitions and --group", "consume", "mistaken", "--group", "g", "-p", "0")
	fails(t, 2, "an end and --group", "consume", "mistaken", "--group", "g", "-e")
	fails(t, 2, "must be start or end", "consume", "mistaken", "--group", "g", "-o", "12")
	fails(t, 1, "topic nowhere does not exist", "consume", "nowhere", "--group", "g")
	fails(t, 1, "only classic is", "consume", "mistaken", "--group", "g", "--command-config",
		props(t, "group.protocol=consumer"))
	fails(t, 1, "is a Java class", "consume", "mistaken", "--group", "g", "--command-config",
		props(t, "partition.assignment.strategy=com.example.Mine"))
	fails(t, 2, "there is no command", "group", "remove")
	fails(t, 2, "--partition needs --topic", "txn", "find-hanging", "-p", "1")
	fails(t, 2, "give either --id", "txn", "abort")
	fails(t, 1, "there is no transactional id nobody", "txn", "describe", "nobody")
	fails(t, 1, "there is no transactional id nobody", "txn", "abort", "--id", "nobody")
	fails(t, 1, "no open transaction begins", "txn", "abort", "-t", "mistaken", "-p", "0", "--start-offset", "0")
}

// groupConsumer starts a consumer in a group and returns its output and what ends it with Ctrl-C.
func groupConsumer(t *testing.T, args ...string) (out *safeBuffer, end func()) {
	t.Helper()
	out, errs := &safeBuffer{}, &safeBuffer{}
	cmd := exec.Command(binary, append([]string{"-b", server(), "consume"}, args...)...)
	cmd.Stdout, cmd.Stderr = out, errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return out, func() {
		t.Helper()
		ended = true
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || errs.String() != "" {
			t.Errorf("%v\n%s", err, errs)
		}
	}
}

// TestGroupIsShared: two members share the partitions, nobody else may move the group meanwhile, and
// when one leaves with Ctrl-C the other gets everything, without a record lost or printed twice.
func TestGroupIsShared(t *testing.T) {
	t.Parallel()
	create(t, "shared", "-p", "4")
	quick := props(t, "auto.commit.interval.ms=100")
	one, endOne := groupConsumer(t, "shared", "--group", "gs", "--command-config", quick)
	two, endTwo := groupConsumer(t, "shared", "--group", "gs", "--command-config", quick)
	awaitGroup(t, server(), "gs", func(g groupJSON) bool {
		return g.State == "Stable" && len(g.Members) == 2 && len(g.Members[0].Assigned) == 2 &&
			len(g.Members[1].Assigned) == 2
	})
	fails(t, 1, "group gs is Stable with 2 members", "group", "seek", "gs", "--to", "start", "--execute")
	fails(t, 1, "gs: it has members: stop its consumers first (NON_EMPTY_GROUP)", "group", "delete", "gs")
	fails(t, 1, "GROUP_SUBSCRIBED_TO_TOPIC", "group", "delete", "gs", "-t", "shared:0")
	var want []string
	produce := func(round int) {
		for p := range 4 {
			text := fmt.Sprintf("%d.%d\n", round, p)
			want = append(want, text[:3])
			sluice(t, text, "produce", "shared", "-p", fmt.Sprint(p))
		}
	}
	caughtUp := func(g groupJSON) bool {
		for _, o := range g.Offsets {
			if o.Lag == nil || *o.Lag > 0 {
				return false
			}
		}
		return len(g.Offsets) == 4
	}
	produce(1)
	awaitGroup(t, server(), "gs", caughtUp)
	if len(one.String()) != 8 || len(two.String()) != 8 {
		t.Errorf("not shared out evenly: %q, %q", one, two)
	}
	endOne()
	awaitGroup(t, server(), "gs", func(g groupJSON) bool {
		return g.State == "Stable" && len(g.Members) == 1 && len(g.Members[0].Assigned) == 4
	})
	produce(2)
	awaitGroup(t, server(), "gs", caughtUp)
	endTwo()
	got := strings.Fields(one.String() + two.String())
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestColour: no escape sequence leaves for anything but a terminal.
func TestColour(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	out := &bytes.Buffer{}
	a := &app{out: out}
	if got := a.stateColour("Stable"); got != "Stable" {
		t.Errorf("%q", got)
	}
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal can be opened here: %v", err)
	}
	defer pty.Close()
	a.out = pty
	if got := a.stateColour("Stable"); got != "\x1b[32mStable\x1b[0m" {
		t.Errorf("on a terminal: %q", got)
	}
	t.Setenv("NO_COLOR", "1")
	if got := a.stateColour("Stable"); got != "Stable" {
		t.Errorf("with NO_COLOR: %q", got)
	}
}

// TestParsePartitionLists holds what --topic takes.
func TestParsePartitionLists(t *testing.T) {
	f := func(want string, texts ...string) {
		t.Helper()
		got, err := parseTopicPartitions(texts)
		text := fmt.Sprint(got)
		if err != nil {
			text = "error"
		}
		if text != want {
			t.Errorf("%q: got %s, want %s", texts, text, want)
		}
	}
	f("map[]")
	f("map[a:[]]", "a")
	f("map[a:[0 2]]", "a:0,2")
	f("map[a:[1 2] b:[]]", "a:1", "a:2", "b")
	f("map[a:[]]", "a", "a:2")
	f("error", "a:")
	f("error", "a:-1")
	f("error", ":1")
}

// TestISODuration holds what java.time.Duration.parse takes.
func TestISODuration(t *testing.T) {
	f := func(text string, want time.Duration) {
		t.Helper()
		if got, err := isoDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	f("P1D", 24*time.Hour)
	f("PT1H30M", 90*time.Minute)
	f("pt0.5s", 500*time.Millisecond)
	f("-PT1M", -time.Minute)
	f("P1DT-1H", 23*time.Hour)
	f("PT0S", 0)
	for _, bad := range []string{"", "P", "PT", "1h", "P1H", "PT1D", "P1DT", "PT1S1M", "P99999999999D"} {
		if d, err := isoDuration(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, d)
		}
	}
}
