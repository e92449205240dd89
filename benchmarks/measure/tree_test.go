package measure

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a root directory to read recorded files from.
type tree struct {
	t    testing.TB
	root string
}

func newTree(t testing.TB) tree {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return tree{t, root}
}

// plant makes the files of a recorded tree. The format: "-- path --", then the file's text, or
// "-> target" for a symbolic link.
func plant(t testing.TB, file string) tree {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTree(t)
	for _, entry := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		name, body, found := strings.Cut(entry, " --\n")
		if !found {
			t.Fatalf("%s: bad entry %q", file, entry)
		}
		tr.put(name, body)
	}
	return tr
}

// put writes one file in place, as the kernel's files change under an open descriptor.
func (tr tree) put(name, body string) {
	tr.t.Helper()
	path := filepath.Join(tr.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	var err error
	if target, isLink := strings.CutPrefix(body, "-> "); isLink {
		err = os.Symlink(strings.TrimSpace(target), path)
	} else {
		err = os.WriteFile(path, []byte(body), 0o644)
	}
	if err != nil {
		tr.t.Fatal(err)
	}
}

// process writes the files of a process: ticks of user and system time, KiB of anonymous memory.
func (tr tree) process(pid int, state string, user, system, anonKiB, threads int) {
	dir := fmt.Sprintf("proc/%d/", pid)
	tr.put(dir+"stat", fmt.Sprintf(
		"%d (odd) R (name) %s 1 1 1 0 -1 4194304 96 0 7 0 %d %d 0 0 20 0 %d 0 1125836 3133440 382\n",
		pid, state, user, system, threads))
	tr.put(dir+"status", fmt.Sprintf("Name:\todd\nVmHWM:\t%8d kB\nVmRSS:\t%8d kB\nRssAnon:\t%8d kB\n"+
		"RssFile:\t%8d kB\nRssShmem:\t%8d kB\nThreads:\t%d\n", 9000, anonKiB+300, anonKiB, 200, 100, threads))
}

func (tr tree) host(user, idle, steal, dirtyKiB int) {
	tr.put("proc/stat", fmt.Sprintf("cpu  %d 2 3 %d 5 6 7 %d 9 10\ncpu0 1 1 1 1 1 1 1 1 0 0\n"+
		"cpu1 1 1 1 1 1 1 1 1 0 0\nintr 1 2 3\nctxt %d\nbtime 1\n", user, idle, steal, 10*user))
	tr.put("proc/meminfo", fmt.Sprintf("MemTotal:  8000 kB\nMemFree:  1000 kB\nMemAvailable:  %d kB\n"+
		"Cached:  3000 kB\nDirty:  %d kB\nWriteback:  50 kB\nWritebackTmp:  9 kB\n", 6000-dirtyKiB, dirtyKiB))
}
