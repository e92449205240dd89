package group

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/wire"
)

// TestSimulation lets clients form groups while everything goes wrong: they crash, stall, repeat old
// requests and restart, appends fail, the clock jumps, the shard moves. It holds that
//
//   - every input is answered exactly once,
//   - what a member is given is in the log, and no partition is given twice in a generation,
//   - generations that are assigned never go back,
//   - committed offsets are what was last acknowledged,
//   - a group at rest is the same after its log was replayed,
//   - the machine's books balance after every step (see check),
//   - once faults stop, every group comes to rest with exactly those who are alive.
//
// SIM_SEED replays one seed, SIM_SEEDS says how many there are.
func TestSimulation(t *testing.T) {
	if seed := simEnv(t, "SIM_SEED", 0); seed != 0 {
		newWorld(t, seed).run()
		return
	}
	for seed := range simEnv(t, "SIM_SEEDS", 300) {
		newWorld(t, seed+1).run()
	}
}

func simEnv(t *testing.T, name string, fallback uint64) uint64 {
	s := os.Getenv(name)
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const (
	simPartitions = 7
	simSteps      = 250
	// simQuietMs is how long groups have to come to rest: sessions end, joins are repeated, and
	// members without a client are given up.
	simQuietMs = 400_000
)

type world struct {
	*stage
	t       *testing.T
	seed    uint64
	r       *rand.Rand
	clients []*client
	fresh   int
	// past are requests that were sent, to be repeated.
	past []*Input
	// failing is how many more appends fail.
	failing int
	// lives counts the ends of each group: after one, generations begin anew. In one life of a group,
	// generations that are assigned go up, and each partition is given to one member in each of them.
	lives  map[string]int
	latest map[string]int32
	owners map[string]string
	// record is the latest of each group.
	record map[string]*kmsg.GroupMetadataValue
	// committed is the offset that was last acknowledged, by group and partition.
	committed map[string]int64
	reloads   int
	// elapsedMs is the clients' clock, which does not jump.
	elapsedMs int64
	trace     []string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 7)), lives: map[string]int{},
		latest: map[string]int32{}, owners: map[string]string{}, committed: map[string]int64{},
		record: map[string]*kmsg.GroupMetadataValue{},
	}
	cfg := Defaults()
	cfg.NewMemberMs = 60_000
	cfg.InitialDelayMs = int32(w.r.IntN(2) * 3000)
	w.stage = newStage(w, cfg)
	w.stage.log.refuse = w.refuse
	w.stage.log.wrote = w.wrote
	w.stage.onReply = w.reply
	for i := range 2 + w.r.IntN(7) {
		w.clients = append(w.clients, newClient(w, i))
	}
	return w
}

func (w *world) Helper() { w.t.Helper() }

// Fatalf names the seed and shows what led there.
func (w *world) Fatalf(format string, args ...any) {
	w.t.Helper()
	from := max(0, len(w.trace)-80)
	w.t.Fatalf("seed %d: %s\n%s", w.seed, fmt.Sprintf(format, args...), strings.Join(w.trace[from:], "\n"))
}

func (w *world) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%d ", w.nowMs)+fmt.Sprintf(format, args...))
}

func (w *world) run() {
	w.t.Helper()
	for range simSteps {
		w.fault()
		w.pass(int64(w.r.IntN(3000)))
		w.actAll()
		w.verify()
	}
	w.failing = 0
	for _, c := range w.clients {
		c.upAtMs = 0
	}
	w.note("faults stop")
	for passed := 0; w.unrest() != nil; passed += 500 {
		if passed > simQuietMs {
			w.Fatalf("no rest after the last fault: %v", w.unrest())
		}
		w.pass(500)
		w.actAll()
		w.verify()
	}
	w.checkCovered()
	for range 100 {
		w.pass(500)
		w.actAll()
		if unrest := w.unrest(); unrest != nil {
			w.Fatalf("the rest did not last: %v", unrest)
		}
	}
	w.end()
}

// checkCovered holds that at rest every partition has somebody.
func (w *world) checkCovered() {
	for id, value := range w.record {
		given := map[string]bool{}
		for i := range value.Members {
			for p := range strings.FieldsSeq(string(value.Members[i].Assignment)) {
				given[p] = true
			}
		}
		if len(value.Members) > 0 && len(given) != simPartitions {
			w.Fatalf("at rest group %s has given %d of %d partitions", id, len(given), simPartitions)
		}
	}
}

