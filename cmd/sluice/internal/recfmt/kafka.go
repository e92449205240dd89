package recfmt

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka prints records as Kafka's DefaultMessageFormatter does, with its properties and defaults.
type Kafka struct {
	printTimestamp, printKey, printOffset, printPartition bool
	printHeaders, printValue, printEpoch, printDelivery   bool

	keySeparator, lineSeparator, headersSeparator, nullLiteral string

	key, value, header Decoder
}

// Decoder appends the text of a key or value as one of Kafka's deserializers and toString give it.
// A value of the wrong size is an error, as it is an exception in Kafka.
type Decoder func(dst, b []byte) ([]byte, error)

// NewKafka returns a formatter with Kafka's defaults: the value and a line feed.
func NewKafka() *Kafka {
	return &Kafka{
		printValue:       true,
		keySeparator:     "\t",
		lineSeparator:    "\n",
		headersSeparator: ",",
		nullLiteral:      "null",
		key:              decodeString,
		value:            decodeString,
		header:           decodeString,
	}
}

// Set sets one property by Kafka's name. It reports whether there is such a property; an error says
// that the value is wrong.
func (k *Kafka) Set(name, value string) (known bool, err error) {
	flags := map[string]*bool{
		"print.timestamp": &k.printTimestamp, "print.key": &k.printKey,
		"print.offset": &k.printOffset, "print.partition": &k.printPartition,
		"print.headers": &k.printHeaders, "print.value": &k.printValue,
		"print.epoch": &k.printEpoch, "print.delivery": &k.printDelivery,
	}
	texts := map[string]*string{
		"key.separator": &k.keySeparator, "line.separator": &k.lineSeparator,
		"headers.separator": &k.headersSeparator, "null.literal": &k.nullLiteral,
	}
	decoders := map[string]*Decoder{
		"key.deserializer": &k.key, "value.deserializer": &k.value, "headers.deserializer": &k.header,
	}
	if p := flags[name]; p != nil {
		*p = strings.EqualFold(strings.TrimSpace(value), "true")
		return true, nil
	}
	if p := texts[name]; p != nil {
		*p = value
		return true, nil
	}
	if p := decoders[name]; p != nil {
		*p, err = DecoderByClass(value)
		return true, err
	}
	return false, nil
}

// Append appends the text of one record. Each part but the last is followed by the key separator.
func (k *Kafka) Append(dst []byte, r *kgo.Record) ([]byte, error) {
	start := len(dst)
	part := func(on bool, write func([]byte) []byte) {
		if !on {
			return
		}
		if len(dst) > start {
			dst = append(dst, k.keySeparator...)
		}
		dst = write(dst)
	}
	part(k.printTimestamp, func(dst []byte) []byte { return appendTimestamp(dst, r) })
	part(k.printPartition, func(dst []byte) []byte {
		return strconv.AppendInt(append(dst, "Partition:"...), int64(r.Partition), 10)
	})
	part(k.printOffset, func(dst []byte) []byte {
		return strconv.AppendInt(append(dst, "Offset:"...), r.Offset, 10)
	})
	part(k.printDelivery, func(dst []byte) []byte { return append(dst, "Delivery:NOT_PRESENT"...) })
	part(k.printEpoch, func(dst []byte) []byte {
		if r.LeaderEpoch < 0 {
			return append(dst, "Epoch:NOT_PRESENT"...)
		}
		return strconv.AppendInt(append(dst, "Epoch:"...), int64(r.LeaderEpoch), 10)
	})
	var err error
	decoded := func(decode Decoder, b []byte) func([]byte) []byte {
		return func(dst []byte) []byte {
			out, e := k.append(dst, decode, b)
			if e != nil {
				err = e
			}
			return out
		}
	}
	part(k.printHeaders, func(dst []byte) []byte {
		if len(r.Headers) == 0 {
			return append(dst, "NO_HEADERS"...)
		}
		for i, h := range r.Headers {
			if i > 0 {
				dst = append(dst, k.headersSeparator...)
			}
			dst = append(append(dst, h.Key...), ':')
			dst = decoded(k.header, h.Value)(dst)
		}
		return dst
	})
	part(k.printKey, decoded(k.key, r.Key))
	part(k.printValue, decoded(k.value, r.Value))
	return append(dst, k.lineSeparator...), err
}

func (k *Kafka) append(dst []byte, decode Decoder, b []byte) ([]byte, error) {
	if b == nil {
		return append(dst, k.nullLiteral...), nil
	}
	return decode(dst, b)
}

func appendTimestamp(dst []byte, r *kgo.Record) []byte {
	switch r.Attrs.TimestampType() {
	case 0:
		dst = append(dst, "CreateTime:"...)
	case 1:
		dst = append(dst, "LogAppendTime:"...)
	default:
		return append(dst, "NO_TIMESTAMP"...)
	}
	return strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10)
}

// DecoderByClass returns the decoder that stands for one of Kafka's deserializer classes. Bytes are
// printed as they are: Kafka would print the address of a Java array.
func DecoderByClass(class string) (Decoder, error) {
	name := class[strings.LastIndexByte(class, '.')+1:]
	switch name {
	case "StringDeserializer", "ByteArrayDeserializer", "BytesDeserializer", "ByteBufferDeserializer":
		return decodeString, nil
	case "ShortDeserializer":
		return decodeNumber(name, 2, func(b []byte) string {
			return strconv.Itoa(int(int16(binary.BigEndian.Uint16(b))))
		}), nil
	case "IntegerDeserializer":
		return decodeNumber(name, 4, func(b []byte) string {
			return strconv.Itoa(int(int32(binary.BigEndian.Uint32(b))))
		}), nil
	case "LongDeserializer":
		return decodeNumber(name, 8, func(b []byte) string {
			return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
		}), nil
	case "FloatDeserializer":
		return decodeNumber(name, 4, func(b []byte) string {
			return javaFloat(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32)
		}), nil
	case "DoubleDeserializer":
		return decodeNumber(name, 8, func(b []byte) string {
			return javaFloat(math.Float64frombits(binary.BigEndian.Uint64(b)), 64)
		}), nil
	}
	return nil, fmt.Errorf("deserializer %s is a Java class that this tool cannot load; it knows "+
		"String, ByteArray, Short, Integer, Long, Float and Double", class)
}

func decodeString(dst, b []byte) ([]byte, error) { return append(dst, b...), nil }

func decodeNumber(name string, size int, text func([]byte) string) Decoder {
	return func(dst, b []byte) ([]byte, error) {
		if len(b) != size {
			return dst, fmt.Errorf("%s needs %d bytes, the record has %d", name, size, len(b))
		}
		return append(dst, text(b)...), nil
	}
}

// javaFloat writes a number as Java's toString does for everyday sizes: always with a fraction.
func javaFloat(f float64, bits int) string {
	s := strconv.FormatFloat(f, 'f', -1, bits)
	if !strings.ContainsAny(s, ".NI") {
		s += ".0"
	}
	return s
}
