package main

import (
	"bufio"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/coordrec"
)

// coordFormatters print the records of internal topics, by the names of Kafka's classes.
var coordFormatters = map[string]printer{
	"OffsetsMessageFormatter":        coordPrinter(coordrec.Offsets, coordrec.OffsetCommit),
	"GroupMetadataMessageFormatter":  coordPrinter(coordrec.Offsets, coordrec.Group),
	"TransactionLogMessageFormatter": coordPrinter(coordrec.Transactions, coordrec.Transaction),
}

// coordPrinter prints records of one kind as JSON, one behind the other without anything between, as
// Kafka's class ApiMessageFormatter does. It leaves out all others.
func coordPrinter(topic coordrec.Topic, want coordrec.Kind) printer {
	var key, value []byte
	return func(w *bufio.Writer, r *kgo.Record, _ int64) error {
		if r.Key == nil {
			return nil
		}
		number, kind, err := coordrec.Type(topic, r.Key)
		if err != nil || kind != want {
			return nil
		}
		if key, err = coordrec.AppendKey(key[:0], kind, r.Key); err != nil {
			return fmt.Errorf("topic %s, partition %d, offset %d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		if r.Value == nil {
			_, err = fmt.Fprintf(w, `{"key":{"type":%d,"data":%s},"value":null}`, number, key)
			return err
		}
		var version int16
		data := `"unknown"`
		if value, version, err = coordrec.AppendValue(value[:0], kind, r.Value, false); err == nil {
			data = string(value)
		}
		_, err = fmt.Fprintf(w, `{"key":{"type":%d,"data":%s},"value":{"version":%d,"data":%s}}`, number, key,
			version, data)
		return err
	}
}
