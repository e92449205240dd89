package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clientID is how the client names itself in every request.
const clientID = "sluice-bench"

const (
	// controlTimeout bounds one exchange off the hot path.
	controlTimeout = 5 * time.Second
	// controlAnswerMax bounds an answer off the hot path: metadata of a million partitions is 60 MB.
	controlAnswerMax = 256 << 20
)

// control is a blocking connection for what is rare. It is for one goroutine.
type control struct {
	addr        string
	conn        net.Conn
	correlation int32
	versions    map[int16]kmsg.ApiVersionsResponseApiKey
}

// openControl connects and asks for the broker's versions.
func openControl(ctx context.Context, addr string) (*control, error) {
	d := net.Dialer{Timeout: controlTimeout}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &control{addr: addr, conn: conn}
	// Version 0 is answered by every broker (KIP-511).
	req := kmsg.NewPtrApiVersionsRequest()
	resp := kmsg.NewPtrApiVersionsResponse()
	if err := c.exchange(ctx, req, resp); err != nil {
		c.close()
		return nil, fmt.Errorf("ApiVersions of %s: %w", addr, err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		c.close()
		return nil, fmt.Errorf("ApiVersions of %s: %w", addr, err)
	}
	c.versions = map[int16]kmsg.ApiVersionsResponseApiKey{}
	for _, k := range resp.ApiKeys {
		c.versions[k.ApiKey] = k
	}
	return c, nil
}

func (c *control) close() { c.conn.Close() }

// need returns an error unless the broker serves the version.
func (c *control) need(key int16, version int16) error {
	k, ok := c.versions[key]
	name := kmsg.NameForKey(key)
	switch {
	case !ok:
		return fmt.Errorf("the broker at %s does not offer %s", c.addr, name)
	case version < k.MinVersion || version > k.MaxVersion:
		return fmt.Errorf("the broker at %s offers %s v%d to v%d; this client speaks v%d alone",
			c.addr, name, k.MinVersion, k.MaxVersion, version)
	}
	return nil
}

// ask sends a request in the highest version that both sides know, up to max.
func (c *control) ask(ctx context.Context, req kmsg.Request, resp kmsg.Response, max int16) error {
	k, ok := c.versions[req.Key()]
	if !ok || k.MinVersion > max {
		return fmt.Errorf("the broker at %s does not offer %s v%d or lower",
			c.addr, kmsg.NameForKey(req.Key()), max)
	}
	version := min(max, k.MaxVersion)
	req.SetVersion(version)
	resp.SetVersion(version)
	if err := c.exchange(ctx, req, resp); err != nil {
		return fmt.Errorf("%s of %s: %w", kmsg.NameForKey(req.Key()), c.addr, err)
	}
	return nil
}

// exchange sends one request and reads its answer.
func (c *control) exchange(ctx context.Context, req kmsg.Request, resp kmsg.Response) error {
	deadline := time.Now().Add(controlTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.correlation++
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID(clientID)).
		AppendRequest(nil, req, c.correlation)
	if _, err := c.conn.Write(frame); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > controlAnswerMax {
		return fmt.Errorf("an answer of %d bytes", size)
	}
	body, err := io.ReadAll(io.LimitReader(c.conn, int64(size)))
	if err != nil {
		return err
	}
	if len(body) < size {
		return io.ErrUnexpectedEOF
	}
	r := kbin.Reader{Src: body}
	if got := r.Int32(); got != c.correlation {
		return fmt.Errorf("an answer to request %d where %d was asked", got, c.correlation)
	}
	if resp.IsFlexible() && resp.Key() != 18 {
		kmsg.SkipTags(&r)
	}
	if !r.Ok() {
		return io.ErrUnexpectedEOF
	}
	return resp.ReadFrom(r.Src)
}

// metadataVersionMax is the last Metadata version before flexible encodings that names topics.
const metadataVersionMax = 8

// metadata asks who leads what. The answer is checked topic by topic by the caller.
func (c *control) metadata(ctx context.Context, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp := kmsg.NewPtrMetadataResponse()
	return resp, c.ask(ctx, req, resp, metadataVersionMax)
}

// initProducerID asks for a producer id without a transactional id (KIP-98).
func (c *control) initProducerID(ctx context.Context) (id int64, epoch int16, err error) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionTimeoutMillis = 60_000
	resp := kmsg.NewPtrInitProducerIDResponse()
	if err := c.ask(ctx, req, resp, 1); err != nil {
		return 0, 0, err
	}
	return resp.ProducerID, resp.ProducerEpoch, kerr.ErrorForCode(resp.ErrorCode)
}

// Timestamps that ListOffsets takes for positions.
const (
	offsetsLatest   = -1
	offsetsEarliest = -2
)

// offsets asks for the log start or end of partitions that this broker leads, and calls f with
// each.
func (c *control) offsets(
	ctx context.Context, parts []*partition, which int64, f func(p *partition, offset int64),
) error {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	byPlace := map[string]*partition{}
	for _, p := range parts {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != p.topic {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.topic
			req.Topics = append(req.Topics, t)
		}
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p.index, which, -1
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, rp)
		byPlace[p.String()] = p
	}
	resp := kmsg.NewPtrListOffsetsResponse()
	if err := c.ask(ctx, req, resp, 5); err != nil {
		return err
	}
	var errs []error
	for _, t := range resp.Topics {
		for _, rp := range t.Partitions {
			place := t.Topic + "-" + strconv.Itoa(int(rp.Partition))
			p := byPlace[place]
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil || p == nil {
				errs = append(errs, fmt.Errorf("ListOffsets of %s: %w", place, err))
				continue
			}
			delete(byPlace, place)
			f(p, rp.Offset)
		}
	}
	if len(errs) == 0 && len(byPlace) > 0 {
		errs = append(errs, fmt.Errorf("ListOffsets of %s: %d partitions are missing", c.addr, len(byPlace)))
	}
	return errors.Join(errs...)
}
