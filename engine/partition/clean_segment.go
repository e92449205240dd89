package partition

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"sluice/pagecache"
	"sluice/wire"
)

// cleanedSuffixes are the files of a cleaned segment, all of which are made, empty or not, so that
// recovery can tell old ones from new ones by what still has the suffix .swap. The .log file is the
// first here and the last to get its name.
var cleanedSuffixes = [...]string{logSuffix, indexSuffix, timeSuffix, txnSuffix, sealSuffix}

// cleanWriteBytes is how much of a cleaned segment is written at once.
const cleanWriteBytes = 1 << 20

// cleanedSegment is a segment in the making, in files with the suffix .cleaned.
type cleanedSegment struct {
	r   *cleaning
	seg *segment
	// source is the only segment of its group, or nil. Nothing is written until something of that is
	// lost: begun is false.
	source *segment
	begun  bool
	// first is the group's first segment.
	first *segment
	// files are open from begin to the end of finish, but the .log file, which seg has.
	files [len(cleanedSuffixes)]pagecache.File
	// written is what the .log file holds; the rest of seg.size is in the run's buffer.
	written int64
	// placed is set when the names begin to change.
	placed bool
}

func newCleanedSegment(r *cleaning, group []*segment) *cleanedSegment {
	first := group[0]
	s := &segment{
		base: first.base, path: first.path, fsys: first.fsys,
		generation: r.l.generations.Add(1), firstMs: -1, lastEpoch: -1,
	}
	s.next.Store(s.base)
	s.largest.Store(-1)
	s.largestOffset.Store(-1)
	s.memory.Store(&entryLists{})
	out := &cleanedSegment{r: r, seg: s, first: first}
	if len(group) == 1 {
		out.source = first
	}
	return out
}

// begin makes the files, and copies the bytes of the only source below position, which stay as they
// are.
func (o *cleanedSegment) begin(position int64) error {
	if o.begun {
		return nil
	}
	o.begun = true
	if err := o.r.l.whileOpen(o.create); err != nil || o.source == nil {
		return err
	}
	if err := copyFile(o.files[0], o.source.log, position); err != nil {
		return err
	}
	w := newWalker(o.source.log, 0, position, false)
	defer w.close()
	for {
		b, at, err := w.next()
		if err == io.EOF {
			o.written = position
			return o.r.pace(position, o.source)
		}
		if err != nil {
			return err
		}
		o.seg.note(b, at, o.r.conf.IndexIntervalBytes)
	}
}

// create opens the files. Names in the log's directory are ours as long as the structure lock is held
// and the log open: after that another log may have them.
func (o *cleanedSegment) create() error {
	for i, suffix := range cleanedSuffixes {
		f, err := o.seg.fsys.Open(o.seg.path+suffix+cleanedSuffix,
			os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		o.files[i] = f
		if i == 0 {
			o.seg.log = pagecache.Share(f, nil)
		}
	}
	return nil
}

// whileOpen runs f with the structure lock held, unless the log has been closed.
func (l *Log) whileOpen(f func() error) error {
	l.structure.Lock()
	defer l.structure.Unlock()
	if l.closed.Load() {
		return ErrCleaningAborted
	}
	return f()
}

// add appends a batch.
func (o *cleanedSegment) add(b wire.Batch) error {
	r, position := o.r, o.seg.size.Load()
	if position+int64(len(b)) > math.MaxInt32 {
		return fmt.Errorf("%s: what is left of it exceeds 2 GiB", o.seg.path)
	}
	o.seg.note(b, position, r.conf.IndexIntervalBytes)
	r.out = append(r.out, b...)
	if len(r.out) < cleanWriteBytes {
		return nil
	}
	return o.write()
}

// write writes what the buffer holds.
func (o *cleanedSegment) write() error {
	r := o.r
	n := int64(len(r.out))
	if n == 0 {
		return nil
	}
	if _, err := o.files[0].WriteAt(r.out, o.written); err != nil {
		return err
	}
	r.out = r.out[:0]
	// An error here is no loss: the sync that matters reports it.
	_ = o.files[0].WriteBehind(o.written, n)
	o.written += n
	r.stats.WrittenBytes += n
	return r.pace(n, o.first)
}

// finish writes what is missing and makes the files' contents durable. next is where the offsets of
// the group end: what lies between the last batch and it counts as the segment's, so that segments
// follow each other without a gap.
func (o *cleanedSegment) finish(next int64) error {
	if err := o.write(); err != nil {
		return err
	}
	s := o.seg
	lists := s.memory.Load()
	s.noteTime(lists)
	s.next.Store(next)
	s.seal = seal{
		complete: true, interval: o.r.conf.IndexIntervalBytes, position: s.size.Load(), next: next,
		largest: s.largest.Load(), largestOffset: s.largestOffset.Load(),
	}
	s.sealPrefix(lists.index.view(), lists.times.view())
	contents := [len(cleanedSuffixes)][]byte{4: s.seal.encode()}
	for _, e := range lists.index.view() {
		contents[1] = appendIndexEntry(contents[1], e)
	}
	for _, e := range lists.times.view() {
		contents[2] = appendTimeEntry(contents[2], e)
	}
	for _, e := range s.aborted.view() {
		contents[3] = append(contents[3], e.encode()...)
	}
	for i, f := range o.files {
		if err := o.save(f, contents[i]); err != nil {
			return err
		}
		if i > 0 {
			if err := f.Close(); err != nil {
				return err
			}
			o.files[i] = nil
		}
	}
	return nil
}

// save writes b, which may be nothing, and syncs.
func (o *cleanedSegment) save(f pagecache.File, b []byte) error {
	if len(b) > 0 {
		if _, err := f.WriteAt(b, 0); err != nil {
			return err
		}
	}
	if o.r.l.dir.mutants.unsyncedClean {
		return nil
	}
	return f.Sync()
}

// abandon closes and removes the files of a cleaning that came to nothing. What cannot be removed, the
// next recovery does.
func (o *cleanedSegment) abandon() {
	o.r.out = o.r.out[:0]
	if contains(*o.r.l.segments.Load(), o.seg) {
		return
	}
	if o.seg.log != nil {
		o.seg.log.Drop()
		o.files[0] = nil
	}
	for _, f := range o.files {
		if f != nil {
			_ = f.Close()
		}
	}
	if !o.begun || o.placed {
		return
	}
	_ = o.r.l.whileOpen(func() error {
		var errs []error
		for _, suffix := range cleanedSuffixes {
			errs = append(errs, o.seg.fsys.Remove(o.seg.path+suffix+cleanedSuffix))
		}
		return errors.Join(errs...)
	})
}
