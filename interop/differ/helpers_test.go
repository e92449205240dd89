//go:build interop

package differ

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ptr is the address of a copy of v.
func ptr[T any](v T) *T { return &v }

// versions calls f for each version of an API from low up to the newest that kmsg can write.
func versions(newRequest func() kmsg.Request, low int16, f func(v int16)) {
	for v := low; v <= newRequest().MaxVersion(); v++ {
		f(v)
	}
}

// at sets a request's version.
func at[R kmsg.Request](req R, v int16) R {
	req.SetVersion(v)
	return req
}

// must asks without recording; a scenario that gets no answer ends.
func must[R kmsg.Response](s *side, req kmsg.Request) R {
	resp, err := s.ask(req)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", kmsg.NameForKey(req.Key()), err))
	}
	return resp.(R)
}

// create makes a topic and waits until each partition answers, recording nothing.
// configs are pairs of name and value.
func (s *side) create(name string, partitions int32, configs ...string) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.CreateTopicsRequestTopic{newTopic(name, partitions, 1, configs...)}
	resp := must[*kmsg.CreateTopicsResponse](s, req)
	if code := resp.Topics[0].ErrorCode; code != 0 {
		panic(fmt.Sprintf("creating %s: %s", name, errorName(code)))
	}
	for id, known := range s.names.topics {
		if known == "id("+name+")" {
			s.names.topics[id] = "old " + known
		}
	}
	s.names.topics[resp.Topics[0].TopicID] = "id(" + name + ")"
	s.awaitLeaders(name, partitions)
}

func newTopic(name string, partitions int32, rf int16, configs ...string,
) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, rf
	for i := 0; i < len(configs); i += 2 {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = configs[i], ptr(configs[i+1])
		t.Configs = append(t.Configs, c)
	}
	return t
}

// awaitLeaders waits until every partition answers ListOffsets: Kafka shows a new topic in its
// metadata before its log is there.
func (s *side) awaitLeaders(name string, partitions int32) {
	for deadline := time.Now().Add(answerWait); ; time.Sleep(20 * time.Millisecond) {
		req := at(kmsg.NewPtrListOffsetsRequest(), 7)
		var parts []int32
		for p := range partitions {
			parts = append(parts, p)
		}
		req.Topics = []kmsg.ListOffsetsRequestTopic{listTopic(name, -1, parts...)}
		ready := true
		for _, p := range must[*kmsg.ListOffsetsResponse](s, req).Topics[0].Partitions {
			ready = ready && p.ErrorCode == 0
		}
		if ready {
			return
		}
		if time.Now().After(deadline) {
			panic(name + " never got its leaders")
		}
	}
}

func listTopic(name string, timestamp int64, partitions ...int32) kmsg.ListOffsetsRequestTopic {
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = name
	for _, n := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp, p.MaxNumOffsets = n, timestamp, 1
		t.Partitions = append(t.Partitions, p)
	}
	return t
}

// id is a topic's id by name.
func (s *side) id(name string) [16]byte {
	req := at(kmsg.NewPtrMetadataRequest(), 12)
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = ptr(name)
	req.Topics = append(req.Topics, t)
	return must[*kmsg.MetadataResponse](s, req).Topics[0].TopicID
}

// produceReq is a Produce for one partition.
func (s *side) produceReq(v, acks int16, topic string, partition int32, records []byte,
) *kmsg.ProduceRequest {
	req := at(kmsg.NewPtrProduceRequest(), v)
	req.Acks, req.TimeoutMillis = acks, 5000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	if v >= 13 {
		t.TopicID = s.id(topic)
	}
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// produce records a Produce of acks=all to partition 0.
func (s *side) produce(label string, v int16, topic string, records []byte) {
	s.send(label, s.produceReq(v, -1, topic, 0, records))
}

// fill appends batches of n records each, recording nothing.
func (s *side) fill(topic string, partition int32, batches, n int) {
	for range batches {
		req := s.produceReq(9, -1, topic, partition, good(n).build())
		resp := must[*kmsg.ProduceResponse](s, req)
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
			panic(fmt.Sprintf("filling %s: %s", topic, errorName(code)))
		}
	}
}

// end records the latest offset of a topic's partition 0.
func (s *side) end(label, topic string) {
	req := at(kmsg.NewPtrListOffsetsRequest(), 7)
	req.Topics = []kmsg.ListOffsetsRequestTopic{listTopic(topic, -1, 0)}
	s.send(label, req)
}

// part is one partition of a fetch.
type part struct {
	topic     string
	partition int32
	offset    int64
	maxBytes  int32
	epoch     int32 // current leader epoch; 0 stands for -1
	fetched   int32 // last fetched epoch; 0 stands for -1
}

// fetchReq is a Fetch of the given partitions, sessionless, waiting for nothing.
func (s *side) fetchReq(v int16, parts ...part) *kmsg.FetchRequest {
	req := at(kmsg.NewPtrFetchRequest(), v)
	req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = -1, 0, 0, 50<<20
	req.SessionID, req.SessionEpoch = 0, -1
	for _, p := range parts {
		s.addPart(req, p)
	}
	return req
}

func (s *side) addPart(req *kmsg.FetchRequest, p part) {
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = p.partition, p.offset, 1<<20
	fp.CurrentLeaderEpoch, fp.LastFetchedEpoch = -1, -1
	if p.maxBytes != 0 {
		fp.PartitionMaxBytes = p.maxBytes
	}
	if p.epoch != 0 {
		fp.CurrentLeaderEpoch = p.epoch
	}
	if p.fetched != 0 {
		fp.LastFetchedEpoch = p.fetched
	}
	if n := len(req.Topics); n > 0 && req.Topics[n-1].Topic == p.topic {
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, fp)
		return
	}
	t := kmsg.NewFetchRequestTopic()
	t.Topic = p.topic
	if req.Version >= 13 {
		t.TopicID = s.id(p.topic)
	}
	t.Partitions = append(t.Partitions, fp)
	req.Topics = append(req.Topics, t)
}

func plainInt(v int16) string { return fmt.Sprint(v) }

func plain32(v int32) string { return fmt.Sprint(v) }

// sorted lists a map's keys, so that both brokers are asked in the same order.
func sorted[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// settle repeats a request until three answers in a row, 20 ms apart, are the same: Kafka shows a
// change to its clients a moment after it has confirmed it.
func (s *side) settle(req kmsg.Request) {
	last, same := "", 0
	for deadline := time.Now().Add(answerWait); same < 3; time.Sleep(20 * time.Millisecond) {
		resp, err := s.ask(req)
		if err != nil || time.Now().After(deadline) {
			panic(fmt.Sprintf("%s never settled: %v", kmsg.NameForKey(req.Key()), err))
		}
		now := string(resp.AppendTo(nil))
		if now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
}
