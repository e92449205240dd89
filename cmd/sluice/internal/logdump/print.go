package logdump

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/wire"
)

// Printer prints files for people or, line by line, as JSON.
type Printer struct {
	Out *bufio.Writer
	// JSON prints one object per line, with the fields type and file before the entry's own.
	JSON bool
	// Records prints every record of a segment too.
	Records bool
	// Verify compares indexes with their segments.
	Verify bool
	// DecoderOf returns what reads the records of a file, which may be nil; nil reads none.
	DecoderOf func(path string) *Decoder

	scratch wire.Records
	wrong   int
}

// batchJSON is a batch as JSON has it.
type batchJSON struct {
	BaseOffset      int64  `json:"baseOffset"`
	LastOffset      int64  `json:"lastOffset"`
	Count           int32  `json:"count"`
	Position        int64  `json:"position"`
	Size            int    `json:"size"`
	Codec           string `json:"codec"`
	TimestampType   string `json:"timestampType"`
	MaxTimestamp    int64  `json:"maxTimestamp"`
	LeaderEpoch     int32  `json:"leaderEpoch"`
	ProducerID      int64  `json:"producerId"`
	ProducerEpoch   int16  `json:"producerEpoch"`
	BaseSequence    int32  `json:"baseSequence"`
	Transactional   bool   `json:"transactional"`
	Control         bool   `json:"control"`
	DeleteHorizonMs *int64 `json:"deleteHorizonMs,omitempty"`
	CRC             uint32 `json:"crc"`
	Valid           bool   `json:"valid"`
}

// textJSON is bytes as JSON has them: a string if they are UTF-8, base64 otherwise, null for null.
type textJSON struct {
	Text   *string `json:"text,omitempty"`
	Base64 *string `json:"base64,omitempty"`
}

type recordJSON struct {
	Offset    int64        `json:"offset"`
	Timestamp int64        `json:"timestamp"`
	Key       *textJSON    `json:"key"`
	Value     *textJSON    `json:"value"`
	Headers   []headerJSON `json:"headers,omitempty"`
	Control   string       `json:"control,omitempty"`
	// Decoded is the same in words, of an internal topic's record.
	Decoded *decodedJSON `json:"decoded,omitempty"`
}

