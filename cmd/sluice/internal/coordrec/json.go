package coordrec

import (
	"encoding/base64"
	"strconv"
)

// object appends fields of a JSON object, without white space, in the order that they come in.
type object struct {
	b []byte
}

func (o *object) name(name string) {
	if last := o.b[len(o.b)-1]; last != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

// text appends a string, or null.
func (o *object) text(name string, s []byte) {
	o.name(name)
	if s == nil {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = appendQuoted(o.b, s)
}

// base64 appends bytes, or null.
func (o *object) base64(name string, s []byte) {
	o.name(name)
	if s == nil {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = append(o.b, '"')
	o.b = base64.StdEncoding.AppendEncode(o.b, s)
	o.b = append(o.b, '"')
}

func (o *object) raw(name, text string) {
	o.name(name)
	o.b = append(o.b, text...)
}

// element begins an element of an array.
func (o *object) element() {
	if o.b[len(o.b)-1] != '[' {
		o.b = append(o.b, ',')
	}
}

func (o *object) put(text string) { o.b = append(o.b, text...) }

// appendQuoted appends a JSON string as Jackson writes it: only what must be escaped is.
func appendQuoted(dst, s []byte) []byte {
	const hex = "0123456789ABCDEF"
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= ' ':
			dst = append(dst, c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, '"')
}
