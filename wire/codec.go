package wire

// Codec is how a batch's records section is compressed: bits 0 to 2 of its attributes.
type Codec int8

// The codecs, numbered as on the wire. CodecProducer is no codec but the topic config
// compression.type=producer: whatever the producer chose.
const (
	CodecProducer Codec = -1
	CodecNone     Codec = 0
	CodecGzip     Codec = 1
	CodecSnappy   Codec = 2
	CodecLZ4      Codec = 3
	CodecZstd     Codec = 4
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// Known reports whether the codec is one of the five.
func (c Codec) Known() bool { return c >= CodecNone && c <= CodecZstd }

// String returns the codec's name as in Kafka's configs.
func (c Codec) String() string {
	switch {
	case c == CodecProducer:
		return "producer"
	case c.Known():
		return codecNames[c]
	default:
		return "unknown"
	}
}

// CodecByName returns the codec of a config's name: none (or uncompressed), gzip, snappy, lz4, zstd
// or producer.
func CodecByName(name string) (c Codec, ok bool) {
	switch name {
	case "producer":
		return CodecProducer, true
	case "uncompressed":
		return CodecNone, true
	}
	for i, n := range codecNames {
		if n == name {
			return Codec(i), true
		}
	}
	return CodecNone, false
}
