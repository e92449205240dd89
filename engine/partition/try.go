package partition

// TrySubmit carries the append out if that needs no waiting: nothing is queued before it, the dir's
// gate is open, the append lock is free, and the batch fits the active segment. Otherwise it reports
// false and nothing has happened; the caller then moves the batch to memory that outlives its turn,
// and calls Submit. It must do so: where the write has failed, Submit has what it left mended, and
// refuses it.
func (l *Log) TrySubmit(a *Append) (done bool) {
	if l.queue.count.Load() != 0 || !l.inline() || !l.mu.TryLock() {
		return false
	}
	if l.queue.count.Load() != 0 {
		l.unlock()
		return false
	}
	before := l.leo.Load()
	done = l.append(a, onCaller)
	l.publish(before)
	l.unlock()
	return done
}

// Locked runs f with the append lock held, in the way that Observer.Appended runs: f must be short
// and must not call back into the log's Submit, Truncate, Flush or Close. It waits for the lock, so
// it is not for reactors.
func (l *Log) Locked(f func()) {
	l.mu.Lock()
	defer l.unlock()
	f()
}
