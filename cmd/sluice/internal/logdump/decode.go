package logdump

import (
	"fmt"
	"path/filepath"
	"strings"

	"sluice/cmd/sluice/internal/coordrec"
	"sluice/wire"
)

// Decoder reads the keys and values of an internal topic's records. A nil one reads nothing.
type Decoder struct {
	// Topic is the topic whose formats the records have.
	Topic coordrec.Topic
}

// DecoderOf returns the decoder for a file of an internal topic's partition, by the name of the
// directory that it lies in, or nil for any other.
func DecoderOf(path string) *Decoder {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	dir := filepath.Base(filepath.Dir(absolute))
	switch {
	case strings.HasPrefix(dir, "__consumer_offsets-"):
		return &Decoder{coordrec.Offsets}
	case strings.HasPrefix(dir, "__transaction_state-"):
		return &Decoder{coordrec.Transactions}
	}
	return nil
}

// skipped is what Kafka's tool prints of a record that it cannot read.
type skipped string

func (s skipped) Error() string { return string(s) }

// Decode returns a record's key and value as JSON objects; the value of a tombstone is empty. The
// error says why it cannot be read, in the words of Kafka's DumpLogSegments.
func (d *Decoder) Decode(r *wire.Record) (key, value string, err error) {
	number, kind, err := coordrec.Type(d.Topic, r.Key)
	if err == nil && kind == coordrec.Unknown {
		return "", "", skipped(fmt.Sprintf("Unknown record type %d at offset %d, skipping.", number, r.Offset))
	}
	var data []byte
	if err == nil {
		data, err = coordrec.AppendKey(nil, kind, r.Key)
	}
	key = fmt.Sprintf(`{"type":"%d","data":%s}`, number, data)
	if err == nil && r.Value != nil {
		var version int16
		data, version, err = coordrec.AppendValue(data[:0], kind, r.Value, true)
		value = fmt.Sprintf(`{"version":"%d","data":%s}`, version, data)
	}
	if err != nil {
		return "", "", skipped(fmt.Sprintf("Error at offset %d, skipping. %v", r.Offset, err))
	}
	return key, value, nil
}
