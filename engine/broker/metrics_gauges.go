package broker

import (
	"runtime"
	"strconv"
	"sync/atomic"

	"sluice/netpoll"
)

// watch makes the broker's state part of every scrape from now on. The broker's fields that are
// set at its start must be set.
func (m *metrics) watch(b *Broker) { m.broker.Store(b) }

// writeGauges writes what is read from the broker's own state at scrape time.
func (b *Broker) writeGauges(e *exposition) {
	e.begin("sluice_build_info", kindGauge, "1; the labels say what runs here.")
	e.count(1, "version", b.env.Version, "go_version", runtime.Version(),
		"cluster_id", b.clusterID, "node_id", strconv.Itoa(int(b.nodeID)))
	e.begin("kafka_server_kafkaserver_brokerstate", kindGauge,
		"1 starting, 3 running, 7 shutting down.")
	e.count(brokerState(b.state.Load()))
	b.writeReplicas(e)
	b.writeDirs(e)
	b.writeCleaner(e)
	b.writeSessions(e)
	b.writeCoordinators(e)
	if b.net != nil {
		writeServer(e, b.net)
		stats := make([]*netpoll.Stats, 0, len(b.net.Reactors()))
		for _, r := range b.net.Reactors() {
			stats = append(stats, r.Stats())
		}
		writeReactors(e, stats)
	}
}

// brokerState is Kafka's number (class BrokerState) for a state of ours.
func brokerState(state int32) uint64 {
	switch state {
	case stateServing:
		return 3
	case stateDraining:
		return 7
	default:
		return 1
	}
}

// replicaCounts is what one walk over every replica finds.
type replicaCounts struct {
	partitions, offline, underMinISR uint64
	logBytes, queuedBytes            int64
}

func (c *replicaCounts) add(r *replica) {
	c.partitions++
	log := r.log.Load()
	if log == nil || r.offline.Load() {
		c.offline++
		return
	}
	if r.underMinISR.Load() {
		c.underMinISR++
	}
	c.logBytes += log.SizeBytes()
	c.queuedBytes += log.QueuedBytes()
}

func (b *Broker) writeReplicas(e *exposition) {
	var all replicaCounts
	topics := b.topics.all()
	byLabel := make(map[string]int64, len(topics))
	for _, t := range topics {
		before := all.logBytes
		for _, r := range *t.replicas.Load() {
			if r != nil {
				all.add(r)
			}
		}
		byLabel[t.metrics.name] += all.logBytes - before
	}
	e.begin("sluice_topics", kindGauge, "Topics served here.")
	e.count(uint64(len(topics)))
	e.begin("kafka_server_replicamanager_partitioncount", kindGauge, "Replicas hosted here.")
	e.count(all.partitions)
	e.begin("kafka_server_replicamanager_offlinereplicacount", kindGauge,
		"Replicas whose log dir has failed. Should be 0.")
	e.count(all.offline)
	e.begin("kafka_server_replicamanager_underminisrpartitioncount", kindGauge,
		"Partitions led here with fewer in-sync replicas than min.insync.replicas. Should be 0.")
	e.count(all.underMinISR)
	e.begin("sluice_append_queue_bytes", kindGauge, "Bytes of record batches queued for an append.")
	e.gauge(all.queuedBytes)
	e.begin("sluice_topic_log_bytes", kindGauge, "Size of a topic's logs here.")
	for _, t := range b.metrics.topics.all() {
		e.gauge(byLabel[t.name], "topic", t.name)
	}
}

func (b *Broker) writeDirs(e *exposition) {
	e.begin("kafka_log_logmanager_logdirectoryoffline", kindGauge,
		"1 if the log dir has failed. Should be 0.")
	for _, d := range b.dirs {
		failed := uint64(0)
		if d.failed.Load() {
			failed = 1
		}
		e.count(failed, "logdirectory", d.path)
	}
	e.begin("sluice_log_dir_free_bytes", kindGauge, "Free space of the log dir's file system.")
	for _, d := range b.dirs {
		if d.failed.Load() {
			continue
		}
		if free, _, err := d.dir.Space(); err == nil {
			e.gauge(free, "logdirectory", d.path)
		}
	}
}

func (b *Broker) writeSessions(e *exposition) {
	sessions, parts, evictions := b.sessions.stats()
	e.begin("kafka_server_fetchsessioncache_numincrementalfetchsessions", kindGauge,
		"Fetch sessions (KIP-227).")
	e.count(uint64(sessions))
	e.begin("kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", kindGauge,
		"Partitions in fetch sessions.")
	e.count(uint64(parts))
	e.begin("kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", kindCounter,
		"Fetch sessions that made room for another.")
	e.count(evictions)
	e.begin("kafka_server_delayedoperationpurgatory_purgatorysize", kindGauge,
		"Requests that wait: fetches in a long poll.")
	e.gauge(b.fetchesWaiting.Load(), "delayedoperation", "Fetch")
}

