package main

import (
	"strings"
	"testing"
)

// TestTopicNames: the rules of Kafka's class Topic.
func TestTopicNames(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		got := ""
		if err := checkNames("ok", name); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want …%s…", name, got, want)
		}
	}
	f("a.B_c-9", "")
	f("...", "")
	f(strings.Repeat("x", 249), "")
	f("", "the empty text")
	f(".", "must not be . or ..")
	f("..", "must not be . or ..")
	f(strings.Repeat("x", 250), "250 characters")
	f("b!d", "the name b!d is not valid: it may hold only")
	f("a b", "may hold only")
	f("ä", "may hold only")
}

// TestOneWordingForMissingTopics: every command says in the same words that a topic does not exist,
// and refuses a name that none can have.
func TestOneWordingForMissingTopics(t *testing.T) {
	for _, line := range []string{
		"topic describe NAME", "topic delete NAME", "topic alter NAME -p 3",
		"topic alter NAME --set retention.ms=1", "config describe topic NAME",
		"config alter topic NAME --set retention.ms=1", "consume NAME -e", "produce NAME",
	} {
		fails(t, 1, "sluice: topic absent does not exist",
			strings.Fields(strings.ReplaceAll(line, "NAME", "absent"))...)
		fails(t, 1, "sluice: the name b!d is not valid: ",
			strings.Fields(strings.ReplaceAll(line, "NAME", "b!d"))...)
	}
}

// TestHints: what would leave somebody wondering is said.
func TestHints(t *testing.T) {
	create(t, "hints-compacted", "-c", "cleanup.policy=compact")
	r := run(t, "no key\n", "-b", server(), "produce", "hints-compacted")
	if r.code != 1 || !strings.Contains(r.err, "a compacted topic needs a key in every record") {
		t.Errorf("%+v", r)
	}
	create(t, "hints", "-p", "2")
	sluice(t, "a\nb\n", "produce", "hints", "-p", "0")
	r = run(t, "", "-b", server(), "consume", "hints", "-e", "-o", "99", "-p", "0")
	if r.code != 0 || r.out != "" || r.err != "sluice: offset 99 is beyond the end (2) of partition 0\n" {
		t.Errorf("%+v", r)
	}
	r = run(t, "", "-b", server(), "consume", "hints", "-o", "99:end")
	want := "sluice: offset 99 is beyond the end (2) of partition 0, and of 1 more partition\n"
	if r.code != 0 || r.out != "" || r.err != want {
		t.Errorf("%+v", r)
	}
	sluice(t, "", "consume", "hints", "-e", "-o", "1")
}
