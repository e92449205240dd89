package broker

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/netpoll"
	"sluice/wire"
)

// clockConn is a connection that consists of clock readings.
type clockConn struct {
	arrivedNs, nowNs int64
	reactor          int
}

func (c *clockConn) Chain() *netpoll.Chain                { panic("no chain") }
func (c *clockConn) Respond()                             {}
func (c *clockConn) Done()                                {}
func (c *clockConn) Close(error)                          {}
func (c *clockConn) Keep() []byte                         { return nil }
func (c *clockConn) Mute(time.Duration)                   {}
func (c *clockConn) ArrivedNs() int64                     { return c.arrivedNs }
func (c *clockConn) Listener() string                     { return "PLAINTEXT" }
func (c *clockConn) Peer() netip.AddrPort                 { return netip.AddrPort{} }
func (c *clockConn) Local() netip.AddrPort                { return netip.AddrPort{} }
func (c *clockConn) Loop() Loop                           { return c }
func (c *clockConn) Post(*netpoll.Task)                   {}
func (c *clockConn) NowNs() int64                         { return c.nowNs }
func (c *clockConn) ReadNs() int64                        { return c.nowNs }
func (c *clockConn) StartTimer(_ *netpoll.Timer, _ int64) {}
func (c *clockConn) StopTimer(*netpoll.Timer)             {}
func (c *clockConn) Index() int                           { return c.reactor }

// inlineRequest is a request that is handled on the reactor.
func inlineRequest(m *metrics, key, version int16, c *clockConn) *request {
	r := controlRequest(m, key, version, c)
	r.api.inline = func(*request) {}
	return r
}

func controlRequest(m *metrics, key, version int16, c *clockConn) *request {
	return &request{
		conn: c, api: &api{spec: wire.APIByKey(key), stats: m.api(key)},
		header: wire.RequestHeader{APIKey: key, APIVersion: version},
	}
}