func writeServer(e *exposition, s *netpoll.Server) {
	stats := s.Stats()
	e.begin("sluice_connections_accepted_total", kindCounter, "Connections accepted.")
	e.count(stats.Accepted.Load())
	e.begin("sluice_connections_refused_total", kindCounter, "Connections closed at once, and why.")
	e.count(stats.RefusedPerIP.Load(), "reason", "max.connections.per.ip")
	e.count(stats.Shed.Load(), "reason", "file descriptors")
	e.begin("sluice_listener_full_total", kindCounter,
		"Times that a listener stopped accepting at max.connections.")
	e.count(stats.Full.Load())
	e.begin("sluice_frame_memory_bytes", kindGauge, "Memory of incomplete and kept frames.")
	e.gauge(s.MemoryBytes())
}

// reactorCounters are the families with one sample for each reactor.
var reactorCounters = []struct {
	name, help string
	of         func(*netpoll.Stats) *atomic.Uint64
}{
	{"turns", "Turns of the event loop.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Turns }},
	{"wakeups", "Times that a message woke the reactor.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Wakeups }},
	{"tasks", "Messages handled.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Tasks }},
	{"timers", "Timers fired.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Timers }},
	{"received_bytes", "Bytes received.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.BytesIn }},
	{"sent_bytes", "Bytes sent.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.BytesOut }},
	{"received_frames", "Requests received.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.FramesIn }},
	{"sent_frames", "Responses sent.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.FramesOut }},
	{"kept_frame_bytes", "Bytes of requests copied out of the receive buffer.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.KeptBytes }},
	{"cold_responses", "Responses that waited for a disk.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.ColdRegions }},
	{"memory_waits", "Times that a connection was paused for queued.max.request.bytes.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.MemoryWaits }},
	{"opened_connections", "Connections opened.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Opened }},
	{"closed_connections", "Connections closed.", func(s *netpoll.Stats) *atomic.Uint64 { return &s.Closed }},
}

func writeReactors(e *exposition, reactors []*netpoll.Stats) {
	for _, f := range reactorCounters {
		e.begin("sluice_reactor_"+f.name+"_total", kindCounter, f.help)
		for i, s := range reactors {
			e.count(f.of(s).Load(), "reactor", strconv.Itoa(i))
		}
	}
	e.begin("sluice_reactor_busy_seconds_total", kindCounter, "Time in turns, without waiting.")
	for i, s := range reactors {
		e.float(seconds(s.BusyNs.Load()), "reactor", strconv.Itoa(i))
	}
	e.begin("sluice_reactor_connections", kindGauge, "Open connections.")
	for i, s := range reactors {
		e.gauge(s.Connections.Load(), "reactor", strconv.Itoa(i))
	}
	writeRegions(e, reactors)
	writeStalls(e, reactors)
}

// writeRegions writes how record batches left: the ratio is what an operator watches.
func writeRegions(e *exposition, reactors []*netpoll.Stats) {
	copied, sent := uint64(0), uint64(0)
	e.begin("sluice_reactor_region_bytes_total", kindCounter, "Bytes of log files sent, by path.")
	for i, s := range reactors {
		c, z := s.CopiedBytes.Load(), s.SentBytes.Load()
		copied, sent = copied+c, sent+z
		e.count(c, "reactor", strconv.Itoa(i), "path", "copied")
		e.count(z, "reactor", strconv.Itoa(i), "path", "sendfile")
	}
	e.begin("sluice_copied_bytes_per_payload_byte", kindGauge,
		"Share of fetched bytes that went through user space, since the start.")
	if copied+sent == 0 {
		e.float(0)
		return
	}
	e.float(float64(copied) / float64(copied+sent))
}

// writeStalls writes every reactor's stalls by cause; causes of the same name are one.
func writeStalls(e *exposition, reactors []*netpoll.Stats) {
	each := func(f func(reactor, cause string, turns, ns uint64)) {
		for i, s := range reactors {
			turns, ns := map[string]uint64{}, map[string]uint64{}
			var names []string
			for c := range netpoll.Cause(netpoll.CauseCount) {
				if c > netpoll.CauseSend && s.Stalls[c].Load() == 0 {
					continue // a number that nobody uses, or a cause that never was one
				}
				name := c.String()
				if _, known := turns[name]; !known {
					names = append(names, name)
				}
				turns[name] += s.Stalls[c].Load()
				ns[name] += s.StallNs[c].Load()
			}
			for _, name := range names {
				f(strconv.Itoa(i), name, turns[name], ns[name])
			}
		}
	}
	e.begin("sluice_reactor_stalls_total", kindCounter,
		"Turns of 10 ms or longer, by what took longest in them.")
	each(func(reactor, cause string, turns, _ uint64) {
		e.count(turns, "reactor", reactor, "cause", cause)
	})
	e.begin("sluice_reactor_stall_seconds_total", kindCounter, "Length of those turns.")
	each(func(reactor, cause string, _, ns uint64) {
		e.float(seconds(ns), "reactor", reactor, "cause", cause)
	})
}

func seconds(ns uint64) float64 { return float64(ns) / 1e9 }
