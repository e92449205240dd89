package txn

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
)

// TestTranscripts runs testdata/*.txt: scripts of inputs and what becomes of them, each block with the
// rule it shows. The commands are those of script.line. After every line the state must be the one
// that a reload gives.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		s := &script{t: t, sent: map[string]*SendMarkers{}}
		s.begin(DefaultConfig())
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.out.Reset()
			if d.Cmd == "new" {
				s.begin(DefaultConfig())
				for _, a := range d.CmdArgs {
					v, err := strconv.Atoi(a.Vals[0])
					if err != nil {
						t.Fatal(err)
					}
					s.configure(a.Key, v)
				}
			}
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				if line != "" {
					s.line(strings.Fields(line))
				}
			}
			return s.out.String()
		})
	})
}

// script interprets a transcript.
type script struct {
	t      *testing.T
	r      *rig
	out    strings.Builder
	sent   map[string]*SendMarkers
	logged int
	fails  []int16
	offers []int64
}

func (s *script) begin(config Config) {
	s.r = newRig(s.t, config)
	s.r.reply = s.reply
	s.r.errnd = s.errand
	s.logged = 0
	s.fails, s.offers = nil, nil
	s.r.log.fail = func() int16 {
		if len(s.fails) == 0 {
			return 0
		}
		code := s.fails[0]
		s.fails = s.fails[1:]
		return code
	}
}

func (s *script) configure(key string, v int) {
	config := s.r.config
	switch key {
	case "tv":
		config.TxnVersion = int16(v)
	case "ids":
		config.IDsMax = v
	case "id-bytes":
		config.IDBytesMax = v
	case "record-bytes":
		config.RecordBytesMax = v
	case "pattern-bytes":
		config.PatternBytesMax = v
	default:
		s.t.Fatalf("unknown setting %s", key)
	}
	s.begin(config)
}

func (s *script) printf(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func producer(id int64, epoch int16) string { return fmt.Sprintf("%d/%d", id, epoch) }

func (s *script) reply(in *Input, response any) {
	took := ""
	if in.TookProducerID {
		took = " (id taken)"
	}
	switch r := response.(type) {
	case *kmsg.InitProducerIDResponse:
		s.printf("init %s: %s %s%s", in.TransactionalID, codeName(r.ErrorCode),
			producer(r.ProducerID, r.ProducerEpoch), took)
	case *kmsg.AddPartitionsToTxnResponseTransaction:
		line := "add " + r.TransactionalID + ":"
		for _, topic := range ClientTopics(r) {
			for _, p := range topic.Partitions {
				line += fmt.Sprintf(" %s-%d %s", topic.Topic, p.Partition, codeName(p.ErrorCode))
			}
		}
		s.printf("%s", line)
	case *kmsg.AddOffsetsToTxnResponse:
		s.printf("offsets %s: %s", in.TransactionalID, codeName(r.ErrorCode))
	case *kmsg.EndTxnResponse:
		s.printf("end %s: %s %s%s", in.TransactionalID, codeName(r.ErrorCode),
			producer(r.ProducerID, r.ProducerEpoch), took)
	case *kmsg.DescribeTransactionsResponseTransactionState:
		s.printf("describe %s: %s %s %s timeout=%d start=%d %v", r.TransactionalID,
			codeName(r.ErrorCode), r.State, producer(r.ProducerID, r.ProducerEpoch),
			r.TimeoutMillis, r.StartTimestamp, r.Topics)
	case *kmsg.ListTransactionsResponse:
		line := "list: " + codeName(r.ErrorCode)
		for _, st := range r.TransactionStates {
			line += fmt.Sprintf(" %s=%s/%d", st.TransactionalID, st.TransactionState, st.ProducerID)
		}
		if len(r.UnknownStateFilters) > 0 {
			line += fmt.Sprintf(" unknown=%v", r.UnknownStateFilters)
		}
		s.printf("%s", line)
	default:
		s.t.Fatalf("unexpected response %T", response)
	}
}

func (s *script) errand(e any) {
	switch e := e.(type) {
	case *SendMarkers:
		s.sent[e.TransactionalID] = e
		result := "abort"
		if e.Commit {
			result = "commit"
		}
		s.printf("  markers %s: %s %s coordinator=%d tv=%d %v", e.TransactionalID, result,
			producer(e.ProducerID, e.ProducerEpoch), e.CoordinatorEpoch, e.TxnVersion, e.Partitions)
	case *NeedProducerID:
		s.printf("  wants a producer id: %s", e.TransactionalID)
	default:
		s.t.Fatalf("unexpected errand %T", e)
	}
}

// options are the key=value words of a line, and its flags.
type options map[string]string

func split(words []string) (plain []string, opts options) {
	opts = options{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			opts[k] = v
		} else {
			plain = append(plain, w)
		}
	}
	return plain, opts
}

