package group

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// TestTranscripts plays testdata/classic: each line of a block is an input or an event, each line of
// output an answer as it leaves, or a record. The files cite the rules that they show.
//
// Words are positional, or key=value. "@m1" stands for the member id that client m1 was last given,
// "-" for the empty one.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/classic", func(t *testing.T, path string) {
		p := &player{t: t, cfg: Defaults(), ids: map[string]string{}, asked: map[*Input]string{}}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			p.t = t
			p.out.Reset()
			if td.Cmd != "run" {
				td.Fatalf(t, "blocks begin with run")
			}
			for line := range strings.Lines(td.Input) {
				if line = strings.TrimSpace(line); line != "" {
					p.play(line)
				}
			}
			p.stage.t = t
			p.stage.checkWaiting()
			return p.out.String()
		})
	})
}

type player struct {
	t     *testing.T
	cfg   Config
	stage *stage
	ids   map[string]string // group and client → member id
	asked map[*Input]string // input → who asked what
	out   strings.Builder
	fresh int
	shown int // batches of the log
}

type words struct {
	p    *player
	list []string
	args map[string]string
}

func (p *player) play(line string) {
	w := words{p: p, args: map[string]string{}}
	for _, f := range strings.Fields(line) {
		if k, v, ok := strings.Cut(f, "="); ok {
			w.args[k] = v
		} else {
			w.list = append(w.list, f)
		}
	}
	if p.stage == nil && w.list[0] != "config" {
		p.start()
	}
	if !p.event(w) {
		p.stage.handle(p.asking(p.input(w), w))
	}
}

func (p *player) start() {
	p.stage = newStage(p.t, p.cfg)
	p.stage.onReply = func(in *Input, response any) {
		if r, ok := response.(*kmsg.JoinGroupResponse); ok &&
			(r.ErrorCode == wire.CodeNone || r.ErrorCode == wire.CodeMemberIDRequired) {
			p.ids[in.Group+" "+in.ClientID] = r.MemberID
		}
		fmt.Fprintf(&p.out, "%s: %s\n", p.asked[in], show(response))
	}
}

func (p *player) event(w words) bool {
	switch w.list[0] {
	case "config":
		p.configure(w)
	case "advance":
		p.stage.advance(w.ms(1))
	case "beat":
		p.beat(w)
	case "set-clock":
		d, err := time.ParseDuration(w.list[1])
		if err != nil {
			p.t.Fatal(err)
		}
		p.stage.nowMs += d.Milliseconds()
		p.stage.handle()
	case "appends-fail":
		p.stage.log.code = codeOf(p.t, w.list[1])
	case "appends-succeed":
		p.stage.log.code = 0
	case "reload":
		p.stage.reload()
	case "log":
		for ; p.shown < len(p.stage.log.batches); p.shown++ {
			for _, r := range p.stage.log.batches[p.shown].Records {
				p.out.WriteString(showRecord(r) + "\n")
			}
		}
	case "counts":
		fmt.Fprintf(&p.out, "groups=%d fleeting=%d pending=%d timers=%d\n", len(p.stage.m.groups),
			p.stage.m.fleeting, p.stage.m.pending, len(p.stage.m.timers.heap)-1)
	default:
		return false
	}
	return true
}

// beat lets a member send heartbeats every two seconds for a while, and shows the answers that differ
// from the one before.
func (p *player) beat(w words) {
	before := ""
	for left := int64(w.duration("for", 0)); left > 0; left -= 2000 {
		p.stage.advance(min(2000, left))
		heard := p.out.Len()
		p.stage.handle(p.asking(heartbeatOf(w.list[1], w.who(), int32(w.number("gen", 1))), w))
		if answer := p.out.String()[heard:]; answer == before {
			rest := p.out.String()[:heard]
			p.out.Reset()
			p.out.WriteString(rest)
		} else {
			before = answer
		}
	}
}

func (p *player) asking(in *Input, w words) *Input {
	p.asked[in] = strings.Join(w.list[:min(len(w.list), 3)], " ")
	return in
}

func (p *player) configure(w words) {
	for k, v := range w.args {
		n, err := strconv.Atoi(v)
		if err != nil {
			p.t.Fatal(err)
		}
		switch k {
		case "size":
			p.cfg.SizeMax = n
		case "groups":
			p.cfg.GroupsMax = n
		case "pending":
			p.cfg.PendingMax = n
		case "group-bytes":
			p.cfg.GroupBytesMax = n
		case "member-bytes":
			p.cfg.MemberBytesMax = n
		case "record-bytes":
			p.cfg.RecordBytesMax = n
		case "delay":
			p.cfg.InitialDelayMs = int32(n)
		default:
			p.t.Fatalf("no setting %s", k)
		}
	}
	if p.stage != nil {
		p.stage.cfg = p.cfg
	}
}

func codeOf(t *testing.T, name string) int16 {
	for code := int16(-1); code < 200; code++ {
		if err := kerr.TypedErrorForCode(code); err != nil && err.Message == name {
			return code
		}
	}
	t.Fatalf("no code %s", name)
	return 0
}

