package load

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// verdict is what a script makes of a request.
type verdict struct {
	code  int16
	delay time.Duration
	// drop breaks the connection instead of answering, silent never answers anything more on it.
	drop, silent bool
	// change has its way with the records of a fetch answer.
	change func(records []byte) []byte
}

// fakeLog is a partition.
type fakeLog struct {
	batches [][]byte
	next    int64
}

// written is what an idempotent producer's batch said of itself.
type written struct {
	place    string
	pid      int64
	sequence int32
	count    int32
}

// fakeCluster is a few brokers in this process. They answer the requests of a connection one by
// one, as Kafka does, and do what the scripts say.
type fakeCluster struct {
	t         *testing.T
	topic     string
	brokers   []net.Listener
	ranges    map[int16][2]int16 // what ApiVersions says
	onProduce func(n int, place string) verdict
	onFetch   func(n int, place string, offset int64) verdict

	mu        sync.Mutex // guards what follows
	leaders   []int32
	logs      []*fakeLog
	changed   chan struct{} // closed at every append
	produces  int
	fetches   int
	nextID    int64
	sequences []written
	conns     map[net.Conn]bool
	closed    bool

	wg sync.WaitGroup
}

func newFake(t *testing.T, brokers, partitions int) *fakeCluster {
	f := &fakeCluster{
		t: t, topic: "fake", changed: make(chan struct{}), conns: map[net.Conn]bool{}, nextID: 100,
		ranges: map[int16][2]int16{0: {3, 11}, 1: {4, 17}, 2: {1, 8}, 3: {0, 12}, 18: {0, 4}, 22: {0, 5}},
	}
	for i := range partitions {
		f.logs = append(f.logs, &fakeLog{})
		f.leaders = append(f.leaders, int32(i%brokers))
	}
	for i := range brokers {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		f.brokers = append(f.brokers, l)
		f.wg.Go(func() { f.accept(l, int32(i)) })
	}
	t.Cleanup(f.stop)
	return f
}

func (f *fakeCluster) addrs() []string { return []string{f.brokers[0].Addr().String()} }

func (f *fakeCluster) stop() {
	f.mu.Lock()
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
	f.mu.Unlock()
	for _, l := range f.brokers {
		l.Close()
	}
	f.wg.Wait()
}

func (f *fakeCluster) accept(l net.Listener, id int32) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.closed {
			c.Close()
		}
		f.conns[c] = true
		f.mu.Unlock()
		f.wg.Go(func() {
			defer c.Close()
			f.serve(c, id)
		})
	}
}

// serve answers the requests of one connection.
func (f *fakeCluster) serve(c net.Conn, id int32) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(frame)), int16(binary.BigEndian.Uint16(frame[2:]))
		client := int(binary.BigEndian.Uint16(frame[8:]))
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		body := frame[10+client:]
		if req.IsFlexible() {
			body = body[1:]
		}
		if err := req.ReadFrom(body); err != nil {
			f.t.Errorf("a request of key %d version %d does not parse: %v", key, version, err)
			return
		}
		resp, v := f.handle(req, id)
		if v.silent {
			io.Copy(io.Discard, c)
			return
		}
		if v.drop {
			return
		}
		if resp == nil {
			continue
		}
		out := append(make([]byte, 4), frame[4:8]...)
		out = resp.AppendTo(out)
		binary.BigEndian.PutUint32(out, uint32(len(out)-4))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func (f *fakeCluster) handle(req kmsg.Request, id int32) (kmsg.Response, verdict) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	switch q := req.(type) {
	case *kmsg.ApiVersionsRequest:
		a := resp.(*kmsg.ApiVersionsResponse)
		for key, r := range f.ranges {
			a.ApiKeys = append(a.ApiKeys, kmsg.ApiVersionsResponseApiKey{
				ApiKey: key, MinVersion: r[0], MaxVersion: r[1],
			})
		}
	case *kmsg.MetadataRequest:
		f.metadata(resp.(*kmsg.MetadataResponse))
	case *kmsg.InitProducerIDRequest:
		f.mu.Lock()
		f.nextID++
		resp.(*kmsg.InitProducerIDResponse).ProducerID = f.nextID
		f.mu.Unlock()
	case *kmsg.ListOffsetsRequest:
		f.offsets(q, resp.(*kmsg.ListOffsetsResponse))
	case *kmsg.ProduceRequest:
		v := f.produce(q, resp.(*kmsg.ProduceResponse), id)
		if q.Acks == 0 {
			return nil, v
		}
		return resp, v
	case *kmsg.FetchRequest:
		return resp, f.fetch(q, resp.(*kmsg.FetchResponse), id)
	default:
		f.t.Errorf("unexpected request of key %d", req.Key())
	}
	return resp, verdict{}
}