func page(t testing.TB, m *metrics) string {
	t.Helper()
	var out strings.Builder
	if err := m.write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// sample returns the value of one series of a page.
func sample(t testing.TB, page, series string) string {
	t.Helper()
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

func wantSample(t *testing.T, page, series, want string) {
	t.Helper()
	if got := sample(t, page, series); got != want {
		t.Errorf("%s is %s, want %s", series, got, want)
	}
}

func stageSum(key int16, s stage) string {
	return fmt.Sprintf(`sluice_request_stage_seconds_sum{request=%q,stage=%q}`,
		wire.APIName(key), stageNames[s])
}

func TestBucketOfIsTheFirstThatHolds(t *testing.T) {
	slow := func(ns int64) int {
		for i, bound := range bucketBoundsNs {
			if ns <= bound {
				return i
			}
		}
		return len(bucketBoundsNs)
	}
	check := func(ns int64) {
		t.Helper()
		if ns > 0 && bucketOf(ns) != slow(ns) {
			t.Errorf("bucketOf(%d) = %d, want %d", ns, bucketOf(ns), slow(ns))
		}
	}
	for _, bound := range bucketBoundsNs {
		check(bound - 1)
		check(bound)
		check(bound + 1)
	}
	for shift := range 63 {
		check(1<<shift - 1)
		check(1 << shift)
		check(1<<shift + 1)
	}
	check(1<<63 - 1)
}

func TestStagesOfAnInlineRequest(t *testing.T) {
	m := newMetrics(1)
	r := inlineRequest(m, wire.KeyProduce, 9, &clockConn{arrivedNs: 1e9, nowNs: 8e9})
	// Arrived at 1 s, begun at 3 s, worked until 4 s, waited until 6 s, worked until 8 s.
	r.startedNs = 3e9
	r.pause(4e9)
	r.resume(6e9)
	r.throttleMs = 500
	m.request(r)
	got := page(t, m)
	wantSample(t, got, `kafka_network_requestmetrics_requests_total{request="Produce",version="9"}`, "1")
	wantSample(t, got, stageSum(wire.KeyProduce, stageQueue), "2")
	wantSample(t, got, stageSum(wire.KeyProduce, stageLocal), "3")
	wantSample(t, got, stageSum(wire.KeyProduce, stageRemote), "2")
	wantSample(t, got, stageSum(wire.KeyProduce, stageThrottle), "0.5")
	wantSample(t, got, stageSum(wire.KeyProduce, stagePoll), "none")
}

func TestStagesOfAControlRequest(t *testing.T) {
	m := newMetrics(1)
	r := controlRequest(m, wire.KeyMetadata, 12, &clockConn{arrivedNs: 1e9, nowNs: 8e9})
	r.startedNs, r.localNs = 2e9, 3e9 // a worker was busy with it for 3 s
	m.request(r)
	got := page(t, m)
	wantSample(t, got, stageSum(wire.KeyMetadata, stageLocal), "3")
	wantSample(t, got, stageSum(wire.KeyMetadata, stageQueue), "4")
}

func TestLongPollCountsApartFromWork(t *testing.T) {
	m := newMetrics(1)
	c := &clockConn{arrivedNs: 1e9, nowNs: 7e9, reactor: 3}
	r := inlineRequest(m, wire.KeyFetch, 16, c)
	r.startedNs = 1e9
	r.pause(2e9)
	r.resume(6e9)
	note := noteOf(r)
	m.request(r)
	m.sent(netpoll.Sent{Note: note, ArrivedNs: 1e9, QueuedNs: 7e9, SentNs: 9e9})
	got := page(t, m)
	wantSample(t, got, stageSum(wire.KeyFetch, stagePoll), "4")
	wantSample(t, got, stageSum(wire.KeyFetch, stageLocal), "2")
	wantSample(t, got, stageSum(wire.KeyFetch, stageRemote), "none")
	wantSample(t, got, stageSum(wire.KeyFetch, stageSend), "2")
	wantSample(t, got, stageSum(wire.KeyFetch, stageTotal), "4")
}

func TestSentIgnoresWhatHasNoNote(t *testing.T) {
	m := newMetrics(1)
	m.api(wire.KeyProduce)
	m.sent(netpoll.Sent{SentNs: 5e9})
	m.sent(netpoll.Sent{Note: noteSet | 77<<noteKeyAt, SentNs: 5e9})
	if got := page(t, m); strings.Contains(got, "sluice_request_stage_seconds_sum") {
		t.Errorf("a response without a request was counted:\n%s", got)
	}
}

func TestRequestWithoutAPIIsNotCounted(t *testing.T) {
	m := newMetrics(1)
	m.request(&request{conn: &clockConn{}})
	m.refused.Inc()
	wantSample(t, page(t, m), "sluice_requests_refused_total", "1")
}

func TestVersionsAreBounded(t *testing.T) {
	m := newMetrics(1)
	for _, version := range []int16{-1, 0, 4, 31, 32, 32767} {
		m.request(inlineRequest(m, wire.KeyAPIVersions, version, &clockConn{}))
	}
	got := page(t, m)
	series := func(v string) string {
		return `kafka_network_requestmetrics_requests_total{request="ApiVersions",version="` + v + `"}`
	}
	wantSample(t, got, series("0"), "1")
	wantSample(t, got, series("4"), "1")
	wantSample(t, got, series("other"), "4")
}

func TestTopicsAreBounded(t *testing.T) {
	m := newMetrics(2)
	a, b, c, d := m.topic("a"), m.topic("b"), m.topic("c"), m.topic("d")
	if m.topic("a") != a || c != d || c == a {
		t.Fatal("topics beyond the bound must share their figures, others have their own")
	}
	for _, x := range []*topicMetrics{a, b, c, d} {
		x.in(100, 10)
	}
	a.bytesOut.Add(7)
	a.failed(wire.CodeMessageTooLarge, 50)
	a.failed(wire.CodeCorruptMessage, 60)
	got := page(t, m)
	wantSample(t, got, `kafka_server_brokertopicmetrics_bytesin_total{topic="a"}`, "100")
	wantSample(t, got, `kafka_server_brokertopicmetrics_bytesin_total{topic="other"}`, "200")
	wantSample(t, got, `kafka_server_brokertopicmetrics_messagesin_total{topic="other"}`, "20")
	wantSample(t, got, `kafka_server_brokertopicmetrics_totalproducerequests_total{topic="b"}`, "1")
	wantSample(t, got, `kafka_server_brokertopicmetrics_bytesout_total{topic="a"}`, "7")
	wantSample(t, got, `kafka_server_brokertopicmetrics_failedproducerequests_total{topic="a"}`, "2")
	wantSample(t, got, `kafka_server_brokertopicmetrics_bytesrejected_total{topic="a"}`, "50")
	m.dropTopic("a")
	wantSample(t, page(t, m), `kafka_server_brokertopicmetrics_bytesin_total{topic="a"}`, "none")
	if x := m.topic("e"); x == m.topics.other {
		t.Error("a deleted topic must make room for another")
	}
}

func TestTopicNamedOtherHasNoSecondSeries(t *testing.T) {
	m := newMetrics(2)
	m.topic("other").in(1, 1)
	got := page(t, m)
	if n := strings.Count(got, "\nkafka_server_brokertopicmetrics_bytesin_total{"); n != 1 {
		t.Errorf("%d series, want 1", n)
	}
}

func TestErrorsByCode(t *testing.T) {
	m := newMetrics(1)
	r := inlineRequest(m, wire.KeyProduce, 9, &clockConn{})
	for _, code := range []int16{wire.CodeNone, 3, 3, -1, 32767, -32768} {
		r.erred(code)
	}
	r.produced(100, true)
	r.produced(50, false)
	got := page(t, m)
	errors := `kafka_network_requestmetrics_errors_total{request="Produce",error=`
	wantSample(t, got, errors+`"UNKNOWN_TOPIC_OR_PARTITION"}`, "2")
	wantSample(t, got, errors+`"UNKNOWN_SERVER_ERROR"}`, "3")
	wantSample(t, got, errors+`"NONE"}`, "none")
	wantSample(t, got, `sluice_requests_failed_total{request="Produce"}`, "1")
	wantSample(t, got, `sluice_request_payload_bytes_total{request="Produce"}`, "150")
}

// TestErrorsOfControlResponses compares eachError with a walk over every field named ErrorCode.
func TestErrorsOfControlResponses(t *testing.T) {
	m := newMetrics(1)
	for _, a := range newAPITable(m).byKey {
		if a == nil || a.control == nil && a.async == nil {
			continue
		}
		p := kmsg.ResponseForKey(a.spec.Key)
		want := fillErrors(reflect.ValueOf(p).Elem())
		got := 0
		eachError(p, func(code int16) {
			if code == wire.CodeInvalidRequest {
				got++
			}
		})
		if got != want || want == 0 {
			t.Errorf("%s: %d error codes counted, the response has %d", a.spec.Name, got, want)
		}
		r := controlRequest(m, a.spec.Key, 0, &clockConn{})
		r.answered(p)
		text := page(t, m)
		wantSample(t, text, fmt.Sprintf(`sluice_requests_failed_total{request=%q}`, a.spec.Name), "1")
		wantSample(t, text, fmt.Sprintf(`kafka_network_requestmetrics_errors_total{request=%q,`+
			`error="INVALID_REQUEST"}`, a.spec.Name), fmt.Sprint(want))
	}
}

// fillErrors gives every list one element, every ErrorCode a value, and returns how many there are.
func fillErrors(v reflect.Value) (n int) {
	for i := range v.NumField() {
		field := v.Field(i)
		switch {
		case v.Type().Field(i).Name == "ErrorCode":
			field.SetInt(int64(wire.CodeInvalidRequest))
			n++
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			n += fillErrors(field.Index(0))
		}
	}
	return n
}

// TestMetricsAllocateNothing holds the hot paths' promise: no garbage per request.
func TestMetricsAllocateNothing(t *testing.T) {
	m := newMetrics(1)
	c := &clockConn{arrivedNs: 1, nowNs: 9e6, reactor: 5}
	r := inlineRequest(m, wire.KeyFetch, 16, c)
	topic := m.topic("t")
	got := testing.AllocsPerRun(1000, func() {
		r.startedNs, r.localNs, r.waitedNs, r.throttleMs = 1e6, 0, 2e6, 1
		topic.in(1000, 10)
		topic.bytesOut.Add(1000)
		topic.failed(wire.CodeMessageTooLarge, 1)
		r.fetched(1000)
		r.produced(1000, true)
		r.erred(wire.CodeNotLeaderOrFollower)
		note := noteOf(r)
		m.request(r)
		m.sent(netpoll.Sent{Note: note, ArrivedNs: 1, QueuedNs: 9e6, SentNs: 11e6})
	})
	if got != 0 {
		t.Errorf("%v allocations per request", got)
	}
}

func TestScrapesRaceWithRequests(t *testing.T) {
	m := newMetrics(4)
	const requests = 500
	m.api(wire.KeyProduce)
	var wg sync.WaitGroup
	for reactor := range 4 {
		wg.Go(func() {
			r := inlineRequest(m, wire.KeyProduce, 9, &clockConn{nowNs: 5, reactor: reactor})
			for i := range requests {
				name := fmt.Sprint("t", i%6)
				m.topic(name).in(1, 1)
				m.dropTopic(name)
				m.request(r)
				m.sent(netpoll.Sent{Note: noteOf(r)})
			}
		})
	}
	for range 5 {
		page(t, m)
	}
	wg.Wait()
	got := page(t, m)
	wantSample(t, got, `kafka_network_requestmetrics_requests_total{request="Produce",version="9"}`,
		fmt.Sprint(4*requests))
	wantSample(t, got, `sluice_request_stage_seconds_count{request="Produce",stage="total"}`,
		fmt.Sprint(4*requests))
}

func BenchmarkMetricsPerRequest(b *testing.B) {
	m := newMetrics(1)
	c := &clockConn{arrivedNs: 1, nowNs: 1}
	r := inlineRequest(m, wire.KeyProduce, 9, c)
	topic := m.topic("t")
	step := int64(0)
	run := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.startedNs, c.nowNs = 1+step, 1+2*step
			topic.in(1000, 10)
			note := noteOf(r)
			r.produced(1000, false)
			m.request(r)
			m.sent(netpoll.Sent{
				Note: note, ArrivedNs: c.arrivedNs, QueuedNs: c.nowNs, SentNs: c.nowNs + step,
			})
		}
	}
	b.Run("one-clock-reading", run)
	step = 7000
	b.Run("stages-of-7us", run)
}

func BenchmarkMetricsScrape(b *testing.B) {
	m := newMetrics(1000)
	for i := range 1000 {
		m.topic(fmt.Sprint("topic-", i)).in(1, 1)
	}
	for _, a := range newAPITable(m).byKey {
		if a != nil {
			m.request(controlRequest(m, a.spec.Key, 3, &clockConn{nowNs: 5}))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		page(b, m)
	}
}
