package group

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// scriptWords are the words of a command that are not consumed yet.
type scriptWords struct {
	words []string
	t     *testing.T
}

func (w *scriptWords) next() string {
	word := w.words[0]
	w.words = w.words[1:]
	return word
}

// flag consumes a word if it is there.
func (w *scriptWords) flag(name string) bool {
	for i, word := range w.words {
		if word == name {
			w.words = append(append([]string{}, w.words[:i]...), w.words[i+1:]...)
			return true
		}
	}
	return false
}

// value consumes name=value.
func (w *scriptWords) value(name string) (string, bool) {
	for _, word := range w.words {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			w.flag(word)
			return v, true
		}
	}
	return "", false
}

func (w *scriptWords) number(name string, otherwise int64) int64 {
	v, ok := w.value(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *scriptWords) ms(name string) int64 {
	v, _ := w.value(name)
	d, err := time.ParseDuration(v)
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Milliseconds()
}

func (w *scriptWords) text(name string) *string {
	if v, ok := w.value(name); ok {
		return &v
	}
	return nil
}

// memberID is the id of a member by its name.
func (w *scriptWords) memberID() string {
	if name, ok := w.value("member"); ok && name != "" {
		return name + "-1"
	}
	return ""
}

// scriptPart is one partition of a command: TOPIC[#ID]-PARTITION[=OFFSET[@EPOCH][:METADATA]].
type scriptPart struct {
	topic     string
	id        [16]byte
	partition int32
	offset    int64
	epoch     int32
	metadata  *string
}

func scriptID(digit string) (id [16]byte) {
	if digit != "" {
		id[15] = digit[0] - '0'
	}
	return id
}

func (w *scriptWords) parts() (parts []scriptPart) {
	for _, word := range w.words {
		p := scriptPart{epoch: -1}
		name, rest, _ := strings.Cut(word, "=")
		dash := strings.LastIndex(name, "-")
		topic, id, _ := strings.Cut(name[:dash], "#")
		p.topic, p.id = strings.ReplaceAll(topic, "LONG", strings.Repeat("t", 40_000)), scriptID(id)
		if _, err := fmt.Sscan(name[dash+1:], &p.partition); err != nil {
			w.t.Fatal(err)
		}
		if rest != "" {
			rest, metadata, has := strings.Cut(rest, ":")
			if letter, times, many := strings.Cut(metadata, "*"); many {
				n, _ := strconv.Atoi(times)
				metadata = strings.Repeat(letter, n)
			}
			if has {
				p.metadata = &metadata
			}
			offset, epoch, has := strings.Cut(rest, "@")
			if _, err := fmt.Sscan(offset, &p.offset); err != nil {
				w.t.Fatal(err)
			}
			if has {
				if _, err := fmt.Sscan(epoch, &p.epoch); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		parts = append(parts, p)
	}
	return parts
}

func (w *scriptWords) group() string {
	return strings.ReplaceAll(strings.Trim(w.next(), `"`), "LONG", strings.Repeat("g", 40_000))
}

func (s *offsetScript) commit(w *scriptWords) *Input {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = w.group()
	req.Version, req.Generation = int16(w.number("v", 9)), int32(w.number("gen", -1))
	req.MemberID, req.InstanceID = w.memberID(), w.text("instance")
	if strings.Contains(strings.Join(w.words, " "), "retention=") {
		req.RetentionTimeMillis = w.ms("retention")
	}
	for _, p := range w.parts() {
		partition := kmsg.NewOffsetCommitRequestTopicPartition()
		partition.Partition, partition.Offset = p.partition, p.offset
		partition.LeaderEpoch, partition.Metadata = p.epoch, p.metadata
		req.Topics = append(req.Topics, kmsg.OffsetCommitRequestTopic{
			Topic: p.topic, TopicID: p.id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{partition},
		})
	}
	return &Input{Kind: OffsetCommit, Request: req, Version: req.Version, Group: req.Group}
}

func (s *offsetScript) txnCommit(w *scriptWords) *Input {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Group = w.group()
	req.Version, req.Generation = int16(w.number("v", 4)), int32(w.number("gen", -1))
	req.ProducerID, req.ProducerEpoch = w.number("pid", 1), int16(w.number("epoch", 0))
	req.MemberID, req.InstanceID = w.memberID(), w.text("instance")
	guard := uint64(w.number("guard", 0))
	for _, p := range w.parts() {
		partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		partition.Partition, partition.Offset = p.partition, p.offset
		partition.LeaderEpoch, partition.Metadata = p.epoch, p.metadata
		req.Topics = append(req.Topics, kmsg.TxnOffsetCommitRequestTopic{
			Topic: p.topic, TopicID: p.id, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{partition},
		})
	}
	return &Input{
		Kind: TxnOffsetCommit, Request: req, Version: req.Version, Group: req.Group, Guard: guard,
	}
}

func (s *offsetScript) fetch(w *scriptWords) *Input {
	q := &FetchQuery{Group: w.group(), RequireStable: w.flag("stable"), MemberEpoch: -1}
	if v, ok := w.value("memberEpoch"); ok {
		q.MemberID = &v
		q.MemberEpoch = 99
	}
	for _, p := range w.parts() {
		q.Topics = append(q.Topics, kmsg.OffsetFetchRequestGroupTopic{
			Topic: p.topic, TopicID: p.id, Partitions: []int32{p.partition},
		})
	}
	return &Input{Kind: OffsetFetch, Group: q.Group, Fetch: q}
}

func (s *offsetScript) delete(w *scriptWords) *Input {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = w.group()
	for _, p := range w.parts() {
		req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{
			Topic: p.topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: p.partition}},
		})
	}
	return &Input{Kind: OffsetDelete, Request: req, Group: req.Group}
}

