package measure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	stageFamily    = "sluice_request_stage_seconds"
	pageBytesMax   = 64 << 20
	lineBytesMax   = 64 << 10
	stagesKeptMax  = 4096
	bucketsKeptMax = 256
	valueMax       = 1 << 62 // fits the integers that values become
)

// Scrape is one reading of a broker's /metrics page: of all series only those that Between uses.
type Scrape struct {
	stages  map[stageKey]*stageCounters
	runtime map[string]float64
}

type stageKey struct{ request, stage string }

type stageCounters struct {
	count   uint64
	sum     float64
	buckets []Bucket // ascending, without +Inf
}

// runtimeNames are the series of the Go runtime that make a Runtime, under the names of the
// VictoriaMetrics library and those of the broker itself.
var runtimeNames = []string{
	"go_gc_cpu_seconds_total", "go_gc_duration_seconds_sum", "go_gc_duration_seconds_count",
	"go_gc_heap_allocs_bytes_total", "go_gc_heap_allocs_objects_total",
	"go_memstats_heap_inuse_bytes", "go_goroutines", "process_cpu_seconds_total",
}

// ScrapeURL fetches a page, such as "http://127.0.0.1:9644/metrics". An address without a scheme is
// completed to that form. The context bounds the whole exchange.
func ScrapeURL(ctx context.Context, url string) (*Scrape, error) {
	if !strings.Contains(url, "://") {
		url = "http://" + url + "/metrics"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("scrape: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("scrape %s: %s", url, response.Status)
	}
	scrape, err := ParseScrape(response.Body)
	if err != nil {
		return nil, fmt.Errorf("scrape %s: %w", url, err)
	}
	return scrape, nil
}

// ParseScrape reads a page in Prometheus's text format (version 0.0.4). Families that are not
// needed are passed over unread. It takes pages of up to 64 MiB, lines of up to 64 KiB.
func ParseScrape(r io.Reader) (*Scrape, error) {
	s := &Scrape{stages: map[stageKey]*stageCounters{}, runtime: map[string]float64{}}
	limited := &io.LimitedReader{R: r, N: pageBytesMax}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, lineBytesMax)
	for n := 1; lines.Scan(); n++ {
		if err := s.line(lines.Text()); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("the page is over %d MiB", pageBytesMax>>20)
	}
	for _, c := range s.stages {
		slices.SortFunc(c.buckets, func(a, b Bucket) int { return compare(a.UpToSeconds, b.UpToSeconds) })
	}
	return s, nil
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (s *Scrape) line(line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	end := strings.IndexAny(line, "{ \t")
	if end < 0 {
		return errors.New("a name without a value")
	}
	name := line[:end]
	suffix, isStage := strings.CutPrefix(name, stageFamily)
	if !isStage && !slices.Contains(runtimeNames, name) {
		return nil
	}
	labels, rest, err := parseLabels(line[end:])
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 || len(fields) > 2 { // A time stamp may follow the value.
		return fmt.Errorf("%s: want a value", name)
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	if err != nil || math.IsNaN(value) || value < 0 || value > valueMax {
		return fmt.Errorf("%s: %q is no count or size", name, fields[0])
	}
	if isStage {
		return s.stageLine(suffix, labels, value)
	}
	s.runtime[name] = value
	return nil
}

func (s *Scrape) stageLine(suffix string, labels map[string]string, value float64) error {
	key := stageKey{labels["request"], labels["stage"]}
	c := s.stages[key]
	if c == nil {
		if len(s.stages) == stagesKeptMax {
			return fmt.Errorf("%s: more than %d series", stageFamily, stagesKeptMax)
		}
		c = &stageCounters{}
		s.stages[key] = c
	}
	switch suffix {
	case "_sum":
		c.sum = value
	case "_count":
		c.count = uint64(value)
	case "_bucket":
		le, err := strconv.ParseFloat(labels["le"], 64)
		if err != nil || math.IsNaN(le) || len(c.buckets) == bucketsKeptMax {
			return fmt.Errorf("%s_bucket: bad bound %q, or too many", stageFamily, labels["le"])
		}
		if !math.IsInf(le, 1) {
			c.buckets = append(c.buckets, Bucket{le, uint64(value)})
		}
	}
	return nil
}

// parseLabels reads {a="b",c="d"} if there is one, and returns what follows. Within quotes a
// backslash escapes itself, a quote, and n for a line feed.
func parseLabels(text string) (labels map[string]string, rest string, err error) {
	inner, found := strings.CutPrefix(text, "{")
	if !found {
		return nil, text, nil
	}
	labels = map[string]string{}
	for {
		inner = strings.TrimLeft(inner, " ,")
		if rest, found := strings.CutPrefix(inner, "}"); found {
			return labels, rest, nil
		}
		name, after, found := strings.Cut(inner, `="`)
		if !found {
			return nil, "", errors.New("labels without an end")
		}
		var value strings.Builder
		i := 0
		for ; i < len(after) && after[i] != '"'; i++ {
			c := after[i]
			if c == '\\' && i+1 < len(after) {
				i++
				if c = after[i]; c == 'n' {
					c = '\n'
				}
			}
			value.WriteByte(c)
		}
		if i >= len(after) {
			return nil, "", errors.New("a label without a closing quote")
		}
		labels[name], inner = value.String(), after[i+1:]
	}
}

// Between is what happened from one scrape to a later one: the stages in which there was any
// request, sorted by request and stage, and the Go runtime's work (nil if the page tells nothing of
// it). A counter that went backwards, or a series that is gone, is ErrRestarted.
func Between(before, after *Scrape) ([]Stage, *Runtime, error) {
	for key := range before.stages {
		if after.stages[key] == nil {
			return nil, nil, fmt.Errorf("%s of %s: %w", key.stage, key.request, ErrRestarted)
		}
	}
	var stages []Stage
	for key, now := range after.stages {
		was := before.stages[key]
		if was == nil {
			was = &stageCounters{}
		}
		stage, err := stageBetween(key, was, now)
		if err != nil {
			return nil, nil, err
		}
		if stage.Count > 0 {
			stages = append(stages, stage)
		}
	}
	slices.SortFunc(stages, func(a, b Stage) int {
		if order := strings.Compare(a.Request, b.Request); order != 0 {
			return order
		}
		return strings.Compare(a.Stage, b.Stage)
	})
	return stages, runtimeBetween(before.runtime, after.runtime), nil
}

func stageBetween(key stageKey, was, now *stageCounters) (Stage, error) {
	if now.count < was.count || now.sum < was.sum {
		return Stage{}, fmt.Errorf("%s of %s: %w", key.stage, key.request, ErrRestarted)
	}
	stage := Stage{
		Request: key.request, Stage: key.stage,
		Count: now.count - was.count, SumSeconds: now.sum - was.sum,
	}
	if stage.Count > 0 {
		stage.MeanMicros = stage.SumSeconds / float64(stage.Count) * 1e6
	}
	earlier := make(map[float64]uint64, len(was.buckets))
	for _, b := range was.buckets {
		earlier[b.UpToSeconds] = b.Count
	}
	for _, b := range now.buckets {
		if b.Count < earlier[b.UpToSeconds] {
			return Stage{}, fmt.Errorf("%s of %s: %w", key.stage, key.request, ErrRestarted)
		}
		stage.Buckets = append(stage.Buckets, Bucket{b.UpToSeconds, b.Count - earlier[b.UpToSeconds]})
	}
	return stage, nil
}

func runtimeBetween(before, after map[string]float64) *Runtime {
	if len(after) == 0 {
		return nil
	}
	grown := func(name string) float64 { return after[name] - before[name] }
	return &Runtime{
		GCCPUSeconds:     grown("go_gc_cpu_seconds_total"),
		GCCycles:         int64(grown("go_gc_duration_seconds_count")),
		GCPauseSeconds:   grown("go_gc_duration_seconds_sum"),
		HeapAllocBytes:   int64(grown("go_gc_heap_allocs_bytes_total")),
		HeapAllocObjects: int64(grown("go_gc_heap_allocs_objects_total")),
		HeapInUseBytes:   int64(after["go_memstats_heap_inuse_bytes"]),
		Goroutines:       int64(after["go_goroutines"]),
		ProcessCPUSecs:   grown("process_cpu_seconds_total"),
	}
}

// StageOf finds a request kind's stage among the result of Between.
func StageOf(stages []Stage, request, stage string) (Stage, bool) {
	i := slices.IndexFunc(stages, func(s Stage) bool { return s.Request == request && s.Stage == stage })
	if i < 0 {
		return Stage{}, false
	}
	return stages[i], true
}
