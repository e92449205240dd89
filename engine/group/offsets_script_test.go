package group

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// Transcripts of committed offsets. Each line is a command, and what follows is what was appended (+)
// and what was answered:
//
//	commit G [v=9] [gen=1] [member=a] [instance=i] [retention=1h] T-P=OFFSET[@EPOCH][:METADATA]…
//	txn-commit G pid=1 [epoch=0] [v=4] [gen=1] [member=a] [instance=i] T-P=OFFSET…
//	end pid=1 commit|abort         the transaction's marker
//	fetch G [stable] [T[#ID]-P…]   all offsets if no partition is named
//	delete G T-P…                  OffsetDelete
//	topics-deleted T…
//	join G MEMBER [type=connect] [instance=i] [topics=a,b]    parks unless all members have joined
//	sync G MEMBER, leave G MEMBER
//	advance 5m                     time passes, timers are due
//	append-fails [CODE]            appends fail from here on, or do so no more
//	reload                         the machine is dropped and its log replayed
//	config retention=20s check=5s  the same, with another configuration
//	offsets                        the table
//
// Member ids are the member's name, which is the instance id of a static one, and "-1". After each
// command a second machine that replays the log has the same table.
type offsetScript struct {
	t       *testing.T
	cfg     Config
	nowMs   int64
	m       *Machine
	shard   *coordinator.Shard[*Input]
	log     scriptLog
	out     strings.Builder
	joined  map[string]int32 // generations by group
	printed int
}

// scriptLog keeps what was appended.
type scriptLog struct {
	batches []coordinator.Batch
	end     int64
	code    int16
}

func (l *scriptLog) Append(b coordinator.Batch) (int64, int16) {
	if l.code != wire.CodeNone {
		return 0, l.code
	}
	b.Records = slices.Clone(b.Records)
	l.batches = append(l.batches, b)
	l.end += max(1, int64(len(b.Records)))
	return l.end - 1, wire.CodeNone
}

func (l *scriptLog) replay(m *Machine) error {
	for _, b := range l.batches {
		if b.Marker != nil {
			m.ReplayMarker(*b.Marker)
		}
		for _, r := range b.Records {
			if err := m.Replay(r, b.ProducerID, b.ProducerEpoch); err != nil {
				return err
			}
		}
	}
	return nil
}

func newOffsetScript(t *testing.T) *offsetScript {
	cfg := Defaults()
	cfg.InitialDelayMs = 0
	s := &offsetScript{t: t, cfg: cfg, nowMs: 1_000_000, joined: map[string]int32{}}
	s.load()
	return s
}

func (s *offsetScript) load() {
	s.m = New(s.cfg)
	if err := s.log.replay(s.m); err != nil {
		s.t.Fatal(err)
	}
	s.shard = coordinator.NewShard(s.m, &s.log, s.log.end)
	s.shard.Loaded(s.nowMs, 1)
}

func TestOffsetTranscripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/offsets", func(t *testing.T, path string) {
		s := newOffsetScript(t)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			s.out.Reset()
			for line := range strings.Lines(d.Input) {
				if words := strings.Fields(line); len(words) > 0 {
					fmt.Fprintf(&s.out, "> %s\n", strings.TrimSpace(line))
					s.run(words)
					s.sameAfterReload()
				}
			}
			return s.out.String()
		})
	})
}

// sameAfterReload holds the table against one that is replayed from the log.
func (s *offsetScript) sameAfterReload() {
	s.m.offsets.check()
	again := New(s.cfg)
	if err := s.log.replay(again); err != nil {
		s.t.Fatal(err)
	}
	if got, want := again.offsets.dump(), s.m.offsets.dump(); got != want {
		s.t.Fatalf("after reload:\n%s\nbefore:\n%s", got, want)
	}
}

