package peers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// probe asks the broker at addr once whether it serves.
type probe func(ctx context.Context, addr string) error

// probeMax bounds one attempt, probeBytesMax an answer.
const (
	probeMax      = 2 * time.Second
	probeBytesMax = 1 << 20
)

// dialProbe connects for one attempt.
func dialProbe(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: probeMax}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(probeMax))
}

// Keys of the Kafka protocol that probes use, both in versions whose header has no tagged fields.
const (
	keyMetadata     = 3
	keyAPIVersions  = 18
	versionMetadata = 1
	versionAPIs     = 0
)

// askKafka sends one request to the broker at addr and returns the response's body.
func askKafka(ctx context.Context, addr string, key, version uint16, body []byte) ([]byte, error) {
	c, err := dialProbe(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return exchange(c, key, version, body)
}

// exchange sends one request with an empty client id, and reads its response.
//
//	request   size int32 | key int16 | version int16 | correlation id int32 | client id int16=0 | body
//	response  size int32 | correlation id int32 | body
func exchange(c io.ReadWriter, key, version uint16, body []byte) ([]byte, error) {
	const correlation = 0x51
	frame := binary.BigEndian.AppendUint32(nil, uint32(10+len(body)))
	frame = binary.BigEndian.AppendUint16(frame, key)
	frame = binary.BigEndian.AppendUint16(frame, version)
	frame = binary.BigEndian.AppendUint32(frame, correlation)
	frame = binary.BigEndian.AppendUint16(frame, 0)
	if _, err := c.Write(append(frame, body...)); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	size, id := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if size < 4 || size > probeBytesMax || id != correlation {
		return nil, fmt.Errorf("not an answer of a Kafka broker: % x", head)
	}
	answer := make([]byte, size-4)
	_, err := io.ReadFull(c, answer)
	return answer, err
}

// probeAPIVersions succeeds when the broker answers ApiVersions without an error.
func probeAPIVersions(ctx context.Context, addr string) error {
	answer, err := askKafka(ctx, addr, keyAPIVersions, versionAPIs, nil)
	if err != nil {
		return err
	}
	return checkAPIVersions(answer)
}

// checkAPIVersions looks at the error code, which comes first.
func checkAPIVersions(answer []byte) error {
	if len(answer) < 2 {
		return fmt.Errorf("ApiVersions: an answer of %d bytes", len(answer))
	}
	if code := int16(binary.BigEndian.Uint16(answer)); code != 0 {
		return fmt.Errorf("ApiVersions: error code %d", code)
	}
	return nil
}

// probeLive succeeds when Metadata lists a broker. Apache Kafka's controller leaves out brokers
// that are fenced (KIP-631), and a fenced broker leads no partition.
func probeLive(ctx context.Context, addr string) error {
	noTopics := []byte{0, 0, 0, 0}
	answer, err := askKafka(ctx, addr, keyMetadata, versionMetadata, noTopics)
	if err != nil {
		return err
	}
	return checkLive(answer)
}

// checkLive looks at the number of brokers, which comes first.
func checkLive(answer []byte) error {
	if len(answer) < 4 || int32(binary.BigEndian.Uint32(answer)) < 1 {
		return errors.New("no live broker in Metadata")
	}
	return nil
}

// probeNATS succeeds when a server that has JetStream answers PING. It greets each client with
// "INFO {…}" (NATS client protocol).
func probeNATS(ctx context.Context, addr string) error {
	c, err := dialProbe(ctx, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return greetNATS(c)
}

// greetNATS reads the greeting and waits for the answer to PING.
func greetNATS(c io.ReadWriter) error {
	in := bufio.NewReader(io.LimitReader(c, probeBytesMax))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return err
	}
	var info struct {
		JetStream bool `json:"jetstream"`
	}
	text, ok := bytes.CutPrefix(line, []byte("INFO "))
	if !ok || json.Unmarshal(text, &info) != nil {
		return fmt.Errorf("not a NATS server: %.80q", line)
	}
	if !info.JetStream {
		return errors.New("the server has no JetStream yet")
	}
	if _, err := io.WriteString(c, "CONNECT {\"verbose\":false}\r\nPING\r\n"); err != nil {
		return err
	}
	if line, err = in.ReadBytes('\n'); err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("PONG")) {
		return fmt.Errorf("PING was answered with %.80q", line)
	}
	return nil
}
