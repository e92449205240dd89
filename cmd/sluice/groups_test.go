package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// groupTools are the classes of Kafka's tools that transcripts run.
var groupTools = map[string]string{
	"kafka-consumer-groups":  "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
	"kafka-groups":           "org.apache.kafka.tools.GroupsCommand",
	"kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}

// volatileGroups are the parts of outputs that differ between runs. What replaces them is as wide.
var volatileGroups = []struct {
	find *regexp.Regexp
	put  string
}{
	{
		regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		"UUUUUUUU-UUUU-UUUU-UUUU-UUUUUUUUUUUU",
	},
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}`), "127.0.0.1:PPPPP"},
}

// script runs a transcript: lines that begin with "$ " are commands whose output and exit code follow.
// Commands of sluice itself prepare what Kafka's tools then look at:
//
//	$ sluice …        a command of sluice, whose output is not compared
//	$ member NAME …   a consumer that stays, once its group is Stable; its output is not compared
//	$ leave NAME      ends it, as Ctrl-C does
//	$ kafka-… …       one of Kafka's tools
type script struct {
	t       *testing.T
	address string
	dir     string
	// jars is a directory with Kafka's own tools, which are run in place of ours; empty for ours.
	jars    string
	members map[string]*exec.Cmd
}

// TestKafkaGroupTranscript runs testdata/kafka_groups.txt and compares the outputs and exit codes with
// what the tools of Kafka 4.3.1 gave against a broker of Kafka 4.4.0. Rows that Kafka prints in the
// order of a hash table were put in order.
//
// SLUICE_KAFKA_JARS names a directory with Kafka's tools: then these are run too, against a broker of
// their own, and must print the same. With SLUICE_RECORD, the address of a Kafka broker that nobody
// has used, they write the transcript anew instead.
func TestKafkaGroupTranscript(t *testing.T) {
	t.Parallel()
	const path = "testdata/kafka_groups.txt"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	jars := os.Getenv("SLUICE_KAFKA_JARS")
	if address := os.Getenv("SLUICE_RECORD"); address != "" {
		s := &script{t: t, address: address, dir: t.TempDir(), jars: jars, members: map[string]*exec.Cmd{}}
		if err := os.WriteFile(path, []byte(s.play(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	sides := map[string]string{"sluice": ""}
	if jars != "" {
		sides["kafka"] = jars
	}
	for name, jars := range sides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := groupBroker(t)
			s := &script{t: t, address: b, dir: t.TempDir(), jars: jars, members: map[string]*exec.Cmd{}}
			want, got := string(text), s.play(string(text))
			wants, gots := strings.Split(want, "$ "), strings.Split(got, "$ ")
			for i, w := range wants {
				if i >= len(gots) || gots[i] != w {
					t.Errorf("got\n%swant\n%s", slices.Concat(gots, []string{"nothing"})[min(i, len(gots))], w)
				}
			}
		})
	}
}

// groupBroker starts a broker of the test's own, in which groups form at once.
func groupBroker(t *testing.T) string {
	t.Helper()
	b, err := startBroker(filepath.Join(t.TempDir(), "data"),
		"--override", "group.initial.rebalance.delay.ms=0",
		"--override", "offsets.topic.num.partitions=2",
		"--override", "transaction.state.log.num.partitions=2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	})
	return b.address
}

// play runs the commands of a transcript and returns it with the outputs that came.
func (s *script) play(text string) string {
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line, ok := strings.CutPrefix(lines.Text(), "$ ")
		if !ok {
			continue
		}
		fmt.Fprintf(&out, "$ %s\n", line)
		words, input := shellWords(s.t, line)
		for i, w := range words {
			words[i] = strings.ReplaceAll(w, "DIR", s.dir)
		}
		switch words[0] {
		case "sluice":
			r := run(s.t, input, append([]string{"-b", s.address}, words[1:]...)...)
			if r.code != 0 {
				s.t.Fatalf("%s: exit %d\n%s", line, r.code, r.err)
			}
		case "file":
			name := filepath.Join(s.dir, words[1])
			if err := os.WriteFile(name, []byte(input), 0o600); err != nil {
				s.t.Fatal(err)
			}
		case "member":
			s.member(words[1], words[2:])
		case "leave":
			s.leave(words[1])
		default:
			out.WriteString(s.tool(words))
		}
	}
	return out.String()
}

// tool runs one of Kafka's tools, Kafka's own or ours.
func (s *script) tool(words []string) string {
	s.t.Helper()
	args := append(slices.Clone(words[1:]), "--bootstrap-server", s.address)
	var r ran
	if s.jars == "" {
		r = run(s.t, "", append([]string{words[0]}, args...)...)
	} else {
		r = runAs(s.t, "java", "", append([]string{
			"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off",
			"-cp", filepath.Join(s.jars, "*"), groupTools[words[0]],
		}, args...)...)
	}
	text := r.out
	for _, v := range volatileGroups {
		text = v.find.ReplaceAllString(text, v.put)
	}
	if s.jars != "" {
		text = inOrder(text)
	}
	return text + fmt.Sprintf("[exit %d]\n", r.code)
}

// quotedList is a list of names within a sentence.
var quotedList = regexp.MustCompile(`'[^']+'(?:, '[^']+')+`)

// inOrder sorts neighbouring rows of a table or list, and names within a sentence; headings and
// sentences begin otherwise.
func inOrder(text string) string {
	text = quotedList.ReplaceAllStringFunc(text, func(list string) string {
		names := strings.Split(list, ", ")
		slices.Sort(names)
		return strings.Join(names, ", ")
	})
	lines := strings.SplitAfter(text, "\n")
	row := func(l string) bool {
		return regexp.MustCompile(`^[a-z"]`).MatchString(l)
	}
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && row(lines[j]) {
			j++
		}
		slices.Sort(lines[i:j])
		i = max(i, j-1)
	}
	return strings.Join(lines, "")
}

