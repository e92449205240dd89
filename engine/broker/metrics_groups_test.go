package broker

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/coordinator"
	"sluice/engine/group"
	"sluice/wire"
)

// scrape is the broker's page, which must be as documented.
func (tb *testBroker) scrape() string {
	tb.t.Helper()
	tb.metrics.watch(tb.Broker)
	text := page(tb.t, tb.metrics)
	checkDocumented(tb.t, documentedMetrics(tb.t), ownFamilies(tb.t, text))
	return text
}

// newMeteredTestBroker is newCoordinatingTestBroker with few shards, so that it starts quickly.
func newMeteredTestBroker(t *testing.T, overrides ...string) *testBroker {
	few := []string{"offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2"}
	return newCoordinatingTestBroker(t, append(few, overrides...)...)
}

// scrapeUntil scrapes until a series has a value.
func (tb *testBroker) scrapeUntil(series, want string) string {
	for {
		if text := tb.scrape(); sample(tb.t, text, series) == want {
			return text
		}
		runtime.Gosched()
	}
}

// loseShard takes a coordinator's partition away.
func (tb *testBroker) loseShard(topic string, index int32) {
	t := tb.topics.namedString(topic)
	tb.uncoordinate(t, []*replica{t.replica(index)})
}

func (tb *testBroker) produceRecords(topic string, partition int32, n int) {
	tb.t.Helper()
	w := wire.NewBatchBuilder()
	for range n {
		w.Append(tb.clock.Load(), nil, []byte("value"))
	}
	raw, err := w.Build(nil)
	if err != nil {
		tb.t.Fatal(err)
	}
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, -1, 1000
	q.Topics = []kmsg.ProduceRequestTopic{{
		Topic:      topic,
		Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: partition, Records: raw}},
	}}
	if code := tb.roundTrip(q).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		tb.t.Fatal(wire.CodeName(code))
	}
}

func lagSeries(kind, group, topic string, partition int) string {
	return fmt.Sprintf("sluice_group_%s{group=%q,topic=%q,partition=\"%d\"}", kind, group, topic, partition)
}

// TestLag: the lag is what kafka-consumer-groups would tell, high watermark − committed offset.
func TestLag(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t)
	tb.produceRecords("a", 0, 10)
	tb.produceRecords("a", 1, 4)
	for partition, offset := range []int64{7, 9} {
		if code := tb.commit("g", "a", int32(partition), offset); code != 0 {
			t.Fatal(wire.CodeName(code))
		}
	}
	text := tb.scrape()
	wantSample(t, text, lagSeries("committed_offset", "g", "a", 0), "7")
	wantSample(t, text, lagSeries("lag", "g", "a", 0), "3")
	wantSample(t, text, lagSeries("committed_offset", "g", "a", 1), "9")
	wantSample(t, text, lagSeries("lag", "g", "a", 1), "0") // Ahead of the end, which is no lag.
	wantSample(t, text, "sluice_group_partitions_left_out", "0")
	tb.produceRecords("a", 0, 5)
	wantSample(t, tb.scrape(), lagSeries("lag", "g", "a", 0), "8")

	tb.topics.namedString("a").replica(0).offline.Store(true)
	text = tb.scrape()
	wantSample(t, text, lagSeries("committed_offset", "g", "a", 0), "7")
	wantSample(t, text, lagSeries("lag", "g", "a", 0), "none")
	tb.topics.namedString("a").replica(0).offline.Store(false)
}

// TestLagSeriesAreBounded: a group has all of its series or none, and what has none is counted.
func TestLagSeriesAreBounded(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t, "metrics.group.partitions.max=5", "offsets.topic.num.partitions=3")
	for i := range 6 {
		for partition := range int32(2) {
			if code := tb.commit(fmt.Sprint("group-", i), "a", partition, 1); code != 0 {
				t.Fatal(wire.CodeName(code))
			}
		}
	}
	text := tb.scrape()
	shown := 0
	for i := range 6 {
		name := fmt.Sprint("group-", i)
		first := sample(t, text, lagSeries("lag", name, "a", 0))
		if second := sample(t, text, lagSeries("lag", name, "a", 1)); first != second {
			t.Errorf("%s has half of its series: %s, %s", name, first, second)
		}
		if first != "none" {
			shown += 2
		}
	}
	if shown == 0 || shown > 5 {
		t.Errorf("%d offsets have series, with a bound of 5", shown)
	}
	wantSample(t, text, "sluice_group_partitions_left_out", fmt.Sprint(12-shown))
	if again := tb.scrape(); !reflect.DeepEqual(linesOf(again, "sluice_group_lag{"),
		linesOf(text, "sluice_group_lag{")) {
		t.Error("another scrape shows other groups")
	}
}

