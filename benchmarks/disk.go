package benchmarks

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskReserveBytes is what a run leaves free where the broker keeps its log: a second or two of
// writing at most, so that no full disk is met, by this broker or by anybody else's program.
const diskReserveBytes = 2 << 30

// dataDirTries bounds how often a broker's data folder is looked for: every file it has open is read.
const dataDirTries = 20

// diskFullError says that the run was ended before the disk was full.
type diskFullError struct {
	dir       string
	freeBytes uint64
}

func (e *diskFullError) Error() string {
	return fmt.Sprintf("the disk is nearly full: %d MB are left in %s; bound the log "+
		"(--topic-config retention.bytes=…, segment.bytes=…, file.delete.delay.ms=…), or run for less time",
		e.freeBytes/1e6, e.dir)
}

// diskGuard looks at the file system of the broker's data while it is written to.
type diskGuard struct {
	dir     string
	find    func() string // tells dir where it is not known yet; "" if it still is not
	tries   int
	reserve uint64 // 0 until the first look
	free    func(dir string) (uint64, error)
}

func (r *run) newDiskGuard() *diskGuard {
	free := r.o.freeBytes
	if free == nil {
		free = freeBytes
	}
	return &diskGuard{dir: r.o.DataDir, free: free, find: func() string {
		if !r.needsTopics() {
			return ""
		}
		return dataDirOf(r.pid, r.spec.TopicNames()[0])
	}}
}

// look returns a diskFullError once too little is left. Where little was free from the start, half of
// that is the reserve. A file system that cannot be asked is not guarded.
func (g *diskGuard) look() error {
	if g.dir == "" {
		if g.tries++; g.tries > dataDirTries {
			return nil
		}
		if g.dir = g.find(); g.dir == "" {
			return nil
		}
	}
	free, err := g.free(g.dir)
	if err != nil {
		return nil
	}
	if g.reserve == 0 {
		g.reserve = max(1, min(diskReserveBytes, free/2))
	}
	if free < g.reserve {
		return &diskFullError{g.dir, free}
	}
	return nil
}

// freeBytes is what a program without privileges may still write (statfs(2)).
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
