package faultfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"

	"sluice/pagecache"
)

// ErrCrashed is what every operation returns once the power is gone.
var ErrCrashed = errors.New("faultfs: the power is gone")

// FS is the file system. Its methods may be called concurrently; operations are numbered in the
// order in which they take effect.
type FS struct {
	// mu guards everything, nodes included.
	mu   sync.Mutex
	root *node
	// ops counts operations that change or sync something; the first is number 1.
	ops        int
	crashAfter int
	faults     map[int]Fault
	trace      []string
	tracing    bool
	locked     map[string]bool
}

var _ pagecache.FS = (*FS)(nil)

// New returns an empty file system that fails nothing.
func New() *FS {
	return &FS{
		root: newDir(), crashAfter: -1, faults: make(map[int]Fault), locked: make(map[string]bool),
	}
}

// Fault says how one operation fails.
type Fault struct {
	// Err is returned, syscall.ENOSPC and syscall.EIO being the usual ones.
	Err error
	// Written is how many bytes of a write reach the file before it fails; -1 means all of them:
	// the write took effect and reports failure all the same. Other operations have no effect.
	Written int
}

// FailAt makes operation number n fail.
func (f *FS) FailAt(n int, fault Fault) {
	f.mu.Lock()
	f.faults[n] = fault
	f.mu.Unlock()
}

// CrashAfter lets n operations happen; from then on everything fails with ErrCrashed.
func (f *FS) CrashAfter(n int) {
	f.mu.Lock()
	f.crashAfter = n
	f.mu.Unlock()
}

// Ops is the number of operations so far.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Trace starts recording a line per operation and returns the lines so far.
func (f *FS) Trace() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tracing = true
	return append([]string(nil), f.trace...)
}

// step numbers an operation and reports the fault that it must meet, if any. It needs mu.
func (f *FS) step(format string, args ...any) (fault Fault, fails bool, err error) {
	if f.crashAfter >= 0 && f.ops >= f.crashAfter {
		return Fault{}, false, ErrCrashed
	}
	f.ops++
	if f.tracing {
		f.trace = append(f.trace, fmt.Sprintf("%d ", f.ops)+fmt.Sprintf(format, args...))
	}
	fault, fails = f.faults[f.ops]
	return fault, fails, nil
}

// alive is step for operations that change nothing.
func (f *FS) alive() error {
	if f.crashAfter >= 0 && f.ops >= f.crashAfter {
		return ErrCrashed
	}
	return nil
}

// walk finds the node of a path. It needs mu.
func (f *FS) walk(name string) (*node, error) {
	n := f.root
	for _, part := range split(name) {
		if !n.isDir {
			return nil, pathError("open", name, fs.ErrNotExist)
		}
		child, ok := n.names[part]
		if !ok {
			return nil, pathError("open", name, fs.ErrNotExist)
		}
		n = child
	}
	return n, nil
}

// parent finds the directory that a path's last name is, or would be, in.
func (f *FS) parent(name string) (dir *node, base string, err error) {
	dir, err = f.walk(filepath.Dir(name))
	if err == nil && !dir.isDir {
		err = pathError("open", name, fs.ErrNotExist)
	}
	return dir, filepath.Base(name), err
}

func split(name string) []string {
	return strings.FieldsFunc(filepath.Clean(name), func(r rune) bool {
		return r == filepath.Separator
	})
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Open implements pagecache.FS.
func (f *FS) Open(name string, flag int, _ fs.FileMode) (pagecache.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return nil, err
	}
	dir, base, err := f.parent(name)
	if err != nil {
		return nil, err
	}
	n, exists := dir.names[base]
	switch {
	case exists && n.isDir:
		return nil, pathError("open", name, errors.New("is a directory"))
	case !exists && flag&os.O_CREATE == 0:
		return nil, pathError("open", name, fs.ErrNotExist)
	case !exists:
		if fault, fails, err := f.step("create %s", name); err != nil {
			return nil, err
		} else if fails {
			return nil, pathError("open", name, fault.Err)
		}
		n = &node{}
		dir.change(nameChange{kind: created, name: base, node: n})
	case flag&os.O_TRUNC != 0 && len(n.data) > 0:
		if fault, fails, err := f.step("open+truncate %s", name); err != nil {
			return nil, err
		} else if fails {
			return nil, pathError("open", name, fault.Err)
		}
		n.truncate(0)
	}
	return &file{fs: f, node: n, name: name}, nil
}