// end moves the shard away: then nobody may be left without an answer.
func (w *world) end() {
	w.checkOffsets()
	w.unload()
	for in, n := range w.answered {
		if n != 1 {
			w.Fatalf("an input of kind %d was answered %d times", in.Kind, n)
		}
	}
}

func (w *world) pass(ms int64) {
	w.elapsedMs += ms
	w.advance(ms)
}

func (w *world) verify() {
	w.m.check(w)
	w.checkWaiting()
}

func (w *world) actAll() {
	for _, c := range w.clients {
		c.act()
	}
}

func (w *world) refuse() int16 {
	if w.failing == 0 {
		return wire.CodeNone
	}
	w.failing--
	codes := []int16{wire.CodeNotEnoughReplicas, wire.CodeNotLeaderOrFollower, wire.CodeMessageTooLarge}
	code := codes[w.r.IntN(len(codes))]
	w.note("append fails with %s", codeName(code))
	return code
}

// fault does one of the things that go wrong, or nothing.
func (w *world) fault() {
	c := w.clients[w.r.IntN(len(w.clients))]
	switch w.r.IntN(24) {
	case 0, 1:
		c.crash()
	case 2, 3:
		c.stall()
	case 4, 5, 6:
		w.repeat()
	case 7:
		w.failing = 1 + w.r.IntN(3)
	case 8:
		w.jump()
	case 9, 10:
		w.reloadSame()
	case 11:
		c.leave()
	case 12, 13:
		c.rejoin()
	case 14:
		w.administrate(c)
	case 15, 16:
		c.commit()
	case 17:
		w.checkOffsets()
	}
}

// jump sets the wall clock.
func (w *world) jump() {
	w.nowMs += int64(w.r.IntN(7_200_000)) - 3_600_000
	w.note("the clock jumps")
	w.handle()
}

// repeat sends a request again, as a network or a client that has come back to life would. Static
// joins without an id are left out: they would take a living member's place, which is what they are
// for.
func (w *world) repeat() {
	if len(w.past) == 0 {
		return
	}
	in := *w.past[w.r.IntN(len(w.past))]
	if in.Kind == Join {
		req := in.Request.(*kmsg.JoinGroupRequest)
		if req.InstanceID != nil && req.MemberID == "" {
			return
		}
		w.fresh++
		in.NewID = fmt.Sprintf("u%d", w.fresh)
	}
	w.note("again: kind %d of %s", in.Kind, in.ClientID)
	w.handle(&in)
}

// reloadSame moves the shard: what was at rest must be so again.
func (w *world) reloadSame() {
	before := w.m.settled()
	offsets := w.m.offsets.dump()
	w.note("reload")
	w.reloads++
	w.reload()
	w.checkSame(before)
	if after := w.m.offsets.dump(); after != offsets {
		w.Fatalf("offsets after a reload:\n%s\nbefore:\n%s", after, offsets)
	}
}

func (w *world) checkSame(before map[string]string) {
	// A deposed machine's settled groups must be what its log says.
	after := w.m.settled()
	for id, was := range before {
		if after[id] != was {
			w.Fatalf("group %s after a reload:\n%s\nbefore:\n%s", id, after[id], was)
		}
	}
}

// administrate describes, lists and deletes.
func (w *world) administrate(c *client) {
	w.handle(&Input{Kind: Describe, Group: c.group}, &Input{Kind: List})
	if w.r.IntN(2) == 0 {
		in := &Input{Kind: Delete, Group: c.group}
		w.note("delete %s", c.group)
		w.handle(in)
	}
}

// reply checks an answer, and hands it to the client if that still waits for it.
func (w *world) reply(in *Input, response any) {
	if in.Waiter == nil && in.Kind != Timer {
		if r, ok := response.(*kmsg.DeleteGroupsResponseGroup); ok && r.ErrorCode == wire.CodeNone {
			for p := range simPartitions {
				delete(w.committed, fmt.Sprint(in.Group, "-", p))
			}
		}
		return
	}
	w.note("%s kind %d: %s", in.ClientID, in.Kind, show(response))
	switch r := response.(type) {
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode == wire.CodeNone {
			w.checkGiven(in, r)
		}
	case *kmsg.OffsetCommitResponse:
		req := in.Request.(*kmsg.OffsetCommitRequest)
		if r.Topics[0].Partitions[0].ErrorCode == wire.CodeNone {
			p := req.Topics[0].Partitions[0]
			if g := w.m.lookup(in.Group); g.generation != req.Generation || g.members[req.MemberID] == nil {
				w.Fatalf("%s has committed in generation %d", req.MemberID, req.Generation)
			}
			w.committed[fmt.Sprint(in.Group, "-", p.Partition)] = p.Offset
		}
	}
	if c := in.Waiter.(*client); c.waits == in {
		c.waits = nil
		c.hear(in, response)
	}
}

