package catalog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// snapshotMagic begins a snapshot: the text, and the version of what follows.
var snapshotMagic = [8]byte{'S', 'L', 'C', 'A', 'T', 'L', 'G', 1}

// snapshotTail is the size of the CRC at the end.
const snapshotTail = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendSnapshot appends the encoding of a whole image to dst: equal images give equal bytes.
func AppendSnapshot(dst []byte, im *Image) []byte {
	start := len(dst)
	dst = append(dst, snapshotMagic[:]...)
	dst = binary.BigEndian.AppendUint64(dst, im.index)
	changes := im.history()
	dst = binary.AppendUvarint(dst, uint64(len(changes)))
	for _, c := range changes {
		dst = appendChange(dst, c)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// history is the shortest series of changes that makes the image from nothing.
func (im *Image) history() []Change {
	var changes []Change
	if im.clusterID != "" {
		changes = append(changes, ClusterNamed{ClusterID: im.clusterID})
	}
	for _, f := range im.features {
		changes = append(changes, FeatureLevel(f))
	}
	for _, b := range im.brokers {
		changes = append(changes, BrokerRegistered{Broker: *b})
	}
	if im.nextProducerID > 0 {
		changes = append(changes, ProducerIDsAssigned{Next: im.nextProducerID})
	}
	for t := range im.Topics {
		changes = append(changes, TopicCreated{ID: t.ID, Name: t.Name, Internal: t.Internal})
		if n := t.PartitionCount(); n > 0 {
			all := make([]Partition, n)
			for i := range all {
				all[i] = *t.Partition(int32(i))
			}
			changes = append(changes, PartitionsAdded{TopicID: t.ID, Partitions: all})
		}
	}
	im.configs.each(func(r Resource, c *Configs) {
		for _, e := range c.entries {
			changes = append(changes, ConfigChanged{Resource: r, Name: e.Name, Value: e.Value})
		}
	})
	return changes
}

// LoadSnapshot returns the image that AppendSnapshot encoded. The result holds no reference to
// data. The error wraps ErrCorrupt, as when a single bit is off, or ErrUnknownChange.
func LoadSnapshot(data []byte) (*Image, error) {
	if len(data) < len(snapshotMagic)+8+snapshotTail {
		return nil, fmt.Errorf("%w: snapshot of %d bytes", ErrCorrupt, len(data))
	}
	body, tail := data[:len(data)-snapshotTail], data[len(data)-snapshotTail:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(tail) {
		return nil, fmt.Errorf("%w: snapshot fails its checksum", ErrCorrupt)
	}
	if !bytes.Equal(body[:7], snapshotMagic[:7]) {
		return nil, fmt.Errorf("%w: no snapshot", ErrCorrupt)
	}
	if body[7] != snapshotMagic[7] {
		return nil, fmt.Errorf("%w: snapshot version %d", ErrUnknownChange, body[7])
	}
	index := binary.BigEndian.Uint64(body[8:])
	r := reader{b: body[16:]}
	n := r.count(len(body), changeBytesMin)
	d := &draft{im: *newImage(), sole: true}
	d.im.index = index
	for i := range n {
		c, err := decodeChange(&r)
		if err != nil {
			return nil, fmt.Errorf("snapshot change %d: %w", i, err)
		}
		if err := c.apply(d); err != nil {
			return nil, fmt.Errorf("%w: snapshot change %d: %w", ErrCorrupt, i, err)
		}
	}
	if r.short || len(r.b) != 0 {
		return nil, fmt.Errorf("%w: snapshot with %d bytes left over", ErrCorrupt, len(r.b))
	}
	return &d.im, nil
}
