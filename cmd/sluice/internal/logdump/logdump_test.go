package logdump

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/cmd/sluice/internal/coordrec"
	"sluice/wire"
)

const (
	segFile  = "seg-0/00000000000000000000.log"
	idxFile  = "idx-0/00000000000000000000.index"
	timeFile = "idx-0/00000000000000000000.timeindex"
	txnFile  = "txn-0/00000000000000000000.log"
	// These two are of a Kafka 4.4.0 broker: partitions of its __consumer_offsets and
	// __transaction_state.
	offsetsFile = "offsets-0/00000000000000000000.log"
	stateFile   = "txns-0/00000000000000000000.log"
)

// asKafka prints files and returns what went to the output and to the errors.
func asKafka(t *testing.T, set func(*Kafka), files ...string) (string, string) {
	t.Helper()
	t.Chdir("testdata")
	var out, errs bytes.Buffer
	k := &Kafka{Out: bufio.NewWriter(&out), Err: &errs, Metadata: true, BytesMax: math.MaxInt64}
	set(k)
	for _, f := range files {
		if err := k.File(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Finish(); err != nil {
		t.Fatal(err)
	}
	return out.String(), errs.String()
}

// TestAgainstKafka compares with what DumpLogSegments of Kafka 4.3.1 printed for the same files,
// which a Kafka 4.3.1 broker wrote: all codecs, headers, nulls, transactions, indexes.
func TestAgainstKafka(t *testing.T) {
	f := func(golden string, set func(*Kafka), files ...string) {
		t.Run(golden, func(t *testing.T) {
			want, err := os.ReadFile("testdata/kafka/" + golden + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			got, errs := asKafka(t, set, files...)
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if errs != "" {
				t.Errorf("complaints: %s", errs)
			}
		})
	}
	f("shallow", func(*Kafka) {}, segFile)
	f("deep", func(k *Kafka) { k.Records = true }, segFile)
	f("data", func(k *Kafka) { k.Records, k.Payloads = true, true }, segFile)
	f("bare", func(k *Kafka) { k.Records, k.Payloads, k.Metadata = true, true, false }, segFile, txnFile)
	f("index", func(*Kafka) {}, idxFile, timeFile)
	f("verify", func(k *Kafka) { k.VerifyOnly = true }, idxFile, timeFile)
	f("sanity", func(k *Kafka) { k.SanityOnly = true }, idxFile, timeFile)
	f("txn", func(k *Kafka) { k.Records, k.Payloads = true, true }, txnFile,
		"txn-0/00000000000000000000.txnindex", "txn-0/00000000000000001024.snapshot")
	f("bytes", func(k *Kafka) { k.Records, k.BytesMax = true, 100 }, segFile)
	decode := func(topic coordrec.Topic, metadata bool) func(*Kafka) {
		return func(k *Kafka) {
			k.Records, k.Payloads, k.Metadata, k.Decoder = true, true, metadata, &Decoder{topic}
		}
	}
	f("offsets", decode(coordrec.Offsets, true), offsetsFile)
	f("offsets-bare", decode(coordrec.Offsets, false), offsetsFile)
	f("txns", decode(coordrec.Transactions, true), stateFile)
}

// TestDecoderOfOtherRecords: what a decoder cannot read is said in Kafka's words, and a record without
// a key ends the dump.
func TestDecoderOfOtherRecords(t *testing.T) {
	set := func(k *Kafka) {
		k.Records, k.Payloads, k.Decoder = true, true, &Decoder{coordrec.Transactions}
	}
	got, _ := asKafka(t, set, offsetsFile)
	if !strings.Contains(got, "headerKeys: [] key: Unknown record type 2 at offset 0, skipping.\n") ||
		!strings.Contains(got, "headerKeys: [] key: Unknown record type 1 at offset 2, skipping.\n") {
		t.Error(got)
	}
	k := &Kafka{
		Out: bufio.NewWriter(&bytes.Buffer{}), Metadata: true, BytesMax: math.MaxInt64,
	}
	set(k)
	const want = "using the specified decoder (message had a missing key)"
	if err := k.File(segFile); err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

// damaged copies the files of testdata/idx-0 and lets f change one.
func damaged(t *testing.T, name string, f func([]byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range []string{"idx-0/00000000000000000000.log", idxFile, timeFile} {
		b, err := os.ReadFile("testdata/" + from)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(from) == name {
			b = f(b)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, name)
}

func TestDamageIsFound(t *testing.T) {
	f := func(name string, damage func([]byte) []byte, want string) {
		t.Helper()
		path := damaged(t, name, damage)
		var out bytes.Buffer
		p := &Printer{Out: bufio.NewWriter(&out), Verify: true}
		err := p.File(path)
		p.Out.Flush()
		text := out.String()
		if err != nil {
			text += err.Error()
		} else if (p.Wrong() == 0) != (want == "") {
			t.Errorf("%d things wrong, want %q", p.Wrong(), want)
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in\n%s", name, want, text)
		}
	}
	same := func(b []byte) []byte { return b }
	const base = "00000000000000000000"
	f(base+".log", same, "")
	f(base+".index", same, "")
	f(base+".timeindex", same, "")
	f(base+".log", func(b []byte) []byte { b[80]++; return b }, "CHECKSUM WRONG")
	f(base+".log", func(b []byte) []byte { return b[:len(b)-1] }, "the last 196 bytes are no whole batch")
	f(base+".log", func(b []byte) []byte { return append(b, make([]byte, 4096)...) },
		"the last 4096 bytes are no whole batch")
	f(base+".index", func(b []byte) []byte { b[7]++; return b }, "MISMATCH: the index says offset 5, the segment -1")
	f(base+".index", func(b []byte) []byte { b[3]++; return b }, "MISMATCH: the index says offset 6, the segment 5")
	f(base+".index", func(b []byte) []byte { return b[:len(b)-3] }, "the last 5 bytes are no whole entry")
	f(base+".index", func(b []byte) []byte { b[3] = 200; return b }, "does not lie behind")
	f(base+".index", func(b []byte) []byte { return append(b, make([]byte, 800)...) }, "")
	f(base+".timeindex", func(b []byte) []byte { b[7]--; return b }, "MISMATCH: the index says time")
	f(base+".timeindex", func(b []byte) []byte { b[11]--; return b }, "MISMATCH: the index says offset 4")
	f(base+".timeindex", func(b []byte) []byte { b[0] = 1; return b }, "goes back behind")
	f(base+".timeindex", func(b []byte) []byte { return append(b, make([]byte, 1200)...) }, "")
}

// TestKafkaMismatches holds the words in which DumpLogSegments reports an index that is off.
func TestKafkaMismatches(t *testing.T) {
	f := func(name string, damage func([]byte) []byte, want string) {
		t.Helper()
		path := damaged(t, name, damage)
		var errs bytes.Buffer
		k := &Kafka{Out: bufio.NewWriter(&bytes.Buffer{}), Err: &errs, BytesMax: math.MaxInt64}
		if err := k.File(path); err != nil {
			t.Fatal(err)
		}
		if err := k.Finish(); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(errs.String(), path, "FILE"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("00000000000000000000.index", func(b []byte) []byte { b[3]++; return b },
		"Mismatches in :FILE\n  Index offset: 6, log offset: 5\n")
	f("00000000000000000000.timeindex", func(b []byte) []byte { b[11]--; return b },
		"The following indexed offsets are not found in :FILE\nIndexed offset: 4, found log offset: 5\n")
}

func TestSmallFiles(t *testing.T) {
	dir := t.TempDir()
	f := func(name, content, want string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		p := &Printer{Out: bufio.NewWriter(&out)}
		err := p.File(path)
		p.Out.Flush()
		text := strings.ReplaceAll(out.String(), path+"\n", "")
		if err != nil {
			text += "error: " + strings.ReplaceAll(err.Error(), path, name)
		}
		if text != want {
			t.Errorf("%s: got %q, want %q", name, text, want)
		}
	}
	f("leader-epoch-checkpoint", "0\n2\n0 0\n3 77\n", "  0 0\n  3 77\n")
	f("leader-epoch-checkpoint", "0\n2\n0 0\n", "error: leader-epoch-checkpoint: it says 2 entries but has 1")
	f("replication-offset-checkpoint", "1\n0\n",
		"error: replication-offset-checkpoint: it is no checkpoint of version 0")
	f("partition.metadata", "version: 0\ntopic_id: x\n", "  version: 0\n  topic_id: x\n")
	f("meta.properties", "#\n#time\nnode.id=1\n", "  node.id=1\n")
	f("00000000000000000007.snapshot", "\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00",
		"error: 00000000000000000007.snapshot: snapshots of version 2 are not known")
	f("00000000000000000007.snapshot", "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"error: 00000000000000000007.snapshot: the checksum is wrong, the snapshot is damaged")
	f("x.index", "", "error: "+filepath.Join("x.index")+": the name does not begin with an offset")
	f("notes.txt", "", "error: notes.txt is no file of a log: its name says neither segment, index, "+
		"snapshot nor checkpoint")
}

func TestJSONIsJSON(t *testing.T) {
	t.Chdir("testdata")
	var out bytes.Buffer
	p := &Printer{Out: bufio.NewWriter(&out), JSON: true, Records: true, Verify: true}
	files := []string{
		segFile, idxFile, timeFile, txnFile, "txn-0/00000000000000000000.txnindex",
		"txn-0/00000000000000001024.snapshot",
	}
	for _, f := range files {
		if err := p.File(f); err != nil {
			t.Fatal(err)
		}
	}
	p.Out.Flush()
	types := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var v struct{ Type, File string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.File == "" {
			t.Fatalf("%s: %v", line, err)
		}
		types[v.Type]++
	}
	if types["batch"] != 12 || types["record"] != 19 || types["offset"] != 9 || types["time"] != 3 ||
		types["abortedTxn"] != 1 || types["producer"] != 1 || p.Wrong() != 0 {
		t.Errorf("%v, %d wrong", types, p.Wrong())
	}
}

// TestSequenceWrap: sequences go on with 0 behind 2147483647 (KIP-98).
func TestSequenceWrap(t *testing.T) {
	p := Producer{LastSequence: 1, OffsetDelta: 3}
	if got := p.FirstSequence(); got != math.MaxInt32-1 {
		t.Error(got)
	}
	if got := wire.AddSequence(p.FirstSequence(), p.OffsetDelta); got != 1 {
		t.Error(got)
	}
}

// FuzzFiles: whatever a file holds, printing it neither panics nor reads more than there is.
func FuzzFiles(f *testing.F) {
	for i, name := range []string{
		segFile, idxFile, timeFile, "txn-0/00000000000000000000.txnindex",
		"txn-0/00000000000000001024.snapshot",
	} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	huge := binary.BigEndian.AppendUint32(make([]byte, 8), math.MaxInt32)
	f.Add(uint8(0), append(huge, make([]byte, 60)...))
	names := []string{
		"0.log", "0.index", "0.timeindex", "0.txnindex", "0.snapshot",
		"leader-epoch-checkpoint", "meta.properties",
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		path := filepath.Join(t.TempDir(), names[int(kind)%len(names)])
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p := &Printer{Out: bufio.NewWriter(&bytes.Buffer{}), Records: true, Verify: true}
		_ = p.File(path)
		k := &Kafka{
			Out: bufio.NewWriter(&bytes.Buffer{}), Err: &bytes.Buffer{}, Records: true,
			Payloads: true, Metadata: true, BytesMax: math.MaxInt64,
		}
		_ = k.File(path)
	})
}

// TestKinds: files that only Sluice has are told from Kafka's, also where the suffix is the same.
func TestKinds(t *testing.T) {
	f := func(path string, want Kind) {
		t.Helper()
		if got := KindOf(path); got != want {
			t.Errorf("%s: kind %d, want %d", path, got, want)
		}
	}
	f("d/t-0/00000000000000000000.log", Segment)
	f("d/t-0/00000000000000000007.snapshot", Snapshot)
	f("d/t-0/00000000000000000007.seal", Own)
	f("d/t-0/00000000000000000007.seal.deleted", Own)
	f("d/sluice-metadata/00000000000000000001.journal", Own)
	f("d/sluice-metadata/00000000000000000001.snapshot", Own)
	f("d/t-0/notes.txt", Unknown)
	var out bytes.Buffer
	p := Printer{Out: bufio.NewWriter(&out)}
	if err := p.File("d/t-0/00000000000000000007.seal.deleted"); err != nil || p.Wrong() != 0 {
		t.Error(err)
	}
	if err := p.Out.Flush(); err != nil || !strings.Contains(out.String(), "Sluice's own") {
		t.Errorf("%q, %v", &out, err)
	}
}
