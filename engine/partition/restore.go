package partition

import (
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sluice/wire"
)

// parseOffsetName reads the 20-digit offset of a file name and returns the suffix behind it.
func parseOffsetName(name string) (offset int64, suffix string, ok bool) {
	const digits = 20
	if len(name) <= digits || name[digits] != '.' {
		return 0, "", false
	}
	offset, err := strconv.ParseInt(name[:digits], 10, 64)
	return offset, name[digits:], err == nil && offset >= 0
}

// leftovers is what a listing of the directory shows besides segments in use.
type leftovers struct {
	logs      []int64
	files     map[int64][]string
	swaps     map[int64][]string
	cleanedAt int64
	remove    []string
}

func (l *Log) list() (*leftovers, error) {
	entries, err := l.fs.ReadDir(l.path)
	if err != nil {
		return nil, err
	}
	left := &leftovers{
		files: make(map[int64][]string), swaps: make(map[int64][]string), cleanedAt: 1<<63 - 1,
	}
	for _, entry := range entries {
		left.sort(entry.Name())
	}
	sort.Slice(left.logs, func(i, j int) bool { return left.logs[i] < left.logs[j] })
	return left, nil
}

func (left *leftovers) sort(name string) {
	offset, suffix, ok := parseOffsetName(name)
	switch {
	case strings.HasSuffix(name, ".tmp"):
		left.remove = append(left.remove, name)
	case !ok:
	case strings.HasSuffix(suffix, deletedSuffix):
		left.remove = append(left.remove, name)
	case strings.HasSuffix(suffix, cleanedSuffix):
		left.remove = append(left.remove, name)
		left.cleanedAt = min(left.cleanedAt, offset)
	case strings.HasSuffix(suffix, swapSuffix):
		left.swaps[offset] = append(left.swaps[offset], name)
	case suffix == logSuffix:
		left.logs = append(left.logs, offset)
	case suffix != snapshotSuffix:
		left.files[offset] = append(left.files[offset], name)
	}
}

// tidy removes what interrupted operations left behind, as Kafka's LogLoader does, and returns the
// base offsets of the segments in ascending order. .deleted and .cleaned files go. A .swap that was
// made while its round of cleaning was still at work goes too; any other is the durable result of a
// finished one, and takes the place of the segments that it covers.
func (l *Log) tidy(rec *Recovered) ([]int64, error) {
	left, err := l.list()
	if err != nil {
		return nil, err
	}
	for base, names := range left.swaps {
		if base >= left.cleanedAt || !hasSuffixed(names, logSuffix+swapSuffix) {
			if err := l.removeSwap(base, names, left); err != nil {
				return nil, err
			}
			continue
		}
		if err := l.finishSwap(base, names, left); err != nil {
			return nil, err
		}
	}
	sort.Slice(left.logs, func(i, j int) bool { return left.logs[i] < left.logs[j] })
	for base, names := range left.files {
		i := sort.Search(len(left.logs), func(i int) bool { return left.logs[i] >= base })
		if i == len(left.logs) || left.logs[i] != base {
			left.remove = append(left.remove, names...)
		}
	}
	for _, name := range left.remove {
		if err := l.removeFile(name); err != nil {
			return nil, err
		}
		rec.LeftoversRemoved++
	}
	return left.logs, nil
}

func hasSuffixed(names []string, suffix string) bool {
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// removeSwap removes an unfinished .swap, its .log file first and durably: what else is left of it then
// cannot be taken for a finished one.
func (l *Log) removeSwap(base int64, names []string, left *leftovers) error {
	log := offsetName(base) + logSuffix + swapSuffix
	left.remove = append(left.remove, names...)
	i := slices.Index(left.remove, log)
	if i < 0 {
		return nil
	}
	left.remove = slices.Delete(left.remove, i, i+1)
	if err := l.removeFile(log); err != nil {
		return err
	}
	return l.fs.SyncDir(l.path)
}

// finishSwap lets a cleaned segment replace the ones whose offsets it covers: steps 2 and 3 of
// replaceSegments, any part of which may have been done.
func (l *Log) finishSwap(base int64, names []string, left *leftovers) error {
	end, sealed, err := l.swapEnd(base, names)
	if err != nil {
		return err
	}
	// A process that was killed leaves names that are not durable yet.
	if err := l.fs.SyncDir(l.path); err != nil {
		return err
	}
	kept := left.logs[:0]
	for _, log := range left.logs {
		switch {
		case log < base || log >= end && log != base:
			kept = append(kept, log)
		case log == base && sealed:
			// Its index files are the new ones already, or will be in a moment.
		default:
			if err := l.removeSegmentFiles(log); err != nil {
				return err
			}
			delete(left.files, log)
		}
	}
	left.logs = append(kept, base)
	last := offsetName(base) + logSuffix + swapSuffix
	for _, name := range append(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == last
	}), last) {
		if name == last {
			if err := l.fs.SyncDir(l.path); err != nil {
				return err
			}
		}
		from := filepath.Join(l.path, name)
		if err := l.fs.Rename(from, strings.TrimSuffix(from, swapSuffix)); err != nil {
			return err
		}
	}
	l.namesDirty.Store(true)
	return l.fs.SyncDir(l.path)
}

