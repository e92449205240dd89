package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sluice/benchmarks/report"
)

// TestCommittedReports: the pages of every committed report are what its committed raw runs give, byte
// for byte. One that fails here is made anew by `make bench-report BENCH_OUT=…`.
func TestCommittedReports(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("committed plots were drawn on amd64; other processors may round the last digit differently")
	}
	folders, err := filepath.Glob(filepath.Join("..", "..", "results", "*", "raw"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no committed report: %v", err)
	}
	for _, raw := range folders {
		committed := filepath.Dir(raw)
		t.Run(filepath.Base(committed), func(t *testing.T) {
			f, err := report.Read(committed)
			if err != nil {
				t.Fatal(err)
			}
			r, err := report.Build(f)
			if err != nil {
				t.Fatal(err)
			}
			made := t.TempDir()
			if err := r.Write(made); err != nil {
				t.Fatal(err)
			}
			compareFolders(t, committed, made)
		})
	}
}

// compareFolders wants each made file to be committed as it is, and no other plot or distribution.
func compareFolders(t *testing.T, committed, made string) {
	t.Helper()
	err := filepath.WalkDir(made, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(made, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if got, err := os.ReadFile(filepath.Join(committed, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the raw runs give (%v)", name, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"plots/*.svg", "hgrm/*.hgrm"} {
		there, _ := filepath.Glob(filepath.Join(committed, pattern))
		given, _ := filepath.Glob(filepath.Join(made, pattern))
		if len(there) != len(given) {
			t.Errorf("%s: %d are committed, the raw runs give %d", strings.TrimSuffix(pattern, "/*"), len(there),
				len(given))
		}
	}
}
