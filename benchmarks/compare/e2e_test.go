package compare

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEndToEnd carries out one pair with the built broker on both sides. One pair decides nothing.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tree, err := WorkTree(ctx, ".")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "sluice")
	if err := tree.Build(ctx, binary); err != nil {
		t.Fatal(err)
	}
	times := []string{"--duration", "500ms", "--warmup", "100ms"}
	e := EndToEnd{
		Cases: []Case{
			{"write", append([]string{"produce", "--partitions", "2"}, times...)},
			{"impossible", append([]string{"produce", "--topic-config", "no.such.key=1"}, times...)},
		},
		Pairs: 1, Binary: [2]string{binary, binary}, Out: t.TempDir(), Data: t.TempDir(),
	}
	var log strings.Builder
	runs, err := e.Carry(ctx, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	if len(runs) != 4 {
		t.Fatalf("%d runs:\n%s", len(runs), &log)
	}
	for _, side := range []string{"old", "new"} {
		if _, err := os.Stat(filepath.Join(e.Out, "write-0-"+side+".json")); err != nil {
			t.Error(err)
		}
	}
	for _, r := range runs {
		if r.Case == "write" && (r.Produced.Bytes == 0 || r.Error != "") {
			t.Errorf("%s wrote %+v: %s", r.Turn.Side, r.Produced, r.Error)
		}
		if r.Case == "impossible" && drop(r.Result) == "" {
			t.Errorf("%s: a run that failed counts", r.Turn.Side)
		}
	}
	if left, _ := os.ReadDir(e.Data); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := Report(&log, nil, Ratios(runs), 0.05); !errors.Is(err, ErrNothing) {
		t.Errorf("one pair decided something: %v\n%s", err, &log)
	}
	e.Cases = []Case{{"typo", []string{"produce", "--no-such-flag"}}}
	if _, err := e.Carry(ctx, &log); err == nil || !strings.Contains(err.Error(), "left no result") {
		t.Errorf("a client that does not start: %v", err)
	}
}
