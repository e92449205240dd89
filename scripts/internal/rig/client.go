package rig

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// Versions that the rig speaks: the last that name topics instead of ids.
const (
	produceVersion = 9
	fetchVersion   = 12
	createVersion  = 5
)

// responseBytesMax bounds what the rig takes for a response.
const responseBytesMax = 256 << 20

// Client is one connection with one request after the other.
type Client struct {
	// Conn is the connection, In a buffer over it; both may be used directly between requests.
	Conn net.Conn
	In   *bufio.Reader

	format *kmsg.RequestFormatter
	body   []byte
}

// NewClient speaks over conn.
func NewClient(conn net.Conn) *Client {
	return &Client{
		Conn: conn, In: bufio.NewReaderSize(conn, 64<<10),
		format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("sluice-scripts")),
	}
}

// Close closes the connection.
func (c *Client) Close() { c.Conn.Close() }

// Frame encodes a request with its length and header; its version must be set.
func (c *Client) Frame(q kmsg.Request) []byte { return c.format.AppendRequest(nil, q, 1) }

// Ask sends a request and decodes its response.
func (c *Client) Ask(q kmsg.Request) (kmsg.Response, error) {
	if _, err := c.Conn.Write(c.Frame(q)); err != nil {
		return nil, err
	}
	body, err := c.Response()
	if err != nil {
		return nil, err
	}
	p := q.ResponseKind()
	p.SetVersion(q.GetVersion())
	body = body[4:] // the correlation id
	if p.IsFlexible() && q.Key() != wire.KeyAPIVersions {
		body = body[1:] // no tagged fields in the header
	}
	return p, p.ReadFrom(body)
}

// Response reads one response; it is good until the next call.
func (c *Client) Response() ([]byte, error) {
	n, err := c.length()
	if err != nil {
		return nil, err
	}
	if cap(c.body) < n {
		c.body = make([]byte, n)
	}
	c.body = c.body[:n]
	_, err = io.ReadFull(c.In, c.body)
	return c.body, err
}

// Skip reads past one response and returns its length.
func (c *Client) Skip() (int, error) {
	n, err := c.length()
	if err != nil {
		return 0, err
	}
	_, err = c.In.Discard(n)
	return n, err
}

func (c *Client) length() (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.In, head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 4 || n > responseBytesMax {
		return 0, fmt.Errorf("a response of %d bytes", int32(n))
	}
	return int(n), nil
}

// CreateTopic creates a topic with one partition for each of the names.
func (c *Client) CreateTopic(name string, partitions int32) error {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.SetVersion(createVersion)
	q.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	q.Topics = append(q.Topics, t)
	p, err := c.Ask(q)
	if err != nil {
		return err
	}
	topics := p.(*kmsg.CreateTopicsResponse).Topics
	if len(topics) != 1 || topics[0].ErrorCode != wire.CodeNone {
		return fmt.Errorf("CreateTopics %s: %+v", name, topics)
	}
	return nil
}

// Batch builds one batch of records of n bytes each, filled by fill.
func Batch(records, n int, fill func(p []byte)) ([]byte, error) {
	w := wire.NewBatchBuilder()
	value := make([]byte, n)
	for i := range records {
		fill(value)
		w.Append(1_700_000_000_000+int64(i), nil, value)
	}
	return w.Build(nil)
}

// Produce is a Produce request with one batch for one partition.
func Produce(topic string, partition int32, acks int16, batch []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.SetVersion(produceVersion)
	q.Acks, q.TimeoutMillis = acks, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// Fetch is a Fetch request for one partition, outside any session.
func Fetch(topic string, partition int32, offset int64, bytesMax, waitMs int32) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.SetVersion(fetchVersion)
	q.MinBytes, q.MaxBytes, q.MaxWaitMillis = 1, bytesMax, waitMs
	q.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, bytesMax
	p.CurrentLeaderEpoch = -1
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

// ErrAnswer is an error code in a response.
var ErrAnswer = errors.New("error in the response")

// CheckProduce returns the base offset that a Produce response tells.
func CheckProduce(p kmsg.Response) (int64, error) {
	q := p.(*kmsg.ProduceResponse)
	if len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 {
		return 0, fmt.Errorf("%w: %+v", ErrAnswer, q)
	}
	x := q.Topics[0].Partitions[0]
	if x.ErrorCode != wire.CodeNone {
		return 0, fmt.Errorf("%w: Produce: %s", ErrAnswer, wire.CodeName(x.ErrorCode))
	}
	return x.BaseOffset, nil
}

// CheckFetch returns the record batches of a Fetch response.
func CheckFetch(p kmsg.Response) ([]byte, error) {
	q := p.(*kmsg.FetchResponse)
	if q.ErrorCode != wire.CodeNone {
		return nil, fmt.Errorf("%w: Fetch: %s", ErrAnswer, wire.CodeName(q.ErrorCode))
	}
	if len(q.Topics) != 1 || len(q.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("%w: %+v", ErrAnswer, q)
	}
	x := q.Topics[0].Partitions[0]
	if x.ErrorCode != wire.CodeNone {
		return nil, fmt.Errorf("%w: Fetch: %s", ErrAnswer, wire.CodeName(x.ErrorCode))
	}
	return x.RecordBatches, nil
}
