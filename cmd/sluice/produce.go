package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/lines"
	"sluice/cmd/sluice/internal/recfmt"
)

// lineBytesMax is the default bound of a line: with its batch around it, it just fits into what a
// topic takes by default.
const lineBytesMax = batchBytesMax - batchOverheadMax

// produceFlags are what the person asked for.
type produceFlags struct {
	producing
	file         string
	keySeparator string
	headers      []string
	delimiter    string
	tombstone    bool
	nullMarker   string
	lineMax      int
	quiet        bool
}

func (a *app) produceCmd() *cobra.Command {
	var p produceFlags
	c := &cobra.Command{
		Use:   "produce TOPIC",
		Short: "Write lines of input to a topic, one record each",
		Long: "Produce reads lines from standard input or a file and writes each to the topic, byte for\n" +
			"byte, without its line feed. A last line without a line feed counts. It ends when every\n" +
			"record is acknowledged; if one cannot be stored it says so and exits with 1.",
		Example: "  echo hello | sluice produce greetings\n" +
			"  sluice produce logs -f access.log --compression zstd\n" +
			"  printf 'k1:v1\\nk2:v2\\n' | sluice produce pairs -k :\n" +
			"  printf 'k1:\\n' | sluice produce pairs -k : --tombstone\n" +
			"  sluice produce events -H source=import -H run=7 -p 0 < events.jsonl",
		Args: cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVarP(&p.file, "file", "f", "-", "file to read; - is standard input")
	f.StringVarP(&p.keySeparator, "key-separator", "k", "",
		"split each line into key and value at the first of these (escapes as in \\t)")
	f.StringArrayVarP(&p.headers, "header", "H", nil, "header `name=value` on each record; may be repeated")
	f.StringVar(&p.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&p.acks, "acks", "all", "who must have a record: 0 (nobody asked), 1 (leader) or all")
	f.Int32VarP(&p.partition, "partition", "p", -1, "write to partition `N`; -1 lets keys decide")
	f.BoolVar(&p.tombstone, "tombstone", false, "an empty value is null, which deletes its key")
	f.StringVar(&p.nullMarker, "null", "", "a key or value that is exactly this text is null")
	f.StringVar(&p.delimiter, "delimiter", `\n`, "what ends a line (escapes as in \\0)")
	f.IntVar(&p.lineMax, "max-line-bytes", lineBytesMax, "refuse lines of more than `N` bytes")
	f.DurationVar(&p.linger, "linger", 0, "wait up to `TIME` for a batch to fill (default 5ms, piped 50ms)")
	f.BoolVar(&p.autoCreate, "allow-auto-topic-creation", false, "let the broker make a missing topic")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "no progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		p.topic = args[0]
		return a.runProduce(c, &p)
	}
	return c
}

func (a *app) runProduce(c *cobra.Command, p *produceFlags) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	if err := checkNames(p.topic); err != nil {
		return err
	}
	if c.Flags().Changed("partition") && p.partition < 0 {
		return usagef("--partition %d: it must not be negative", p.partition)
	}
	if p.lineMax < 1 || p.lineMax > 1<<30 {
		return usagef("--max-line-bytes %d: it must be from 1 to %d", p.lineMax, 1<<30)
	}
	m := &meter{}
	in, closeIn, err := a.input(p.file, m)
	if err != nil {
		return err
	}
	defer closeIn()
	terminal := isTerminal(in)
	if p.linger == 0 {
		p.linger = 50 * time.Millisecond
		if terminal {
			p.linger = 5 * time.Millisecond
		}
	}
	next, err := p.source(in)
	if err != nil {
		return err
	}
	p.idempotent, p.recordMax = true, p.lineMax
	if !terminal && !p.quiet {
		defer m.report(a.err)()
	}
	_, err = a.produce(c.Context(), s, p.producing, next, m)
	return err
}

// input opens the file, or takes standard input for "-", and notes its size if it has one.
func (a *app) input(path string, m *meter) (io.Reader, func(), error) {
	if path == "-" {
		if f, ok := a.in.(*os.File); ok {
			m.totalBytes = sizeOf(f)
		}
		return a.in, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	m.totalBytes = sizeOf(f)
	return f, func() { f.Close() }, nil
}

// sizeOf returns a regular file's size, or 0 for anything else.
func sizeOf(f *os.File) int64 {
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// source makes records of lines.
func (p *produceFlags) source(in io.Reader) (source, error) {
	delimiter, err := recfmt.Unescape(p.delimiter)
	if err != nil || delimiter == "" {
		return nil, usagef("--delimiter %q is not a text", p.delimiter)
	}
	separator, err := recfmt.Unescape(p.keySeparator)
	if err != nil {
		return nil, usagef("--key-separator %q: %v", p.keySeparator, err)
	}
	var headers []kgo.RecordHeader
	for _, h := range p.headers {
		key, value, ok := strings.Cut(h, "=")
		if !ok || key == "" {
			return nil, usagef("--header %q is not name=value", h)
		}
		headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(value)})
	}
	r := lines.NewReader(in, []byte(delimiter), p.lineMax)
	return func(rec *kgo.Record) error {
		line, err := r.Next()
		if err != nil {
			if long, ok := err.(*lines.TooLongError); ok {
				return fmt.Errorf("%w; --max-line-bytes raises the bound, and the topic's "+
					"max.message.bytes must allow it too", long)
			}
			return err
		}
		rec.Headers = headers
		if separator == "" {
			rec.Value = p.null(line)
		} else {
			key, value, ok := bytes.Cut(line, []byte(separator))
			if !ok {
				return fmt.Errorf("line %d has no key separator %q", r.Count(), separator)
			}
			rec.Key, rec.Value = p.marked(key), p.null(value)
		}
		return nil
	}, nil
}

// null makes nil of a value that stands for null.
func (p *produceFlags) null(value []byte) []byte {
	if p.tombstone && len(value) == 0 {
		return nil
	}
	return p.marked(value)
}

// marked makes nil of a text that is the null marker. What is not null stays non-nil when empty.
func (p *produceFlags) marked(text []byte) []byte {
	if p.nullMarker != "" && string(text) == p.nullMarker {
		return nil
	}
	return text
}