// wrote follows the log. A group's tombstone ends one of its lives.
func (w *world) wrote(r coordinator.Record) {
	if kind, err := recordType(r.Key); err != nil || kind != groupKeyType {
		return
	}
	key, err := readGroupKey(r.Key)
	if err != nil {
		w.Fatalf("%v", err)
	}
	id := string(key)
	if r.Value == nil {
		w.note("%s ends", id)
		w.lives[id]++
		delete(w.latest, id)
		delete(w.record, id)
		return
	}
	if w.record[id], _, err = readGroupValue(r.Value); err != nil {
		w.Fatalf("%v", err)
	}
}

// logged is a member as the log knows it.
func (w *world) logged(group, id string) *kmsg.GroupMetadataValueMember {
	if value := w.record[group]; value != nil {
		for i := range value.Members {
			if value.Members[i].MemberID == id {
				return &value.Members[i]
			}
		}
	}
	return nil
}

// checkGiven holds that a member is given what the log says, and nothing that another one has.
func (w *world) checkGiven(in *Input, r *kmsg.SyncGroupResponse) {
	req := in.Request.(*kmsg.SyncGroupRequest)
	mine := w.logged(in.Group, req.MemberID)
	if mine == nil || w.record[in.Group].Generation != req.Generation ||
		string(mine.Assignment) != string(r.MemberAssignment) {
		w.Fatalf("%s was given %q in generation %d, of which the log does not know", req.MemberID,
			r.MemberAssignment, req.Generation)
	}
	if req.Generation < w.latest[in.Group] {
		w.Fatalf("generation %d of %s is assigned after %d", req.Generation, in.Group, w.latest[in.Group])
	}
	w.latest[in.Group] = req.Generation
	who := req.MemberID
	if mine.InstanceID != nil {
		who = *mine.InstanceID
	}
	for p := range strings.FieldsSeq(string(r.MemberAssignment)) {
		at := fmt.Sprint(in.Group, "/", w.lives[in.Group], "/", req.Generation, "/", p)
		if owner, taken := w.owners[at]; taken && owner != who {
			w.Fatalf("%s is given to %s and to %s", at, owner, who)
		}
		w.owners[at] = who
	}
}

// checkOffsets fetches what was committed.
func (w *world) checkOffsets() {
	for _, group := range []string{"g0", "g1"} {
		in := &Input{Kind: OffsetFetch, Group: group, Fetch: &FetchQuery{Group: group, MemberEpoch: -1}}
		var got *kmsg.OffsetFetchResponseGroup
		onReply := w.onReply
		w.onReply = func(to *Input, response any) {
			if to == in {
				got = response.(*kmsg.OffsetFetchResponseGroup)
				return
			}
			onReply(to, response)
		}
		w.handle(in)
		w.onReply = onReply
		found := map[string]int64{}
		for _, t := range got.Topics {
			for _, p := range t.Partitions {
				found[fmt.Sprint(group, "-", p.Partition)] = p.Offset
			}
		}
		for p := range simPartitions {
			at := fmt.Sprint(group, "-", p)
			want, committed := w.committed[at]
			if offset, is := found[at]; is != committed || offset != want {
				w.Fatalf("offset of %s: %d (%v), committed was %d (%v)", at, offset, is, want, committed)
			}
		}
	}
}

// unrest says why it is not so that every group consists of those who are alive, and all know it.
func (w *world) unrest() []string {
	var unrest []string
	size := map[string]int{}
	for _, c := range w.clients {
		size[c.group]++
		g := w.m.lookup(c.group)
		if g == nil || g.state != stateStable || c.phase != clientStable || c.generation != g.generation ||
			g.members[c.memberID] == nil || c.waits != nil {
			unrest = append(unrest, fmt.Sprintf("%s of %s: id %q generation %d phase %d", c.name, c.group,
				c.memberID, c.generation, c.phase))
		}
	}
	for _, id := range w.m.groupIDs() {
		if g := w.m.lookup(id); len(g.members) != size[id] || g.owing+len(g.pending) > 0 {
			unrest = append(unrest, id+" "+g.describe())
		}
	}
	return unrest
}
