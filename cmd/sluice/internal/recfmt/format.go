package recfmt

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Format is a compiled format. It is safe for concurrent use.
type Format struct {
	pieces []piece
}

// item is what a piece may print: a record and its number, or one header of the record.
type item struct {
	record *kgo.Record
	header *kgo.RecordHeader
	number int64
}

type piece func(dst []byte, it item) []byte

// Parse compiles a format. The error is one sentence that names the offending verb.
func Parse(format string) (*Format, error) {
	pieces, err := parse(format, recordVerbs)
	if err != nil {
		return nil, fmt.Errorf("format %q: %w", format, err)
	}
	return &Format{pieces}, nil
}

// Append appends the text of a record, which is the number-th of the output, counted from 1.
func (f *Format) Append(dst []byte, r *kgo.Record, number int64) []byte {
	return appendPieces(dst, f.pieces, item{record: r, number: number})
}

func appendPieces(dst []byte, pieces []piece, it item) []byte {
	for _, p := range pieces {
		dst = p(dst, it)
	}
	return dst
}

// Unescape resolves the backslash escapes of a format in a plain text, such as a delimiter.
func Unescape(text string) (string, error) {
	var out []byte
	for text != "" {
		if text[0] != '\\' {
			out, text = append(out, text[0]), text[1:]
			continue
		}
		c, rest, err := escape(text)
		if err != nil {
			return "", err
		}
		out, text = append(out, c), rest
	}
	return string(out), nil
}

// verb makes the piece of one verb from what stands in its braces, which is often nothing.
type verb func(modifier string) (piece, error)

func parse(format string, verbs map[byte]verb) ([]piece, error) {
	var pieces []piece
	var text []byte
	flush := func() {
		if len(text) > 0 {
			literal := string(text)
			pieces = append(pieces, func(dst []byte, _ item) []byte {
				return append(dst, literal...)
			})
			text = nil
		}
	}
	for format != "" {
		switch {
		case format[0] == '\\':
			c, rest, err := escape(format)
			if err != nil {
				return nil, err
			}
			text, format = append(text, c), rest
		case strings.HasPrefix(format, "%%"):
			text, format = append(text, '%'), format[2:]
		case format[0] == '%':
			flush()
			p, rest, err := parseVerb(format[1:], verbs)
			if err != nil {
				return nil, err
			}
			pieces, format = append(pieces, p), rest
		default:
			text, format = append(text, format[0]), format[1:]
		}
	}
	flush()
	return pieces, nil
}

// parseVerb reads a verb's letter and its braces, which may hold braces in pairs.
func parseVerb(format string, verbs map[byte]verb) (piece, string, error) {
	if format == "" {
		return nil, "", fmt.Errorf("it ends inside a verb; a percent sign is written %%%%")
	}
	letter, rest := format[0], format[1:]
	v := verbs[letter]
	if v == nil {
		return nil, "", fmt.Errorf("there is no verb %%%c here", letter)
	}
	modifier := ""
	if strings.HasPrefix(rest, "{") {
		end, depth := -1, 0
		for i, c := range rest {
			if c == '{' {
				depth++
			} else if c == '}' {
				if depth--; depth == 0 {
					end = i
					break
				}
			}
		}
		if end < 0 {
			return nil, "", fmt.Errorf("the brace behind %%%c is not closed", letter)
		}
		modifier, rest = rest[1:end], rest[end+1:]
		if modifier == "" {
			return nil, "", fmt.Errorf("the braces behind %%%c are empty", letter)
		}
	}
	p, err := v(modifier)
	if err != nil {
		return nil, "", fmt.Errorf("%%%c{%s}: %w", letter, modifier, err)
	}
	return p, rest, nil
}

func escape(text string) (c byte, rest string, err error) {
	if len(text) < 2 {
		return 0, "", fmt.Errorf("it ends in a lone backslash")
	}
	switch text[1] {
	case 'n':
		return '\n', text[2:], nil
	case 'r':
		return '\r', text[2:], nil
	case 't':
		return '\t', text[2:], nil
	case '0':
		return 0, text[2:], nil
	case '\\':
		return '\\', text[2:], nil
	case 'x':
		if len(text) >= 4 {
			if n, err := strconv.ParseUint(text[2:4], 16, 8); err == nil {
				return byte(n), text[4:], nil
			}
		}
		return 0, "", fmt.Errorf("\\x needs two hexadecimal digits")
	}
	return 0, "", fmt.Errorf("there is no escape \\%c", text[1])
}

var recordVerbs = map[byte]verb{}

var headerVerbs = map[byte]verb{
	'k': bytesVerb(func(it item) []byte { return []byte(it.header.Key) }),
	'K': numberVerb(func(it item) int64 { return int64(len(it.header.Key)) }),
	'v': bytesVerb(func(it item) []byte { return it.header.Value }),
	'V': numberVerb(func(it item) int64 { return size(it.header.Value) }),
}

