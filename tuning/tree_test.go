package tuning

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plant makes the files of a recorded tree below a fresh directory. The format: "-- path --", then
// the file's text, or "-> target" for a symbolic link.
func plant(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		name, body, found := strings.Cut(entry, " --\n")
		if !found {
			t.Fatalf("%s: bad entry %q", file, entry)
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, isLink := strings.CutPrefix(body, "-> "); isLink {
			err = os.Symlink(strings.TrimSpace(target), path)
		} else {
			err = os.WriteFile(path, []byte(body), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}
