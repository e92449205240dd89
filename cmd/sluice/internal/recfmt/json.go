package recfmt

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// AppendJSONRecord appends a record as one JSON object and a newline. Keys, values and header
// values are strings where they are UTF-8; where they are not, the field's name gets the suffix
// _base64 and the string is base64, so that no byte is lost. Null stays null.
func AppendJSONRecord(dst []byte, r *kgo.Record) []byte {
	dst = append(dst, `{"topic":`...)
	dst = AppendJSON(dst, []byte(r.Topic))
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	dst = append(dst, `,"timestamp":`...)
	dst = strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10)
	if len(r.Headers) > 0 {
		dst = append(dst, `,"headers":[`...)
		for i, h := range r.Headers {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, `{"key":`...)
			dst = AppendJSON(dst, []byte(h.Key))
			dst = appendField(dst, "value", h.Value)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	dst = appendField(dst, "key", r.Key)
	dst = appendField(dst, "value", r.Value)
	return append(dst, "}\n"...)
}

func appendField(dst []byte, name string, b []byte) []byte {
	dst = append(append(dst, `,"`...), name...)
	if utf8.Valid(b) {
		return AppendJSON(append(dst, `":`...), b)
	}
	dst = append(dst, `_base64":"`...)
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}
