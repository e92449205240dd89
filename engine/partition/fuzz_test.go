package partition

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// fuzzImage is a log dir with two closed segments and an active one, made once.
var fuzzImage = sync.OnceValue(func() *faultfs.FS {
	fs := faultfs.New()
	b := &bench{t: &testing.T{}, fs: fs, path: "/data", clock: newClock(), conf: DefaultConfig()}
	b.conf.SegmentBytes, b.conf.IndexIntervalBytes = 2048, 256
	b.open()
	for i := range int32(12) {
		b.must(payload{pid: 3, seq: i, bytes: 350, seed: int(i)})
	}
	b.settle()
	if err := b.dir.Close(true, 1); err != nil {
		panic("BUG: fuzz image: " + err.Error())
	}
	return fs
})

// fuzzTargets are the files that the fuzzer replaces.
var fuzzTargets = []string{
	"events-3/00000000000000000000.log", "events-3/00000000000000000000.index",
	"events-3/00000000000000000000.timeindex", "events-3/00000000000000000000.seal",
	"events-3/00000000000000000000.txnindex", "events-3/00000000000000000010.log",
	"events-3/00000000000000000010.index", "events-3/00000000000000000010.seal",
	"events-3/00000000000000000012.snapshot", "events-3/leader-epoch-checkpoint",
	"events-3/partition.metadata", "events-3/00000000000000000005.log.swap",
	"recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "meta.properties",
	".kafka_cleanshutdown",
}

// Whatever stands in a log dir's files: Open returns, with a log that reads consistently or with an
// error; it does not panic, nor read without end.
func FuzzOpenDamagedDir(f *testing.F) {
	for i, name := range fuzzTargets {
		file, _ := readFile(fuzzImage(), filepath.Join("/data", name))
		f.Add(uint8(i), file, false)
		f.Add(uint8(i), file, true)
		f.Add(uint8(i), append(append([]byte(nil), file...), make([]byte, 70)...), true)
		f.Add(uint8(i), file[:len(file)/2], true)
		f.Add(uint8(i), []byte("0\n2147483647\n"), false)
	}
	f.Fuzz(func(t *testing.T, target uint8, contents []byte, forget bool) {
		fs := fuzzImage().Crash(faultfs.KeepAll, 0)
		name := filepath.Join("/data", fuzzTargets[int(target)%len(fuzzTargets)])
		file, err := fs.Open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(contents, 0); err != nil {
			t.Fatal(err)
		}
		if forget {
			_ = fs.Remove("/data/recovery-point-offset-checkpoint")
		}
		b := &bench{t: t, fs: fs, path: "/data", clock: newClock(), conf: DefaultConfig()}
		b.conf.SegmentBytes, b.conf.IndexIntervalBytes = 2048, 256
		if err := b.tryOpen(nil); err != nil {
			return
		}
		defer b.dir.Close(false, -1)
		readDamaged(t, b.log)
		if a := b.submit(payload{bytes: 100}); a.Code == 0 && a.BaseOffset+1 != b.log.LEO() {
			t.Fatalf("append at %d, log ends at %d", a.BaseOffset, b.log.LEO())
		}
	})
}

// readDamaged reads a log whose closed segments may be damaged below the recovery point: every read
// either moves on or ends with an error.
func readDamaged(t *testing.T, l *Log) {
	r := ReadRequest{Offset: l.StartOffset(), MaxBytes: 1000, MinOne: true, Bound: l.LEO()}
	for r.Offset < r.Bound {
		if code := l.Read(&r); code != 0 || r.File == nil {
			return
		}
		if r.Bytes <= 0 || r.Cursor.Offset <= r.Offset {
			t.Fatalf("read at %d does not move on: %+v", r.Offset, r.Cursor)
		}
		r.File.Release()
		r.Offset = r.Cursor.Offset
	}
	_, _ = l.OffsetForTimestamp(testEpochMs+3, l.LEO())
	_, _ = l.MaxTimestamp()
	_, _ = l.AbortedTxns(nil, 0, l.LEO())
}

// FuzzSnapshot: a snapshot either loads, and then encodes to a file that loads again, or does not.
func FuzzSnapshot(f *testing.F) {
	var p producers
	f.Add(p.appendSnapshot(nil))
	p.apply(stamped(payload{pid: 300, seq: 5, records: 4}.batch(f), 17))
	f.Add(p.appendSnapshot(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		var p, q producers
		if p.load(file) == nil && q.load(p.appendSnapshot(nil)) != nil {
			t.Fatal("what loaded does not load again")
		}
	})
}

// FuzzCheckpoints: the text files parse or are refused; what parses survives a round trip.
func FuzzCheckpoints(f *testing.F) {
	f.Add([]byte("0\n2\na 0 17\nb-c 3 4\n"))
	f.Add([]byte("0\n1\n3 40\n"))
	f.Add([]byte("version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ"))
	f.Add([]byte("#c\nnode.id=1\ncluster.id=x\nversion=1\ndirectory.id=AQEBAQEBAQEBAQEBAQEBAQ\n"))
	f.Add([]byte(`{"version":0,"brokerEpoch":5}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		if offsets, err := parseOffsets(file); err == nil {
			again, err := parseOffsets(appendOffsets(nil, offsets))
			if err != nil || len(again) != len(offsets) {
				t.Fatalf("%v became %v (%v)", offsets, again, err)
			}
		}
		var e epochs
		_ = e.load(file)
		_ = parsePartitionMetadata(file)
		_, _ = parseIdentity(file)
		_ = parseCleanMarker(file)
		_, _ = decodeSeal(file)
	})
}

// FuzzMarker: a control batch is a transaction's marker or is not; one that is says what it was built
// from, and nothing that a batch may hold breaks the parser.
func FuzzMarker(f *testing.F) {
	f.Add([]byte(markerBatch(f, 7, 3, true)), true, int32(5))
	f.Add([]byte(payload{pid: 3}.batch(f)), false, int32(-1))
	f.Add(make([]byte, wire.BatchHeaderSize), false, int32(0))
	f.Fuzz(func(t *testing.T, raw []byte, commit bool, coordinatorEpoch int32) {
		if len(raw) >= wire.BatchHeaderSize {
			parseMarker(wire.Batch(raw))
		}
		w := wire.NewBatchBuilder()
		w.AppendEndTxnMarker(1, commit, coordinatorEpoch)
		b, err := w.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, epoch, ok := ParseMarker(b); !ok || c != commit || epoch != coordinatorEpoch {
			t.Fatalf("marker says commit %v, epoch %d, %v", c, epoch, ok)
		}
		e, ok := decodeAborted(append(raw, make([]byte, abortedBytes)...))
		if ok && string(e.encode()) != string(append(raw, make([]byte, abortedBytes)...)[:abortedBytes]) {
			t.Fatalf("entry %+v does not encode to what it was read from", e)
		}
	})
}
