package group

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocol is one way in which a member can take part, with what it has to say to the others.
type protocol struct {
	name     string
	metadata []byte
}

// member is one of a group, or an id that was handed out and is awaited back (KIP-394).
type member struct {
	id string
	// instance is the group.instance.id of a static member (KIP-345), nil for a dynamic one.
	instance             *string
	clientID, clientHost string
	rebalanceMs          int32
	sessionMs            int32
	// protocols are in the member's order of preference, without duplicates. A member that was loaded
	// from the log has only the one that its group had chosen.
	protocols  []protocol
	assignment []byte

	// join and sync are the member's parked requests.
	join, sync *Input
	// fresh is set until the member's first join is answered: it does not know its id.
	fresh bool
	// owesSync is set from the end of a join phase until the member's SyncGroup.
	owesSync bool
	// at is the member's index in its group's order.
	at int
	// deadlineMs is when the session ends; the timer may be due earlier.
	deadlineMs int64
	timer      timer
}

// bytes is what the member's own words weigh.
func (m *member) bytes() int {
	n := len(m.id) + len(m.clientID) + len(m.clientHost)
	if m.instance != nil {
		n += len(*m.instance)
	}
	return n + protocolBytes(m.protocols)
}

func protocolBytes(protocols []protocol) int {
	n := 0
	for i := range protocols {
		n += len(protocols[i].name) + len(protocols[i].metadata) + protocolOverhead
	}
	return n
}

// protocolOverhead is about what a protocol's slice and string headers and its share of the group's
// counts weigh, so that many empty protocols are not for free.
const protocolOverhead = 96

// metadataOf is the member's metadata for a protocol. ok is false if it does not support it.
func (m *member) metadataOf(name string) (metadata []byte, ok bool) {
	for i := range m.protocols {
		if m.protocols[i].name == name {
			return m.protocols[i].metadata, true
		}
	}
	return nil, false
}

// says reports whether a join repeats what is known of the member: the same protocols in the same
// order with the same metadata.
func (m *member) says(protocols []protocol) bool {
	if len(m.protocols) != len(protocols) {
		return false
	}
	for i := range protocols {
		a, b := &m.protocols[i], &protocols[i]
		if a.name != b.name || !bytes.Equal(a.metadata, b.metadata) {
			return false
		}
	}
	return true
}

// alive says that a member whose deadline has passed is not to be dropped, because we owe it an answer
// rather than it us a sign of life. It gets a new deadline with the answer.
func (m *member) alive() bool { return !m.fresh && (m.join != nil || m.sync != nil) }

// protocolsOf takes a join's protocols; of several with one name the first counts. ok is false if a
// name can't be written to a record.
func protocolsOf(from []kmsg.JoinGroupRequestProtocol) (protocols []protocol, ok bool) {
	protocols = make([]protocol, 0, len(from))
	var seen map[string]struct{}
	if len(from) > fewProtocols {
		seen = make(map[string]struct{}, len(from))
	}
	for i := range from {
		name := from[i].Name
		if len(name) > textBytesMax {
			return nil, false
		}
		if seen != nil {
			if _, twice := seen[name]; twice {
				continue
			}
			seen[name] = struct{}{}
		} else if named(protocols, name) {
			continue
		}
		// A copy, since the original is part of a frame of any size.
		protocols = append(protocols, protocol{name: name, metadata: bytes.Clone(from[i].Metadata)})
	}
	return protocols, true
}

// fewProtocols is up to how many protocols are compared one by one; real clients have two or three.
const fewProtocols = 8

func named(protocols []protocol, name string) bool {
	for i := range protocols {
		if protocols[i].name == name {
			return true
		}
	}
	return false
}
