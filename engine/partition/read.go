package partition

import (
	"errors"
	"sort"

	"sluice/wire"
)

// Read plans a read; see ReadRequest. It returns wire.CodeNone, or OFFSET_OUT_OF_RANGE when the
// offset is below StartOffset or above LEO, or KAFKA_STORAGE_ERROR. An offset between Bound and
// LEO gives no bytes and no error. It takes no append lock; at the tail, and where the cursor fits
// in the active segment, it makes no system call.
func (l *Log) Read(r *ReadRequest) (code int16) {
	for {
		r.File, r.Position, r.Bytes, r.Limited = nil, 0, 0, false
		if code := l.storageCode(); code != wire.CodeNone {
			return code
		}
		leo := l.leo.Load()
		if r.Offset < l.start.Load() || r.Offset > leo {
			return wire.CodeOffsetOutOfRange
		}
		bound := min(r.Bound, leo)
		if r.Offset >= bound {
			return wire.CodeNone
		}
		if r.MaxBytes <= 0 && !r.MinOne {
			r.Limited = true
			return wire.CodeNone
		}
		list := *l.segments.Load()
		i := sort.Search(len(list), func(i int) bool { return list[i].base > r.Offset }) - 1
		if i < 0 {
			// The segment went away between the two loads: so did the offset.
			continue
		}
		code, again := l.readFrom(list[i:], r, bound)
		if !again {
			return code
		}
	}
}

// readFrom looks for the region in the first segment of list, and in the next ones where gaps leave
// nothing to read in it. again is set when the list is out of date.
func (l *Log) readFrom(list []*segment, r *ReadRequest, bound int64) (code int16, again bool) {
	sc := getScratch()
	defer sc.put()
	for i, seg := range list {
		if seg.base >= bound {
			break
		}
		if !seg.log.Retain() {
			return 0, true
		}
		p := planner{seg: seg, r: r, bound: bound, sc: sc, active: i == len(list)-1}
		found, err := p.plan()
		if err == nil && found {
			if current := *l.segments.Load(); !contains(current, seg) {
				// A truncation, or a removal, came between: it may not have seen served.
				seg.log.Release()
				r.File = nil
				return 0, true
			}
			return wire.CodeNone, false
		}
		seg.log.Release()
		if err != nil {
			return l.readFailed(seg, err)
		}
		if p.stop {
			break
		}
	}
	return wire.CodeNone, false
}

// readFailed decides about an error met while planning: the segment may just have been removed.
func (l *Log) readFailed(seg *segment, err error) (code int16, again bool) {
	if !contains(*l.segments.Load(), seg) {
		return 0, true
	}
	l.dir.noteReadError(l, err)
	return wire.CodeKafkaStorageError, false
}

func contains(list []*segment, seg *segment) bool {
	i := sort.Search(len(list), func(i int) bool { return list[i].base >= seg.base })
	return i < len(list) && list[i] == seg
}

// errDamagedOffsets: the offsets of a closed segment's batches do not ascend.
var errDamagedOffsets = errors.New("offsets of a segment do not ascend")

// planner plans one region in one segment. Positions that it works with are always boundaries
// between batches.
type planner struct {
	seg    *segment
	r      *ReadRequest
	bound  int64
	sc     *scratch
	active bool
	// stop says that the bound or MaxBytes leaves nothing to return, in later segments neither.
	stop bool

	src    entrySource
	opened bool
}

