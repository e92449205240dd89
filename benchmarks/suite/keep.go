package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// supersededDir is where raw results go whose case is carried out once more: all are kept, but a
// report takes the runs of one time only, so that no pair is made of runs hours apart and nobody
// can choose among them.
const supersededDir = "superseded"

// supersede moves the raw results of a case out of the report's way, together, into a folder of
// their own. It does nothing where there are none.
func (o *Options) supersede(id string) error {
	old, err := o.rawFiles(id, "[0-9][0-9]")
	if err != nil || len(old) == 0 {
		return err
	}
	return o.moveAway(id, old)
}

// rawFiles are the raw results of a case, packed or not. pair is a pattern of two characters.
func (o *Options) rawFiles(id, pair string) ([]string, error) {
	var all []string
	for _, ending := range []string{".json", ".json.gz"} {
		files, err := filepath.Glob(filepath.Join(o.rawDir(), id+"-"+pair+"-*"+ending))
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

func (o *Options) moveAway(id string, files []string) error {
	dir := ""
	for n := 1; dir == ""; n++ {
		dir = filepath.Join(o.Out, supersededDir, fmt.Sprintf("%s.%d", id, n))
		if _, err := os.Stat(dir); err == nil {
			dir = ""
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	o.say("case %s: %d earlier results were moved to %s", id, len(files), dir)
	for _, path := range files {
		if err := os.Rename(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			return err
		}
	}
	return nil
}

// goneMax is how long a broker may take to remove a deleted topic's files: at 100 ms of delay and
// some GB/s of unlinking, a few seconds.
const goneMax = 60 * time.Second

// awaitGone waits until a data folder holds nothing of a topic, under its own name or one that marks
// it as deleted, and says so where that takes too long.
func (o *Options) awaitGone(ctx context.Context, dataDir, topic string) error {
	deadline := time.Now().Add(goneMax)
	for {
		left, err := leftOf(dataDir, topic)
		if err != nil || left == 0 {
			return err
		}
		if time.Now().After(deadline) {
			o.say("  %d folders of deleted topic %s are still there; going on", left, topic)
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// leftOf counts a topic's partitions by Kafka's layout: topic-N, or topic-N.id-delete. A broker that
// keeps nothing on the disk has no folder.
func leftOf(dataDir, topic string) (int, error) {
	entries, err := os.ReadDir(dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	left := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), topic+"-") {
			left++
		}
	}
	return left, err
}
