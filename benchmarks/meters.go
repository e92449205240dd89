package benchmarks

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"sluice/benchmarks/measure"
)

const (
	// seriesPoints bounds the samples that a result keeps: ten minutes at one a second.
	seriesPoints = 600
	// scrapeTimeout bounds one reading of the broker's metrics.
	scrapeTimeout = 3 * time.Second
)

// meters are the meters around one call of the client. begin and end return at once: the broker's
// metrics are fetched in goroutines, which usage waits for.
type meters struct {
	r       *run
	scrapes sync.WaitGroup

	mu            sync.Mutex // guards what follows
	sampler       *measure.Sampler
	ended         bool
	result        *measure.Usage
	before, after *measure.Scrape
	missing       []measure.Missing
}

func newMeters(r *run) *meters { return &meters{r: r} }

func (m *meters) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sampler != nil {
		return
	}
	dir := m.r.o.DataDir
	if dir == "" && m.r.pid > 0 && m.r.needsTopics() {
		dir = dataDirOf(m.r.pid, m.r.spec.TopicNames()[0])
	}
	m.sampler = measure.StartSampler(measure.SamplerOptions{
		BrokerPid: m.r.pid, GeneratorPid: os.Getpid(), DataDir: dir, SeriesPointsMax: seriesPoints,
	})
	m.scrape(&m.before)
}

func (m *meters) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sampler == nil || m.ended {
		return
	}
	m.ended = true
	usage := m.sampler.Stop()
	m.result = &usage
	m.scrape(&m.after)
}

// scrape reads the broker's metrics into a field.
func (m *meters) scrape(into **measure.Scrape) {
	if m.r.admin == "" {
		return
	}
	m.scrapes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
		defer cancel()
		s, err := measure.ScrapeURL(ctx, m.r.admin)
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil {
			m.missing = append(m.missing, measure.Missing{What: "stages", Why: err.Error()})
			return
		}
		*into = s
	})
}

// usage gives what was measured, nil if measured time never began.
func (m *meters) usage() *measure.Usage {
	m.scrapes.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.result == nil {
		return nil
	}
	if m.before != nil && m.after != nil {
		stages, runtime, err := measure.Between(m.before, m.after)
		if err != nil {
			m.missing = append(m.missing, measure.Missing{What: "stages", Why: err.Error()})
		}
		m.result.Stages, m.result.Runtime = stages, runtime
	}
	m.result.Missing = append(m.result.Missing, m.missing...)
	return m.result
}

// partitionFile is a file of a partition's log, by Kafka's layout: DIR/topic-N/….log.
var partitionFile = regexp.MustCompile(`^(.+)/([^/]+)-\d+/[^/]+\.log$`)

// dataDirOf finds the log dir of a broker by the segments that it has open, those of the run's topic
// before others. "" if it has none open, or may not be looked into.
func dataDirOf(pid int, topic string) string {
	fds := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(fds)
	if err != nil {
		return ""
	}
	found := ""
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(fds, e.Name()))
		if err != nil {
			continue
		}
		if m := partitionFile.FindStringSubmatch(link); m != nil {
			found = m[1]
			if m[2] == topic {
				return found
			}
		}
	}
	return found
}
