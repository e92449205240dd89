package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/report"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// bench carries out one run as a process of its own and reads what it says. A run that failed
// comes back as a failed result; an error means that there was no way to know.
func (o *Options) bench(ctx context.Context, b *broker, mode string, args []string) (*result.Result, error) {
	file := filepath.Join(o.WorkDir, "run.json")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	command := []string{
		o.Binary, "bench", mode, "-b", b.target.Addr, "--broker-pid", strconv.Itoa(b.pid),
		"--target-name", b.target.Name, "--data-dir", o.WorkDir, "--json", file, "--live", "off", "--quiet",
	}
	if b.target.Variant != "" {
		command = append(command, "--variant", b.target.Variant)
	}
	if b.admin != "" {
		command = append(command, "--admin", b.admin)
	}
	if b.raw {
		command = append(command, "--limit-server")
	}
	command = append(command, args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	runErr := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	r, err := readResult(file)
	if errors.Is(err, os.ErrNotExist) {
		if runErr == nil {
			return nil, fmt.Errorf("%v left no result", command)
		}
		r = &result.Result{
			Schema: result.SchemaVersion, Spec: workload.Spec{Mode: workload.Mode(mode)}, Command: command,
			Error: fmt.Sprintf("%v: %.500s", runErr, bytes.TrimSpace(stderr.Bytes())),
		}
	} else if err != nil {
		return nil, err
	}
	r.Target = b.target
	r.Command[0] = filepath.Base(r.Command[0])
	return r, nil
}

// readResult reads what a run has just left.
func readResult(path string) (*result.Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &result.Result{}
	return r, json.Unmarshal(text, r)
}

// warmTopic begins the names of the topics that a broker is warmed up with.
const warmTopic = "warm"

// warm puts a broker under the loads of the plan until its compilers have seen them.
func (o *Options) warm(ctx context.Context, b *broker) error {
	o.say("%s %s: warming up for %v", b.target.Name, b.target.Variant, o.WarmUp)
	part := (o.WarmUp / 4).String()
	for i, load := range [][]string{
		{"produce", "--batch-bytes", kib64, "--connections", "4", "--partitions", "16"},
		{
			"produce", "--record-size", "100", "--batch-records", "1", "--in-flight", "1",
			"--connections", "64", "--partitions", "16",
		},
		{"e2e", "--batch-bytes", kib64, "--connections", "4", "--partitions", "16", "--rate", "50000"},
		{
			"consume", "--fetch-bytes", mib1, "--connections", "4", "--partitions", "16",
			"--preload", "536870912",
		},
	} {
		r, err := o.bench(ctx, b, load[0], append(load[1:], "--topic", fmt.Sprintf("%s-%d", warmTopic, i),
			"--warmup", "0s", "--duration", part))
		if err != nil {
			return err
		}
		if r.Error != "" {
			return errors.New(r.Error)
		}
	}
	return nil
}

// raws reads the raw results of a case and a target that count, by the report's own rules.
func (o *Options) raws(id, target string) ([]*result.Result, error) {
	paths, err := o.rawFiles(id, "[0-9][0-9]")
	if err != nil {
		return nil, err
	}
	var all []*result.Result
	for _, path := range paths {
		r, err := report.ReadRun(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if r.Target.Name == target && r.Target.Variant == "" && r.Drop() == "" {
			all = append(all, r.Result)
		}
	}
	return all, nil
}

// median of what f says of the valid runs; ok is false if there are none.
func median(all []*result.Result, f func(*result.Result) float64) (m float64, ok bool) {
	if len(all) == 0 {
		return 0, false
	}
	var values []float64
	for _, r := range all {
		values = append(values, f(r))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle], true
	}
	return (values[middle-1] + values[middle]) / 2, true
}

// halfOf is half of the rate that Kafka reached in a case, in records per second.
func (o *Options) halfOf(id string) (float64, error) {
	all, err := o.raws(id, "kafka")
	if err != nil {
		return 0, err
	}
	rate, ok := median(all, func(r *result.Result) float64 { return r.Produced.RecordsPerSecond() })
	if !ok {
		return 0, fmt.Errorf("its rate is half of Kafka's in %s, of which there is no valid run", id)
	}
	return rate / 2, nil
}

// rateOf is the rate of a case that takes half of another's: that of its first pair, where the case
// goes on, so that all pairs have the same.
func (o *Options) rateOf(c Case) (float64, error) {
	first, err := o.pairOf(c.ID, 0)
	if err != nil {
		return 0, err
	}
	for _, run := range first {
		if run.Spec.Rate > 0 {
			return run.Spec.Rate, nil
		}
	}
	return o.halfOf(c.Half)
}

const limitsFile = "limits.json"

// boxLimits measures the file system and the memory.
func (s *stage) boxLimits(ctx context.Context) error {
	path := filepath.Join(s.Out, limitsFile)
	if s.More && len(missingOfBox(path)) == 0 {
		return nil
	}
	if err := s.inTime(boxLimitsSeconds); err != nil {
		return err
	}
	s.rounds++
	s.say("limits of the file system and the memory")
	dir := filepath.Join(s.WorkDir, "limits-io")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	measured, err := limits.RunIO(ctx, s.programs, dir, limits.IOOptions{SustainedSeconds: 30 * s.Scale})
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	return s.writeJSON(path, measured)
}

// missingOfBox names the reference rows that the file has no measure for, those of limit servers,
// which come from cases, left out.
func missingOfBox(path string) []string {
	var measured []limits.Measure
	if text, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(text, &measured) // What cannot be read is measured again.
	}
	return slices.DeleteFunc(limits.Missing(measured), func(name string) bool {
		return slices.ContainsFunc(serverMeasures(), func(m serverMeasure) bool { return m.name == name }) ||
			strings.HasPrefix(name, "produce/") || strings.HasPrefix(name, "fetch/")
	})
}