// decodedJSON is a record of an internal topic in words, or why it cannot be read.
type decodedJSON struct {
	Key   json.RawMessage `json:"key,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

type headerJSON struct {
	Key   string    `json:"key"`
	Value *textJSON `json:"value"`
}

func newText(b []byte) *textJSON {
	if b == nil {
		return nil
	}
	if s := string(b); utf8.ValidString(s) {
		return &textJSON{Text: &s}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return &textJSON{Base64: &s}
}

// Wrong returns how many things were found to be wrong in the files so far: batches with a wrong
// checksum, bytes at the end that are no batch, index entries without their batch.
func (p *Printer) Wrong() int { return p.wrong }

// File prints one file. An error means that it could not be read as what its name says.
func (p *Printer) File(path string) error {
	if !p.JSON {
		fmt.Fprintf(p.Out, "%s\n", path)
	}
	switch kind := KindOf(path); kind {
	case Segment:
		return p.segment(path)
	case OffsetIndex:
		return p.offsets(path)
	case TimeIndex:
		return p.times(path)
	case TxnIndex:
		index, err := ReadTxns(path)
		for _, e := range index {
			p.entry(path, "abortedTxn", e, "  producer %d aborted offsets %d to %d, last stable offset %d",
				e.ProducerID, e.FirstOffset, e.LastOffset, e.LastStableOffset)
		}
		return err
	case Snapshot:
		producers, err := ReadSnapshot(path)
		for _, e := range producers {
			p.entry(path, "producer", e, "  producer %d epoch %d  last sequence %d at offset %d  %s%s",
				e.ProducerID, e.Epoch, e.LastSequence, e.LastOffset, clock(e.Timestamp),
				openTxn(e.TxnFirstOffset))
		}
		return err
	case Checkpoint, Properties:
		lines, err := ReadLines(path, kind)
		for _, line := range lines {
			p.entry(path, "line", map[string]string{"text": line}, "  %s", line)
		}
		return err
	case Own:
		meaning := OwnMeaning(path)
		p.entry(path, "own", map[string]string{"text": meaning}, "  %s", meaning)
		return nil
	}
	return fmt.Errorf("%s is no file of a log: its name says neither segment, index, snapshot nor "+
		"checkpoint", path)
}

func openTxn(first int64) string {
	if first < 0 {
		return ""
	}
	return "  transaction open since offset " + strconv.FormatInt(first, 10)
}

// entry prints one entry as text or as JSON with its type and file in front.
func (p *Printer) entry(path, kind string, v any, format string, args ...any) {
	if !p.JSON {
		fmt.Fprintf(p.Out, format+"\n", args...)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		panic("BUG: an entry that JSON cannot hold: " + err.Error())
	}
	file, err := json.Marshal(path)
	if err != nil {
		panic("BUG: a path that JSON cannot hold: " + err.Error())
	}
	fmt.Fprintf(p.Out, `{"type":%q,"file":%s,%s`+"\n", kind, file, strings.TrimPrefix(string(body), "{"))
}

func clock(ms int64) string {
	if ms < 0 {
		return "no time"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func (p *Printer) segment(path string) error {
	tail, err := ReadSegment(path, math.MaxInt64, func(b Found) error {
		p.batch(path, b)
		return nil
	})
	if err != nil {
		return err
	}
	if tail > 0 {
		p.wrong++
		p.entry(path, "tail", map[string]int64{"bytes": tail},
			"  the last %d bytes are no whole batch", tail)
	}
	return nil
}

func (p *Printer) batch(path string, b Found) {
	v := batchJSON{
		BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), Count: b.Count(),
		Position: b.Position, Size: b.Length(), Codec: b.Codec().String(),
		TimestampType: timeName(b.Batch), MaxTimestamp: b.MaxTimestamp(),
		LeaderEpoch: b.LeaderEpoch(), ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		BaseSequence: b.BaseSequence(), Transactional: b.IsTransactional(), Control: b.IsControl(),
		CRC: b.CRC(), Valid: b.Valid,
	}
	if b.HasDeleteHorizon() {
		horizon := b.BaseTimestamp()
		v.DeleteHorizonMs = &horizon
	}
	p.entry(path, "batch", v, "  offsets %d to %d  %s  %d bytes at %d  %s  %s  epoch %d%s%s",
		v.BaseOffset, v.LastOffset, countText(v.Count), v.Size, v.Position, v.Codec, clock(v.MaxTimestamp),
		v.LeaderEpoch, producerText(&v), validText(v.Valid))
	if !v.Valid {
		p.wrong++
	}
	if !p.Records {
		return
	}
	err := wire.EachRecord(b.Batch, &p.scratch, func(r *wire.Record) bool {
		p.record(path, b.Batch, r)
		return true
	})
	if err != nil {
		p.wrong++
		p.entry(path, "error", map[string]string{"text": err.Error()},
			"    the records cannot be read: %v", err)
	}
}

func countText(count int32) string {
	if count == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", count)
}

func producerText(v *batchJSON) string {
	text := ""
	if v.ProducerID >= 0 {
		text = fmt.Sprintf("  producer %d epoch %d sequence %d", v.ProducerID, v.ProducerEpoch,
			v.BaseSequence)
	}
	if v.Transactional {
		text += "  transactional"
	}
	if v.Control {
		text += "  control"
	}
	return text
}

func validText(valid bool) string {
	if valid {
		return ""
	}
	return "  CHECKSUM WRONG"
}

func (p *Printer) record(path string, b wire.Batch, r *wire.Record) {
	v := recordJSON{
		Offset: r.Offset, Timestamp: r.TimestampMs, Key: newText(r.Key), Value: newText(r.Value),
	}
	r.EachHeader(func(key, value []byte) bool {
		v.Headers = append(v.Headers, headerJSON{string(key), newText(value)})
		return true
	})
	if b.IsControl() {
		v.Control = strings.TrimSpace(controlText(r))
		p.entry(path, "record", v, "    %d  %s  %s", v.Offset, clock(v.Timestamp), v.Control)
		return
	}
	if p.DecoderOf != nil {
		if d := p.DecoderOf(path); d != nil {
			p.decoded(path, d, v, r)
			return
		}
	}
	headers := ""
	for _, h := range v.Headers {
		headers += fmt.Sprintf("  %s: %s", h.Key, h.Value.quoted())
	}
	p.entry(path, "record", v, "    %d  %s  %s = %s%s", v.Offset, clock(v.Timestamp), v.Key.quoted(),
		v.Value.quoted(), headers)
}

// decoded prints a record of an internal topic. One that cannot be read is printed as it is.
func (p *Printer) decoded(path string, d *Decoder, v recordJSON, r *wire.Record) {
	key, value, err := d.Decode(r)
	switch {
	case err != nil:
		v.Decoded = &decodedJSON{Error: err.Error()}
		p.entry(path, "record", v, "    %d  %s  %s = %s  (%v)", v.Offset, clock(v.Timestamp), v.Key.quoted(),
			v.Value.quoted(), err)
		return
	case value == "":
		value = "null"
	}
	v.Decoded = &decodedJSON{Key: json.RawMessage(key), Value: json.RawMessage(value)}
	p.entry(path, "record", v, "    %d  %s  %s = %s", v.Offset, clock(v.Timestamp), key, value)
}

// quoted writes bytes for people: quoted text, base64 with its name, or null.
func (t *textJSON) quoted() string {
	switch {
	case t == nil:
		return "null"
	case t.Text != nil:
		return strconv.Quote(*t.Text)
	}
	return "base64:" + *t.Base64
}

func (p *Printer) offsets(path string) error {
	index, err := ReadOffsets(path)
	for _, e := range index {
		p.entry(path, "offset", e, "  offset %d at position %d", e.Offset, e.Position)
	}
	if err != nil {
		return err
	}
	if err := SaneOffsets(path, index); err != nil {
		return err
	}
	if !p.Verify {
		return nil
	}
	found, err := CheckOffsets(index, SegmentOf(path))
	p.mismatches(path, found)
	return err
}

func (p *Printer) times(path string) error {
	index, err := ReadTimes(path)
	for _, e := range index {
		p.entry(path, "time", e, "  %s up to offset %d", clock(e.Timestamp), e.Offset)
	}
	if err != nil {
		return err
	}
	if err := SaneTimes(path, index); err != nil {
		return err
	}
	if !p.Verify {
		return nil
	}
	found, err := CheckTimes(index, SegmentOf(path))
	p.mismatches(path, found)
	return err
}

func (p *Printer) mismatches(path string, found []Mismatch) {
	p.wrong += len(found)
	for _, m := range found {
		what := "offset"
		if m.Times {
			what = "time"
		}
		p.entry(path, "mismatch", m, "  MISMATCH: the index says %s %d, the segment %d", what,
			m.Index, m.Log)
	}
}
