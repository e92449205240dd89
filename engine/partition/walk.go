package partition

import (
	"errors"
	"io"
	"sync"

	"sluice/wire"
)

// walkChunk is how much of a segment a walk holds at a time. A batch larger than this is checked
// piece by piece, so a corrupt length can never cost memory.
const walkChunk = 256 << 10

var walkBuffers = sync.Pool{New: func() any { b := make([]byte, walkChunk); return &b }}

// walker visits the batches of a segment in file order, reading ahead in chunks. It is for
// recovery, rebuilding and time lookups: it waits for the device.
type walker struct {
	file io.ReaderAt
	// position is where the next batch begins, end where the bytes to be walked end.
	position, end int64
	// check makes next compare each batch's CRC-32C.
	check bool

	// pooled holds bytes [at, at+len(held)) of the file in held.
	pooled *[]byte
	held   []byte
	at     int64
}

// errNoBatch says that what begins at the walker's position is no whole, intact v2 batch.
var errNoBatch = errors.New("no intact record batch of format 2")

func newWalker(file io.ReaderAt, position, end int64, check bool) *walker {
	return &walker{
		file: file, position: position, end: end, check: check,
		pooled: walkBuffers.Get().(*[]byte),
	}
}

func (w *walker) close() { walkBuffers.Put(w.pooled); w.pooled, w.held = nil, nil }

// next returns the batch at position and moves on. The view holds the whole batch if that fits a
// chunk, else its header only (see whole); it is good until the following call. io.EOF says that
// the end was reached, errNoBatch that the bytes are no batch; other errors come from the device.
func (w *walker) next() (b wire.Batch, at int64, err error) {
	if w.position >= w.end {
		return nil, 0, io.EOF
	}
	header, err := w.bytes(w.position, wire.BatchHeaderSize)
	if err != nil {
		return nil, 0, err
	}
	b, err = wire.PeekBatch(header)
	if err != nil || b.LastOffsetDelta() < 0 || b.BaseOffset() < 0 {
		return nil, 0, errNoBatch
	}
	size := int64(b.Length())
	if size > w.end-w.position {
		return nil, 0, errNoBatch
	}
	if size <= walkChunk {
		all, err := w.bytes(w.position, int(size))
		if err != nil {
			return nil, 0, err
		}
		b = wire.Batch(all)
	}
	if w.check {
		if err := w.verify(&b, size); err != nil {
			return nil, 0, err
		}
	}
	at = w.position
	w.position += size
	return b, at, nil
}

// whole reports whether next's batch came with its records.
func whole(b wire.Batch) bool { return len(b) == b.Length() }

// crcFrom is where the bytes begin that a batch's CRC covers: its attributes.
const crcFrom = 21

// verify compares the CRC of the batch at position; for one larger than a chunk it reads on and
// leaves a view of the header in a buffer of its own.
func (w *walker) verify(b *wire.Batch, size int64) error {
	if int64(len(*b)) == size {
		if !b.Intact() {
			return errNoBatch
		}
		return nil
	}
	header := append(wire.Batch(nil), (*b)[:wire.BatchHeaderSize]...)
	crc := wire.UpdateCRC(0, header[crcFrom:])
	for at := w.position + wire.BatchHeaderSize; at < w.position+size; {
		piece, err := w.bytes(at, int(min(w.position+size-at, walkChunk)))
		if err != nil {
			return err
		}
		crc = wire.UpdateCRC(crc, piece)
		at += int64(len(piece))
	}
	if crc != header.CRC() {
		return errNoBatch
	}
	*b = header
	return nil
}

// bytes returns n bytes at position, which are at most a chunk. Fewer left before the end of the
// walk, or of the file, is errNoBatch.
func (w *walker) bytes(position int64, n int) ([]byte, error) {
	if position+int64(n) > w.end {
		return nil, errNoBatch
	}
	if from := position - w.at; from >= 0 && from+int64(n) <= int64(len(w.held)) {
		return w.held[from : from+int64(n)], nil
	}
	want := (*w.pooled)[:min(walkChunk, w.end-position)]
	got, err := w.file.ReadAt(want, position)
	w.held, w.at = want[:got], position
	if got < n {
		if err == nil || err == io.EOF {
			return nil, errNoBatch
		}
		return nil, err
	}
	return w.held[:n], nil
}
