package broker

import (
	"cmp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/group"
	"sluice/wire"
)

// The requests that members of classic groups send (KIP-62, 345, 394) go to their group as they are.

func handleJoinGroup(b *Broker, to *answerTo, q kmsg.Request) {
	b.toGroup(to, group.Join, q.(*kmsg.JoinGroupRequest).Group, q)
}

func handleSyncGroup(b *Broker, to *answerTo, q kmsg.Request) {
	b.toGroup(to, group.Sync, q.(*kmsg.SyncGroupRequest).Group, q)
}

func handleHeartbeat(b *Broker, to *answerTo, q kmsg.Request) {
	b.toGroup(to, group.Heartbeat, q.(*kmsg.HeartbeatRequest).Group, q)
}

// expressBytesMax bounds what the reactor decodes of a heartbeat: three names fit, but not the tagged
// fields that would keep it from its other connections.
const expressBytesMax = 4 << 10

// expressHeartbeat answers a heartbeat on the reactor: it changes nothing but a deadline, and there
// are more of them than of all the others together.
func expressHeartbeat(r *request) bool {
	q := kmsg.NewPtrHeartbeatRequest()
	q.Version = r.header.APIVersion
	if len(r.body) > expressBytesMax || r.decodeInto(q) != nil {
		return false // The worker says what is wrong with it.
	}
	s, code := r.b.groups.shardOf(q.Group)
	if code != wire.CodeNone {
		return false
	}
	var answer kmsg.Response
	in := &group.Input{
		Kind: group.Heartbeat, Request: q, Version: q.Version, Group: q.Group,
		Waiter: func(response any) { answer = response.(kmsg.Response) },
	}
	if !s.express(in, r.b.nowMs()) {
		return false
	}
	r.fill(answer)
	r.respond()
	return true
}

func handleLeaveGroup(b *Broker, to *answerTo, q kmsg.Request) {
	b.toGroup(to, group.Leave, q.(*kmsg.LeaveGroupRequest).Group, q)
}

// groupOperations are the authorized operations on a group while there is no authorizer: READ,
// DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS (KIP-430), as bits.
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

// handleDescribeGroups asks each group's coordinator.
func handleDescribeGroups(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.DescribeGroupsRequest)
	req.Groups = distinct(req.Groups)
	p := kmsg.NewPtrDescribeGroupsResponse()
	p.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
	all := gatherParts(len(req.Groups), func() { to.answer(p) })
	for i, id := range req.Groups {
		b.groups.submit(groupInput(to, group.Describe, id, nil, func(response any) {
			p.Groups[i] = *response.(*kmsg.DescribeGroupsResponseGroup)
			if req.IncludeAuthorizedOperations && p.Groups[i].ErrorCode == wire.CodeNone {
				p.Groups[i].AuthorizedOperations = groupOperations
			}
			all.done()
		}))
	}
}

// handleListGroups asks every coordinator of this broker (KIP-518, KIP-848's types).
func handleListGroups(b *Broker, to *answerTo, q kmsg.Request) {
	req := q.(*kmsg.ListGroupsRequest)
	shards := b.groups.all()
	parts := make([]*kmsg.ListGroupsResponse, len(shards))
	all := gatherParts(len(shards), func() { to.answer(mergeLists(parts)) })
	for i, s := range shards {
		in := groupInput(to, group.List, "", nil, func(response any) {
			parts[i] = response.(*kmsg.ListGroupsResponse)
			all.done()
		})
		in.StatesFilter, in.TypesFilter = lowered(req.StatesFilter), lowered(req.TypesFilter)
		s.submit(in)
	}
}

func lowered(texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, strings.ToLower(t))
	}
	return out
}

// mergeLists joins the shards' answers. One that is still loading makes the answer incomplete, and
// its code the answer's.
func mergeLists(parts []*kmsg.ListGroupsResponse) *kmsg.ListGroupsResponse {
	p := kmsg.NewPtrListGroupsResponse()
	p.Groups = []kmsg.ListGroupsResponseGroup{}
	for _, part := range parts {
		switch part.ErrorCode {
		case wire.CodeNone:
			p.Groups = append(p.Groups, part.Groups...)
		case wire.CodeNotCoordinator:
			// The partition moved away while we asked: its groups are listed elsewhere.
		default:
			p.ErrorCode = part.ErrorCode
		}
	}
	if p.ErrorCode != wire.CodeNone {
		p.Groups = []kmsg.ListGroupsResponseGroup{}
	}
	slices.SortFunc(p.Groups, func(a, b kmsg.ListGroupsResponseGroup) int {
		return cmp.Compare(a.Group, b.Group)
	})
	return p
}

// handleDeleteGroups asks each group's coordinator. A group that is named twice is answered once: its
// second deletion would fail, and hide that the first did not.
func handleDeleteGroups(b *Broker, to *answerTo, q kmsg.Request) {
	groups := distinct(q.(*kmsg.DeleteGroupsRequest).Groups)
	p := kmsg.NewPtrDeleteGroupsResponse()
	p.Groups = make([]kmsg.DeleteGroupsResponseGroup, len(groups))
	all := gatherParts(len(groups), func() { to.answer(p) })
	for i, id := range groups {
		b.groups.submit(groupInput(to, group.Delete, id, nil, func(response any) {
			p.Groups[i] = *response.(*kmsg.DeleteGroupsResponseGroup)
			all.done()
		}))
	}
}

// distinct leaves out what a list has said before.
func distinct(list []string) []string {
	seen := make(map[string]struct{}, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		_, again := seen[s]
		seen[s] = struct{}{}
		return again
	})
}
