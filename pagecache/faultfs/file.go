package faultfs

import (
	"io"
)

// file is an open file. It goes on working after its name is gone, as a descriptor does.
type file struct {
	fs   *FS
	node *node
	name string
}

func (f *file) Name() string { return f.name }

// Fd is -1: there is no descriptor, callers fall back to ReadAt.
func (f *file) Fd() int { return -1 }

// Close always works, so that a test can clean up after a crash.
func (f *file) Close() error { return nil }

func (f *file) ReadAt(p []byte, position int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.alive(); err != nil {
		return 0, err
	}
	if position >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[position:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) WriteAt(p []byte, position int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	fault, fails, err := f.fs.step("write %s [%d,+%d)", f.name, position, len(p))
	if err != nil {
		return 0, err
	}
	if !fails {
		f.node.write(p, position)
		return len(p), nil
	}
	n := min(fault.Written, len(p))
	if fault.Written < 0 {
		n = len(p)
	}
	f.node.write(p[:n], position)
	return n, pathError("pwrite", f.name, fault.Err)
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), f.fs.alive()
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault, fails, err := f.fs.step("truncate %s %d", f.name, size); err != nil {
		return err
	} else if fails {
		return pathError("ftruncate", f.name, fault.Err)
	}
	f.node.truncate(size)
	return nil
}

// Sync makes the contents durable. A failed Sync leaves everything since the last good one as
// uncertain as it was.
func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault, fails, err := f.fs.step("sync %s", f.name); err != nil {
		return err
	} else if fails {
		return pathError("fdatasync", f.name, fault.Err)
	}
	f.node.sync()
	return nil
}

// Reserve changes nothing that a crash could show, but it can fail.
func (f *file) Reserve(position, n int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if fault, fails, err := f.fs.step("reserve %s [%d,+%d)", f.name, position, n); err != nil {
		return err
	} else if fails {
		return pathError("fallocate", f.name, fault.Err)
	}
	return nil
}

// WriteBehind promises nothing and does nothing.
func (f *file) WriteBehind(int64, int64) error { return f.fs.aliveNow() }

// Resident is always true: memory is all there is.
func (f *file) Resident(int64, int64) bool { return true }

func (f *file) ReadAtNoWait(p []byte, position int64) (int, error) { return f.ReadAt(p, position) }

// Prefetch has nothing to fetch.
func (f *file) Prefetch(int64, int64) error { return f.fs.aliveNow() }

// DropBehind drops nothing.
func (f *file) DropBehind(int64, int64) error { return f.fs.aliveNow() }