// member drives the classic protocol as far as offsets need it.
func (s *offsetScript) member(command string, w *scriptWords) *Input {
	group, name := w.next(), w.next()
	in := &Input{Group: group, ClientID: name, ClientHost: "/10.0.0.1", NewID: "1"}
	switch command {
	case "join":
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.Version, in.Version = group, 3, 3
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 20_000
		if g := s.m.lookup(group); g != nil && g.members[name+"-1"] != nil {
			req.MemberID = name + "-1"
		}
		req.InstanceID = w.text("instance")
		req.ProtocolType = "consumer"
		if v := w.text("type"); v != nil {
			req.ProtocolType = *v
		}
		topics, _ := w.value("topics")
		metadata := kmsg.NewConsumerMemberMetadata()
		metadata.Topics = strings.Split(topics, ",")
		bytes := metadata.AppendTo(nil)
		if topics == "GARBAGE" {
			bytes = []byte("?")
		}
		req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: bytes}}
		in.Kind, in.Request = Join, req
	case "sync":
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation = group, name+"-1", s.joined[group]
		in.Kind, in.Request = Sync, req
	default:
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group, req.MemberID = group, name+"-1"
		in.Kind, in.Request = Leave, req
	}
	return in
}

func codeNamed(name string) int16 {
	for code := int16(-1); code < 200; code++ {
		if wire.CodeName(code) == name {
			return code
		}
	}
	panic("no such code: " + name)
}

// answer prints what somebody is answered.
func (s *offsetScript) answer(r coordinator.Reply[*Input]) string {
	var say []string
	part := func(topic string, id [16]byte, partition int32, what string) {
		if len(topic) > 100 {
			topic = "LONG"
		}
		if id != [16]byte{} {
			topic = fmt.Sprintf("%s#%d", topic, id[15])
		}
		say = append(say, fmt.Sprintf("%s-%d: %s", topic, partition, what))
	}
	switch resp := r.Response.(type) {
	case int16:
		say = append(say, wire.CodeName(resp))
	case *kmsg.OffsetCommitResponse:
		for _, t := range resp.Topics {
			part(t.Topic, t.TopicID, t.Partitions[0].Partition, wire.CodeName(t.Partitions[0].ErrorCode))
		}
	case *kmsg.TxnOffsetCommitResponse:
		for _, t := range resp.Topics {
			part(t.Topic, t.TopicID, t.Partitions[0].Partition, wire.CodeName(t.Partitions[0].ErrorCode))
		}
	case *kmsg.OffsetDeleteResponse:
		say = append(say, wire.CodeName(resp.ErrorCode))
		for _, t := range resp.Topics {
			part(t.Topic, [16]byte{}, t.Partitions[0].Partition, wire.CodeName(t.Partitions[0].ErrorCode))
		}
	case *kmsg.OffsetFetchResponseGroup:
		say = append(say, wire.CodeName(resp.ErrorCode))
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				what := fmt.Sprintf("%d@%d %s", p.Offset, p.LeaderEpoch, abbreviated(*p.Metadata))
				if p.ErrorCode != wire.CodeNone {
					what += " " + wire.CodeName(p.ErrorCode)
				}
				part(t.Topic, t.TopicID, p.Partition, what)
			}
		}
	case *kmsg.JoinGroupResponse:
		s.joined[r.To.Group] = resp.Generation
		say = append(say, fmt.Sprintf("joined %s: %s generation %d",
			r.To.ClientID, wire.CodeName(resp.ErrorCode), resp.Generation))
	case *kmsg.SyncGroupResponse:
		say = append(say, fmt.Sprintf("synced %s: %s", r.To.ClientID, wire.CodeName(resp.ErrorCode)))
	case *kmsg.LeaveGroupResponse:
		say = append(say, fmt.Sprintf("left %s: %s", r.To.ClientID, wire.CodeName(resp.ErrorCode)))
	default:
		s.t.Fatalf("an answer of %T", resp)
	}
	return strings.Join(say, ", ")
}
