// Package lines cuts a stream into the records that a producer sends: one per line, byte for byte
// as they came. It exists because of its ownership rule, which bufio.Scanner cannot give: a line
// that was handed out stays as it is for as long as somebody holds it, so it can lie in a
// producer's queue without being copied. Lines share large blocks; a block is never written again
// where a line lies, and it is freed when the last of its lines is.
package lines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// blockBytes is the size of the blocks that lines share. Large blocks mean few reads and few
// allocations; a block stays alive as long as one of its lines does, and a producer holds at most
// its buffer limit of them, so memory is bounded by that limit plus one block.
const blockBytes = 1 << 20

// readBytesMin is the room that must be left in a block before it is worth another read.
const readBytesMin = 16 << 10

// Reader cuts a stream at a delimiter.
type Reader struct {
	src   io.Reader
	delim []byte
	max   int

	block []byte // what was read and not yet handed out is block[start:end]
	start int
	end   int
	seen  int // bytes from start on that hold no delimiter
	count int64
	err   error // what src said last
}

// NewReader returns a reader of src that cuts at delim, which must not be empty, and that refuses
// lines of more than maxBytes.
func NewReader(src io.Reader, delim []byte, maxBytes int) *Reader {
	if len(delim) == 0 {
		panic("BUG: empty delimiter")
	}
	return &Reader{src: src, delim: delim, max: maxBytes}
}

// TooLongError says which line exceeds the bound.
type TooLongError struct {
	// Line counts from 1, MaxBytes is the bound.
	Line     int64
	MaxBytes int
}

// Error returns one sentence.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("line %d is longer than %d bytes", e.Line, e.MaxBytes)
}

// Count returns the number of lines handed out.
func (r *Reader) Count() int64 { return r.count }

// Next returns the next line without its delimiter. The bytes may be kept. A last line without a
// delimiter counts; an empty rest behind the last delimiter does not. At the end it returns io.EOF.
func (r *Reader) Next() ([]byte, error) {
	for {
		rest := r.block[r.start:r.end]
		if i := bytes.Index(rest[r.seen:], r.delim); i >= 0 {
			return r.take(r.seen+i, len(r.delim))
		}
		// A delimiter of several bytes may have begun at the very end.
		r.seen = max(0, len(rest)-len(r.delim)+1)
		if len(rest) > r.max+len(r.delim) {
			return nil, &TooLongError{r.count + 1, r.max}
		}
		if r.err != nil {
			if len(rest) > 0 && errors.Is(r.err, io.EOF) {
				return r.take(len(rest), 0)
			}
			return nil, r.err
		}
		r.fill()
	}
}

// take hands out the next n bytes and skips the delimiter behind them.
func (r *Reader) take(n, skip int) ([]byte, error) {
	if n > r.max {
		return nil, &TooLongError{r.count + 1, r.max}
	}
	line := r.block[r.start : r.start+n : r.start+n]
	r.start += n + skip
	r.seen = 0
	r.count++
	return line, nil
}

// fill reads once, into a new block if the old one has no room left. The unfinished line moves.
func (r *Reader) fill() {
	if len(r.block)-r.end < readBytesMin {
		rest := r.block[r.start:r.end]
		block := make([]byte, max(blockBytes, 2*len(rest)))
		r.end = copy(block, rest)
		r.block, r.start = block, 0
	}
	for range 100 {
		n, err := r.src.Read(r.block[r.end:])
		r.end += n
		r.err = err
		if n > 0 || err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}
