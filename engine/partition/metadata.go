package partition

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Ids are written as Kafka writes a Uuid: base64 with the URL alphabet and no padding.
var idText = base64.RawURLEncoding

func parseID(text string) (id [16]byte, ok bool) {
	b, err := idText.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return [16]byte(b), true
}

// partitionMetadata is the contents of partition.metadata (class PartitionMetadataFile).
func partitionMetadata(topicID [16]byte) []byte {
	return []byte("version: 0\ntopic_id: " + idText.EncodeToString(topicID[:]))
}

// parsePartitionMetadata returns a zero id for a file that is missing, torn or of another version:
// the file is written without a sync because the catalog knows the id too.
func parsePartitionMetadata(file []byte) (topicID [16]byte) {
	version := false
	for line := range strings.Lines(string(file)) {
		key, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "version":
			version = value == "0"
		case "topic_id":
			if id, ok := parseID(value); ok {
				topicID = id
			}
		}
	}
	if !version {
		return [16]byte{}
	}
	return topicID
}

// identity is meta.properties version 1 (class MetaProperties).
type identity struct {
	clusterID   string
	nodeID      int32
	directoryID [16]byte
}

func (id identity) file() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster.id=%s\n", id.clusterID)
	fmt.Fprintf(&b, "directory.id=%s\n", idText.EncodeToString(id.directoryID[:]))
	fmt.Fprintf(&b, "node.id=%d\n", id.nodeID)
	b.WriteString("version=1\n")
	return b.Bytes()
}

// parseIdentity reads a Java properties file as Kafka's tools write it: comments, and one
// key=value or key: value a line.
func parseIdentity(file []byte) (identity, error) {
	id := identity{nodeID: -1}
	version := ""
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 {
			continue
		}
		key, value := strings.TrimSpace(line[:at]), strings.TrimSpace(line[at+1:])
		switch key {
		case "version":
			version = value
		case "cluster.id":
			id.clusterID = strings.ReplaceAll(value, `\`, "")
		case "node.id", "broker.id":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil {
				return id, fmt.Errorf("%s: %q is no number", key, value)
			}
			id.nodeID = int32(n)
		case "directory.id":
			if parsed, ok := parseID(strings.ReplaceAll(value, `\`, "")); ok {
				id.directoryID = parsed
			}
		}
	}
	if version != "0" && version != "1" {
		return id, fmt.Errorf("version %q is not known", version)
	}
	return id, nil
}

// cleanMarker is .kafka_cleanshutdown (class CleanShutdownFileHandler, KIP-966).
type cleanMarker struct {
	Version     int    `json:"version"`
	BrokerEpoch *int64 `json:"brokerEpoch"`
}

func cleanMarkerFor(brokerEpoch int64) []byte {
	b, err := json.Marshal(cleanMarker{BrokerEpoch: &brokerEpoch})
	if err != nil {
		panic("BUG: partition: clean marker does not encode: " + err.Error())
	}
	return b
}

// parseCleanMarker returns the broker epoch, -1 where the marker has none: older brokers left an
// empty file, which is a clean marker all the same.
func parseCleanMarker(file []byte) int64 {
	var m cleanMarker
	if json.Unmarshal(file, &m) != nil || m.BrokerEpoch == nil {
		return -1
	}
	return *m.BrokerEpoch
}

var errWrongTopicID = errors.New("directory belongs to another topic id")