// swapEnd is the offset behind what a .log.swap file covers. Our cleaner's comes with a seal that says
// so, or has given it its name already; of any other, sealed is false and the end is that of the last
// batch.
func (l *Log) swapEnd(base int64, names []string) (end int64, sealed bool, err error) {
	path := filepath.Join(l.path, offsetName(base))
	f, err := l.fs.Open(path+logSuffix+swapSuffix, 0, 0)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return 0, false, err
	}
	name := path + sealSuffix
	if hasSuffixed(names, sealSuffix+swapSuffix) {
		name += swapSuffix
	}
	file, err := readFile(l.fs, name)
	if err != nil {
		return 0, false, err
	}
	if s, err := decodeSeal(file); err == nil && s.complete && s.position == size && s.next >= base {
		return s.next, true, nil
	}
	w := newWalker(f, 0, size, false)
	defer w.close()
	for end = base; ; {
		b, _, err := w.next()
		if err != nil {
			return end, false, nil
		}
		end = max(end, b.NextOffset())
	}
}

func (l *Log) removeFile(name string) error {
	l.namesDirty.Store(true)
	return l.fs.Remove(filepath.Join(l.path, name))
}

// removeSegmentFiles unlinks whatever files of a segment exist; the .log goes last, so that a crash
// leaves nothing but a segment whose files have to be rebuilt.
func (l *Log) removeSegmentFiles(base int64) error {
	for i := len(segmentSuffixes) - 1; i >= 0; i-- {
		name := offsetName(base) + segmentSuffixes[i]
		if _, err := l.fs.Stat(filepath.Join(l.path, name)); err != nil {
			continue
		}
		if err := l.removeFile(name); err != nil {
			return err
		}
	}
	return nil
}

// resume loads the index entries that can be trusted, those below the recovery point with a good
// checksum, and returns the position from which the segment must be walked.
func (s *segment) resume(recoveryPoint, size int64) (position int64, err error) {
	entries, times, err := s.sealedEntries()
	if err != nil {
		return 0, err
	}
	keep := sort.Search(len(entries), func(i int) bool {
		e := entries[i]
		return s.base+int64(e.last) >= recoveryPoint ||
			int64(e.position)+wire.BatchHeaderSize > size
	})
	s.seal = seal{}
	if keep == 0 {
		return 0, nil
	}
	last := entries[keep-1]
	h, err := s.header(int64(last.position), &scratch{})
	if err != nil || h.LastOffset() != s.base+int64(last.last) {
		// The entries are not this file's: walk it all.
		return 0, nil
	}
	keepTimes := sort.Search(len(times), func(i int) bool { return times[i].last > last.last })
	lists := s.memory.Load()
	for _, e := range entries[:keep] {
		lists.index.push(e)
	}
	for _, e := range times[:keepTimes] {
		lists.times.push(e)
		s.largest.Store(e.timestamp)
		s.largestOffset.Store(s.base + int64(e.last))
	}
	s.sealPrefix(entries[:keep], times[:keepTimes])
	s.next.Store(h.BaseOffset())
	s.size.Store(int64(last.position))
	if first, err := s.header(0, &scratch{}); err == nil {
		s.firstMs = first.MaxTimestamp()
	}
	return int64(last.position), nil
}

// sealPrefix sets the seal in memory to what the files hold of it already.
func (s *segment) sealPrefix(entries []indexEntry, times []timeEntry) {
	var b []byte
	for _, e := range entries {
		b = appendIndexEntry(b, e)
	}
	s.seal.indexEntries, s.seal.indexCRC = int32(len(entries)), wire.CRC(b)
	b = b[:0]
	for _, e := range times {
		b = appendTimeEntry(b, e)
	}
	s.seal.timeEntries, s.seal.timeCRC = int32(len(times)), wire.CRC(b)
}

