package e2etest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sized puts a length before the parts of a frame.
func sized(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// head is a request header of version 1, without its length; client is the client id.
func head(key, version int16, client string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	return append(b, client...)
}

// Lengths of arrays that no frame bears out.
var (
	maxCount     = []byte{0x7f, 0xff, 0xff, 0xff}
	maxVarint    = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	endlessBytes = bytes.Repeat([]byte{0xff}, 12)
)

// refusedFrames are what Kafka answers by closing the connection, without a byte.
func refusedFrames() map[string][]byte {
	length := func(n uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, n), make([]byte, 40)...)
	}
	h := func(key, version int16, body ...[]byte) []byte {
		return sized(append([][]byte{head(key, version, "")}, body...)...)
	}
	// flex is a request in a flexible version, with an empty tag section in its header.
	flex := func(key, version int16, body ...[]byte) []byte {
		return sized(append([][]byte{head(key, version, ""), {0}}, body...)...)
	}
	long := head(18, 0, "")
	binary.BigEndian.PutUint16(long[8:], 500)
	produceHead := []byte{0xff, 0xff, 0, 1, 0, 0, 0, 9}
	oneTopic := []byte{0, 0, 0, 1, 0, 1, 'a'}
	m := map[string][]byte{
		"length -1":                    length(0xffffffff),
		"length -2^31":                 length(0x80000000),
		"length 2^31-1":                length(0x7fffffff),
		"length over the bound":        length(100<<20 + 1),
		"length 0":                     length(0),
		"an HTTP request":              []byte("GET /metrics HTTP/1.1\r\nHost: broker\r\n\r\n"),
		"an SSH banner":                []byte("SSH-2.0-OpenSSH_9.6\r\n"),
		"a TLS hello":                  append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, noise(7, 500)...),
		"noise":                        append([]byte{0, 0, 1, 0x2c}, noise(8, 300)...),
		"zeros":                        append([]byte{0, 0, 0, 200}, make([]byte, 200)...),
		"client id past the end":       sized(long),
		"unknown key":                  h(9999, 0),
		"negative key":                 h(-1, 0),
		"removed key 4":                h(4, 0),
		"removed key 7":                h(7, 3),
		"Produce of version 2":         h(0, 2),
		"Produce of version 99":        h(0, 99),
		"Fetch of version 3":           h(1, 3),
		"Metadata of version -1":       h(3, -1),
		"Metadata of version 99":       h(3, 99),
		"Metadata, absurd count":       h(3, 1, maxCount),
		"Metadata, name cut short":     h(3, 0, []byte{0, 0, 0, 1, 0, 9, 'a'}),
		"Metadata v9, absurd count":    flex(3, 9, maxVarint),
		"Metadata v9, endless varint":  flex(3, 9, endlessBytes),
		"Metadata v9, tag cut short":   flex(3, 9, []byte{1, 0, 0, 0, 1, 99, 20, 1}),
		"Metadata, header tags cut":    sized(head(3, 9, ""), []byte{1, 5, 90}),
		"Produce, nothing":             h(0, 3),
		"Produce, absurd topics":       h(0, 3, produceHead, maxCount),
		"Produce, absurd partitions":   h(0, 3, produceHead, oneTopic, maxCount),
		"Produce, records past end":    h(0, 3, produceHead, oneTopic, []byte{0, 0, 0, 1, 0, 0, 0, 0}, maxCount),
		"Produce v9, absurd topics":    flex(0, 9, []byte{0, 0xff, 0xff, 0, 0, 0, 9}, maxVarint),
		"Fetch, nothing":               h(1, 4),
		"Fetch, absurd topics":         h(1, 4, make([]byte, 17), maxCount),
		"Fetch v12, endless":           flex(1, 12, make([]byte, 21), endlessBytes),
		"ListOffsets, absurd":          h(2, 1, []byte{0xff, 0xff, 0xff, 0xff}, maxCount),
		"CreateTopics, absurd":         h(19, 2, maxCount),
		"CreateTopics v7, absurd":      flex(19, 7, maxVarint),
		"DeleteTopics, absurd":         h(20, 1, maxCount),
		"DeleteRecords, absurd":        h(21, 0, maxCount),
		"InitProducerId, nothing":      h(22, 0),
		"OffsetForLeaderEpoch, absurd": h(23, 2, maxCount),
		"DescribeConfigs, absurd":      h(32, 1, maxCount),
		"AlterConfigs, absurd":         h(33, 0, maxCount),
		"DescribeLogDirs, absurd":      h(35, 1, maxCount),
		"CreatePartitions, absurd":     h(37, 0, maxCount),
		"IncrementalAlter, absurd":     h(44, 0, maxCount),
		"DescribeCluster, nothing":     flex(60, 0),
	}
	for n := 1; n < len(head(18, 0, "abcd")); n++ {
		m[fmt.Sprintf("header cut to %d bytes", n)] = sized(head(18, 0, "abcd")[:n])
	}
	return m
}

