//go:build interop

package differ

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// answerWait bounds how long a step waits for an answer before it records silence.
	answerWait = 10 * time.Second
	// frameMax bounds what an answer's size may claim.
	frameMax = 64 << 20
)

// side is one broker as a scenario sees it: a connection, the names given to its ids, and the
// transcript so far. One goroutine uses it.
type side struct {
	name, addr string
	conn       net.Conn
	wait       time.Duration // how long an answer may take
	corr       int32
	names      namer
	steps      []step
	peers      []*peer // further connections, which close with the scenario
}

// step is one labelled exchange: the answer's fields as lines "path = value", and the same with
// nothing hidden, for people.
type step struct {
	label string
	lines []string
	raw   []string
}

// newSide dials the broker and learns its cluster id and node id.
func newSide(name, addr string) (*side, error) {
	s := &side{name: name, addr: addr, wait: answerWait, names: newNamer(addr)}
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := s.ask(req)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", name, addr, err)
	}
	meta := resp.(*kmsg.MetadataResponse)
	if len(meta.Brokers) != 1 || meta.ClusterID == nil {
		return nil, fmt.Errorf("%s: not a single broker with a cluster id", name)
	}
	s.names.nodeID, s.names.clusterID = meta.Brokers[0].NodeID, *meta.ClusterID
	return s, nil
}

// dial opens the connection if there is none.
func (s *side) dial() error {
	if s.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", s.addr, answerWait)
	s.conn = conn
	return err
}

// close closes all connections.
func (s *side) close() {
	s.hangUp()
	for _, p := range s.peers {
		p.hangUp()
	}
}

// hangUp closes the connection, so that the next step gets a new one.
func (s *side) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// encode frames a request with its header.
func (s *side) encode(req kmsg.Request) []byte {
	s.corr++
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("differ"))
	return f.AppendRequest(nil, req, s.corr)
}

// ask sends a request and decodes the answer, recording nothing.
func (s *side) ask(req kmsg.Request) (kmsg.Response, error) {
	body, err := s.exchange(s.encode(req))
	if err != nil {
		return nil, err
	}
	resp, _, err := decode(req, s.corr, body)
	return resp, err
}

// exchange writes a frame and reads one back, without its size.
func (s *side) exchange(frame []byte) ([]byte, error) {
	if err := s.dial(); err != nil {
		return nil, err
	}
	s.conn.SetDeadline(time.Now().Add(s.wait))
	if _, err := s.conn.Write(frame); err != nil {
		s.hangUp()
		return nil, err
	}
	return s.readFrame()
}

// readFrame reads one answer. The connection is dropped on any failure.
func (s *side) readFrame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(s.conn, size[:]); err != nil {
		s.hangUp()
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > frameMax {
		s.hangUp()
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(s.conn, body); err != nil {
		s.hangUp()
		return nil, err
	}
	return body, nil
}

// decode reads an answer's header and body. exact says that encoding the decoded body again
// gives the bytes that came.
func decode(req kmsg.Request, corr int32, frame []byte) (r kmsg.Response, exact bool, err error) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if len(frame) < 4 || int32(binary.BigEndian.Uint32(frame)) != corr {
		return nil, false, errors.New("wrong correlation id")
	}
	body := frame[4:]
	if resp.IsFlexible() && req.Key() != int16(kmsg.ApiVersions) {
		if len(body) == 0 || body[0] != 0 {
			return nil, false, errors.New("answer header without its empty tag section")
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, false, fmt.Errorf("undecodable answer: %w", err)
	}
	return resp, string(resp.AppendTo(nil)) == string(body), nil
}

// send is a recorded exchange. It returns nil when no answer came.
func (s *side) send(label string, req kmsg.Request) kmsg.Response {
	label = fmt.Sprintf("%s v%d: %s", kmsg.NameForKey(req.Key()), req.GetVersion(), label)
	return s.sendFrame(label, req, s.encode(req))
}

// sendFrame is send for a frame that the caller made; req says how to read the answer.
func (s *side) sendFrame(label string, req kmsg.Request, frame []byte) kmsg.Response {
	body, err := s.exchange(frame)
	if err != nil {
		s.record(label, "connection", outcome(err))
		return nil
	}
	return s.recordAnswer(label, req, s.corr, body)
}

// recordAnswer adds the step of an answer that came. It returns nil when it cannot be read.
func (s *side) recordAnswer(label string, req kmsg.Request, corr int32, body []byte) kmsg.Response {
	resp, exact, err := decode(req, corr, body)
	if err != nil {
		s.record(label, "answer", err.Error())
		return nil
	}
	lines, raw := s.names.flatten(resp)
	if !exact {
		lines = append(lines, "encoding = not what kmsg writes")
	}
	s.steps = append(s.steps, step{label, lines, raw})
	return resp
}

// fire sends a request that gets no answer when all is well (acks=0), then a cheap request
// behind it on the same connection, and records which of the two answers came.
func (s *side) fire(label string, req kmsg.Request) {
	frame := s.encode(req)
	probe := kmsg.NewPtrApiVersionsRequest()
	frame = append(frame, s.encode(probe)...)
	body, err := s.exchange(frame)
	switch {
	case err != nil:
		s.record(label, "connection", outcome(err))
	case int32(binary.BigEndian.Uint32(body)) == s.corr:
		s.record(label, "connection", "no answer, and the next request is served")
	default:
		s.record(label, "connection", "an answer")
	}
}

// record adds a step of a single line.
func (s *side) record(label, path, value string) {
	line := path + " = " + value
	s.steps = append(s.steps, step{label, []string{line}, []string{line}})
}

// outcome says in one word how an exchange without an answer ended.
func outcome(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "silent"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "reset by peer") ||
		strings.Contains(err.Error(), "broken pipe") {
		return "closed by the broker"
	}
	return err.Error()
}