// serverLimits adds what the limit servers reached to limits.json, and prints all limits. One below
// its reference row makes the report invalid; the log says so at once.
func (o *Options) serverLimits() error {
	path := filepath.Join(o.Out, limitsFile)
	measured := []limits.Measure{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &measured)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, l := range serverMeasures() {
		all, err := o.raws(l.id, l.target)
		if err != nil {
			return err
		}
		// One whose runs were superseded, or do not count, is not there any more.
		measured = slices.DeleteFunc(measured, func(m limits.Measure) bool { return m.Name == l.name })
		if value, ok := median(all, l.value); ok {
			measured = append(measured, limits.Measure{Name: l.name, Unit: l.unit, Value: value})
		}
	}
	if len(measured) > 0 {
		o.say("limits of this box")
	}
	for _, m := range measured {
		reference := ""
		if share, row, ok := limits.Share(m); ok {
			reference = fmt.Sprintf("%.0f %% of %s", 100*share, row.Source)
		}
		o.say("  %-42s %10.4g %-10s %s", m.Name, m.Value, m.Unit, reference)
	}
	for _, line := range limits.Check(measured) {
		o.say("limit below its reference: %s", line)
	}
	return o.writeJSON(path, measured)
}

// serverMeasure is a limit whose value comes from runs of a case.
type serverMeasure struct {
	name, unit, id, target string
	value                  func(*result.Result) float64
}

func serverMeasures() []serverMeasure {
	var all []serverMeasure
	for _, size := range sizes {
		bytes, _ := strconv.Atoi(size.bytes)
		for _, n := range connections {
			count, _ := strconv.Atoi(n)
			all = append(all,
				serverMeasure{
					limits.FetchName(count, bytes), "GB/s", "fetch-" + size.name + "-" + n + "c-discarding",
					LimitSendfile, func(r *result.Result) float64 { return r.Consumed.MBPerSecond() / 1e3 },
				},
				serverMeasure{
					limits.ProduceName(count, bytes), "GB/s", "produce-" + size.name + "-" + n + "c",
					LimitAppend, func(r *result.Result) float64 { return r.Produced.MBPerSecond() / 1e3 },
				})
		}
	}
	ack := func(percentile float64) func(*result.Result) float64 {
		return func(r *result.Result) float64 {
			h := r.Stages[result.StageAck]
			if h == nil {
				return 0
			}
			return float64(h.Percentile(percentile)) / 1e3
		}
	}
	return append(all, serverMeasure{
		limits.PingPong64, "requests/s", "small-64c", LimitPingAppend,
		func(r *result.Result) float64 { return r.Produced.RequestsPerSecond() },
	},
		serverMeasure{limits.PingPongP50, "us", "latency-1c", LimitPingAppend, ack(50)},
		serverMeasure{limits.PingPongP99, "us", "latency-1c", LimitPingAppend, ack(99)})
}

// syncFileSystem writes out what is dirty on the file system of dir (syncfs(2)).
func syncFileSystem(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
