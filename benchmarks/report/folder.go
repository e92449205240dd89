package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sluice/benchmarks"
	"sluice/benchmarks/limits"
	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
	"sluice/tuning"
)

// rawBytesMax bounds one raw result after decompression; a run of an hour has under 1 MiB.
const rawBytesMax = 256 << 20

// sustainedSecondsMin is what a run must have measured to be called sustained: 120 s, less what a
// clock read at the wrong moment may cost.
const sustainedSecondsMin = 119

// Folder is what Read found.
type Folder struct {
	Name   string // the folder's own name, "2026-01-31-box"
	Runs   []Run  // ascending by file name
	Goals  []Goal
	Facts  tuning.Facts
	Limits []limits.Measure
	// Problems names each file that is missing or cannot be used, with the reason.
	Problems []Problem
}

// Problem is a file that is missing or cannot be used.
type Problem struct {
	File string // relative to the folder
	Why  string
}

// Run is one raw result.
type Run struct {
	File string // relative to the folder
	*result.Result
}

// Drop says why the run does not count; "" if it does.
func (r Run) Drop() string {
	switch {
	case r.Error != "":
		return "failed: " + r.Error
	case len(r.Invalid) > 0:
		return "invalid: " + strings.Join(r.Invalid, "; ")
	case r.Interrupted:
		return "interrupted by hand"
	case r.Label == "sustained" && r.Seconds < sustainedSecondsMin:
		return fmt.Sprintf("labelled sustained, but measured for %.0f s only", r.Seconds)
	case r.answered() == 0 && r.errorCount() > 0:
		return "no request succeeded"
	case r.Usage != nil && r.Usage.Host != nil:
		return stats.DiscardSteal(r.Usage.Host.StealShare)
	}
	return ""
}

func (r Run) answered() int64 {
	n := r.Produced.Requests + r.Produced.Records + r.Consumed.Requests + r.Consumed.Records
	if n == 0 && len(r.Figures) > 0 {
		return 1 // modes with measures of their own count neither
	}
	return n
}

func (r Run) errorCount() int64 {
	var n int64
	for _, count := range r.Errors {
		n += count
	}
	return n
}

// Read collects a folder. It fails only if the folder has no raw directory at all; everything else
// that is missing or corrupt becomes a Problem, and the rest is used.
func Read(dir string) (*Folder, error) {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, fmt.Errorf("no raw results: %w", err)
	}
	f := &Folder{Name: filepath.Base(absolute)}
	for _, entry := range entries {
		f.readRun(dir, entry)
	}
	if len(f.Runs) == 0 {
		f.problem("raw", errors.New("holds no usable result"))
	}
	f.readJSON(dir, "facts.json", &f.Facts)
	f.readJSON(dir, "limits.json", &f.Limits)
	var goals []Goal
	f.readJSON(dir, "goals.json", &goals)
	for i, g := range goals {
		if err := g.Validate(); err != nil {
			f.problem("goals.json", fmt.Errorf("goal %d (%q) left out: %w", i, g.ID, err))
			continue
		}
		f.Goals = append(f.Goals, g)
	}
	return f, nil
}

func (f *Folder) problem(file string, err error) {
	f.Problems = append(f.Problems, Problem{filepath.ToSlash(file), withoutPath(err)})
}

// withoutPath drops the folder's place on this machine from an error: the report is published.
func withoutPath(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Op + ": " + pathError.Err.Error()
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

func (f *Folder) readRun(dir string, entry fs.DirEntry) {
	file := filepath.Join("raw", entry.Name())
	if entry.IsDir() || !(strings.HasSuffix(file, ".json") || strings.HasSuffix(file, ".json.gz")) {
		return
	}
	r, err := readResult(filepath.Join(dir, file))
	if err != nil {
		f.problem(file, err)
		return
	}
	f.Runs = append(f.Runs, Run{File: filepath.ToSlash(file), Result: r})
}

// ReadRun reads one raw result, packed or not, and judges it from what it saw, as Read does.
func ReadRun(path string) (Run, error) {
	r, err := readResult(path)
	return Run{File: filepath.Base(path), Result: r}, err
}

// Stolen says that the discard rule takes the run, whatever else speaks against it.
func (r Run) Stolen() bool {
	return r.Usage != nil && r.Usage.Host != nil && stats.DiscardSteal(r.Usage.Host.StealShare) != ""
}

func readResult(path string) (*result.Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".gz") {
		if text, err = gunzip(text); err != nil {
			return nil, err
		}
	}
	var r result.Result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Schema != result.SchemaVersion:
		return nil, fmt.Errorf("schema %d, this report reads %d", r.Schema, result.SchemaVersion)
	case r.Target.Name == "":
		return nil, errors.New("the run names no target")
	}
	// A null histogram counts as an absent one.
	for name, h := range r.Stages {
		if h == nil {
			delete(r.Stages, name)
		}
	}
	// Whether a run counts follows from what it saw, and not from what its file says of itself.
	benchmarks.Judge(&r)
	return &r, nil
}

func gunzip(packed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(reader, rawBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("gzip: %w", err)
	case len(text) > rawBytesMax:
		return nil, fmt.Errorf("gzip: over %d bytes when unpacked", rawBytesMax)
	}
	return text, nil
}

func (f *Folder) readJSON(dir, file string, into any) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		f.problem(file, err)
	}
}

// caseNames are the cases of all runs, ascending; a run outside a suite is of the case "single".
func (f *Folder) caseNames() []string {
	var names []string
	for _, r := range f.Runs {
		names = append(names, r.caseName())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r Run) caseName() string {
	if r.Plan.Case == "" {
		return "single"
	}
	return r.Plan.Case
}
