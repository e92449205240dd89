package partition

import (
	"bytes"
	"path/filepath"
	"testing"

	"sluice/pagecache/faultfs"
	"sluice/wire"
)

// FuzzCleanDamagedSegment: whatever bytes stand in a segment that is to be cleaned, Clean returns. If it
// finds fault with them the log is as it was; if it does not, what is left reads consistently, with
// every batch sealed, and another cleaning of the same leaves the same.
func FuzzCleanDamagedSegment(f *testing.F) {
	name := filepath.Join("/data", fuzzTargets[0])
	file, _ := readFile(fuzzImage(), name)
	f.Add(file, false)
	f.Add(file, true)
	f.Add(append(file[:700:700], file[:700]...), true)
	f.Add(append([]byte{}, make([]byte, 300)...), false)
	for i, b := range [][]byte{
		keyedBatch(f, testEpochMs, "a", 10), markerBatch(f, 3, 0, false), markerBatch(f, 3, 0, true),
	} {
		stamped(b, int64(i))
		f.Add(b, true)
		f.Add(append(append([]byte{}, b...), file...), true)
	}
	f.Fuzz(func(t *testing.T, contents []byte, reseal bool) {
		fs := fuzzImage().Crash(faultfs.KeepAll, 0)
		if reseal {
			contents = bytes.Clone(contents)
			resealAll(contents)
		}
		if err := writeFile(fs, name, contents); err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, fs: fs, path: "/data", clock: newClock(), conf: DefaultConfig()}
		b.conf.SegmentBytes, b.conf.IndexIntervalBytes = 2048, 256
		if err := b.tryOpen(nil); err != nil {
			return
		}
		defer b.dir.Close(false, -1)
		c := NewCleaner(CleanerOptions{
			MapBytes: 1 << 12, MapLoad: 0.9, DecompressedBytesMax: 1 << 20,
		})
		done, err := c.Clean(b.log, b.log.LEO(), b.clock.now())
		readDamaged(t, b.log)
		if err != nil || done.From == done.To {
			return
		}
		before := b.log.SizeBytes()
		b.dir.cleaned = map[logKey]int64{}
		if _, err := c.Clean(b.log, b.log.LEO(), b.clock.now()); err != nil {
			t.Fatalf("cleaned once, but not twice: %v", err)
		}
		if after := b.log.SizeBytes(); after > before {
			t.Fatalf("%d bytes were left, then %d", before, after)
		}
	})
}

// resealAll gives whatever has the shape of batches a checksum that matches, so that the fuzzer gets
// behind that.
func resealAll(b []byte) {
	for {
		batch, rest, err := wire.NextBatch(b)
		if err != nil || len(batch) == 0 {
			return
		}
		batch.Reseal()
		b = rest
	}
}
