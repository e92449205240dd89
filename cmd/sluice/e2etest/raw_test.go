package e2etest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rawConn speaks the protocol frame by frame, and says what it is told to, however wrong.
type rawConn struct {
	net.Conn
	correlation int32
}

// dial connects to a broker. The connection ends with the test.
func dial(t *testing.T, b *broker) *rawConn {
	t.Helper()
	c, err := connect(b)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func connect(b *broker) (*rawConn, error) {
	c, err := net.DialTimeout("tcp", b.addr, patience)
	if err != nil {
		return nil, err
	}
	return &rawConn{Conn: c}, c.SetDeadline(time.Now().Add(patience))
}

// frame encodes a request with its length and header.
func (c *rawConn) frame(req kmsg.Request) []byte {
	c.correlation++
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("e2e"))
	return f.AppendRequest(nil, req, c.correlation)
}

// send sends a request and does not wait for the answer.
func (c *rawConn) send(req kmsg.Request) error {
	_, err := c.Write(c.frame(req))
	return err
}

// receive reads the answer to req.
func (c *rawConn) receive(req kmsg.Request) (kmsg.Response, error) {
	body, err := c.receiveFrame()
	if err != nil {
		return nil, err
	}
	if len(body) < 4 {
		return nil, fmt.Errorf("an answer of %d bytes", len(body))
	}
	if got := int32(binary.BigEndian.Uint32(body)); got != c.correlation {
		return nil, fmt.Errorf("correlation id %d, want %d", got, c.correlation)
	}
	body = body[4:]
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if req.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return nil, errors.New("the answer's header has no empty tag section")
		}
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

// receiveFrame reads one frame.
func (c *rawConn) receiveFrame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(c, body)
	return body, err
}

func (c *rawConn) request(req kmsg.Request) (kmsg.Response, error) {
	if err := c.send(req); err != nil {
		return nil, err
	}
	return c.receive(req)
}

// ask sends a request and returns its answer.
func ask[R kmsg.Response](t *testing.T, c *rawConn, req kmsg.Request, _ R) R {
	t.Helper()
	resp, err := c.request(req)
	if err != nil {
		t.Fatalf("%s v%d: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp.(R)
}

// closed expects the broker to close the connection without another byte.
func (c *rawConn) closed() error {
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	switch {
	case n > 0:
		return errors.New("the broker answered; it should have closed the connection")
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("the broker left the connection open; it should have closed it")
	case err == nil:
		return errors.New("an empty read")
	}
	return nil // End of file, or a reset when the broker left bytes unread.
}

// serves checks that a broker answers.
func serves(t *testing.T, b *broker) {
	t.Helper()
	c, err := connect(b)
	if err == nil {
		defer c.Close()
		_, err = c.request(apiVersions())
	}
	if err != nil {
		t.Errorf("the broker does not answer any more: %v", err)
	}
}

func apiVersions() *kmsg.ApiVersionsRequest {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version = 3
	req.ClientSoftwareName, req.ClientSoftwareVersion = "e2e", "1"
	return req
}

// produceRequest carries one batch.
func produceRequest(topic string, partition int32, acks int16, batch []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 9, acks, 30_000
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, p)
	req.Topics = append(req.Topics, rt)
	return req
}

// produceRaw sends one batch and returns the partition's answer.
func produceRaw(t *testing.T, c *rawConn, topic string, batch []byte,
) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	resp := ask(t, c, produceRequest(topic, 0, -1, batch), (*kmsg.ProduceResponse)(nil))
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Fatalf("the answer has not one partition: %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

// fetchRequest reads partitions of one topic from the same offset, by name, without a session.
func fetchRequest(topic string, offset int64, partitions ...int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 12, 0, 1, 55<<20
	req.SessionEpoch = -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = topic
	for _, i := range partitions {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = i, offset, 55<<20
		rt.Partitions = append(rt.Partitions, p)
	}
	req.Topics = append(req.Topics, rt)
	return req
}
