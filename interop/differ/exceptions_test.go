//go:build interop

package differ

import (
	"fmt"
	"os"
	"regexp"
	"sync"
)

// exception is a difference that is meant: where it occurs and why.
type exception struct {
	test, label, path *regexp.Regexp
	why               string
	hits              int
}

func except(test, label, path, why string) *exception {
	re := func(s string) *regexp.Regexp { return regexp.MustCompile("^(?:" + s + ")$") }
	return &exception{test: re(test), label: re(label), path: re(path), why: why}
}

var (
	exceptionsMu sync.Mutex
	exceptions   = []*exception{}
)

// excepted says whether a difference is on the list.
func excepted(test, label, path, kafka, sluice string) bool {
	if os.Getenv("SLUICE_INTEROP_SAME") != "" {
		return false
	}
	exceptionsMu.Lock()
	defer exceptionsMu.Unlock()
	for _, e := range exceptions {
		if e.test.MatchString(test) && e.label.MatchString(label) && e.path.MatchString(path) {
			e.hits++
			return true
		}
	}
	return false
}

// reportUnused prints the exceptions that took effect with their counts, and names the others.
func reportUnused() {
	if os.Getenv("SLUICE_INTEROP_SAME") != "" {
		return
	}
	for _, e := range exceptions {
		state := fmt.Sprintf("%d fields differ as listed", e.hits)
		if e.hits == 0 {
			state = "not seen in this run"
		}
		fmt.Printf("exception %s %s %s: %s (%s)\n", e.test, e.label, e.path, e.why, state)
	}
}
