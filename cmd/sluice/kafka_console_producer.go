package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
	"sluice/cmd/sluice/internal/lines"
)

// consoleBatchBytes is Kafka's default of batch.size.
const consoleBatchBytes = 16384

func (a *app) kafkaConsoleProducer() kafkaTool {
	value := func(name, arg, help string) kopt.Option {
		return kopt.Option{Name: name, Kind: kopt.Value, Arg: arg, Help: help}
	}
	return kafkaTool{
		name:  "kafka-console-producer",
		about: "Write lines of standard input to a topic",
		example: "  echo hello | kafka-console-producer --bootstrap-server 127.0.0.1:9092 --topic greetings\n" +
			"  printf 'k:v\\n' | kafka-console-producer --bootstrap-server 127.0.0.1:9092 --topic pairs \\\n" +
			"    --reader-property parse.key=true --reader-property key.separator=:",
		options: withConnection(
			value("topic", "topic", "REQUIRED: the topic to write to."),
			kopt.Option{Name: "sync", Help: "Wait for each record before reading the next."},
			kopt.Option{
				Name: "compression-codec", Kind: kopt.Optional, Arg: "codec",
				Help: "none, gzip, snappy, lz4 or zstd; gzip if none is named.",
			},
			value("request-required-acks", "acks", "0, 1, -1 or all (the default)."),
			value("batch-size", "bytes", "Largest batch, 16384 if not given."),
			value("max-partition-memory-bytes", "bytes", "The same as --batch-size, which wins."),
			value("max-memory-bytes", "bytes", "Memory for records that wait to be sent."),
			value("timeout", "ms", "Wait this long for a batch to fill."),
			value("request-timeout-ms", "ms", "Wait this long for an answer."),
			value("max-block-ms", "ms", ""), value("message-send-max-retries", "n", ""),
			value("retry-backoff-ms", "ms", ""), value("metadata-expiry-ms", "ms", ""),
			value("socket-buffer-size", "bytes", ""),
			value("line-reader", "class", ""),
			value("reader-property", "k=v", "parse.key, key.separator, parse.headers, headers.delimiter, "+
				"headers.separator, headers.key.separator, null.marker, ignore.error; may be repeated."),
			value("reader-config", "file", "Properties file with reader properties."),
			value("property", "k=v", ""),
			value("command-property", "k=v", "Client property; may be repeated."),
			value("producer-property", "k=v", ""), value("producer.config", "file", ""),
		),
		run: a.runConsoleProducer,
	}
}

// lineReader makes records of lines as Kafka's LineMessageReader does.
type lineReader struct {
	parseKey, parseHeaders, ignoreError                                     bool
	keySeparator, headersDelimiter, headersSeparator, headersKeySep, marker []byte
	src                                                                     *lines.Reader
	number                                                                  int64
}

// set sets one reader property; an unknown one is not an error in Kafka either.
func (l *lineReader) set(name, value string) (known bool) {
	flags := map[string]*bool{
		"parse.key": &l.parseKey, "parse.headers": &l.parseHeaders, "ignore.error": &l.ignoreError,
	}
	texts := map[string]*[]byte{
		"key.separator": &l.keySeparator, "headers.delimiter": &l.headersDelimiter,
		"headers.separator": &l.headersSeparator, "headers.key.separator": &l.headersKeySep,
		"null.marker": &l.marker,
	}
	if p := flags[name]; p != nil {
		*p = strings.EqualFold(strings.TrimSpace(value), "true")
	} else if p := texts[name]; p != nil {
		*p = []byte(value)
	} else {
		return false
	}
	return true
}

// next reads one record. A carriage return before the line feed belongs to the line's end, as Java
// reads lines; all other bytes are kept as they are.
func (l *lineReader) next(r *kgo.Record) error {
	line, err := l.src.Next()
	if err != nil {
		return err
	}
	l.number++
	line = bytes.TrimSuffix(line, []byte("\r"))
	rest := line
	var headers, key []byte
	if l.parseHeaders {
		if headers, rest, err = l.cut(rest, l.headersDelimiter, "headers delimiter", line); err != nil {
			return err
		}
	}
	if l.parseKey {
		if key, rest, err = l.cut(rest, l.keySeparator, "key separator", line); err != nil {
			return err
		}
	}
	r.Key, r.Value = l.unlessNull(key), l.unlessNull(rest)
	if headers = l.unlessNull(headers); headers != nil {
		r.Headers, err = l.headers(headers)
	}
	return err
}

// cut takes what stands before a separator. Without one it is an error, or nil if errors are
// ignored.
func (l *lineReader) cut(text, separator []byte, what string, line []byte,
) (before, after []byte, err error) {
	before, after, ok := bytes.Cut(text, separator)
	if ok {
		return before, after, nil
	}
	if l.ignoreError {
		return nil, text, nil
	}
	return nil, nil, says("No %s found on line number %d: '%s'", what, l.number, line)
}

func (l *lineReader) unlessNull(text []byte) []byte {
	if l.marker != nil && bytes.Equal(text, l.marker) {
		return nil
	}
	return text
}

func (l *lineReader) headers(text []byte) ([]kgo.RecordHeader, error) {
	var out []kgo.RecordHeader
	for _, pair := range bytes.Split(text, l.headersSeparator) {
		key, value, ok := bytes.Cut(pair, l.headersKeySep)
		if !ok {
			if !l.ignoreError {
				return nil, says("No header key separator found in pair '%s' on line number %d", pair, l.number)
			}
			value = nil
		}
		if l.marker != nil && bytes.Equal(key, l.marker) {
			return nil, says("Header keys should not be equal to the null marker '%s' as they can't be null",
				l.marker)
		}
		out = append(out, kgo.RecordHeader{Key: string(key), Value: l.unlessNull(value)})
	}
	return out, nil
}