func (f *fakeCluster) metadata(resp *kmsg.MetadataResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, l := range f.brokers {
		b := kmsg.NewMetadataResponseBroker()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		n, _ := strconv.Atoi(port)
		b.NodeID, b.Host, b.Port = int32(i), "127.0.0.1", int32(n)
		resp.Brokers = append(resp.Brokers, b)
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr(f.topic)
	for i, leader := range f.leaders {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader = int32(i), leader
		topic.Partitions = append(topic.Partitions, p)
	}
	resp.Topics = append(resp.Topics, topic)
}

func (f *fakeCluster) offsets(q *kmsg.ListOffsetsRequest, resp *kmsg.ListOffsetsResponse) {
	f.mu.Lock()
	defer f.mu.Unlock()
	topic := kmsg.NewListOffsetsResponseTopic()
	topic.Topic = f.topic
	for _, p := range q.Topics[0].Partitions {
		rp := kmsg.NewListOffsetsResponseTopicPartition()
		rp.Partition, rp.Offset = p.Partition, 0
		if p.Timestamp == offsetsLatest {
			rp.Offset = f.logs[p.Partition].next
		}
		topic.Partitions = append(topic.Partitions, rp)
	}
	resp.Topics = append(resp.Topics, topic)
}

func (f *fakeCluster) produce(q *kmsg.ProduceRequest, resp *kmsg.ProduceResponse, id int32) verdict {
	p := q.Topics[0].Partitions[0]
	place := fmt.Sprintf("%s-%d", f.topic, p.Partition)
	f.mu.Lock()
	f.produces++
	n := f.produces
	f.mu.Unlock()
	var v verdict
	if f.onProduce != nil {
		v = f.onProduce(n, place)
	}
	time.Sleep(v.delay)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leaders[p.Partition] != id {
		v.code = wire.CodeNotLeaderOrFollower
	}
	t := kmsg.NewProduceResponseTopic()
	t.Topic = f.topic
	rp := kmsg.NewProduceResponseTopicPartition()
	rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, v.code, -1
	if v.code == 0 && !v.drop && !v.silent {
		rp.BaseOffset = f.append(place, f.logs[p.Partition], p.Records)
	}
	t.Partitions = append(t.Partitions, rp)
	resp.Topics = append(resp.Topics, t)
	return v
}

// append validates a batch as a broker does, and appends it.
func (f *fakeCluster) append(place string, log *fakeLog, records []byte) int64 {
	var check wire.Validator
	rules := wire.DefaultRules(time.Now().UnixMilli())
	rules.MessageBytesMax = 8 << 20
	info, bad := check.Validate(records, &rules)
	if bad != nil {
		f.t.Errorf("an invalid batch for %s: %s", place, bad.Message)
		return -1
	}
	base := log.next
	info.Batch.SetBaseOffset(base)
	log.batches = append(log.batches, info.Batch)
	log.next += int64(info.Count)
	if info.ProducerID >= 0 {
		f.sequences = append(f.sequences, written{place, info.ProducerID, info.BaseSequence, info.Count})
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return base
}

func (f *fakeCluster) fetch(q *kmsg.FetchRequest, resp *kmsg.FetchResponse, id int32) verdict {
	deadline := time.After(time.Duration(q.MaxWaitMillis) * time.Millisecond)
	f.mu.Lock()
	f.fetches++
	n := f.fetches
	f.mu.Unlock()
	for {
		f.mu.Lock()
		changed := f.changed
		t, total, v := f.read(q, n, id)
		f.mu.Unlock()
		if total > 0 || v.code != 0 || q.MinBytes == 0 {
			resp.Topics = append(resp.Topics, t)
			return v
		}
		select {
		case <-changed:
		case <-deadline:
			resp.Topics = append(resp.Topics, t)
			return v
		}
	}
}

// read gathers what a fetch asks for.
func (f *fakeCluster) read(q *kmsg.FetchRequest, n int, id int32) (
	t kmsg.FetchResponseTopic, total int, v verdict,
) {
	t = kmsg.NewFetchResponseTopic()
	t.Topic = f.topic
	for _, p := range q.Topics[0].Partitions {
		rp := kmsg.NewFetchResponseTopicPartition()
		log := f.logs[p.Partition]
		rp.Partition, rp.HighWatermark, rp.LogStartOffset = p.Partition, log.next, 0
		v = verdict{}
		if f.onFetch != nil {
			v = f.onFetch(n, fmt.Sprintf("%s-%d", f.topic, p.Partition), p.FetchOffset)
		}
		if f.leaders[p.Partition] != id {
			v.code = wire.CodeNotLeaderOrFollower
		}
		rp.ErrorCode = v.code
		if v.code == 0 {
			rp.RecordBatches = log.from(p.FetchOffset, int(p.PartitionMaxBytes))
			if v.change != nil && len(rp.RecordBatches) > 0 {
				rp.RecordBatches = v.change(rp.RecordBatches)
			}
		}
		total += len(rp.RecordBatches)
		t.Partitions = append(t.Partitions, rp)
	}
	return t, total, v
}

// from returns the batches at an offset, cut at bytesMax as Kafka cuts them, but for the first.
func (l *fakeLog) from(offset int64, bytesMax int) []byte {
	var out []byte
	for _, b := range l.batches {
		if wire.Batch(b).NextOffset() <= offset {
			continue
		}
		if len(out) > 0 && len(out)+len(b) > bytesMax {
			return append(out, b[:bytesMax-len(out)]...)
		}
		out = append(out, b...)
	}
	return out
}

// total is the number of records in all partitions.
func (f *fakeCluster) total() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := int64(0)
	for _, l := range f.logs {
		n += l.next
	}
	return n
}