// plan fills in the request's region. found is false when the segment holds nothing between the
// offset and the bound.
func (p *planner) plan() (found bool, err error) {
	defer p.close()
	start, slot, err := p.start()
	if err != nil || start.position < 0 {
		return false, err
	}
	limit, err := p.limit()
	if err != nil || start.position >= limit.position {
		p.stop = true
		return false, err
	}
	end, endSlot := limit, -1
	if limit.position-start.position > p.r.MaxBytes {
		p.r.Limited = true
		end, endSlot, err = p.cut(start, limit, slot)
		if err != nil || end.position <= start.position {
			p.stop = true
			return false, err
		}
	}
	if end.offset <= p.r.Offset {
		// Only a base offset that was damaged on disk, which no checksum covers, ends a region before
		// the offset that it was to hold.
		return false, errDamagedOffsets
	}
	// A first batch that MinOne lets through may be all that there is.
	p.r.Limited = p.r.Limited && (end.position < limit.position || limit.offset < p.bound)
	p.r.File = p.seg.log
	p.r.Position, p.r.Bytes = start.position, end.position-start.position
	p.serve(end.position)
	p.r.Cursor = Cursor{
		Offset: end.offset, SegmentBase: p.seg.base, Position: end.position,
		generation: p.seg.generation, slot: int32(endSlot + 1),
	}
	return true, nil
}

// serve records that the bytes below end are in somebody's hands.
func (p *planner) serve(end int64) {
	for {
		served := p.seg.served.Load()
		if served >= end || p.seg.served.CompareAndSwap(served, end) {
			return
		}
	}
}

// entries opens the offset index, at most once a plan.
func (p *planner) entries() (*entrySource, error) {
	if !p.opened {
		src, err := p.seg.entries(p.sc)
		if err != nil {
			return nil, err
		}
		p.src, p.opened = src, true
	}
	return &p.src, nil
}

func (p *planner) close() { p.src.close() }

// start finds where the batch that holds the offset begins: by the cursor, by the ring, by the
// index. A position of -1 says that the offset lies behind the segment's last batch.
func (p *planner) start() (b boundary, slot int, err error) {
	c := &p.r.Cursor
	size := p.seg.size.Load()
	// At the end of a closed segment nothing follows but, where compaction has removed what did, the
	// next one.
	if c.generation == p.seg.generation && c.SegmentBase == p.seg.base &&
		c.Offset == p.r.Offset && (c.Position < size || c.Position == size && p.active) {
		return boundary{offset: c.Offset, position: c.Position}, int(c.slot) - 1, nil
	}
	if ring := p.seg.recent.Load(); ring != nil {
		if b, ok := ring.floor(p.r.Offset); ok {
			return b, -1, nil
		}
	}
	return p.search(p.r.Offset)
}

// search finds the batch that holds offset, or else the first behind it, by the index and by
// reading headers from the entry on.
func (p *planner) search(offset int64) (b boundary, slot int, err error) {
	src, err := p.entries()
	if err != nil {
		return boundary{}, -1, err
	}
	rel := offset - p.seg.base
	slot = src.floorOffset(rel)
	if next := slot + 1; next < src.count {
		// Fast path: the offset is in the very batch that the next entry describes.
		if e := src.at(next); e.base != unknownBase && int64(e.base) <= rel {
			return boundary{p.seg.base + int64(e.base), int64(e.position)}, next, src.err
		}
	}
	position := int64(0)
	if slot >= 0 {
		position = int64(src.at(slot).position)
	}
	if src.err != nil {
		return boundary{}, -1, src.err
	}
	b, err = p.walkTo(position, offset)
	return b, slot, err
}

// walkTo reads headers from position on until the batch that holds offset or the first behind it.
// An index entry is never more than index.interval.bytes and a batch away.
func (p *planner) walkTo(position, offset int64) (boundary, error) {
	size := p.seg.size.Load()
	for position < size {
		h, err := p.seg.header(position, p.sc)
		if err != nil {
			return boundary{}, err
		}
		if h.LastOffset() >= offset {
			return boundary{offset: h.BaseOffset(), position: position}, nil
		}
		position += int64(h.Length())
	}
	return boundary{position: -1}, nil
}