// ms reads a duration, by position or by name.
func (w words) ms(i int) int64 {
	d, err := time.ParseDuration(w.list[i])
	if err != nil {
		w.p.t.Fatal(err)
	}
	return d.Milliseconds()
}

func (w words) duration(key string, fallback int32) int32 {
	if v, ok := w.args[key]; ok {
		d, err := time.ParseDuration(v)
		if err != nil {
			w.p.t.Fatal(err)
		}
		return int32(d.Milliseconds())
	}
	return fallback
}

func (w words) number(key string, fallback int) int {
	if v, ok := w.args[key]; ok {
		n, err := strconv.Atoi(v)
		if err != nil {
			w.p.t.Fatal(err)
		}
		return n
	}
	return fallback
}

func (w words) version(fallback int) int16 { return int16(w.number("v", fallback)) }

// id resolves what stands for a member id.
func (w words) id(s string) string {
	switch {
	case s == "-":
		return ""
	case strings.HasPrefix(s, "@"):
		return w.p.ids[w.list[1]+" "+s[1:]]
	default:
		return s
	}
}

// who is the member id of a line's third word, unless id= says otherwise.
func (w words) who() string {
	if id, ok := w.args["id"]; ok {
		return w.id(id)
	}
	return w.p.ids[w.list[1]+" "+w.list[2]]
}

func (w words) instance() *string {
	if s, ok := w.args["instance"]; ok {
		return &s
	}
	return nil
}

func (p *player) input(w words) *Input {
	in := &Input{ClientHost: "/10.0.0.1"}
	if len(w.list) > 1 {
		in.Group = strings.Trim(w.list[1], `"`)
	}
	if len(w.list) > 2 {
		in.ClientID = w.list[2]
	}
	switch w.list[0] {
	case "join":
		p.fresh++
		in.Kind, in.NewID, in.Version = Join, fmt.Sprintf("u%d", p.fresh), w.version(5)
		in.Request = w.join(in.Group)
	case "sync":
		in.Kind, in.Version = Sync, w.version(3)
		in.Request = w.sync(in.Group)
	case "heartbeat":
		in.Kind, in.Version = Heartbeat, w.version(3)
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID = in.Group, w.who(), w.instance()
		req.Generation = int32(w.number("gen", 1))
		in.Request = req
	case "leave":
		in.Kind, in.Version = Leave, w.version(3)
		in.Request = w.leave(in)
	case "describe":
		in.Kind, in.Version = Describe, w.version(5)
	case "delete":
		in.Kind = Delete
	case "list":
		in.Kind, in.Group = List, ""
		if v := w.args["states"]; v != "" {
			in.StatesFilter = strings.Split(v, ",")
		}
		if v := w.args["types"]; v != "" {
			in.TypesFilter = strings.Split(v, ",")
		}
	case "commit":
		in.Kind, in.Version = OffsetCommit, w.version(8)
		in.Request = w.commit(in.Group)
	default:
		p.t.Fatalf("no event %s", w.list[0])
	}
	return in
}

func (w words) join(group string) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID = group, w.who(), w.instance()
	req.ProtocolType = "consumer"
	if v, ok := w.args["type"]; ok {
		req.ProtocolType = strings.Trim(v, `"`)
	}
	req.SessionTimeoutMillis = w.duration("session", 10_000)
	req.RebalanceTimeoutMillis = w.duration("rebalance", 60_000)
	protocols, ok := w.args["protocols"]
	if !ok {
		protocols = "range:" + w.list[2]
	}
	for _, p := range strings.Split(protocols, ",") {
		if p == "none" {
			break
		}
		name, metadata, _ := strings.Cut(p, ":")
		req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{
			Name: name, Metadata: []byte(metadata),
		})
	}
	return req
}

func (w words) sync(group string) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.InstanceID = group, w.who(), w.instance()
	req.Generation = int32(w.number("gen", 1))
	if v, ok := w.args["type"]; ok {
		req.ProtocolType = &v
	}
	if v, ok := w.args["protocol"]; ok {
		req.Protocol = &v
	}
	for _, a := range strings.Split(w.args["assign"], ",") {
		if who, what, ok := strings.Cut(a, ":"); ok {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
				MemberID: w.id(who), MemberAssignment: []byte(what),
			})
		}
	}
	return req
}

// leave names members as id/instance, several with commas, in its third word; or instance= alone.
func (w words) leave(in *Input) *kmsg.LeaveGroupRequest {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = in.Group
	if in.Version < leaveBatch {
		req.MemberID = w.who()
		return req
	}
	for _, one := range strings.Split(w.list[2], ",") {
		id, instance, static := strings.Cut(one, "/")
		m := kmsg.LeaveGroupRequestMember{MemberID: w.id(id)}
		if static {
			m.InstanceID = &instance
		}
		req.Members = append(req.Members, m)
	}
	return req
}

func (w words) commit(group string) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation, req.InstanceID = group, int32(w.number("gen", -1)), w.instance()
	if len(w.list) > 2 {
		req.MemberID = w.who()
	}
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Offset = int64(w.number("offset", 1))
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	return req
}
