package pagecache

import "sync/atomic"

// Shared is an open File with a reference count, so that a response in flight can go on sending
// from it while the log renames, unlinks, truncates away or closes the segment behind it.
//
// The owner holds the first reference. Whoever lends a region of the file to somebody else calls
// Retain for them; every holder calls Release (or Drop) exactly once. The last one closes the file.
// It satisfies the region source that netpoll's outbound chains send from.
type Shared struct {
	file File
	// refs counts the holders. Zero is final: Retain never revives a closed file.
	refs atomic.Int32
	// onClose runs after the file was closed, or is nil.
	onClose func(error)
	memo    memo
}

// Share wraps an open file; the caller holds the one reference. onClose, which may be nil, is told
// the result of closing the file once the last holder let go.
func Share(file File, onClose func(error)) *Shared {
	s := &Shared{file: file, onClose: onClose}
	s.refs.Store(1)
	return s
}

// Retain takes one more reference. It reports false, and takes none, when the file is closed.
func (s *Shared) Retain() bool {
	for {
		n := s.refs.Load()
		if n <= 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release gives one reference back; the last one closes the file, on a goroutine of its own: closing
// an unlinked segment frees its blocks, which can take a disk's time, and the last holder is often a
// reactor that has just sent from it.
func (s *Shared) Release() {
	if s.give() {
		go s.close()
	}
}

// Drop is Release for an owner that may wait: if this was the last reference, the file is closed
// when it returns.
func (s *Shared) Drop() {
	if s.give() {
		s.close()
	}
}

// give reports whether the reference given back was the last.
func (s *Shared) give() bool {
	n := s.refs.Add(-1)
	if n < 0 {
		panic("BUG: pagecache: file " + s.file.Name() + " released more often than retained")
	}
	return n == 0
}

func (s *Shared) close() {
	err := s.file.Close()
	if s.onClose != nil {
		s.onClose(err)
	}
}

// File is the open file, valid while the caller holds a reference. Callers must not close it.
func (s *Shared) File() File { return s.file }

// Fd is the descriptor for sendfile(2) and splice(2), or -1 where there is none.
func (s *Shared) Fd() int { return s.file.Fd() }

// ReadAt reads len(p) bytes at position pos, waiting for the device where it must.
func (s *Shared) ReadAt(p []byte, pos int64) (int, error) { return s.file.ReadAt(p, pos) }

// ReadAtNoWait reads what the page cache holds at position pos; see File.
func (s *Shared) ReadAtNoWait(p []byte, pos int64) (int, error) {
	return s.file.ReadAtNoWait(p, pos)
}

// Resident tells whether n bytes at position pos can be sent without waiting for the device: by a
// probe, or because one has said so within the last second.
func (s *Shared) Resident(pos, n int64) bool {
	if n <= 0 {
		return true
	}
	now := memoNow()
	if s.memo.fresh(pos, n, now) {
		return true
	}
	if !s.file.Resident(pos, n) {
		return false
	}
	s.memo.mark(pos, n, now)
	return true
}

// Prefetch brings n bytes at position pos into the page cache and waits for them: workers only.
func (s *Shared) Prefetch(pos, n int64) error { return s.file.Prefetch(pos, n) }
