package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"sluice/benchmarks/limits"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/report"
	"sluice/tuning"
)

// Options say what of the plan is carried out, and where.
type Options struct {
	// Out is the report's folder: facts.json, goals.json, limits.json and raw/ are written there.
	// Raw results that are there already stay, so that a suite can be carried out in parts; those of a
	// case that is carried out again are moved to superseded/.
	Out string
	// WorkDir is where brokers keep their data; it should be on the disk that is to be measured.
	WorkDir string
	// Binary is the built sluice, broker and load generator alike.
	Binary string
	// Only chooses cases by their IDs; nil is all of them.
	Only *regexp.Regexp
	// Targets chooses contenders by their names; nil is all of them.
	Targets *regexp.Regexp
	// Scale multiplies all times, for trying; a report made so says how long its runs were. Pairs is
	// how many pairs that count each case shall have (0: as planned).
	Scale float64
	Pairs int
	// Repeats is how many pairs more a case may get in place of those that were lost to stolen time,
	// at most as many as it shall have.
	Repeats int
	// More goes on with cases that Out has pairs of, rather than beginning them anew, and leaves out
	// what is complete.
	More bool
	// For, if not 0, begins no pair that would not be done after so long by Estimate. Run then returns
	// ErrUnfinished, and goes on with More. One pair is always carried out.
	For time.Duration
	// WarmUp is how long Apache Kafka is put under load before its first turn, divided over
	// large batches, small ones, end to end, and fetches.
	WarmUp time.Duration
	// Log receives what is going on, and what brokers' installations print.
	Log io.Writer
}

// ids of what is no case of the plan.
const (
	limitsID = "limits"
	natsID   = "nats"
)

func (o *Options) wants(id string) bool { return o.Only == nil || o.Only.MatchString(id) }

func (o *Options) say(format string, args ...any) {
	fmt.Fprintf(o.Log, "%s "+format+"\n", append([]any{time.Now().Format("15:04:05")}, args...)...)
}

func (o *Options) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * o.Scale).Round(time.Millisecond)
}

// IDs lists what Only can choose.
func IDs() []string {
	ids := []string{limitsID}
	for _, c := range Cases() {
		ids = append(ids, c.ID)
	}
	return append(ids, startCase, natsID)
}

// ErrUnfinished says that time was up before the plan was done (Options.For).
var ErrUnfinished = errors.New("time is up before the plan is done; the same command with -more goes on")

// Run carries out the plan. A run that fails is recorded as failed and the case goes on. A broker
// that cannot be started or kept fails its case: that is recorded too, the plan goes on, and Run
// returns the reasons at the end. Only the end of ctx, or of the time, ends it early. Whatever
// happens, no broker is left running.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.prepare(); err != nil {
		return err
	}
	programs, err := limits.Build("")
	if err != nil {
		return err
	}
	s := &stage{Options: &o, programs: programs, brokers: newStable(&o, programs), began: time.Now()}
	defer func() { err = errors.Join(err, s.brokers.close(context.WithoutCancel(ctx))) }()
	for _, step := range s.steps() {
		if !o.wants(step.id) {
			continue
		}
		err := step.run(ctx)
		switch {
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), o.serverLimits())
		case errors.Is(err, ErrUnfinished):
			o.say("case %s: time is up", step.id)
			return errors.Join(s.failed(), err, o.serverLimits())
		case err != nil:
			o.say("case %s FAILED: %v", step.id, err)
			s.failures = append(s.failures, fmt.Errorf("case %s: %w", step.id, err))
			s.brokers.recover(ctx)
		}
	}
	return errors.Join(s.failed(), o.serverLimits())
}

// stage is a plan that is being carried out.
type stage struct {
	*Options
	programs limits.Programs
	brokers  *stable
	began    time.Time
	turn     int // the last turn's number
	rounds   int // pairs carried out so far
	failures []error
}

// step is one thing that Only can choose.
type step struct {
	id  string
	run func(context.Context) error
}

func (s *stage) steps() []step {
	all := []step{{limitsID, s.boxLimits}}
	for _, c := range Cases() {
		all = append(all, step{c.ID, func(ctx context.Context) error { return s.runCase(ctx, c) }})
	}
	return append(all, step{startCase, s.runStarts}, step{natsID, s.runNATS})
}

// failed joins what went wrong, nil if nothing did.
func (s *stage) failed() error {
	if len(s.failures) == 0 {
		return nil
	}
	return fmt.Errorf("%d of the plan's cases failed: %w", len(s.failures), errors.Join(s.failures...))
}

func (o *Options) rawDir() string { return filepath.Join(o.Out, "raw") }

func (o *Options) prepare() error {
	if o.Scale == 0 {
		o.Scale = 1
	}
	for _, dir := range []string{o.rawDir(), o.WorkDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	facts := tuning.Gather(tuning.Options{DataDir: o.WorkDir})
	if err := o.writeJSON(filepath.Join(o.Out, "facts.json"), facts); err != nil {
		return err
	}
	return report.WriteGoals(filepath.Join(o.Out, "goals.json"), Goals())
}

// writeJSON writes a file of the report. Folders of this machine are named by what they are for: a
// command is typed again somewhere else.
func (o *Options) writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(o.folders().ReplaceAll(text), '\n'), 0o644)
}

// replacer replaces folders by names, the longest first.
type replacer [][2]string

func (r replacer) ReplaceAll(text []byte) []byte {
	for _, pair := range r {
		for _, end := range []string{"/", `"`, ",", " ", ":"} {
			text = bytes.ReplaceAll(text, []byte(pair[0]+end), []byte(pair[1]+end))
		}
	}
	return text
}

func (o *Options) folders() replacer {
	r := replacer{{o.WorkDir, "$WORK"}, {filepath.Dir(o.Binary), "$BIN"}}
	if dir, err := peers.CacheDir(); err == nil {
		r = append(r, [2]string{dir, "$CACHE"})
	}
	if dir, err := os.UserHomeDir(); err == nil && len(dir) > 1 {
		r = append(r, [2]string{dir, "~"})
	}
	// A relative folder is none of this machine's, and "" or "/" are no folder to name.
	r = slices.DeleteFunc(r, func(p [2]string) bool { return !filepath.IsAbs(p[0]) || len(p[0]) < 2 })
	slices.SortStableFunc(r, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	return r
}
