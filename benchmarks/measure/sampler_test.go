package measure

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSamplerArithmetic walks recorded files through a run of 2.5 seconds and checks every
// difference, share and peak by hand.
func TestSamplerArithmetic(t *testing.T) {
	tr := plant(t, "testdata/disks.tree")
	clock := int64(1_000_000_000)
	self := os.Getpid() // The tree has this id, so that the affinity can be asked for.
	tr.process(self, "S", 100, 10, 4000, 5)
	tr.put("proc/"+"self/x", "")
	tr.host(100, 1000, 0, 0)
	var s state
	s.open(SamplerOptions{Root: tr.root, BrokerPid: self, DataDir: "/data/log", SeriesPointsMax: 8},
		func(int) (int64, error) { return clock, nil })
	start := time.Unix(1_000_000, 0)
	s.take(start)

	clock += 500_000_000
	tr.process(self, "S", 140, 20, 9000, 7)
	tr.host(150, 1050, 20, 600)
	tr.put("sys/devices/pci/block/sda/stat", "11 22 33 44 65 66 2077 88 0 300 121\n")
	s.take(start.Add(time.Second))

	clock += 250_000_000
	tr.process(self, "S", 150, 30, 5000, 6)
	tr.host(200, 1250, 30, 100)
	tr.put("sys/devices/pci/block/sda/stat", "12 22 43 44 75 66 2177 88 0 400 121\n")
	s.take(start.Add(2500 * time.Millisecond))

	u := s.finish(100 * time.Millisecond)
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("seconds", u.Seconds, 2.5)
	check("samples and gap", []int64{int64(u.Samples), u.GapMsMax, u.IntervalMs}, []int64{3, 1500, 100})
	b := u.Broker
	check("broker's time", []int64{b.CPUNanos, b.UserNanos, b.SystemNanos},
		[]int64{750_000_000, 500_000_000, 200_000_000})
	check("memory", []int64{b.MemoryStart.AnonBytes, b.MemoryPeak.AnonBytes, b.MemoryEnd.AnonBytes},
		[]int64{4000 * 1024, 9000 * 1024, 5000 * 1024})
	check("threads", []int{b.Threads, b.ThreadsPeak}, []int{6, 7})
	h := u.Host
	check("host", []int64{h.BusyNanos, h.IdleNanos, h.StealNanos, h.BusyFromIdleNanos},
		[]int64{1_000_000_000, 2_500_000_000, 300_000_000, 2*2_500_000_000 - 2_800_000_000})
	check("shares", []float64{h.BusyShare, h.StealShare, h.StealSharePeak}, []float64{10. / 38, 3. / 38, 20. / 120})
	check("dirty", []int64{h.DirtyBytesPeak, h.DirtyWritebackBytesPeak, h.AvailableBytesMin, h.PagesEnd.DirtyBytes},
		[]int64{600 * 1024, 650 * 1024, 5400 * 1024, 100 * 1024})
	d := u.Device
	check("device", []int64{d.Reads, d.ReadBytes, d.Writes, d.WrittenBytes, d.BusyMs, d.WrittenBytesPerSecondPeak},
		[]int64{1, 10 * 512, 20, 2100 * 512, 290, 2000 * 512})
	check("series", u.Series, []Point{
		{1000, 500_000_000, 0, 500_000_000, 200_000_000, 0, 2000 * 512, 9300 * 1024, 0, 600 * 1024, 50 * 1024},
		{2500, 250_000_000, 0, 500_000_000, 100_000_000, 10 * 512, 100 * 512, 5300 * 1024, 0, 100 * 1024, 50 * 1024},
	})
}

// TestSamplerBrokerDies: the last sample stays, and the usage says that the process ended.
func TestSamplerBrokerDies(t *testing.T) {
	b := startBurner(t)
	var s state
	s.open(SamplerOptions{BrokerPid: b.pid(), GeneratorPid: os.Getpid()}, processCPU)
	s.take(time.Now())
	for s.broker.now.CPUNanos < s.broker.first.CPUNanos+1_000_000 {
		s.take(time.Now())
	}
	b.end()
	b.bury()
	s.take(time.Now())
	u := s.finish(time.Millisecond)
	if !u.Broker.Ended || u.Broker.CPUNanos <= 0 || u.Broker.MemoryEnd.RSSBytes == 0 {
		t.Errorf("broker %+v: want an ended process with its last figures", u.Broker)
	}
	if u.Generator.Ended || len(u.Missing) == 0 || u.Missing[0].What != "broker" {
		t.Errorf("generator %+v, missing %v", u.Generator, u.Missing)
	}
}