// The table is filled here because %h refers to parse, which refers to the table.
func init() {
	key := func(it item) []byte { return it.record.Key }
	value := func(it item) []byte { return it.record.Value }
	valueSize := numberVerb(func(it item) int64 { return size(it.record.Value) })
	recordVerbs['t'] = func(modifier string) (piece, error) {
		if modifier != "" {
			return nil, fmt.Errorf("a topic has only one form")
		}
		return func(dst []byte, it item) []byte { return append(dst, it.record.Topic...) }, nil
	}
	recordVerbs['p'] = numberVerb(func(it item) int64 { return int64(it.record.Partition) })
	recordVerbs['o'] = numberVerb(func(it item) int64 { return it.record.Offset })
	recordVerbs['e'] = numberVerb(func(it item) int64 { return int64(it.record.LeaderEpoch) })
	recordVerbs['i'] = numberVerb(func(it item) int64 { return it.number })
	recordVerbs['k'] = bytesVerb(key)
	recordVerbs['K'] = numberVerb(func(it item) int64 { return size(it.record.Key) })
	recordVerbs['v'], recordVerbs['s'] = bytesVerb(value), bytesVerb(value)
	recordVerbs['V'], recordVerbs['S'] = valueSize, valueSize
	recordVerbs['h'] = headersVerb
	recordVerbs['H'] = numberVerb(func(it item) int64 { return int64(len(it.record.Headers)) })
	recordVerbs['d'], recordVerbs['T'] = timeVerb, timeVerb
}

func size(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

func bytesVerb(get func(item) []byte) verb {
	return func(modifier string) (piece, error) {
		switch modifier {
		case "":
			return func(dst []byte, it item) []byte { return append(dst, get(it)...) }, nil
		case "hex":
			return func(dst []byte, it item) []byte { return hex.AppendEncode(dst, get(it)) }, nil
		case "base64":
			return func(dst []byte, it item) []byte {
				return base64.StdEncoding.AppendEncode(dst, get(it))
			}, nil
		case "json":
			return func(dst []byte, it item) []byte { return AppendJSON(dst, get(it)) }, nil
		}
		return nil, fmt.Errorf("bytes are written as hex, base64 or json")
	}
}

// AppendJSON appends bytes as a JSON string, or null for nil.
func AppendJSON(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	text, err := json.Marshal(string(b))
	if err != nil {
		panic("BUG: a string that JSON cannot hold: " + err.Error())
	}
	return append(dst, text...)
}

func numberVerb(get func(item) int64) verb {
	return func(modifier string) (piece, error) {
		switch modifier {
		case "":
			return func(dst []byte, it item) []byte {
				return strconv.AppendInt(dst, get(it), 10)
			}, nil
		case "hex":
			return func(dst []byte, it item) []byte {
				return strconv.AppendInt(dst, get(it), 16)
			}, nil
		}
		var order binary.AppendByteOrder = binary.BigEndian
		bits, ok := strings.CutPrefix(modifier, "big")
		if !ok {
			order = binary.LittleEndian
			bits, ok = strings.CutPrefix(modifier, "little")
		}
		if ok {
			switch bits {
			case "8":
				return func(dst []byte, it item) []byte { return append(dst, byte(get(it))) }, nil
			case "16":
				return func(dst []byte, it item) []byte {
					return order.AppendUint16(dst, uint16(get(it)))
				}, nil
			case "32":
				return func(dst []byte, it item) []byte {
					return order.AppendUint32(dst, uint32(get(it)))
				}, nil
			case "64":
				return func(dst []byte, it item) []byte {
					return order.AppendUint64(dst, uint64(get(it)))
				}, nil
			}
		}
		return nil, fmt.Errorf("numbers are written as hex, big8 to big64 or little8 to little64")
	}
}

func timeVerb(modifier string) (piece, error) {
	switch {
	case modifier == "iso":
		return appendTime("2006-01-02T15:04:05.000Z07:00"), nil
	case strings.HasPrefix(modifier, "go[") && strings.HasSuffix(modifier, "]"):
		return appendTime(modifier[3 : len(modifier)-1]), nil
	}
	return numberVerb(func(it item) int64 { return it.record.Timestamp.UnixMilli() })(modifier)
}

func appendTime(layout string) piece {
	return func(dst []byte, it item) []byte {
		return it.record.Timestamp.In(time.UTC).AppendFormat(dst, layout)
	}
}

func headersVerb(modifier string) (piece, error) {
	if modifier == "" {
		return appendHeaders, nil
	}
	pieces, err := parse(modifier, headerVerbs)
	if err != nil {
		return nil, err
	}
	return func(dst []byte, it item) []byte {
		for i := range it.record.Headers {
			dst = appendPieces(dst, pieces, item{header: &it.record.Headers[i]})
		}
		return dst
	}, nil
}

// appendHeaders writes headers as kcat does: a null value is the word NULL.
func appendHeaders(dst []byte, it item) []byte {
	for i, h := range it.record.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, h.Key...), '=')
		if h.Value == nil {
			dst = append(dst, "NULL"...)
		} else {
			dst = append(dst, h.Value...)
		}
	}
	return dst
}
