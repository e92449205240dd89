package pagecache

import (
	"io"
	"io/fs"
)

// FS is the seam between the engine and a file system. Every file that the broker opens, writes,
// renames or removes goes through it, so that a fault-injecting twin can stand in for the kernel
// and cut the power between any two calls. The production value is OS.
//
// Durability contract (docs/CRASH.md): nothing is promised to survive a power cut unless
// File.Sync (contents, and the size needed to read them back) or FS.SyncDir (names) returned nil
// after it. A crash may keep, drop, tear or reorder anything unsynced.
type FS interface {
	// Open opens name with os.O_* flags. perm applies when the file is created.
	Open(name string, flag int, perm fs.FileMode) (File, error)
	// Rename replaces newName atomically; durable only after SyncDir of both parents.
	Rename(oldName, newName string) error
	// Remove unlinks a file or an empty directory. Open files keep their contents.
	Remove(name string) error
	// MkdirAll creates dir and its parents.
	MkdirAll(dir string, perm fs.FileMode) error
	// ReadDir lists dir sorted by name.
	ReadDir(dir string) ([]fs.DirEntry, error)
	// Stat describes name; errors satisfy errors.Is(err, fs.ErrNotExist) where it is absent.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes creations, renames and removals inside dir durable.
	SyncDir(dir string) error
	// Lock takes an exclusive advisory lock on name, creating it; it fails at once with
	// ErrLocked when another process (or another holder in this one) has it.
	Lock(name string) (io.Closer, error)
	// Space reports the bytes free to an unprivileged user and the total of dir's file system.
	Space(dir string) (free, total int64, err error)
}

// File is one open file. ReadAt, WriteAt and the hints may be called concurrently; WriteAt calls
// must not overlap each other.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	// Size is the file's length in bytes, space reserved past it not counted.
	Size() (int64, error)
	// Truncate cuts or extends (with zeros) the file to size bytes.
	Truncate(size int64) error
	// Sync is fdatasync(2): the contents and the length are durable when it returns nil. After an
	// error the caller must treat everything written since the last success as lost, and must not
	// call Sync again as if nothing had happened.
	Sync() error
	// Reserve allocates blocks for [off, off+n) without changing Size
	// (fallocate FALLOC_FL_KEEP_SIZE). errors.ErrUnsupported where the file system cannot.
	Reserve(off, n int64) error
	// WriteBehind starts write-back of [off, off+n) without waiting (sync_file_range WRITE).
	// It promises no durability. It may block on a congested device: never on a reactor.
	WriteBehind(off, n int64) error
	// Resident probes whether [off, off+n) can be read without waiting for the device
	// (preadv2 RWF_NOWAIT, one byte per 64 KiB; cachestat counts pages still under readahead).
	Resident(off, n int64) bool
	// ReadAtNoWait reads like ReadAt but only what is in the page cache; a short count with nil
	// error means that the rest is not resident.
	ReadAtNoWait(p []byte, off int64) (int, error)
	// Prefetch brings [off, off+n) into the page cache and waits for it: worker goroutines only.
	Prefetch(off, n int64) error
	// DropBehind tells the kernel that clean pages of [off, off+n) need not be kept.
	DropBehind(off, n int64) error
	// Fd is the descriptor for sendfile(2) and splice(2), or -1 where there is none (fault
	// twin); callers then fall back to ReadAt.
	Fd() int
}
