package broker

import (
	"slices"

	"sluice/engine/catalog"
	"sluice/wire"
)

// clusterView is what a client on one listener is told of brokers and partitions, by Metadata,
// DescribeCluster and DescribeTopicPartitions. It is built for one request from one image, so that
// an answer never mixes two states of the cluster.
type clusterView struct {
	im   *catalog.Image
	self int32
	// brokers have the listener, ordered by id; nodes are the same by id.
	brokers []brokerEndpoint
	nodes   map[int32]viewNode
	// here returns this broker's replicas of a topic, indexed by partition. What failed locally a
	// moment ago is not in the image yet.
	here func(id catalog.UUID) []*replica
}

// viewNode is a broker that the client can reach.
type viewNode struct {
	fenced bool
	// dirs are its online directories.
	dirs []catalog.UUID
}

func newClusterView(im *catalog.Image, self int32, brokers []brokerEndpoint) *clusterView {
	v := &clusterView{
		im: im, self: self, brokers: brokers, nodes: make(map[int32]viewNode, len(brokers)),
		here: func(catalog.UUID) []*replica { return nil },
	}
	for _, e := range brokers {
		n := viewNode{fenced: e.fenced}
		if b := im.Broker(e.id); b != nil {
			n.dirs = b.LogDirs
		}
		v.nodes[e.id] = n
	}
	return v
}

// view is the cluster as clients of that listener see it.
func (b *Broker) view(listener string) *clusterView {
	v := newClusterView(b.image(), b.nodeID, b.brokersOn(listener))
	v.here = func(id catalog.UUID) []*replica {
		if t := b.topics.identified(id); t != nil {
			return *t.replicas.Load()
		}
		return nil
	}
	return v
}

// controller is the broker to which a client sends what only a controller decides. Any live broker
// takes such requests, so it is this one where possible; -1 when no broker is alive.
func (v *clusterView) controller() int32 {
	best := int32(-1)
	for _, e := range v.brokers {
		switch {
		case e.fenced:
		case e.id == v.self:
			return e.id
		case best < 0:
			best = e.id
		}
	}
	return best
}

// failedHere says whether this broker's copy of a partition is out of service.
func failedHere(replicas []*replica, index int32) bool {
	if int(index) >= len(replicas) || replicas[index] == nil {
		return false
	}
	return replicas[index].offline.Load()
}

// leader returns the partition's leader, or NoLeader with the reason: LEADER_NOT_AVAILABLE when
// there is none, LISTENER_NOT_FOUND when the client's listener does not reach it. A fenced leader
// is still told, as Kafka does; the controller is about to replace it.
func (v *clusterView) leader(p *catalog.Partition, failed bool) (id int32, code int16) {
	if p.Leader == v.self && failed {
		return catalog.NoLeader, wire.CodeLeaderNotAvailable
	}
	if _, ok := v.nodes[p.Leader]; ok {
		return p.Leader, wire.CodeNone
	}
	if v.im.Broker(p.Leader) == nil {
		return catalog.NoLeader, wire.CodeLeaderNotAvailable
	}
	return catalog.NoLeader, wire.CodeListenerNotFound
}

// offline lists the replicas that the client could not use: on brokers that are gone, fenced or
// out of its reach, or in directories that failed. Nearly always there are none, and nothing is
// allocated.
func (v *clusterView) offline(p *catalog.Partition, failed bool) []int32 {
	var list []int32
	for i, id := range p.Replicas {
		n, ok := v.nodes[id]
		if ok && !n.fenced && !(id == v.self && failed) && n.serves(dirOf(p, i)) {
			continue
		}
		list = append(list, id)
	}
	return list
}

// dirOf is the directory of the replica at index i of a partition, as far as it is known.
func dirOf(p *catalog.Partition, i int) catalog.UUID {
	if i >= len(p.Directories) {
		return catalog.DirUnassigned
	}
	return p.Directories[i]
}

// serves says whether a directory of the broker is online.
func (n viewNode) serves(dir catalog.UUID) bool {
	switch dir {
	case catalog.DirUnassigned, catalog.DirMigrating:
		return true
	case catalog.DirLost:
		return false
	default:
		return len(n.dirs) == 0 || slices.Contains(n.dirs, dir)
	}
}

// alive keeps the brokers that are reachable and unfenced. It returns ids itself when all are.
func (v *clusterView) alive(ids []int32) []int32 {
	isAlive := func(id int32) bool { n, ok := v.nodes[id]; return ok && !n.fenced }
	for i, id := range ids {
		if isAlive(id) {
			continue
		}
		kept := slices.Clone(ids[:i])
		for _, id := range ids[i+1:] {
			if isAlive(id) {
				kept = append(kept, id)
			}
		}
		return kept
	}
	return ids
}

// rackOf is a broker's rack as a response carries it: null when there is none.
func (e *brokerEndpoint) rackOf() *string {
	if e.rack == "" {
		return nil
	}
	return &e.rack
}
