package partition

import (
	"testing"

	"sluice/wire"
)

const testEpochMs = 1_700_000_000_000

// ListOffsets by time (KIP-79): the first record in offset order whose timestamp is at least the
// one asked for, inside compressed batches too, in closed and active segments, and after restarts.
func TestOffsetForTimestamp(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.SegmentBytes = 3000 })
	// Records are 10 ms apart from batch to batch and 1 ms inside one; every fifth batch is late.
	type record struct{ offset, ms int64 }
	var all []record
	for i := range int64(60) {
		ms := testEpochMs + i*10
		if i%5 == 4 {
			ms -= 300
		}
		codec := []wire.Codec{wire.CodecNone, wire.CodecZstd, wire.CodecGzip}[i%3]
		a := b.must(payload{records: 3, bytes: 90, timestamp: ms, codec: codec, seed: int(i)})
		for j := range int64(3) {
			all = append(all, record{a.BaseOffset + j, ms + j})
		}
	}
	check := func(when string) {
		t.Helper()
		for ms := int64(testEpochMs - 310); ms < testEpochMs+620; ms += 3 {
			want := int64(-1)
			for _, r := range all {
				if r.ms >= ms {
					want = r.offset
					break
				}
			}
			got, err := b.log.OffsetForTimestamp(ms, b.log.LEO())
			if err != nil || got.Offset != want {
				t.Fatalf("%s: time +%d: offset %d, want %d (%v)", when, ms-testEpochMs, got.Offset,
					want, err)
			}
		}
		newest, err := b.log.MaxTimestamp()
		if err != nil || newest.TimestampMs != testEpochMs+582 || newest.Offset != all[58*3+2].offset {
			t.Errorf("%s: newest is %+v, %v", when, newest, err)
		}
	}
	check("at once")
	b.settle()
	check("with complete index files")
	b.reopen(true)
	check("after a clean restart")
	b.reopen(false)
	check("after an unclean restart")
	if got, _ := b.log.OffsetForTimestamp(testEpochMs+100, 3); got.Offset != -1 {
		t.Errorf("an offset beyond the bound was found: %+v", got)
	}
}

// segment.ms, segment.bytes and index limits roll (class LogSegment, shouldRoll).
func TestRoll(t *testing.T) {
	t.Parallel()
	rolled := func(change func(*Config), timestamps ...int64) int {
		b := newBench(t, change)
		for _, ms := range timestamps {
			b.must(payload{bytes: 300, timestamp: testEpochMs + ms})
		}
		return len(*b.log.segments.Load())
	}
	f := func(name string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d segments, want %d", name, got, want)
		}
	}
	f("no reason", rolled(nil, 0, 1, 2, 3), 1)
	f("by time of the records", rolled(func(c *Config) { c.SegmentMs = 100 }, 0, 100, 101, 150, 202), 3)
	f("by size", rolled(func(c *Config) { c.SegmentBytes = 900 }, 0, 0, 0, 0, 0), 3)
	f("by index size", rolled(func(c *Config) {
		c.SegmentIndexBytes, c.IndexIntervalBytes = 16, 1
	}, 0, 0, 0, 0, 0, 0), 3)
	b := newBench(t, nil)
	b.must(payload{})
	if a := b.submit(payload{bytes: 2000}); a.Code != wire.CodeNone {
		t.Fatal(wire.CodeName(a.Code))
	}
	c := DefaultConfig()
	c.SegmentBytes = 1000
	b.log.SetConfig(c)
	if a := b.submit(payload{bytes: 2000}); a.Code != wire.CodeRecordListTooLarge {
		t.Errorf("batch over segment.bytes: %s", wire.CodeName(a.Code))
	}
}

// Retention by time and size, never beyond the high watermark, and DeleteRecords (KIP-107): whole
// segments below the start offset are renamed, later unlinked, and stay gone.
func TestRetentionAndDeletion(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.SegmentBytes, c.RetentionMs, c.RetentionBytes = 1000, 1000, -1
	})
	for i := range 10 {
		b.must(payload{bytes: 400, timestamp: testEpochMs + int64(i)*500})
	}
	f := func(name string, got, want int64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	now := int64(testEpochMs + 4600)
	f("obsolete below the high watermark", int64(b.log.ApplyRetention(now, 4)), 2)
	f("start", b.log.StartOffset(), 4)
	f("obsolete by time", int64(b.log.ApplyRetention(now-1000, 10)), 1)
	f("start", b.log.StartOffset(), 6)
	if err := b.dir.CommitStartOffsets(); err != nil {
		t.Fatal(err)
	}
	f("segments", int64(len(*b.log.segments.Load())), 2)
	if code := b.log.AdvanceStartOffset(11); code != wire.CodeOffsetOutOfRange {
		t.Errorf("beyond the end: %s", wire.CodeName(code))
	}
	f("advance", int64(b.log.AdvanceStartOffset(7)), 0)
	r := ReadRequest{Offset: 6, Bound: 10, MaxBytes: 100}
	if code := b.log.Read(&r); code != wire.CodeOffsetOutOfRange {
		t.Errorf("read below the start: %s", wire.CodeName(code))
	}
	if err := b.dir.CommitStartOffsets(); err != nil {
		t.Fatal(err)
	}
	deleted := func() (n int64) {
		entries, err := b.fs.ReadDir(b.log.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if len(e.Name()) > 8 && e.Name()[len(e.Name())-8:] == deletedSuffix {
				n++
			}
		}
		return n
	}
	if deleted() == 0 {
		t.Error("no file waits for file.delete.delay.ms")
	}
	b.dir.Tick(b.clock.now() + 60_000)
	f("files left behind", deleted(), 0)
	b.reopen(false)
	f("start after a restart", b.log.StartOffset(), 7)
	f("end after a restart", b.log.LEO(), 10)
	f("obsolete, the active segment too", int64(b.log.ApplyRetention(testEpochMs+100_000, 10)), 2)
	f("start", b.log.StartOffset(), 10)
	b.must(payload{})
	f("end", b.log.LEO(), 11)
}