func linesOf(text, prefix string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestLagCanBeTurnedOff: with a bound of 0 there are no series, and everything is left out.
func TestLagCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t, "metrics.group.partitions.max=0")
	tb.commit("g", "a", 0, 1)
	text := tb.scrape()
	wantSample(t, text, lagSeries("lag", "g", "a", 0), "none")
	wantSample(t, text, "sluice_group_partitions_left_out", "1")
}

// TestGroupIDsOfAnyBytes: a client's group id must not make Prometheus turn the page down.
func TestGroupIDsOfAnyBytes(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t)
	for _, id := range []string{
		"\xff", `"\xff"`, `\xff`, "a\nb", `back\slash`, strings.Repeat("x", lagIDBytesMax+1),
	} {
		if code := tb.commit(id, "a", 0, 1); code != 0 {
			t.Fatalf("%q: %s", id, wire.CodeName(code))
		}
	}
	text := tb.scrape() // It fails on series that come twice.
	for _, label := range []string{
		`\"\\xff\"`, `\"\\\"\\\\xff\\\"\"`, `\\xff`, `a\nb`, `back\\slash`,
	} {
		wantSample(t, text, `sluice_group_lag{group="`+label+`",topic="a",partition="0"}`, "0")
	}
	wantSample(t, text, "sluice_group_partitions_left_out", "1")
}

func TestIDLabelsDiffer(t *testing.T) {
	check := func(id, want string) {
		t.Helper()
		if got := idLabel(id); got != want {
			t.Errorf("idLabel(%q) = %s, want %s", id, got, want)
		}
	}
	check("", "")
	check("g", "g")
	check("größe \U0001F600", "größe \U0001F600")
	check("\xff", `"\xff"`)
	check(`"\xff"`, `"\"\\xff\""`)
}

func TestShares(t *testing.T) {
	check := func(total int, wants, want []int) {
		t.Helper()
		if got := shares(total, wants); !reflect.DeepEqual(got, want) {
			t.Errorf("shares(%d, %v) = %v, want %v", total, wants, got, want)
		}
	}
	check(10, []int{}, []int{})
	check(0, []int{3, 4}, []int{0, 0})
	check(10, []int{3, 4}, []int{3, 4})
	check(10, []int{1_000_000, 3, 0, 4}, []int{4, 3, 0, 3})
	check(10, []int{9, 2, 9}, []int{4, 2, 4})
	check(1, []int{9, 9}, []int{0, 1})
}

