package broker

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/netpoll"
	"sluice/wire"
)

// family is what a page says of one metric.
type family struct {
	kind    string
	samples map[string]float64
	order   []string
}

var sampleLine = regexp.MustCompile(
	`^([a-z_]+)(\{(?:[A-Za-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:, ?)?)+\})? ([-+0-9.eE]+)$`)

// ownFamilies reads the part of a page that this package writes: strictly, as Prometheus would.
func ownFamilies(t *testing.T, page string) map[string]*family {
	t.Helper()
	families := map[string]*family{}
	var current string
	helped := false
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			current, _, helped = strings.Cut(help, " ")
			if families[current] != nil {
				t.Fatalf("%s comes twice", current)
			}
			continue
		}
		if line == "# TYPE "+current+" "+line[strings.LastIndexByte(line, ' ')+1:] {
			kind := line[strings.LastIndexByte(line, ' ')+1:]
			families[current] = &family{kind: kind, samples: map[string]float64{}}
			continue
		}
		match := sampleLine.FindStringSubmatch(line)
		if match == nil || !helped {
			t.Fatalf("no sample: %q", line)
		}
		f := families[current]
		name, isPart := strings.CutPrefix(match[1], current)
		if f == nil || !isPart || name != "" && f.kind != kindHistogram {
			if families[match[1]] == nil && strings.HasPrefix(match[1], "go_") ||
				strings.HasPrefix(match[1], "process_") {
				continue // the library's
			}
			t.Fatalf("%q in family %q", line, current)
		}
		series := match[1] + match[2]
		if _, twice := f.samples[series]; twice {
			t.Fatalf("series %s comes twice", series)
		}
		value, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		f.samples[series] = value
		f.order = append(f.order, series)
	}
	return families
}

// fullMetrics has something in every family.
func fullMetrics(t *testing.T) *metrics {
	t.Helper()
	m := newMetrics(10)
	apis := newAPITable(m)
	b := &Broker{
		env:     Environment{NowMs: func() int64 { return 5 }},
		metrics: m, apis: apis, topics: newTopicTable(), clusterID: "c", nodeID: 1,
		sessions: newSessionCache(10, func() int32 { return 1 }), cfg: config.Defaults(),
		dirs: []*logDir{{path: `/a "quoted\" dir` + "\n"}},
	}
	b.dirs[0].failed.Store(true)
	b.groups, b.txns = newGroupHost(b), newTxnHost(b)
	x := &topic{name: "t", id: catalog.UUID{1}, metrics: m.topic("t")}
	offline := &replica{topic: x}
	x.replicas.Store(&[]*replica{offline, nil})
	b.topics.add(x)
	for _, key := range []int16{wire.KeyProduce, wire.KeyFetch, wire.KeyMetadata} {
		r := inlineRequest(m, key, 9, &clockConn{arrivedNs: 1e6, nowNs: 90e6})
		r.startedNs, r.waitedNs, r.throttleMs = 5e6, 7e6, 3
		r.fetched(1)
		r.erred(wire.CodeNotLeaderOrFollower)
		note := noteOf(r)
		m.request(r)
		m.sent(netpoll.Sent{Note: note, ArrivedNs: 1e6, QueuedNs: 90e6, SentNs: 120e9})
	}
	server, err := netpoll.Listen(netpoll.Config{
		Listeners: []netpoll.Listener{{Name: "PLAINTEXT", Address: "127.0.0.1:0"}}, Reactors: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	b.net = server
	server.Reactors()[1].Stats().SentBytes.Store(750)
	server.Reactors()[1].Stats().CopiedBytes.Store(250)
	server.Reactors()[0].Stats().Stalls[netpoll.CauseHandler].Store(2)
	server.Reactors()[0].Stats().StallNs[netpoll.CauseHandler].Store(3e9)
	server.Reactors()[0].Stats().Stalls[netpoll.CauseUser+1].Store(5)
	m.watch(b)
	return m
}

func TestPageIsWellFormed(t *testing.T) {
	text := page(t, fullMetrics(t))
	for name, f := range ownFamilies(t, text) {
		if f.kind == kindCounter != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s: counters, and they alone, end in _total", name, f.kind)
		}
	}
	wantSample(t, text, `kafka_server_replicamanager_partitioncount`, "1")
	wantSample(t, text, `kafka_server_replicamanager_offlinereplicacount`, "1")
	wantSample(t, text, `sluice_copied_bytes_per_payload_byte`, "0.25")
	wantSample(t, text, `sluice_reactor_stalls_total{reactor="0",cause="handler"}`, "2")
	wantSample(t, text, `sluice_reactor_stall_seconds_total{reactor="0",cause="handler"}`, "3")
	wantSample(t, text, `sluice_reactor_stalls_total{reactor="0",cause="user"}`, "5")
	wantSample(t, text, `kafka_log_logmanager_logdirectoryoffline{logdirectory="/a \"quoted\\\" dir\n"}`,
		"1")
}

func TestHistogramsAreCumulative(t *testing.T) {
	f := ownFamilies(t, page(t, fullMetrics(t)))["sluice_request_stage_seconds"]
	stages := 0
	below := 0.0
	for _, series := range f.order {
		switch value := f.samples[series]; {
		case strings.Contains(series, "_bucket{"):
			if value < below {
				t.Errorf("%s is %v, below the bucket before it", series, value)
			}
			below = value
		case strings.Contains(series, "_count{"):
			if value != below {
				t.Errorf("%s is %v, the last bucket has %v", series, value, below)
			}
			below = 0
			stages++
		}
	}
	// Three requests with five stages each: Produce and Metadata waited for others, Fetch polled.
	if stages != 3*6 {
		t.Errorf("%d histograms, want 18", stages)
	}
}

// TestMetricsAreDocumented compares the page with docs/METRICS.md, both ways.
func TestMetricsAreDocumented(t *testing.T) {
	documented := documentedMetrics(t)
	families := ownFamilies(t, page(t, fullMetrics(t)))
	checkDocumented(t, documented, families)
	for name := range documented {
		if families[name] == nil {
			t.Errorf("docs/METRICS.md lists %s, which is not served", name)
		}
	}
}

// documentedMetrics is what docs/METRICS.md says: name → labels and type.
func documentedMetrics(t *testing.T) map[string][2]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)(?:\\{([a-z_,]+)\\})?` \\| ([a-z]+) \\|")
	documented := map[string][2]string{}
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		documented[match[1]] = [2]string{match[2], match[3]}
	}
	return documented
}

// checkDocumented holds a page's families, their types and their samples' labels against the document.
func checkDocumented(t *testing.T, documented map[string][2]string, families map[string]*family) {
	t.Helper()
	label := regexp.MustCompile(`([a-z_]+)="`)
	for name, f := range families {
		doc, ok := documented[name]
		if !ok || doc[1] != f.kind {
			t.Errorf("docs/METRICS.md says %q of %s, which is a %s", doc[1], name, f.kind)
		}
		for series := range f.samples {
			var labels []string
			for _, match := range label.FindAllStringSubmatch(series, -1) {
				if match[1] != "le" {
					labels = append(labels, match[1])
				}
			}
			if got := strings.Join(labels, ","); got != doc[0] {
				t.Errorf("docs/METRICS.md says labels %q of %s", doc[0], series)
			}
		}
	}
}
