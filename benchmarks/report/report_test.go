package report

import (
	"testing"
)

// TestWriteFullFolder makes a whole report; -keep DIR leaves it there to be looked at.
func TestWriteFullFolder(t *testing.T) {
	dir := t.TempDir()
	if *keep != "" {
		dir = *keep
	}
	fullFolder(t, dir)
	build(t, dir)
}

func build(t *testing.T, dir string) *Report {
	t.Helper()
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Build(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	return r
}
