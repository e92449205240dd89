//go:build interop

package differ

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// batchHead is the length of a version 2 batch up to its first record.
const batchHead = 61

// walkBatches describes every whole batch of a fetch answer; what follows the last whole one
// is told by its length only, and is the reader's to skip (KIP-74).
func (w *walker) walkBatches(path string, data []byte) {
	if len(data) == 0 {
		w.add(path, "none", "none")
	}
	for i := 0; len(data) > 0; i++ {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(data) < 12 || len(data)-12 < int(binary.BigEndian.Uint32(data[8:])) {
			rest := fmt.Sprintf("%d bytes of a batch cut short", len(data))
			w.add(at, rest, rest)
			return
		}
		size := 12 + int(binary.BigEndian.Uint32(data[8:]))
		w.walkBatch(at, data[:size])
		data = data[size:]
	}
}

// walkBatch writes a batch's header fields, whether its CRC is right, and a digest of its records.
func (w *walker) walkBatch(path string, data []byte) {
	var b kmsg.RecordBatch
	if err := b.ReadFrom(data); err != nil {
		w.add(path, err.Error(), err.Error())
		return
	}
	crc := "wrong"
	if crc32.Checksum(data[21:], crc32.MakeTable(crc32.Castagnoli)) == uint32(b.CRC) {
		crc = "right"
	}
	digest := sha256.Sum256(b.Records)
	shape := func(ts func(int64) string, pid string) string {
		return fmt.Sprintf("offset %d+%d length %d epoch %d magic %d crc %s attributes %#x "+
			"time %s to %s producer %s/%d seq %d count %d records %x",
			b.FirstOffset, b.LastOffsetDelta, b.Length, b.PartitionLeaderEpoch, b.Magic, crc,
			uint16(b.Attributes), ts(b.FirstTimestamp), ts(b.MaxTimestamp), pid, b.ProducerEpoch,
			b.FirstSequence, b.NumRecords, digest[:6])
	}
	named := shape(w.n.clock, symbol(w.n.producers, b.ProducerID, "pid"))
	w.add(path, named, shape(func(t int64) string { return fmt.Sprint(t) }, fmt.Sprint(b.ProducerID)))
}