// limit finds the boundary that the bound allows: in O(1) when the whole segment is below it, or
// when it is one of the latest batch boundaries, as LEO and the high watermark of a healthy
// partition are.
func (p *planner) limit() (boundary, error) {
	if !p.active {
		size := p.seg.size.Load()
		if next := p.seg.next.Load(); next <= p.bound {
			return boundary{offset: next, position: size}, nil
		}
	}
	size := p.seg.size.Load()
	if ring := p.seg.recent.Load(); ring != nil {
		if b, ok := ring.floor(p.bound); ok {
			return b, nil
		}
	} else if next := p.seg.next.Load(); next <= p.bound {
		// The log has not been appended to since it was opened, or this segment has just been
		// rolled; its end was the log's end when the bound was read.
		return boundary{offset: next, position: size}, nil
	}
	b, _, err := p.search(p.bound)
	if err == nil && b.position < 0 {
		b = boundary{offset: p.bound, position: size}
	}
	return b, err
}

// A cut at an index entry may leave out batches that would still fit: those that begin at most
// index.interval.bytes behind it, as a later one has an entry itself. Headers read in the log file
// extend a region by such batches, one for each extendPieceBytes that the region has anyway and
// extendHeadersMax at most, so that they cost next to nothing beside the bytes they serve.
const (
	extendPieceBytes = 64 << 10
	extendHeadersMax = 2
)

// cut finds the last boundary between start and limit that MaxBytes allows, or one a little before
// it. The ring gives it without touching the log file, index entries nearly so; where no entry lies
// in between, headers do.
func (p *planner) cut(start, limit boundary, near int) (boundary, int, error) {
	target := start.position + p.r.MaxBytes
	if ring := p.seg.recent.Load(); ring != nil {
		if b, ok := ring.floorPosition(min(target, limit.position)); ok && b.position > start.position {
			return b, -1, nil
		}
	}
	src, err := p.entries()
	if err != nil {
		return boundary{}, -1, err
	}
	slot := src.floorPosition(min(target, limit.position), near)
	if src.err != nil {
		return boundary{}, -1, src.err
	}
	if slot >= 0 {
		if e := src.at(slot); int64(e.position) > start.position {
			b, err := p.extend(e, start, min(target, limit.position))
			return b, slot, err
		}
	}
	b, err := p.fit(start, limit, target)
	return b, -1, err
}

// extend finds the boundary before the batch of an entry, or one behind it that is not above target.
func (p *planner) extend(e indexEntry, start boundary, target int64) (boundary, error) {
	found := int64(e.position) - start.position
	headers := min(found/extendPieceBytes, extendHeadersMax)
	if headers == 0 || target-int64(e.position) <= wire.BatchHeaderSize {
		return p.entryBoundary(e)
	}
	var end boundary
	for position := int64(e.position); ; position = end.position {
		h, err := p.seg.header(position, p.sc)
		if err != nil {
			return boundary{}, err
		}
		next := position + int64(h.Length())
		if next > target {
			return boundary{offset: h.BaseOffset(), position: position}, nil
		}
		end = boundary{offset: h.NextOffset(), position: next}
		if headers--; headers == 0 || target-next <= wire.BatchHeaderSize {
			return end, nil
		}
	}
}

// entryBoundary is the boundary before the batch of an entry. Entries from files do not say the
// batch's base offset: eight bytes of the log do.
func (p *planner) entryBoundary(e indexEntry) (boundary, error) {
	position := int64(e.position)
	if e.base != unknownBase {
		return boundary{offset: p.seg.base + int64(e.base), position: position}, nil
	}
	offset, err := p.seg.baseAt(position, p.sc)
	return boundary{offset: offset, position: position}, err
}

// fit adds batches up to target one header at a time; the first one counts in any case with MinOne.
func (p *planner) fit(start, limit boundary, target int64) (boundary, error) {
	end := start
	for end.position < limit.position {
		h, err := p.seg.header(end.position, p.sc)
		if err != nil {
			return boundary{}, err
		}
		next := end.position + int64(h.Length())
		first := end.position == start.position
		if next > target && !(first && p.r.MinOne) {
			break
		}
		end = boundary{offset: h.NextOffset(), position: next}
		if next > target {
			break
		}
	}
	return end, nil
}