// TestGroupMetrics follows a group through its states.
func TestGroupMetrics(t *testing.T) {
	t.Parallel()
	const groups = "kafka_coordinator_group_groupmetadatamanager_num"
	const kafka = "kafka_server_group_coordinator_metrics_"
	tb := newMeteredTestBroker(t, "group.initial.rebalance.delay.ms=3000",
		"offsets.topic.num.partitions=4")
	text := tb.scrape()
	wantSample(t, text, groups+"groups", "0")
	wantSample(t, text, kafka+`num_partitions{state="active"}`, "4")
	wantSample(t, text, `sluice_coordinator_load_seconds_count{coordinator="group"}`, "4")

	tb.commit("simple", "a", 0, 5)
	c, q := tb.connect(), joinRequest("g", "")
	q.Version = 3 // Without the round trip for a member id.
	c.send(q)
	text = tb.scrapeUntil(groups+"groupspreparingrebalance", "1")
	wantSample(t, text, groups+"groups", "2")
	wantSample(t, text, groups+"groupsempty", "1")
	wantSample(t, text, groups+"offsets", "1")
	wantSample(t, text, kafka+`group_count{protocol="classic"}`, "2")
	wantSample(t, text, kafka+"offset_commit_total", "1")
	wantSample(t, text, "sluice_group_members", "1")
	wantSample(t, text, "sluice_group_rebalances_begun_total", "1")

	for !c.ended.Load() {
		tb.clock.Add(3000)
		tb.groups.tick()
		tb.loop.drain()
		runtime.Gosched()
	}
	p := c.receive(q).(*kmsg.JoinGroupResponse)
	wantSample(t, tb.scrape(), groups+"groupscompletingrebalance", "1")
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, "g", p.MemberID, p.Generation
	c.send(sync)
	if p := c.receive(sync).(*kmsg.SyncGroupResponse); p.ErrorCode != 0 {
		t.Fatal(wire.CodeName(p.ErrorCode))
	}
	text = tb.scrape()
	wantSample(t, text, groups+"groupsstable", "1")
	wantSample(t, text, kafka+"group_completed_rebalance_total", "1")
	if took := sample(t, text, "sluice_group_rebalance_seconds_sum"); took == "0" {
		t.Error("the rebalance took no time, with a delay of 3 s")
	}

	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Version, del.Groups = 2, []string{"simple"}
	tb.roundTrip(del)
	text = tb.scrape()
	wantSample(t, text, groups+"groups", "1")
	wantSample(t, text, groups+"offsets", "0")
	wantSample(t, text, kafka+"offset_deletion_total", "1")

	tb.loseShard(offsetsTopic, coordinator.PartitionFor("g", 4))
	text = tb.scrape()
	wantSample(t, text, groups+"groups", "0")
	wantSample(t, text, kafka+`num_partitions{state="active"}`, "3")
	wantSample(t, text, kafka+"group_completed_rebalance_total", "1") // Counters stay.
}

// TestExpiredOffsetsAreCounted: KIP-211.
func TestExpiredOffsetsAreCounted(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t, "offsets.topic.num.partitions=1",
		"offsets.retention.minutes=1", "offsets.retention.check.interval.ms=1000")
	tb.commit("g", "a", 0, 5)
	tb.clock.Add(61_000)
	tb.groups.tick()
	tb.scrapeUntil("kafka_server_group_coordinator_metrics_offset_expiration_total", "1")
	// One scrape reads figure after figure while the shard goes on.
	text := tb.scrapeUntil("kafka_coordinator_group_groupmetadatamanager_numgroups", "0")
	wantSample(t, text, "kafka_server_group_coordinator_metrics_offset_deletion_total", "0")
}

// TestTransactionMetrics follows two transactions.
func TestTransactionMetrics(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t)
	x := tb.transactor()
	wantSample(t, tb.scrape(), `sluice_transactional_ids{state="Empty"}`, "1")
	for round, outcome := range []string{"commit", "abort"} {
		if code := x.produce(12, 0); code != 0 {
			t.Fatal(wire.CodeName(code))
		}
		text := tb.scrape()
		wantSample(t, text, `sluice_transactional_ids{state="Ongoing"}`, "1")
		wantSample(t, text, "sluice_transaction_verification_seconds_count", fmt.Sprint(round+1))
		tb.clock.Add(2000)
		x.end(5, outcome == "commit")
		text = tb.scrape()
		wantSample(t, text, `sluice_transactional_ids{state="Ongoing"}`, "0")
		wantSample(t, text, fmt.Sprintf("sluice_transaction_seconds_count{outcome=%q}", outcome), "1")
		wantSample(t, text, fmt.Sprintf("sluice_transaction_seconds_sum{outcome=%q}", outcome), "2")
		wantSample(t, text, "sluice_transaction_markers_waiting", "0")
		wantSample(t, text, "sluice_transaction_markers_written_total", fmt.Sprint(round+1))
		wantSample(t, text, "sluice_transaction_marker_retries_total", "0")
	}
}