// Rename implements pagecache.FS. Within a directory it is atomic also across a crash; between two
// the crash may keep either half.
func (f *FS) Rename(oldName, newName string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, oldBase, err := f.parent(oldName)
	if err != nil {
		return err
	}
	to, newBase, err := f.parent(newName)
	if err != nil {
		return err
	}
	n, ok := from.names[oldBase]
	if !ok {
		return pathError("rename", oldName, fs.ErrNotExist)
	}
	if fault, fails, err := f.step("rename %s %s", oldName, newName); err != nil {
		return err
	} else if fails {
		return pathError("rename", oldName, fault.Err)
	}
	if from == to {
		from.change(nameChange{kind: renamed, name: newBase, old: oldBase, node: n})
		return nil
	}
	from.change(nameChange{kind: removed, name: oldBase, node: n})
	to.change(nameChange{kind: created, name: newBase, node: n})
	return nil
}

// Remove implements pagecache.FS.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.parent(name)
	if err != nil {
		return err
	}
	n, ok := dir.names[base]
	if !ok {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if n.isDir && len(n.names) > 0 {
		return pathError("remove", name, errors.New("directory not empty"))
	}
	if fault, fails, err := f.step("remove %s", name); err != nil {
		return err
	} else if fails {
		return pathError("remove", name, fault.Err)
	}
	dir.change(nameChange{kind: removed, name: base, node: n})
	return nil
}

// MkdirAll implements pagecache.FS; each directory made is an operation of its own.
func (f *FS) MkdirAll(dir string, _ fs.FileMode) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return err
	}
	n := f.root
	for _, part := range split(dir) {
		child, ok := n.names[part]
		if !ok {
			if fault, fails, err := f.step("mkdir %s in %s", part, dir); err != nil {
				return err
			} else if fails {
				return pathError("mkdir", dir, fault.Err)
			}
			child = newDir()
			n.change(nameChange{kind: created, name: part, node: child})
		}
		if !child.isDir {
			return pathError("mkdir", dir, errors.New("not a directory"))
		}
		n = child
	}
	return nil
}

// ReadDir implements pagecache.FS.
func (f *FS) ReadDir(dir string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return nil, err
	}
	n, err := f.walk(dir)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, 0, len(n.names))
	for name, child := range n.names {
		entries = append(entries, fs.FileInfoToDirEntry(child.info(name)))
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i].Name() < entries[j].Name() })
	return entries, nil
}

// Stat implements pagecache.FS.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return nil, err
	}
	n, err := f.walk(name)
	if err != nil {
		return nil, err
	}
	return n.info(filepath.Base(name)), nil
}

// SyncDir implements pagecache.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.walk(dir)
	if err != nil {
		return err
	}
	if fault, fails, err := f.step("syncdir %s", dir); err != nil {
		return err
	} else if fails {
		return pathError("fsync", dir, fault.Err)
	}
	n.syncNames()
	return nil
}

// Lock implements pagecache.FS. A crash frees all locks.
func (f *FS) Lock(name string) (io.Closer, error) {
	opened, err := f.Open(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked[name] {
		return nil, fmt.Errorf("%s: %w", name, pagecache.ErrLocked)
	}
	f.locked[name] = true
	return &lock{fs: f, name: name, file: opened}, nil
}

type lock struct {
	fs   *FS
	name string
	file pagecache.File
}

func (l *lock) Close() error {
	l.fs.mu.Lock()
	delete(l.fs.locked, l.name)
	l.fs.mu.Unlock()
	return l.file.Close()
}

// Space implements pagecache.FS with a made-up disk.
func (f *FS) Space(string) (free, total int64, err error) { return 1 << 40, 1 << 41, f.aliveNow() }

func (f *FS) aliveNow() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.alive()
}

// info describes a node; the time is always the same, for determinism.
func (n *node) info(name string) fs.FileInfo {
	return fileInfo{name: name, size: int64(len(n.data)), dir: n.isDir}
}

type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) IsDir() bool        { return i.dir }
func (i fileInfo) ModTime() time.Time { return time.UnixMilli(1_700_000_000_000) }
func (i fileInfo) Sys() any           { return nil }

func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
