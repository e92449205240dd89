package pagecache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process, or another holder in this one, has the lock file.
var ErrLocked = errors.New("locked by another holder")

// OS is the FS that the kernel serves. Its zero value is ready to use.
type OS struct{}

var _ FS = OS{}

// Open implements FS. The descriptor is close-on-exec and never enters Go's network poller.
func (OS) Open(name string, flag int, perm fs.FileMode) (File, error) {
	fd, err := ignoreEINTR(func() (int, error) {
		return unix.Open(name, flag|unix.O_CLOEXEC, uint32(perm.Perm()))
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &osFile{fd: fd, name: name}, nil
}

// Rename implements FS with rename(2).
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// Remove implements FS with unlink(2) or rmdir(2).
func (OS) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements FS with mkdir(2).
func (OS) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }

// ReadDir implements FS with getdents(2), sorted by name.
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// Stat implements FS with stat(2).
func (OS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// SyncDir implements FS with fsync(2) on the directory.
func (OS) SyncDir(dir string) error {
	fd, err := ignoreEINTR(func() (int, error) {
		return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	_, err = ignoreEINTR(func() (int, error) { return 0, unix.Fsync(fd) })
	if cerr := unix.Close(fd); err == nil {
		err = cerr
	}
	if err != nil {
		return &fs.PathError{Op: "fsync", Path: dir, Err: err}
	}
	return nil
}

// Lock implements FS with flock(2), which also tells two holders in one process apart because
// each opens the file anew.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	_, err = ignoreEINTR(func() (int, error) {
		return 0, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	})
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	return nil, &fs.PathError{Op: "flock", Path: name, Err: err}
}

// Space implements FS with statfs(2).
func (OS) Space(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// osFile is a File on a raw descriptor: no finalizer, no poller, no lock on the way to the kernel.
// Shared keeps Close from racing with the other calls.
type osFile struct {
	fd     int
	name   string
	closed atomic.Bool
}

func (f *osFile) Name() string { return f.name }
func (f *osFile) Fd() int      { return f.fd }

// Close closes the descriptor. close(2) must not be repeated after EINTR on Linux, nor by a second
// Close, which would hit whoever has the number by then: it returns os.ErrClosed.
func (f *osFile) Close() error {
	if !f.closed.CompareAndSwap(false, true) {
		return f.fail("close", os.ErrClosed)
	}
	if err := unix.Close(f.fd); err != nil && !errors.Is(err, unix.EINTR) {
		return f.fail("close", err)
	}
	return nil
}

func (f *osFile) ReadAt(p []byte, pos int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], pos+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.fail("pread", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

func (f *osFile) WriteAt(p []byte, pos int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pwrite(f.fd, p[done:], pos+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.fail("pwrite", err)
		case n == 0:
			return done, f.fail("pwrite", io.ErrShortWrite)
		default:
			done += n
		}
	}
	return done, nil
}

func (f *osFile) Size() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return 0, f.fail("fstat", err)
	}
	return st.Size, nil
}

func (f *osFile) Truncate(size int64) error {
	_, err := ignoreEINTR(func() (int, error) { return 0, unix.Ftruncate(f.fd, size) })
	return f.fail("ftruncate", err)
}

func (f *osFile) Sync() error {
	_, err := ignoreEINTR(func() (int, error) { return 0, unix.Fdatasync(f.fd) })
	return f.fail("fdatasync", err)
}

func (f *osFile) Reserve(pos, n int64) error {
	_, err := ignoreEINTR(func() (int, error) {
		return 0, unix.Fallocate(f.fd, unix.FALLOC_FL_KEEP_SIZE, pos, n)
	})
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		err = errors.ErrUnsupported
	}
	return f.fail("fallocate", err)
}

func (f *osFile) WriteBehind(pos, n int64) error {
	err := unix.SyncFileRange(f.fd, pos, n, unix.SYNC_FILE_RANGE_WRITE)
	return f.fail("sync_file_range", err)
}

// residentStep is the distance between two probed bytes: the size up to which the kernel's default
// readahead and large folios make neighbouring pages share their fate.
const residentStep = 64 << 10

// Resident asks for one byte per 64 KiB, and the last one, with preadv2(2) RWF_NOWAIT, which
// refuses to wait for a page under readahead; cachestat(2) would count such a page as present.
func (f *osFile) Resident(pos, n int64) bool {
	if n <= 0 {
		return true
	}
	probe := probes.Get().(*[1]byte)
	defer probes.Put(probe)
	for at := pos; at < pos+n-1; at += residentStep {
		if got, err := f.ReadAtNoWait(probe[:], at); got == 0 || err != nil {
			return false
		}
	}
	got, err := f.ReadAtNoWait(probe[:], pos+n-1)
	return got == 1 && err == nil
}

// probes keeps the probed byte off the heap of each call: its address goes to the kernel.
var probes = sync.Pool{New: func() any { return new([1]byte) }}

func (f *osFile) ReadAtNoWait(p []byte, pos int64) (int, error) {
	n, err := preadvNoWait(f.fd, p, pos)
	switch err {
	case 0:
		return n, nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	case unix.EOPNOTSUPP, unix.ENOSYS:
		return 0, errors.ErrUnsupported
	}
	return 0, f.fail("preadv2", err)
}

// prefetchChunk bounds the memory of one prefetching reader.
const prefetchChunk = 256 << 10

var prefetchBuffers = sync.Pool{New: func() any { b := make([]byte, prefetchChunk); return &b }}

// Prefetch announces the range with posix_fadvise(2) WILLNEED and then reads it: only a read that
// has returned proves that the pages are there, and reading also wakes the readahead window.
func (f *osFile) Prefetch(pos, n int64) error {
	_ = unix.Fadvise(f.fd, pos, n, unix.FADV_WILLNEED)
	buf := prefetchBuffers.Get().(*[]byte)
	defer prefetchBuffers.Put(buf)
	for end := pos + n; pos < end; {
		got, err := f.ReadAt((*buf)[:min(end-pos, prefetchChunk)], pos)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		pos += int64(got)
	}
	return nil
}

func (f *osFile) DropBehind(pos, n int64) error {
	return f.fail("fadvise", unix.Fadvise(f.fd, pos, n, unix.FADV_DONTNEED))
}

// fail names the operation and the file in an error; it returns nil for nil.
func (f *osFile) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// ignoreEINTR repeats a call that a signal interrupted, as Go's own file layer does.
func ignoreEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