// member starts a consumer and waits until its group is stable and has read all there is.
func (s *script) member(name string, words []string) {
	s.t.Helper()
	cmd := exec.Command(binary, append([]string{"-b", s.address}, words...)...)
	errs := &safeBuffer{}
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.members[name] = cmd
	s.t.Cleanup(func() {
		if s.members[name] != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	group := words[slices.Index(words, "--group")+1]
	awaitGroup(s.t, s.address, group, func(g groupJSON) bool {
		for _, o := range g.Offsets {
			if o.End == nil || *o.End > 0 && (o.Lag == nil || *o.Lag > 0) {
				return false
			}
		}
		return g.State == "Stable"
	})
}

// leave ends a member with Ctrl-C, which must succeed.
func (s *script) leave(name string) {
	s.t.Helper()
	cmd := s.members[name]
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	err := cmd.Wait()
	s.members[name] = nil
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
}

// groupJSON is what `group describe -o json` prints of a group.
type groupJSON struct {
	Group, State, Type, Assignor string
	Lag                          int64
	Members                      []struct {
		MemberID, ClientID string
		Assigned           []topicPartition
	}
	Offsets []struct {
		Topic               string
		Partition           int32
		Committed, End, Lag *int64
		MemberID            *string
	}
}

// awaitGroup asks for a group until it is as it should be.
func awaitGroup(t *testing.T, address, group string, ready func(groupJSON) bool) groupJSON {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		r := run(t, "", "-b", address, "group", "describe", group, "-o", "json")
		var groups []groupJSON
		if r.code == 0 {
			if err := json.Unmarshal([]byte(r.out), &groups); err != nil {
				t.Fatalf("%v\n%s", err, r.out)
			}
			if len(groups) == 1 && ready(groups[0]) {
				return groups[0]
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("group %s is not as it should be: %s%s", group, r.out, r.err)
		}
	}
}
