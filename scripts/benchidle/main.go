// Benchidle measures what a broker with nothing to do costs: the time from its start with an empty
// data dir to its first answered request, and memory and CPU of an idle process. It ends with exit
// code 1 when a goal is missed.
//
//	go run ./scripts/benchidle -bin bin/sluice
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"sluice/scripts/internal/rig"
)

// The goals.
const (
	startGoal  = 100 * time.Millisecond
	rssGoalKiB = 40 << 10
	cpuGoal    = 0.5 // percent of a core
)

func main() {
	bin := flag.String("bin", "bin/sluice", "the broker's binary")
	starts := flag.Int("starts", 10, "how many starts to time")
	idle := flag.Duration("idle", 10*time.Second, "how long to watch the idle broker")
	flag.Parse()
	met, err := run(*bin, *starts, *idle)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchidle:", err)
		os.Exit(2)
	}
	if !met {
		os.Exit(1)
	}
}

func run(bin string, starts int, idle time.Duration) (met bool, err error) {
	dir, err := os.MkdirTemp("", "benchidle-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	var times []time.Duration
	for i := range starts - 1 {
		b, took, err := start(bin, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return false, err
		}
		times = append(times, took)
		if err := b.Stop(); err != nil {
			return false, err
		}
	}
	b, took, err := start(bin, filepath.Join(dir, "idle"))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	times = append(times, took)
	slices.Sort(times)
	fmt.Printf("start to first answer, %d times: fastest %v, median %v, slowest %v\n",
		len(times), round(times[0]), round(times[len(times)/2]), round(times[len(times)-1]))
	median := times[len(times)/2]
	met = rig.Verdict("start to first answer (median)", round(median).String(),
		"< "+startGoal.String(), median < startGoal)
	return watch(b.PID(), idle, met)
}

func start(bin, dir string) (*rig.Broker, time.Duration, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, err
	}
	b, err := rig.Start(bin, dir)
	if err != nil {
		return nil, 0, err
	}
	took, err := b.FirstAnswer()
	if err != nil {
		return nil, 0, errors.Join(err, b.Stop())
	}
	return b, took, nil
}

// watch measures the idle process. Its first two seconds are left out: the runtime settles.
func watch(pid int, idle time.Duration, met bool) (bool, error) {
	time.Sleep(2 * time.Second)
	before, err := cpuNs(pid)
	if err != nil {
		return false, err
	}
	from := time.Now()
	time.Sleep(idle)
	after, err := cpuNs(pid)
	if err != nil {
		return false, err
	}
	percent := 100 * float64(after-before) / float64(time.Since(from))
	rssKiB, err := rss(pid)
	if err != nil {
		return false, err
	}
	met = rig.Verdict("idle RSS", fmt.Sprintf("%.1f MiB", float64(rssKiB)/1024), "< 40 MiB",
		rssKiB < rssGoalKiB) && met
	met = rig.Verdict(fmt.Sprintf("idle CPU over %v", idle), fmt.Sprintf("%.3f %%", percent),
		"< 0.5 %", percent < cpuGoal) && met
	return met, nil
}

// cpuNs is the CPU time of all threads in ns, from the scheduler's own counters (proc(5): the
// first field of schedstat); the tick counters of stat would resolve 10 ms only.
func cpuNs(pid int) (sum int64, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of process %d", pid)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += ns
	}
	return sum, nil
}

// rss is the resident memory in KiB (proc(5), VmRSS).
func rss(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.Fields(value)[0])
		}
	}
	return 0, errors.New("no VmRSS in the process's status")
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
