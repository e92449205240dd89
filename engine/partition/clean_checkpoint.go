package partition

// cleanerPointFile is where the cleaner got to in every log (class LogCleanerManager): an offset
// checkpoint with an entry for each log that was ever cleaned. It is no promise: a lost or old one
// makes a cleaning read more, and one from before a truncation leaves duplicates for longer.
const cleanerPointFile = "cleaner-offset-checkpoint"

// firstDirty is the offset from which on keys may have more than one record. Where the checkpoint has
// none that makes sense it is the log's start.
func (l *Log) firstDirty() int64 {
	l.dir.mu.Lock()
	cleaned, known := l.dir.cleaned[l.key()]
	l.dir.mu.Unlock()
	start := l.start.Load()
	if !known || cleaned < start || cleaned > l.leo.Load() {
		return start
	}
	return cleaned
}

// noteCleaned writes down that a log has been cleaned up to offset.
func (d *Dir) noteCleaned(l *Log, offset int64) error {
	d.mu.Lock()
	if d.logs[l.key()] == l {
		d.cleaned[l.key()] = offset
	}
	d.mu.Unlock()
	return d.writeOffsets(cleanerPointFile, d.cleaned, nil)
}

// lowerCleaned notes that what a log has from its end on will be new.
func (d *Dir) lowerCleaned(l *Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if cleaned, known := d.cleaned[l.key()]; known {
		d.cleaned[l.key()] = min(cleaned, l.leo.Load())
	}
}