// sealedEntries reads the entries that the seal vouches for; none if a checksum is wrong or the
// entries do not ascend.
func (s *segment) sealedEntries() (entries []indexEntry, times []timeEntry, err error) {
	index, err := s.readSealed(indexSuffix, s.seal.indexEntries, indexEntryBytes, s.seal.indexCRC)
	if err != nil || index == nil {
		return nil, nil, err
	}
	stamps, err := s.readSealed(timeSuffix, s.seal.timeEntries, timeEntryBytes, s.seal.timeCRC)
	if err != nil || stamps == nil {
		return nil, nil, err
	}
	for i := 0; i < len(index); i += indexEntryBytes {
		e := decodeIndexEntry(index[i:])
		if n := len(entries); e.last < 0 || e.position < 0 ||
			n > 0 && (e.last <= entries[n-1].last || e.position <= entries[n-1].position) {
			return nil, nil, nil
		}
		entries = append(entries, e)
	}
	for i := 0; i < len(stamps); i += timeEntryBytes {
		e := decodeTimeEntry(stamps[i:])
		if n := len(times); e.last < 0 || n > 0 && e.timestamp <= times[n-1].timestamp {
			return nil, nil, nil
		}
		times = append(times, e)
	}
	return entries, times, nil
}

// readSealed reads count entries of an index file if their checksum is crc, else nil.
func (s *segment) readSealed(suffix string, count int32, width int, crc uint32) ([]byte, error) {
	b, err := readFile(s.fsys, s.path+suffix)
	if err != nil {
		return nil, err
	}
	size := int64(count) * int64(width)
	if int64(len(b)) < size || wire.CRC(b[:size]) != crc {
		return nil, nil
	}
	if b == nil {
		b = []byte{}
	}
	return b[:size], nil
}

// rebuildProducers loads the newest producer snapshot at or below limit and replays the batches
// behind it. Then it removes the snapshots that nobody needs.
func (l *Log) rebuildProducers(limit, abortedFrom int64, rec *Recovered) error {
	l.producers.reset()
	l.verifying.reset()
	l.txns.restart()
	snapshots, err := l.listSnapshots()
	if err != nil {
		return err
	}
	from, used := (*l.segments.Load())[0].base, int64(-1)
	for i := len(snapshots) - 1; i >= 0 && snapshots[i] >= from && used < 0; i-- {
		if snapshots[i] > limit {
			continue
		}
		name := filepath.Join(l.path, offsetName(snapshots[i])+snapshotSuffix)
		file, err := readFile(l.fs, name)
		if err != nil {
			return err
		}
		if l.producers.load(file) == nil {
			used = snapshots[i]
		}
	}
	if rec != nil {
		rec.ProducersLoaded = len(l.producers.list)
	}
	l.producers.through = max(from, used)
	if err := l.replay(max(from, used), abortedFrom); err != nil {
		return err
	}
	l.producers.expire(l.dir.nowMs(), l.config.Load().ProducerIDExpirationMs)
	l.txns.setOpen(l.producers.firstOpen())
	return l.pruneSnapshots(snapshots, used)
}

// listSnapshots returns the offsets of the directory's snapshots in ascending order.
func (l *Log) listSnapshots() ([]int64, error) {
	entries, err := l.fs.ReadDir(l.path)
	if err != nil {
		return nil, err
	}
	var all []int64
	for _, entry := range entries {
		if offset, suffix, ok := parseOffsetName(entry.Name()); ok && suffix == snapshotSuffix {
			all = append(all, offset)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all, nil
}

// pruneSnapshots removes snapshots above LEO, which describe records that are gone, and those that
// belong to no segment, except the newest, which Kafka keeps too, and the one that was just used:
// the records before it may be gone, and no newer one need be durable.
func (l *Log) pruneSnapshots(all []int64, used int64) error {
	bases := make(map[int64]bool)
	for _, seg := range *l.segments.Load() {
		bases[seg.base] = true
	}
	leo := l.leo.Load()
	for i, offset := range all {
		newest := i == len(all)-1 || all[i+1] > leo
		if offset <= leo && (bases[offset] || newest || offset == used) {
			continue
		}
		if err := l.removeFile(offsetName(offset) + snapshotSuffix); err != nil {
			return err
		}
	}
	return nil
}