func (s *offsetScript) run(words []string) {
	var in *Input
	w := scriptWords{words: words[1:], t: s.t}
	switch words[0] {
	case "commit":
		in = s.commit(&w)
	case "txn-commit":
		in = s.txnCommit(&w)
	case "end":
		pid := w.number("pid", 1)
		in = &Input{Kind: EndTxn, Marker: &coordinator.Marker{ProducerID: pid, Commit: w.flag("commit")}}
	case "fetch":
		in = s.fetch(&w)
	case "delete":
		in = s.delete(&w)
	case "topics-deleted":
		in = &Input{Kind: TopicsDeleted}
		for _, name := range w.words {
			topic, id, _ := strings.Cut(name, "#")
			in.Topics, in.TopicIDs = append(in.Topics, topic), append(in.TopicIDs, scriptID(id))
		}
	case "join", "sync", "leave":
		in = s.member(words[0], &w)
	case "advance":
		s.advance(w.next())
	case "append-fails":
		s.log.code = wire.CodeNone
		if len(w.words) > 0 {
			s.log.code = codeNamed(w.next())
		}
	case "reload":
		s.load()
	case "config":
		s.cfg.OffsetRetentionMs, s.cfg.ExpiryCheckMs = w.ms("retention"), w.ms("check")
		s.load()
	case "offsets":
		fmt.Fprintln(&s.out, s.m.offsets.dump())
	default:
		s.t.Fatalf("unknown command %q", words[0])
	}
	if in != nil {
		s.shard.Handle(s.nowMs, in)
		for s.shard.NextDueMs() <= s.nowMs {
			s.shard.Handle(s.nowMs)
		}
		s.say()
	}
}

// advance lets time pass; timers come due one after the other.
func (s *offsetScript) advance(by string) {
	d, err := time.ParseDuration(by)
	if err != nil {
		s.t.Fatal(err)
	}
	until := s.nowMs + d.Milliseconds()
	for s.shard.NextDueMs() <= until {
		s.nowMs = max(s.nowMs, s.shard.NextDueMs())
		s.shard.Handle(s.nowMs)
	}
	s.nowMs = until
	s.say()
}

// say prints what was appended and answered since the last time.
func (s *offsetScript) say() {
	for ; s.printed < len(s.log.batches); s.printed++ {
		b := s.log.batches[s.printed]
		if b.Marker != nil {
			fmt.Fprintf(&s.out, "  + marker pid=%d commit=%v\n", b.Marker.ProducerID, b.Marker.Commit)
		}
		for _, r := range b.Records {
			txn := ""
			if b.ProducerID != coordinator.NoProducer {
				txn = fmt.Sprintf(" (pid=%d epoch=%d guard=%d)", b.ProducerID, b.ProducerEpoch, b.Guard)
			}
			fmt.Fprintf(&s.out, "  + %s%s\n", recordText(s.t, r), txn)
		}
	}
	var released coordinator.Released[*Input]
	s.shard.Release(s.log.end, &released)
	for _, r := range released.Replies {
		fmt.Fprintf(&s.out, "  %s\n", s.answer(r))
	}
}

// recordText reads a record with decoders that are not ours.
func recordText(t *testing.T, r coordinator.Record) string {
	if r.Key[1] == 2 {
		var k kmsg.GroupMetadataKey
		var v kmsg.GroupMetadataValue
		if err := k.ReadFrom(r.Key); err != nil {
			t.Fatal(err)
		}
		if r.Value == nil {
			return fmt.Sprintf("group %s: tombstone", k.Group)
		}
		if err := v.ReadFrom(r.Value); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("group %s: v%d %q generation %d, %d members", k.Group, v.Version,
			v.ProtocolType, v.Generation, len(v.Members))
	}
	var k kmsg.OffsetCommitKey
	var v kmsg.OffsetCommitValue
	if err := k.ReadFrom(r.Key); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("offset %s/%s-%d:", k.Group, k.Topic, k.Partition)
	if r.Value == nil {
		return text + " tombstone"
	}
	if err := v.ReadFrom(r.Value); err != nil {
		t.Fatal(err)
	}
	text += fmt.Sprintf(" v%d %d", v.Version, v.Offset)
	if v.Version >= 3 {
		text += fmt.Sprintf("@%d", v.LeaderEpoch)
	}
	text += fmt.Sprintf(" at %d", v.CommitTimestamp)
	if v.Metadata != "" {
		text += " " + abbreviated(v.Metadata)
	}
	if v.Version == 1 {
		text += fmt.Sprintf(" until %d", v.ExpireTimestamp)
	}
	if v.TopicID != [16]byte{} {
		text += fmt.Sprintf(" id %d", v.TopicID[15])
	}
	return text
}

func abbreviated(s string) string {
	if len(s) > 20 {
		return fmt.Sprintf("%q… (%d bytes)", s[:2], len(s))
	}
	return strconv.Quote(s)
}