// TestSamplerWithoutAnything: nothing to read is no failure, and each absence has its reason.
func TestSamplerWithoutAnything(t *testing.T) {
	u := StartSampler(SamplerOptions{Root: t.TempDir(), BrokerPid: 42, DataDir: "/data"}).Stop()
	var what []string
	for _, m := range u.Missing {
		what = append(what, m.What)
		if m.Why == "" {
			t.Errorf("%s is missing without a reason", m.What)
		}
	}
	if got := strings.Join(what, " "); got != "broker host device" {
		t.Errorf("missing: %s", got)
	}
	if u.Broker != nil || u.Generator != nil || u.Host != nil || u.Device != nil || u.Samples != 2 {
		t.Errorf("%+v", u)
	}
}

// TestSamplerLive runs the goroutine on a child until it has sampled some times; Stop from several
// sides gives one result.
func TestSamplerLive(t *testing.T) {
	b := startBurner(t)
	s := StartSampler(SamplerOptions{
		Interval: time.Millisecond, BrokerPid: b.pid(), GeneratorPid: os.Getpid(),
		DataDir: t.TempDir(), SeriesPointsMax: 16,
	})
	for {
		if u := s.Snapshot(); u.Samples > 40 && u.Broker.CPUNanos > 20_000_000 {
			break
		}
	}
	var all sync.WaitGroup
	results := make([]Usage, 3)
	for i := range results {
		all.Go(func() { results[i] = s.Stop() })
	}
	all.Wait()
	u := results[0]
	if !reflect.DeepEqual(u, results[1]) || !reflect.DeepEqual(u, results[2]) {
		t.Error("Stop gave different results")
	}
	if u.Broker.CPUNanos <= 0 || u.Broker.Pid != b.pid() || len(u.Broker.CPUs) == 0 {
		t.Errorf("broker %+v", u.Broker)
	}
	if len(u.Series) == 0 || len(u.Series) > 17 {
		t.Errorf("%d points", len(u.Series))
	}
	var sum int64
	for _, p := range u.Series {
		sum += p.BrokerCPUNanos
	}
	if sum != u.Broker.CPUNanos {
		t.Errorf("the series holds %d ns of the broker, the whole %d", sum, u.Broker.CPUNanos)
	}
	text, err := json.Marshal(u)
	if err != nil || !strings.Contains(string(text), `"cpuNanos"`) {
		t.Errorf("JSON: %v, %s", err, text)
	}
}

// TestSampleDoesNotAllocate: in steady state a sample of everything allocates nothing.
func TestSampleDoesNotAllocate(t *testing.T) {
	b := startBurner(t)
	var s state
	s.open(SamplerOptions{
		BrokerPid: b.pid(), GeneratorPid: os.Getpid(), DataDir: t.TempDir(), SeriesPointsMax: 8,
	}, processCPU)
	defer s.finish(time.Millisecond)
	s.take(time.Now())
	if n := testing.AllocsPerRun(200, func() { s.take(time.Now()) }); n != 0 {
		t.Errorf("%v allocations a sample", n)
	}
}

// TestSeriesKeepsSums: however many samples come, no more points than asked for are kept, sums
// and peaks stay, times ascend, and only the last point may stand for fewer samples.
func TestSeriesKeepsSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(2, 9).Draw(t, "room")
		values := rapid.SliceOfN(rapid.Int64Range(0, 1000), 1, 200).Draw(t, "values")
		var s series
		s.open(room)
		var sum, peak int64
		for i, v := range values {
			s.add(Point{AtMs: int64(i + 1), BusyNanos: v, DirtyBytes: v})
			sum, peak = sum+v, max(peak, v)
		}
		points := s.finish()
		if len(points) > room+1 {
			t.Fatalf("%d points in room for %d", len(points), room)
		}
		var gotSum, gotPeak, before int64
		for i, p := range points {
			gotSum, gotPeak = gotSum+p.BusyNanos, max(gotPeak, p.DirtyBytes)
			if width := p.AtMs - before; width <= 0 || (i < len(points)-1 && width != int64(s.stride)) {
				t.Fatalf("point %d is %d samples wide, stride %d", i, width, s.stride)
			}
			before = p.AtMs
		}
		if gotSum != sum || gotPeak != peak || before != int64(len(values)) {
			t.Fatalf("sum %d, peak %d, end %d; want %d, %d, %d", gotSum, gotPeak, before, sum, peak, len(values))
		}
	})
}

func TestNoSeries(t *testing.T) {
	var s series
	s.open(0)
	s.add(Point{BusyNanos: 1})
	if points := s.finish(); len(points) != 0 {
		t.Errorf("%v without having been asked for", points)
	}
}

// BenchmarkSample tells what watching costs: the generator's processor pays for it.
func BenchmarkSample(b *testing.B) {
	var s state
	self := os.Getpid()
	s.open(SamplerOptions{BrokerPid: self, GeneratorPid: self, DataDir: b.TempDir()}, processCPU)
	defer s.finish(time.Millisecond)
	b.ReportAllocs()
	for b.Loop() {
		s.take(time.Now())
	}
}