// reader makes the line reader that the command line describes.
func (a *app) reader(line *kopt.Line, in io.Reader, lineMax int) (*lineReader, error) {
	if c := line.Get("line-reader"); c != "" && !strings.HasSuffix(c, "LineMessageReader") {
		return nil, fmt.Errorf("--line-reader %s is a Java class that this tool cannot load", c)
	}
	l := &lineReader{
		keySeparator: []byte("\t"), headersDelimiter: []byte("\t"), headersSeparator: []byte(","),
		headersKeySep: []byte(":"), src: lines.NewReader(in, []byte("\n"), lineMax),
	}
	props, err := propertiesOf(line, "reader-config", "property", "reader-property")
	if err != nil {
		return nil, err
	}
	for _, p := range props {
		if !l.set(p[0], p[1]) {
			a.warnf("reader property %s is not known and has no effect", p[0])
		}
	}
	if len(l.keySeparator) == 0 || len(l.headersDelimiter) == 0 || len(l.headersSeparator) == 0 ||
		len(l.headersKeySep) == 0 {
		return nil, says("separators must not be empty")
	}
	return l, nil
}

// propertiesOf gathers properties from a file option and then from repeatable ones, weakest first.
func propertiesOf(line *kopt.Line, file string, repeated ...string) ([][2]string, error) {
	var out [][2]string
	if path := line.Get(file); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		props, err := client.ParseProperties(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for key, value := range props {
			out = append(out, [2]string{key, value})
		}
	}
	for _, name := range repeated {
		pairs, err := line.Pairs(name)
		if err != nil {
			return nil, err
		}
		out = append(out, pairs...)
	}
	return out, nil
}

// deprecated warns of options that have a new name since Kafka 4.2 (KIP-1147).
func (a *app) deprecated(line *kopt.Line, names ...[2]string) {
	for _, n := range names {
		if line.Has(n[0]) {
			a.warnf("--%s is deprecated, use --%s instead", n[0], n[1])
		}
	}
}

func (a *app) runConsoleProducer(ctx context.Context, line *kopt.Line) error {
	if err := line.Require("topic"); err != nil {
		return err
	}
	a.deprecated(line, [2]string{"producer-property", "command-property"},
		[2]string{"producer.config", "command-config"}, [2]string{"property", "reader-property"})
	pairs, err := propertiesOf(line, "producer.config", "producer-property", "command-property")
	if err != nil {
		return err
	}
	s, err := a.kafkaSettings(line, pairs...)
	if err != nil {
		return err
	}
	p, err := consoleProducing(line, s)
	if err != nil {
		return err
	}
	in := a.in
	if isTerminal(in) {
		in = &prompt{in: in, out: a.out}
	}
	l, err := a.reader(line, in, p.recordMax)
	if err != nil {
		return err
	}
	m := &meter{}
	if !isTerminal(a.in) {
		defer m.report(a.err)()
	}
	_, err = a.produce(ctx, s, p, l.next, m)
	return err
}

// consoleProducing reads how to send. An option wins over the client property of the same meaning.
func consoleProducing(line *kopt.Line, s *client.Settings) (producing, error) {
	p := producing{
		topic: line.Get("topic"), partition: -1, sync: line.Has("sync"), autoCreate: true,
		acks:        line.GetOr("request-required-acks", s.Get("acks", "all")),
		compression: line.GetOr("compression-codec", s.Get("compression.type", "none")),
		idempotent:  !strings.EqualFold(s.Get("enable.idempotence", "true"), "false"),
	}
	if line.Has("compression-codec") && p.compression == "" {
		p.compression = "gzip"
	}
	if _, ok := acksByName[p.acks]; !ok {
		return p, says("Invalid value %s for acks: it must be one of all, -1, 0, 1", p.acks)
	}
	if _, ok := codecsByName[p.compression]; !ok {
		return p, says("Invalid value %s for compression: it must be one of none, gzip, snappy, lz4, zstd",
			p.compression)
	}
	recordMax, err := s.Bytes("max.request.size", 1<<20)
	if err != nil {
		return p, err
	}
	p.recordMax = int(recordMax)
	batch, err := s.Bytes("batch.size", consoleBatchBytes)
	if err != nil {
		return p, err
	}
	linger := s.Millis("linger.ms", 5*time.Millisecond).Milliseconds()
	memory := int64(0)
	for _, o := range []struct {
		name string
		to   func(int64)
	}{
		{"max-partition-memory-bytes", func(n int64) { batch = int32(n) }},
		{"batch-size", func(n int64) { batch = int32(n) }},
		{"timeout", func(n int64) { linger = n }},
		{"max-memory-bytes", func(n int64) { memory = n }},
		{"request-timeout-ms", func(n int64) { s.Props["request.timeout.ms"] = fmt.Sprint(n) }},
	} {
		n, err := line.Int(o.name, 32, -1)
		if err != nil {
			return p, err
		}
		if line.Has(o.name) {
			if n < 0 {
				return p, says("Invalid value %d for option %s", n, o.name)
			}
			o.to(n)
		}
	}
	if memory > 0 {
		s.Props["buffer.memory"] = fmt.Sprint(memory)
	}
	p.batchBytes, p.linger = max(batch, 1), time.Duration(linger)*time.Millisecond
	return p, nil
}

// prompt writes a sign before each read from a terminal, as Kafka's tool does.
type prompt struct {
	in  io.Reader
	out io.Writer
}

func (p *prompt) Read(b []byte) (int, error) {
	fmt.Fprint(p.out, ">")
	return p.in.Read(b)
}