func (o options) num(key string, otherwise int64) int64 {
	v, ok := o[key]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func parseProducer(word string) (int64, int16) {
	id, epoch, _ := strings.Cut(word, "/")
	o := options{"id": id, "epoch": epoch}
	return o.num("id", 0), int16(o.num("epoch", 0))
}

func parsePartitions(words []string) (all []TopicPartition) {
	for _, w := range words {
		at := strings.LastIndexByte(w, '-')
		all = append(all, TopicPartition{w[:at], int32(options{"n": w[at+1:]}.num("n", 0))})
	}
	return all
}

// name lets scripts say _ for the empty id.
func name(word string) string { return strings.TrimPrefix(word, "_") }

func (s *script) line(words []string) {
	cmd := words[0]
	plain, opts := split(words[1:])
	switch cmd {
	case "init":
		expect, epoch := int64(-1), int16(-1)
		if e, ok := opts["expect"]; ok {
			expect, epoch = parseProducer(e)
		}
		in := s.r.initInput(name(plain[0]), int16(opts.num("v", 4)),
			int32(opts.num("timeout", 60_000)), expect, epoch)
		s.offered(in, opts)
		s.r.handle(in)
	case "add", "verify":
		pid, epoch := parseProducer(plain[1])
		version := int16(3)
		if cmd == "verify" {
			version = 4
		}
		s.r.handle(addInput(name(plain[0]), int16(opts.num("v", int64(version))), pid, epoch,
			cmd == "verify", parsePartitions(plain[2:])...))
	case "offsets":
		pid, epoch := parseProducer(plain[1])
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.ProducerID, req.ProducerEpoch = pid, epoch
		s.r.handle(&Input{
			Kind: AddOffsets, Request: req, Version: int16(opts.num("v", 3)),
			TransactionalID: name(plain[0]), OffsetsPartition: int32(options{"n": plain[2]}.num("n", 0)),
		})
	case "end":
		pid, epoch := parseProducer(plain[1])
		in := s.r.endInput(name(plain[0]), int16(opts.num("v", 4)), pid, epoch, plain[2] == "commit")
		s.offered(in, opts)
		s.r.handle(in)
	case "describe":
		s.r.handle(&Input{Kind: Describe, TransactionalID: name(plain[0])})
	case "list":
		s.r.handle(s.listInput(opts))
	default:
		s.world(cmd, plain, opts)
	}
}

func (s *script) offered(in *Input, opts options) {
	in.NewProducerID = opts.num("offer", in.NewProducerID)
}

func (s *script) listInput(opts options) *Input {
	req := kmsg.NewPtrListTransactionsRequest()
	if v, ok := opts["states"]; ok {
		req.StateFilters = strings.Split(v, ",")
	}
	if _, ok := opts["producer"]; ok {
		req.ProducerIDFilters = []int64{opts.num("producer", 0)}
	}
	req.DurationFilterMillis = opts.num("age", -1)
	if v, ok := opts["pattern"]; ok {
		req.TransactionalIDPattern = &v
	}
	return &Input{Kind: List, Request: req, Version: int16(opts.num("v", 2))}
}

// world are the commands that are not requests.
func (s *script) world(cmd string, plain []string, opts options) {
	switch cmd {
	case "written":
		sent := s.sent[plain[0]]
		partitions := parsePartitions(plain[1:])
		if len(partitions) == 0 {
			partitions = sent.Partitions
		}
		s.r.handle(sent.Written(partitions...))
	case "keep":
		s.sent[plain[1]] = s.sent[plain[0]]
	case "time-out":
		s.r.handle(&Input{
			Kind: TimeOut, TransactionalID: plain[0], NewProducerID: opts.num("offer", -1),
		})
	case "advance":
		d, err := time.ParseDuration(plain[0])
		if err != nil {
			s.t.Fatal(err)
		}
		s.advance(d.Milliseconds())
	case "tv":
		s.r.config.TxnVersion = int16(options{"n": plain[0]}.num("n", 0))
		s.r.handle(&Input{Kind: SetVersion, TxnVersion: s.r.config.TxnVersion})
	case "append-fails":
		s.fails = append(s.fails, codeNamed(s.t, plain[0]))
	case "hold":
		s.r.hwHeld = true
	case "pass":
		s.r.hwHeld = false
		s.r.release()
	case "reload":
		s.r.unload(codeNamed(s.t, "NOT_COORDINATOR"), len(s.r.log.records))
		s.r.load()
		s.r.check()
	case "lose":
		// Another leader had not seen what is above the high watermark.
		s.r.unload(codeNamed(s.t, "NOT_COORDINATOR"), int(s.r.hw))
		s.r.load()
		s.r.check()
	case "put":
		s.put(plain[0], opts)
	case "state":
		for _, line := range persistent(s.r.m) {
			s.printf("%s", line)
		}
	case "log":
		s.dumpLog()
	default:
		s.t.Fatalf("unknown command %s", cmd)
	}
}

// advance lets the time pass in steps, at the moments at which the machine wants to be called.
func (s *script) advance(ms int64) {
	end := s.r.nowMs + ms
	for s.r.nowMs < end {
		s.r.nowMs = min(end, max(s.r.nowMs+1, s.r.m.NextDueMs()))
		s.r.handle()
	}
	if ms < 0 {
		s.r.nowMs = end
		s.r.handle()
	}
}

// put writes a record behind the machine's back and loads the log again.
func (s *script) put(id string, opts options) {
	st, ok := stateNamed(opts["state"])
	if !ok {
		s.t.Fatalf("unknown state %s", opts["state"])
	}
	pid, epoch := parseProducer(opts["producer"])
	t := meta{
		producerID: pid, epoch: epoch, prevID: opts.num("prev", -1), nextID: opts.num("next", -1),
		timeoutMs: int32(opts.num("timeout", 60_000)), state: st, version: int8(opts.num("tv", 0)),
		startMs: opts.num("start", s.r.nowMs), updateMs: opts.num("update", s.r.nowMs),
	}
	var partitions []TopicPartition
	if p, ok := opts["partitions"]; ok {
		partitions = parsePartitions(strings.Split(p, ","))
	}
	s.r.log.records = append(s.r.log.records, coordinator.Record{
		Key: appendKey(nil, id), Value: appendValue(nil, 1, &t, partitions),
	})
	s.r.unload(codeNamed(s.t, "NOT_COORDINATOR"), len(s.r.log.records))
	s.r.load()
}

// dumpLog prints the records since the last time.
func (s *script) dumpLog() {
	for _, r := range s.r.log.records[s.logged:] {
		id, _, err := decodeKey(r.Key)
		if err != nil {
			s.t.Fatal(err)
		}
		if r.Value == nil {
			s.printf("%s: tombstone", id)
			continue
		}
		t, partitions, _, err := decodeValue(r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		s.printf("%s: v%d %s %s prev=%d next=%d timeout=%d start=%d update=%d tv=%d %v", id, r.Value[1],
			t.state, producer(t.producerID, t.epoch), t.prevID, t.nextID, t.timeoutMs, t.startMs,
			t.updateMs, t.version, partitions)
	}
	s.logged = len(s.r.log.records)
}
