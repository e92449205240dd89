package tuning

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGather reads recorded trees and shows every fact as a report would print it.
func TestGather(t *testing.T) {
	datadriven.Walk(t, "testdata/gather", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var tree, dir string
			d.ScanArgs(t, "tree", &tree)
			d.ScanArgs(t, "dir", &dir)
			facts := Gather(Options{
				Root: plant(t, "testdata/"+tree+".tree"), DataDir: dir, Hostname: d.HasArg("hostname"),
			})
			return show(facts, d.HasArg("unreadable"))
		})
	})
}

func show(facts Facts, unreadable bool) string {
	var b strings.Builder
	for _, g := range facts.Groups {
		fmt.Fprintf(&b, "%s\n", g.Title)
		for _, f := range g.Facts {
			if f.Unreadable == "" || unreadable {
				fmt.Fprintf(&b, "  %s = %s\n", f.Key, f.Text())
			}
		}
	}
	return b.String()
}

// TestGatherNothing: on a tree without a single file every fact has a reason, or states an absence.
func TestGatherNothing(t *testing.T) {
	facts := Gather(Options{Root: t.TempDir(), DataDir: "/data", Hostname: true})
	for _, g := range facts.Groups {
		for _, f := range g.Facts {
			if f.Unreadable == "" && f.Key != "host.container" {
				t.Errorf("%s = %q without any file to read it from", f.Key, f.Value)
			}
		}
	}
}

// TestGatherHere runs on the machine itself: what every Linux shows must be there, no fact may be
// without both value and reason, and keys must be unique.
func TestGatherHere(t *testing.T) {
	facts := Gather(Options{DataDir: filepath.Join(t.TempDir(), "not", "made", "yet"), Hostname: true})
	for _, key := range []string{
		"host.name", "cpu.threads", "memory.total", "kernel.release", "cgroup.version",
		"ulimit.nofile", "data.fs", "data.size", "data.free", "vm.swappiness", "fs.file-max",
	} {
		if f, ok := facts.Get(key); !ok || f.Value == "" {
			t.Errorf("%s: %q, want a value", key, f.Text())
		}
	}
	seen := map[string]bool{}
	for _, g := range facts.Groups {
		for _, f := range g.Facts {
			if seen[f.Key] {
				t.Errorf("%s comes twice", f.Key)
			}
			seen[f.Key] = true
			if (f.Value == "") == (f.Unreadable == "") {
				t.Errorf("%s: want a value or a reason, got %+v", f.Key, f)
			}
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if f, _ := facts.Get("kernel.release"); err != nil || f.Value != strings.TrimSpace(string(release)) {
		t.Errorf("kernel.release %q, the kernel says %q (%v)", f.Value, release, err)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	facts := Gather(Options{Root: plant(t, "testdata/guest.tree"), DataDir: "/var/lib/sluice"})
	text, err := json.Marshal(facts)
	if err != nil {
		t.Fatal(err)
	}
	var back Facts
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(facts, back) {
		t.Fatalf("facts changed on their way through JSON (%v)", err)
	}
}

func TestTableKeepsOrder(t *testing.T) {
	facts := Facts{Groups: []Group{
		{"A", []Fact{{Key: "a", Label: "one", Value: "1"}, {Key: "b", Label: "two", Unreadable: "gone"}}},
		{"B", nil},
	}}
	want := [][2]string{{"A", ""}, {"one", "1"}, {"two", "not readable: gone"}, {"B", ""}}
	if got := facts.Table(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, ok := facts.Get("c"); ok {
		t.Error("found a fact that is not there")
	}
}

// TestReadingChangesNothing: Gather on a tree leaves every file as it was.
func TestReadingChangesNothing(t *testing.T) {
	root := plant(t, "testdata/server.tree")
	list := func() (names []string) {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			info, statErr := d.Info()
			if err != nil || statErr != nil {
				return fmt.Errorf("%s: %w, %w", path, err, statErr)
			}
			names = append(names, fmt.Sprint(path, info.Size(), info.ModTime(), info.Mode()))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	before := list()
	Gather(Options{Root: root, DataDir: "/data/new", Hostname: true})
	if after := list(); !reflect.DeepEqual(before, after) {
		t.Errorf("tree changed:\n%s\n%s", before, after)
	}
}
