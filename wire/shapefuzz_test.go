package wire

import (
	"bytes"
	"testing"
)

// FuzzCheckShape holds the walk against the library on any bytes: what the walk accepts, the library
// decodes, to the same byte, with no more elements and tagged fields than there are bytes.
func FuzzCheckShape(f *testing.F) {
	var cases []shapeCase
	eachShape(f, func(s shapeCase) {
		body := s.random(newDice(uint64(len(cases))))
		f.Add(uint8(len(cases)), body)
		f.Add(uint8(len(cases)), append(bytes.Clone(body[:len(body)/2]), 0xff, 0xff, 0xff, 0xff, 0x0f))
		cases = append(cases, s)
	})
	if len(cases) > 256 {
		f.Fatal("a byte does not number all versions")
	}
	f.Fuzz(func(t *testing.T, i uint8, body []byte) {
		_ = cases[int(i)%len(cases)].agree(t, body)
	})
}

// BenchmarkCheckShape measures what a walk adds to a request: to a heartbeat, and to a commit of 100
// partitions.
func BenchmarkCheckShape(b *testing.B) {
	f := func(name string, key, version int16, list string, n int) {
		b.Run(name, func(b *testing.B) {
			var body []byte
			eachShape(b, func(s shapeCase) {
				if s.api.Key == key && s.version == version {
					body = s.bulkValue(nil, s.body, s.body.find(list), n, 0)
				}
			})
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := CheckShape(key, version, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("Heartbeat", KeyHeartbeat, 4, "", 0)
	f("OffsetCommit-100", KeyOffsetCommit, 9, "topics.partitions", 100)
	f("DescribeGroups-10000", KeyDescribeGroups, 6, "groups", 10_000)
}
