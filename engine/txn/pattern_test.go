package txn

import (
	"strings"
	"testing"
)

// TestPatternsAreBounded: a short pattern can stand for a long one, and all of a shard waits while it is
// compared with every name.
func TestPatternsAreBounded(t *testing.T) {
	t.Parallel()
	m := New(DefaultConfig())
	f := func(pattern string, want bool) {
		t.Helper()
		if _, err := m.compile(pattern); (err == nil) != want {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	f("my-app-[0-9]{1,3}(-[a-z]+)*", true)
	f("orders|payments|.*-mirror-(eu|us)-west-[1-9][0-9]?", true)
	f("[a-z]{100}", true)
	f(strings.Repeat("id|", 300)+"id", true)
	f(strings.Repeat("x", 1000), true)
	f("(?:[a-z0-9-]?){1000}x", false)
	f("(?:a{30}){30}", false)
	f("(?:.{300}|.{300})", false)
	f("(?:ab){2,}", true)
	f("(", false)
}
