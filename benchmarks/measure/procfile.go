package measure

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// procFile is a file of /proc or /sys that is read again and again: it stays open, and its text
// lands in the same buffer each time, so that reading allocates nothing once the buffer fits.
// It belongs to one goroutine at a time.
type procFile struct {
	file *os.File
	buf  []byte
}

func openProc(path string) (*procFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &procFile{file: f, buf: make([]byte, 4096)}, nil
}

// read returns the whole text as it is now. The slice is valid until the next read.
func (p *procFile) read() ([]byte, error) {
	for {
		n, err := p.file.ReadAt(p.buf, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if n < len(p.buf) {
			return p.buf[:n], nil
		}
		p.buf = make([]byte, 2*len(p.buf))
	}
}

func (p *procFile) close() {
	if p != nil {
		_ = p.file.Close()
	}
}

// nextLine cuts the first line off.
func nextLine(text []byte) (line, rest []byte) {
	i := bytes.IndexByte(text, '\n')
	if i < 0 {
		return text, nil
	}
	return text[:i], text[i+1:]
}

// nextField cuts the first word off, and skips white space before it.
func nextField(line []byte) (field, rest []byte) {
	start := 0
	for start < len(line) && (line[start] == ' ' || line[start] == '\t') {
		start++
	}
	end := start
	for end < len(line) && line[end] != ' ' && line[end] != '\t' {
		end++
	}
	return line[start:end], line[end:]
}

// number reads decimal digits at the beginning of a word; what is none counts as 0, and what does
// not fit stays at the largest value.
func number(field []byte) int64 {
	var n int64
	for _, c := range field {
		if c < '0' || c > '9' {
			break
		}
		digit := int64(c - '0')
		if n > (1<<63-1-digit)/10 {
			return 1<<63 - 1
		}
		n = n*10 + digit
	}
	return n
}

// numbers fills values with the line's words in order, and returns how many there were.
func numbers(line []byte, values []int64) int {
	for i := range values {
		var field []byte
		if field, line = nextField(line); len(field) == 0 {
			return i
		}
		values[i] = number(field)
	}
	return len(values)
}

// labelled cuts "Name:  123 kB" into name and number.
func labelled(line []byte) (name []byte, value int64) {
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return nil, 0
	}
	field, _ := nextField(line[i+1:])
	return line[:i], number(field)
}
