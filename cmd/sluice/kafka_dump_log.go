package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"strings"

	"sluice/cmd/sluice/internal/coordrec"
	"sluice/cmd/sluice/internal/kopt"
	"sluice/cmd/sluice/internal/logdump"
)

// absentDecoders are Kafka's options that print the records of topics in words which are not here.
var absentDecoders = []string{
	"cluster-metadata-decoder", "share-group-state-decoder", "remote-log-metadata-decoder",
}

func (a *app) kafkaDumpLog() kafkaTool {
	options := []kopt.Option{
		{
			Name: "files", Kind: kopt.Value, Arg: "file,…",
			Help: "REQUIRED: segments, indexes and snapshots to print.",
		},
		{Name: "print-data-log", Help: "Print keys and values of records."},
		{Name: "deep-iteration", Help: "Print every record, not only batches; --print-data-log does too."},
		{Name: "skip-record-metadata", Help: "Of records, print only keys and values."},
		{Name: "index-sanity-check", Help: "Check indexes as a broker does at its start, without printing them."},
		{Name: "verify-index-only", Help: "Compare indexes with their segments, without printing them."},
		{Name: "max-bytes", Kind: kopt.Value, Arg: "size", Help: "Read no more of each segment."},
		{Name: "max-message-size", Kind: kopt.Value, Arg: "size"},
		{Name: "key-decoder-class", Kind: kopt.Optional, Arg: "class"},
		{Name: "value-decoder-class", Kind: kopt.Optional, Arg: "class"},
		{Name: "offsets-decoder", Help: "Print keys and values as records of __consumer_offsets."},
		{
			Name: "transaction-log-decoder",
			Help: "Print keys and values as records of __transaction_state.",
		},
	}
	for _, name := range absentDecoders {
		options = append(options, kopt.Option{Name: name})
	}
	return kafkaTool{
		name:  "kafka-dump-log",
		about: "Print the files of a log, without a broker",
		example: "  kafka-dump-log --files data/orders-0/00000000000000000000.log --print-data-log\n" +
			"  kafka-dump-log --files data/orders-0/00000000000000000000.index --index-sanity-check",
		options: withHelp(options...),
		run: func(_ context.Context, line *kopt.Line) error {
			return a.runDumpLog(line)
		},
	}
}

func (a *app) runDumpLog(line *kopt.Line) error {
	if err := line.Require("files"); err != nil {
		return err
	}
	for _, name := range absentDecoders {
		if line.Has(name) {
			return fmt.Errorf("--%s is not supported yet; --print-data-log prints the records as they are", name)
		}
	}
	for _, name := range []string{"key-decoder-class", "value-decoder-class"} {
		if c := line.Get(name); c != "" && !strings.HasSuffix(c, ".StringDecoder") {
			return fmt.Errorf("--%s %s is a Java class that this tool cannot load", name, c)
		}
	}
	bytesMax, err := line.Int("max-bytes", 32, math.MaxInt64)
	if err != nil {
		return err
	}
	var decoder *logdump.Decoder
	switch {
	case line.Has("offsets-decoder"):
		decoder = &logdump.Decoder{Topic: coordrec.Offsets}
	case line.Has("transaction-log-decoder"):
		decoder = &logdump.Decoder{Topic: coordrec.Transactions}
	}
	payloads := decoder != nil || line.Has("print-data-log") || line.Has("key-decoder-class") ||
		line.Has("value-decoder-class")
	k := &logdump.Kafka{
		Out: bufio.NewWriter(a.out), Err: a.err,
		Records: payloads || line.Has("deep-iteration"), Payloads: payloads,
		Metadata: !line.Has("skip-record-metadata"), SanityOnly: line.Has("index-sanity-check"),
		VerifyOnly: line.Has("verify-index-only"), BytesMax: bytesMax,
		Decoder: decoder,
	}
	for _, f := range splitList(line.Get("files")) {
		if err := k.File(f); err != nil {
			if flushErr := k.Out.Flush(); flushErr != nil {
				return flushErr
			}
			return err
		}
	}
	return k.Finish()
}
