package kgoload

import (
	"context"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/workload"
)

// BenchmarkIssue is what the generator adds to a record: pool, payload, clock, promise. kgo is not
// in it.
func BenchmarkIssue(b *testing.B) {
	s := small(workload.Produce, func(s *workload.Spec) { s.RecordSize = "1024" })
	w := &window{}
	w.end.Store(1 << 62)
	p := newProducer(newAccount(newClock(), w, "ack", "", "ack", "send"), &s, s.RecordSizes(), 0, 1)
	p.acked = newFrontier(s.Topics, s.Partitions)
	var buf [takeMax]*slot
	b.ReportAllocs()
	for n := 0; n < b.N; {
		for _, s := range p.take(buf[:0]) {
			s.due, s.sent, s.topic = p.clock.now(), p.clock.now(), p.nextTopic(1024)
			p.done(s, nil)
			n++
		}
	}
}

// BenchmarkClosedLoop compares the closed loop with the plainest program that produces through kgo:
// the same options, and one record after the other with one promise. Their MB/s must be alike.
func BenchmarkClosedLoop(b *testing.B) {
	broker := &peers.Sluice{Binary: sluiceBin}
	i, err := broker.Start(context.Background(), peers.StartOptions{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer i.Stop(context.Background())
	s := workload.Spec{
		Mode: workload.Produce, Topic: "load", Client: workload.KGO,
		Warmup: workload.Duration(1e9), Duration: workload.Duration(3e9),
		TopicConfig: map[string]string{"retention.bytes": "100000000"},
	}.Normalize()
	prepare(b, i, s, 0, "retention.bytes", "50000000", "segment.bytes", "50000000")
	b.Run("run", func(b *testing.B) {
		for range b.N {
			o, err := Run(context.Background(), drive.Target{Addrs: []string{i.Addr}}, s, drive.Hooks{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(o.Produced.MBPerSecond(), "MB/s")
			objects := o.AllocsPerRequest * float64(o.Produced.Requests)
			b.ReportMetric(objects/float64(o.Produced.Records), "objects/record")
		}
	})
	b.Run("plain", func(b *testing.B) {
		opts, err := producerOptions(&s, s.RecordSizes(), 20000)
		if err != nil {
			b.Fatal(err)
		}
		c, err := kgo.NewClient(append(opts, kgo.SeedBrokers(i.Addr))...)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		value := make([]byte, 1024)
		var all sync.WaitGroup
		const each = 1_000_000
		b.SetBytes(each * 1024)
		for range b.N {
			for range each {
				all.Add(1)
				c.Produce(context.Background(), &kgo.Record{Topic: s.Topic, Value: value},
					func(_ *kgo.Record, err error) {
						if err != nil {
							b.Error(err)
						}
						all.Done()
					})
			}
			all.Wait()
		}
	})
}
