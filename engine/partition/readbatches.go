package partition

import (
	"errors"
	"fmt"

	"sluice/wire"
)

// ErrOffsetOutOfRange says that an offset asked for lies below the log's start or above its end.
var ErrOffsetOutOfRange = errors.New("offset is outside the log")

// readBatchesMin is the least that ReadBatches asks the file for: enough that the system calls and
// the lookups of a whole log cost next to nothing beside its bytes.
const readBatchesMin = 1 << 20

// ReadBatches reads whole batches into buf, as many as find room in its capacity but 1 MiB at least
// and one batch in any case, and returns them, in buf's memory or, where that was too small, in new
// memory to be passed as buf the next time. They begin with the batch that holds the offset from,
// which may begin below it, and end below bound; next is the offset to go on from. No batches and
// next equal to bound say that there are no more. Walk them with wire.NextBatch, and their records
// with wire.Records; checksums are the caller's to compare (wire.Batch.Intact).
//
// It is for whoever replays a log from its beginning, as coordinators do: it waits for the device,
// which Read does not. The errors are ErrOffsetOutOfRange, that the log was closed or its dir
// failed, and the device's.
func (l *Log) ReadBatches(buf []byte, from, bound int64) (batches []byte, next int64, err error) {
	r := ReadRequest{
		Offset: from, Bound: bound, MaxBytes: max(int64(cap(buf)), readBatchesMin), MinOne: true,
	}
	switch code := l.Read(&r); code {
	case wire.CodeNone:
	case wire.CodeOffsetOutOfRange:
		return buf[:0], from, fmt.Errorf("%s: read at %d of [%d, %d): %w", l.path, from,
			l.StartOffset(), l.LEO(), ErrOffsetOutOfRange)
	default:
		return buf[:0], from, fmt.Errorf("%s: read at %d: %s", l.path, from, wire.CodeName(code))
	}
	if r.File == nil {
		return buf[:0], max(from, bound), nil
	}
	defer r.File.Release()
	if int64(cap(buf)) < r.Bytes {
		buf = make([]byte, r.Bytes)
	}
	buf = buf[:r.Bytes]
	if n, err := r.File.ReadAt(buf, r.Position); n < len(buf) {
		return buf[:0], from, fmt.Errorf("%s: read at position %d: %w", l.path, r.Position, err)
	}
	return buf, r.Cursor.Offset, nil
}
