package limits

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// Measure is one measured limit. RunIO returns some; a load client adds those of the limit
// server under the names that FetchName, ProduceName and the PingPong constants give.
type Measure struct {
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`  // "GB/s" (1e9 bytes), "appends/s", "requests/s" or "us"
	Value   float64 `json:"value"` // in Unit
	Seconds float64 `json:"seconds,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	// Of one call (an append, or a group's fdatasync with its appends); 0 where calls are not timed.
	P50Us float64 `json:"p50_us,omitempty"`
	P99Us float64 `json:"p99_us,omitempty"`
	MaxUs float64 `json:"max_us,omitempty"`
	Calls int64   `json:"calls,omitempty"` // timed calls, that is, samples
}

// IOOptions bound a RunIO. The zero value takes about a minute and a half, and 2 GiB of disk.
type IOOptions struct {
	SustainedSeconds float64 // of either sustained append; 0 means 30
	BurstSeconds     float64 // of either append burst, at most 1; 0 means 1
	StepSeconds      float64 // of every other measure; 0 means 1
	// FileBytes bounds the one file of an append, and is rounded up to 8 MiB: a burst ends there, a
	// sustained append goes on from the file's start. 0 means 2 GiB.
	FileBytes int64
}

func (o *IOOptions) arguments(dir string) ([]string, error) {
	orDefault := func(value, otherwise float64) float64 {
		if value == 0 {
			return otherwise
		}
		return value
	}
	sustained := orDefault(o.SustainedSeconds, 30)
	burst := orDefault(o.BurstSeconds, 1)
	step := orDefault(o.StepSeconds, 1)
	fileBytes := orDefault(float64(o.FileBytes), 2<<30)
	if sustained < 0 || burst < 0 || burst > 1 || step < 0 || fileBytes < 1<<20 {
		return nil, fmt.Errorf("limits of the file system: %+v is out of range "+
			"(times from 0, a burst up to 1 s, files from 1 MiB)", *o)
	}
	text := func(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
	return []string{dir, text(sustained), text(burst), text(step), text(fileBytes)}, nil
}

// RunIO measures the file system that dir is on, and the memory. Its files in dir have no names
// (O_TMPFILE, open(2)), so none is left however it ends. When ctx ends before it is done, what was
// measured until then comes with the error.
func RunIO(ctx context.Context, programs Programs, dir string, options IOOptions) ([]Measure, error) {
	args, err := options.arguments(dir)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, programs.IO, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	runErr := command.Run()
	if runErr != nil {
		runErr = fmt.Errorf("limitio: %w: %s", runErr, strings.TrimSpace(stderr.String()))
	}
	measures, err := parseMeasures(&stdout)
	return measures, errors.Join(runErr, err)
}

// parseMeasures reads one JSON object per line, up to the first that does not parse. Of rounds with
// one name the best counts: what the box can do, it has done once.
func parseMeasures(r io.Reader) ([]Measure, error) {
	var measures []Measure
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	for {
		var m Measure
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			return measures, nil
		}
		if err != nil {
			return measures, fmt.Errorf("limitio's output after %d measures: %w", len(measures), err)
		}
		if m.Name == "" || m.Unit == "" {
			return measures, fmt.Errorf("limitio's measure %d has no name or no unit", len(measures))
		}
		measures = keepBest(measures, m)
	}
}

func keepBest(measures []Measure, m Measure) []Measure {
	for i := range measures {
		if measures[i].Name == m.Name {
			if m.Value > measures[i].Value {
				measures[i] = m
			}
			return measures
		}
	}
	return append(measures, m)
}