// TestStuckMarkersShow: a marker that cannot be written waits, and is counted while it does.
func TestStuckMarkersShow(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t)
	x := tb.transactor()
	if code := x.produce(12, 0); code != 0 {
		t.Fatal(wire.CodeName(code))
	}
	r := tb.topics.namedString("a").replica(0)
	r.offline.Store(true)
	q := kmsg.NewPtrEndTxnRequest()
	q.Version, q.TransactionalID, q.Commit = 5, "tx", true
	q.ProducerID, q.ProducerEpoch = x.id, x.epoch
	if p := tb.roundTrip(q).(*kmsg.EndTxnResponse); p.ErrorCode != 0 {
		t.Fatal(wire.CodeName(p.ErrorCode))
	}
	text := tb.scrapeUntil("kafka_coordinator_transaction_transactionmarkerchannelmanager_"+
		"unknowndestinationqueuesize", "1")
	wantSample(t, text, "sluice_transaction_markers_waiting", "1")
	wantSample(t, text, `sluice_transactional_ids{state="PrepareCommit"}`, "1")
	r.offline.Store(false)
	text = tb.scrapeUntil("sluice_transaction_markers_waiting", "0")
	wantSample(t, text, "sluice_transaction_markers_written_total", "1")
	if sample(t, text, "sluice_transaction_marker_retries_total") == "0" {
		t.Error("no attempt was counted as failed")
	}
	x.settled()
}

// TestStuckShardDoesNotHoldUpScrapes: a shard whose step does not end is left out of the lag.
func TestStuckShardDoesNotHoldUpScrapes(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t, "offsets.topic.num.partitions=1")
	tb.commit("g", "a", 0, 1)
	s, _ := tb.groups.shardAt(0)
	stuck, release := make(chan struct{}), make(chan struct{})
	s.visit(func(coordinator.Machine[*group.Input]) {
		close(stuck)
		<-release
	})
	<-stuck
	text := tb.scrape()
	close(release)
	wantSample(t, text, lagSeries("lag", "g", "a", 0), "none")
	wantSample(t, text, "sluice_group_partitions_left_out", "1")
	wantSample(t, text, "kafka_coordinator_group_groupmetadatamanager_numoffsets", "1")
	wantSample(t, tb.scrape(), lagSeries("lag", "g", "a", 0), "0")
}

// TestVisitsOfAnEndedShard: whoever wants to look at a shard that is gone is told so.
func TestVisitsOfAnEndedShard(t *testing.T) {
	t.Parallel()
	tb := newMeteredTestBroker(t)
	s, _ := tb.groups.shardAt(0)
	tb.loseShard(offsetsTopic, 0)
	seen := make(chan coordinator.Machine[*group.Input], 1)
	s.visit(func(m coordinator.Machine[*group.Input]) { seen <- m })
	if m := <-seen; m != nil {
		t.Error("a shard that has ended shows its machine")
	}
}

// BenchmarkScrapeOfLags is what coordinators add to a scrape with 10,000 committed offsets: 1,000 groups
// of 10 partitions in 2 shards.
func BenchmarkScrapeOfLags(b *testing.B) {
	tb := benchBroker(b, "metrics.group.partitions.max=10000", "offsets.topic.num.partitions=2")
	tb.coordinators(offsetsTopic)
	tb.mustCreate("a", 10)
	for i := range 1000 {
		q := kmsg.NewPtrOffsetCommitRequest()
		q.Version, q.Group, q.Generation = 8, fmt.Sprintf("application-%04d", i), -1
		q.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "a"}}
		for partition := range int32(10) {
			q.Topics[0].Partitions = append(q.Topics[0].Partitions,
				kmsg.OffsetCommitRequestTopicPartition{Partition: partition, LeaderEpoch: -1})
		}
		tb.roundTrip(q)
	}
	var e exposition
	b.ReportAllocs()
	for b.Loop() {
		e.buf = e.buf[:0]
		tb.writeCoordinators(&e)
	}
	b.SetBytes(int64(len(e.buf)))
	if n := strings.Count(string(e.buf), "\nsluice_group_lag{"); n != 10_000 {
		b.Fatalf("%d series", n)
	}
}
