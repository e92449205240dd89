//go:build interop

package differ

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sendRaw writes bytes on a connection of its own and records what came back within a second:
// a closed connection, silence, or an answer.
func (s *side) sendRaw(label string, b []byte) {
	conn, err := net.DialTimeout("tcp", s.addr, answerWait)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(rawWait))
	conn.Write(b)
	n, err := io.ReadFull(conn, make([]byte, 4))
	if n > 0 {
		s.record(label, "connection", "an answer")
		return
	}
	s.record(label, "connection", outcome(err))
}

// rawWait is how long a broker has to close a connection before it counts as silent.
const rawWait = 1500 * time.Millisecond

// frame puts a size before a body.
func frame(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// head is a request header of version 1 without its frame.
func head(key, version int16, client string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	return append(b, client...)
}

// TestMalformedFrames covers sizes, headers and bodies that are not what they say.
func TestMalformedFrames(t *testing.T) {
	compare(t, func(s *side) {
		be := binary.BigEndian
		sizes := map[string]uint32{
			"size -1": 0xffffffff, "lowest size": 0x80000000, "highest size": 0x7fffffff,
			"size of the cap and one": 104857601, "size 0": 0,
		}
		for _, label := range sorted(sizes) {
			s.sendRaw(label, append(be.AppendUint32(nil, sizes[label]), make([]byte, 40)...))
		}
		s.sendRaw("an HTTP request", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		s.sendRaw("a TLS hello", append([]byte{0x16, 3, 1, 0, 0xc4, 1, 0, 0, 0xc0, 3, 3},
			bytes.Repeat([]byte{7}, 200)...))
		s.sendRaw("an SSH banner", []byte("SSH-2.0-OpenSSH_9.2p1\r\n"))
		s.sendRaw("two bytes", []byte{0, 0})
		s.sendRaw("a size and no more", []byte{0, 0, 0, 20})
		for n := range 14 {
			s.sendRaw("header cut to "+plainInt(int16(n)), frame(head(18, 0, "abcd")[:n]...))
		}
		long := head(18, 0, "")
		be.PutUint16(long[8:], 500)
		s.sendRaw("client id longer than the frame", frame(long...))
		be.PutUint16(long[8:], 0xffff)
		s.sendRaw("null client id", frame(long...))
		be.PutUint16(long[8:], 0xfffe)
		s.sendRaw("client id of length -2", frame(long...))
		s.sendRaw("client id that is not UTF-8", frame(head(18, 0, "\xff\xfe\x80")...))
	})
}

// bodies are requests of version 9 or so, where arrays have four-byte lengths or varints.
func bodies() map[string][]byte {
	h := func(key, v int16, body ...byte) []byte { return frame(append(head(key, v, ""), body...)...) }
	flex := func(key, v int16, body ...byte) []byte {
		return frame(append(append(head(key, v, ""), 0), body...)...)
	}
	endless := bytes.Repeat([]byte{0xff}, 9)
	return map[string][]byte{
		"Metadata v0 with a count of 2^31-1": h(3, 0, 0x7f, 0xff, 0xff, 0xff),
		"Metadata v0 with a count of -2":     h(3, 0, 0xff, 0xff, 0xff, 0xfe),
		"Metadata v0 with a null array":      h(3, 0, 0xff, 0xff, 0xff, 0xff),
		"Metadata v1 with a count of -2":     h(3, 1, 0xff, 0xff, 0xff, 0xfe),
		"Metadata v1 and nothing":            h(3, 1),
		"Metadata v1 with more behind":       h(3, 1, 0, 0, 0, 0, 1, 2, 3, 4),
		"Metadata v0 with a null name":       h(3, 0, 0, 0, 0, 1, 0xff, 0xff),
		"Metadata v0 with a name cut short":  h(3, 0, 0, 0, 0, 1, 0, 9, 'a'),
		"Metadata v9 with an endless varint": flex(3, 9, endless...),
		"Metadata v9 with a huge count":      flex(3, 9, 0xff, 0xff, 0xff, 0xff, 0x0f),
		"Metadata v9, tags in the body":      flex(3, 9, 1, 0, 0, 0, 1, 99, 2, 1, 2),
		"Metadata v9, a tag cut short":       flex(3, 9, 1, 0, 0, 0, 1, 99, 20, 1),
		"Metadata v9, tags out of order":     flex(3, 9, 1, 0, 0, 0, 2, 99, 0, 98, 0),
		"Metadata v9, a tag twice":           flex(3, 9, 1, 0, 0, 0, 2, 99, 0, 99, 0),
		"Metadata v9, no tag section":        flex(3, 9, 1, 0, 0, 0),
		"Metadata v9, a bool of 2":           flex(3, 9, 1, 2, 0, 0, 0),
		"Metadata v9, tags in the header": frame(append(head(3, 9, ""),
			1, 5, 1, 0xaa, 1, 0, 0, 0, 0)...),
		"Metadata v9, header tags cut short": frame(append(head(3, 9, ""), 1, 5, 90)...),
		"Produce v3 and nothing":             h(0, 3),
		"Produce v3 with an absurd count": h(0, 3, 0xff, 0xff, 0, 1, 0, 0, 0, 9,
			0x7f, 0xff, 0xff, 0xff),
		"Produce v3, absurd partitions": h(0, 3, 0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1,
			0, 1, 'a', 0x7f, 0xff, 0xff, 0xff),
		"Produce v3, records longer than the frame": h(0, 3, 0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1,
			0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff),
		"Produce v3, records of length -2": h(0, 3, 0xff, 0xff, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1,
			0, 1, 'a', 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe),
		"Fetch v4 and nothing":            h(1, 4),
		"Fetch v4 with an absurd count":   h(1, 4, append(make([]byte, 17), 0x7f, 0xff, 0xff, 0xff)...),
		"Fetch v12 with an endless count": flex(1, 12, append(make([]byte, 21), endless...)...),
		"ListOffsets v1, absurd count":    h(2, 1, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff),
		"CreateTopics v2, absurd count":   h(19, 2, 0x7f, 0xff, 0xff, 0xff),
		"CreateTopics v7, absurd count":   flex(19, 7, 0xff, 0xff, 0xff, 0xff, 0x07),
		"DeleteTopics v1, absurd count":   h(20, 1, 0x7f, 0xff, 0xff, 0xff),
		"DescribeConfigs v1, absurd":      h(32, 1, 0x7f, 0xff, 0xff, 0xff),
		"DeleteRecords v0, absurd":        h(21, 0, 0x7f, 0xff, 0xff, 0xff),
		"ApiVersions v0 with more behind": h(18, 0, 1, 2, 3),
		"ApiVersions v3 and nothing":      flex(18, 3),
		"ApiVersions v3, endless name":    flex(18, 3, endless...),
		"ApiVersions v3, null name":       flex(18, 3, 0, 0, 0),
		"InitProducerId v0 and nothing":   h(22, 0),
		"DescribeCluster v0 and nothing":  flex(60, 0),
		"OffsetForLeaderEpoch v2, absurd": h(23, 2, 0x7f, 0xff, 0xff, 0xff),
		"CreatePartitions v0, absurd":     h(37, 0, 0x7f, 0xff, 0xff, 0xff),
		"AlterConfigs v0, absurd":         h(33, 0, 0x7f, 0xff, 0xff, 0xff),
		"IncrementalAlterConfigs absurd":  h(44, 0, 0x7f, 0xff, 0xff, 0xff),
		"DescribeLogDirs v1, null topics": h(35, 1, 0xff, 0xff, 0xff, 0xff),
		"DescribeLogDirs v1, absurd":      h(35, 1, 0x7f, 0xff, 0xff, 0xff),
	}
}

// TestMalformedBodies covers counts and lengths that the frame does not bear out.
func TestMalformedBodies(t *testing.T) {
	compare(t, func(s *side) {
		all := bodies()
		for _, label := range sorted(all) {
			s.sendRaw(label, all[label])
		}
	})
}

// TestTruncatedBodies cuts a good request of every API after each of its bytes.
func TestTruncatedBodies(t *testing.T) {
	compare(t, func(s *side) {
		for _, key := range issueAPIs {
			req := key.Request()
			req.SetVersion(req.MaxVersion())
			whole := s.encode(req)[4:]
			from := 10 + len("differ")
			for n := from; n < len(whole); n += max(1, (len(whole)-from)/4) {
				s.sendRaw(key.Name()+" cut to "+plainInt(int16(n)), frame(whole[:n]...))
			}
		}
	})
}

// TestAfterMalformed: a broker that was sent all that still serves.
func TestAfterMalformed(t *testing.T) {
	compare(t, func(s *side) {
		s.send("metadata", metadataReq(9, false))
		s.send("versions", at(kmsg.NewPtrApiVersionsRequest(), 0))
	})
}

// TestPipelined: several requests in one write are answered in their order.
func TestPipelined(t *testing.T) {
	compare(t, func(s *side) {
		s.create("pipe", 1)
		var all []byte
		var reqs []kmsg.Request
		for i := range 20 {
			reqs = append(reqs, s.produceReq(9, -1, "pipe", 0, good(i%3+1).build()))
			reqs = append(reqs, listReq(7, "pipe", -1, 0))
		}
		first := s.corr + 1
		for _, req := range reqs {
			all = append(all, s.encode(req)...)
		}
		body, err := s.exchange(all)
		for i, req := range reqs {
			if err != nil {
				s.record("pipelined "+plain32(int32(i)), "connection", outcome(err))
				return
			}
			resp, _, err2 := decode(req, first+int32(i), body)
			if err2 != nil {
				s.record("pipelined "+plain32(int32(i)), "answer", err2.Error())
				return
			}
			lines, raw := s.names.flatten(resp)
			s.steps = append(s.steps, step{"pipelined " + plain32(int32(i)), lines, raw})
			if i < len(reqs)-1 {
				body, err = s.readFrame()
			}
		}
	})
}
