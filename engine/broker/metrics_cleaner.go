package broker

// writeCleaner writes the log cleaner's figures.
func (b *Broker) writeCleaner(e *exposition) {
	s := &b.cleaner.stats
	e.begin("kafka_log_logcleanermanager_max_dirty_percent", kindGauge,
		"Dirty share of the dirtiest compacted log, when the cleaner last looked.")
	e.float(float64(s.dirtyShare.Load()) / 1e4)
	e.begin("kafka_log_logcleanermanager_time_since_last_run_ms", kindGauge,
		"Time since the cleaner last looked for work.")
	e.gauge(max(b.nowMs()-s.lookMs.Load(), 0))
	e.begin("kafka_log_logcleanermanager_uncleanable_partitions_count", kindGauge,
		"Compacted logs that cleaning has failed for. Should be 0.")
	for _, d := range b.dirs {
		e.count(b.cleaner.uncleanable(d), "logdirectory", d.path)
	}
	e.begin("kafka_log_logcleaner_max_compaction_delay_secs", kindGauge,
		"How far the oldest dirty record exceeds max.compaction.lag.ms.")
	e.float(float64(s.overdueMs.Load()) / 1e3)
	e.begin("kafka_log_logcleaner_max_buffer_utilization_percent", kindGauge,
		"How full the map of keys was in the last run.")
	e.float(float64(s.mapShare.Load()) / 1e4)
	e.begin("kafka_log_logcleaner_cleaner_recopy_percent", kindGauge,
		"Bytes written of bytes read in the last run.")
	e.float(float64(s.recopyShare.Load()) / 1e4)
	e.begin("sluice_log_cleaner_runs_total", kindCounter, "Logs cleaned.")
	e.count(s.runs.Load())
	e.begin("sluice_log_cleaner_read_bytes_total", kindCounter, "Bytes of logs read by the cleaner.")
	e.count(s.readBytes.Load())
	e.begin("sluice_log_cleaner_written_bytes_total", kindCounter,
		"Bytes of logs written by the cleaner.")
	e.count(s.writtenBytes.Load())
	e.begin("sluice_log_cleaner_busy_seconds_total", kindCounter, "Time spent cleaning, by all threads.")
	e.float(seconds(s.nanoseconds.Load()))
}