// TestRefusedFrames sends each bad frame, many times: the connection is closed without an answer, the
// broker serves on, its memory stays, and its log gains a bounded number of lines.
func TestRefusedFrames(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	serves(t, b)
	before := b.memoryBytes(t, "VmRSS")
	frames := refusedFrames()
	const rounds = 10
	for range rounds {
		for name, frame := range frames {
			c, err := connect(b)
			must(t, err)
			// The broker may close before it has taken all.
			_, _ = c.Write(frame)
			if err := c.closed(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			c.Close()
		}
	}
	serves(t, b)
	if grown := b.memoryBytes(t, "VmRSS") - before; grown > memoryGrowthMax() {
		t.Errorf("%d bad frames made the broker grow by %d bytes", rounds*len(frames), grown)
	}
	checkThrottled(t, b, rounds*len(frames))
	if b.log.count("peer=127.0.0.1:") == 0 {
		t.Errorf("no line names a peer:\n%s", b.log)
	}
}

// refusalsPerLineMin is how many refusals stand behind each line. Throttling lets one line of a kind
// through per ten seconds; a test that takes minutes all the same still passes.
const refusalsPerLineMin = 10

// checkThrottled counts warnings after many refusals.
func checkThrottled(t *testing.T, b *broker, refusals int) {
	t.Helper()
	lines := b.log.count("level=WARN")
	if lines == 0 || lines > refusals/refusalsPerLineMin {
		t.Errorf("%d lines about %d refusals:\n%s", lines, refusals, b.log.tail(20))
	}
}

// TestNamedRefusals: the log tells a TLS client and an HTTP client apart from garbage.
func TestNamedRefusals(t *testing.T) {
	t.Parallel()
	f := func(frame, part string) {
		t.Helper()
		b := start(t, t.TempDir())
		c := dial(t, b)
		_, err := c.Write([]byte(frame))
		must(t, err)
		must(t, c.closed())
		must(t, b.terminate())
		want(t, "lines with "+part, b.log.count(part), 1)
	}
	f("GET / HTTP/1.1\r\n\r\n", "HTTP request")
	f("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS handshake")
	f("\xff\xff\xff\xff", "frame length: -1")
}

// TestToleratedFrames are odd, but Kafka serves them.
func TestToleratedFrames(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	null, negative := head(18, 0, ""), head(18, 0, "")
	binary.BigEndian.PutUint16(null[8:], 0xffff)
	binary.BigEndian.PutUint16(negative[8:], 0xfffe)
	f := func(name string, frame []byte) {
		t.Helper()
		c := dial(t, b)
		_, err := c.Write(frame)
		must(t, err)
		if _, err := c.receiveFrame(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.request(apiVersions()); err != nil {
			t.Errorf("%s, then a good request: %v", name, err)
		}
	}
	f("null client id", sized(null))
	f("client id of length -2", sized(negative))
	f("client id that is not UTF-8", sized(head(18, 0, "\xff\xfe")))
	f("more behind the body", sized(head(18, 0, ""), []byte{1, 2, 3}))
	f("array of length -2", sized(head(3, 1, ""), []byte{0xff, 0xff, 0xff, 0xfe}))
	f("unknown tags", sized(head(3, 9, ""), []byte{1, 5, 1, 0xaa, 1, 0, 0, 0, 1, 99, 2, 1, 2}))
}

// TestTooNewApiVersions: a client of the future learns the range and goes on (KIP-511).
func TestTooNewApiVersions(t *testing.T) {
	t.Parallel()
	c := dial(t, sharedBroker(t))
	for _, version := range []int16{6, 99, 32767, -1} {
		frame := sized(head(18, version, ""))
		if version >= 3 {
			frame = sized(head(18, version, ""), []byte{0})
		}
		_, err := c.Write(frame)
		must(t, err)
		body, err := c.receiveFrame()
		must(t, err)
		resp := kmsg.NewPtrApiVersionsResponse()
		must(t, resp.ReadFrom(body[4:]))
		want(t, "code", resp.ErrorCode, kerr.UnsupportedVersion.Code)
	}
	ask(t, c, apiVersions(), (*kmsg.ApiVersionsResponse)(nil))
}

// TestHalfFrames leaves many frames unfinished that claim to be as large as may be: they cost the
// broker what has arrived, and others nothing.
func TestHalfFrames(t *testing.T) {
	t.Parallel()
	b := start(t, t.TempDir())
	createTopic(t, b, "beside", 1)
	before := b.memoryBytes(t, "VmRSS")
	var half []*rawConn
	for i := range 60 {
		c := dial(t, b)
		frame := binary.BigEndian.AppendUint32(nil, 100<<20)
		frame = append(frame, head(0, 9, "half")...)
		_, err := c.Write(append(frame, make([]byte, i*500)...))
		must(t, err)
		half = append(half, c)
	}
	for range 20 {
		must(t, produceError(produceRaw(t, dial(t, b), "beside", goodBatch(t, "v"))))
	}
	if grown := b.memoryBytes(t, "VmRSS") - before; grown > memoryGrowthMax() {
		t.Errorf("%d unfinished frames made the broker grow by %d bytes", len(half), grown)
	}
	for _, c := range half {
		c.Close()
	}
	serves(t, b)
}

// TestPipelining sends many requests in one write: the answers come in their order.
func TestPipelining(t *testing.T) {
	t.Parallel()
	b := sharedBroker(t)
	createTopic(t, b, "pipelined", 1)
	c := dial(t, b)
	var all []byte
	var reqs []kmsg.Request
	for i := range 50 {
		reqs = append(reqs, produceRequest("pipelined", 0, -1, goodBatch(t, fmt.Sprint(i))))
		reqs = append(reqs, fetchRequest("pipelined", int64(i), 0), apiVersions())
	}
	for _, req := range reqs {
		all = append(all, c.frame(req)...)
	}
	c.correlation = 0
	_, err := c.Write(all)
	must(t, err)
	for i, req := range reqs {
		c.correlation++
		resp, err := c.receive(req)
		must(t, err)
		if fetch, ok := resp.(*kmsg.FetchResponse); ok {
			got := values(t, fetch.Topics[0].Partitions[0].RecordBatches)
			want(t, "a fetch sees the produce before it", strings.Join(got, ","), fmt.Sprint(i/3))
		}
	}
}
