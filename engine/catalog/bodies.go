package catalog

import "encoding/binary"

// decoders holds, by type, the function that reads a change's body. A body read to its end is good
// whatever follows: later versions only append fields.
var decoders = [256]func(r *reader) Change{
	TypeClusterNamed: func(r *reader) Change { return ClusterNamed{ClusterID: r.string()} },
	TypeFeatureLevel: func(r *reader) Change {
		return FeatureLevel{Name: r.string(), Level: r.int16()}
	},
	TypeBrokerRegistered: func(r *reader) Change { return BrokerRegistered{Broker: r.broker()} },
	TypeBrokerChanged: func(r *reader) Change {
		return BrokerChanged{
			ID: r.int32(), Epoch: r.varint(), Fenced: r.bool(), ShuttingDown: r.bool(),
			LogDirs: r.uuids(), CordonedLogDirs: r.uuids(),
		}
	},
	TypeBrokerUnregistered: func(r *reader) Change {
		return BrokerUnregistered{ID: r.int32(), Epoch: r.varint()}
	},
	TypeTopicCreated: func(r *reader) Change {
		return TopicCreated{ID: r.uuid(), Name: r.string(), Internal: r.bool()}
	},
	TypePartitionsAdded: func(r *reader) Change {
		return PartitionsAdded{TopicID: r.uuid(), First: r.int32(), Partitions: r.partitions()}
	},
	TypePartitionChanged: func(r *reader) Change {
		return PartitionChanged{TopicID: r.uuid(), Partition: r.int32(), State: r.partition()}
	},
	TypeTopicDeleted: func(r *reader) Change { return TopicDeleted{ID: r.uuid()} },
	TypeConfigChanged: func(r *reader) Change {
		return ConfigChanged{
			Resource: Resource{Type: ResourceType(r.byte()), Name: r.string()},
			Name:     r.string(), Value: r.string(), Remove: r.bool(),
		}
	},
	TypeProducerIDsAssigned: func(r *reader) Change {
		return ProducerIDsAssigned{
			BrokerID: r.int32(), BrokerEpoch: r.varint(), First: r.varint(), Next: r.varint(),
		}
	},
}

func (c ClusterNamed) appendBody(dst []byte) []byte { return appendString(dst, c.ClusterID) }

func (c FeatureLevel) appendBody(dst []byte) []byte {
	return binary.AppendVarint(appendString(dst, c.Name), int64(c.Level))
}

func (c BrokerRegistered) appendBody(dst []byte) []byte { return appendBroker(dst, &c.Broker) }

func (c BrokerChanged) appendBody(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(c.ID))
	dst = binary.AppendVarint(dst, c.Epoch)
	dst = appendBool(dst, c.Fenced)
	dst = appendBool(dst, c.ShuttingDown)
	return appendUUIDs(appendUUIDs(dst, c.LogDirs), c.CordonedLogDirs)
}

func (c BrokerUnregistered) appendBody(dst []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(dst, int64(c.ID)), c.Epoch)
}

func (c TopicCreated) appendBody(dst []byte) []byte {
	dst = append(dst, c.ID[:]...)
	return appendBool(appendString(dst, c.Name), c.Internal)
}

func (c PartitionsAdded) appendBody(dst []byte) []byte {
	dst = append(dst, c.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(c.First))
	dst = binary.AppendUvarint(dst, uint64(len(c.Partitions)))
	for i := range c.Partitions {
		dst = appendPartition(dst, &c.Partitions[i])
	}
	return dst
}

func (c PartitionChanged) appendBody(dst []byte) []byte {
	dst = append(dst, c.TopicID[:]...)
	dst = binary.AppendVarint(dst, int64(c.Partition))
	return appendPartition(dst, &c.State)
}

func (c TopicDeleted) appendBody(dst []byte) []byte { return append(dst, c.ID[:]...) }

func (c ConfigChanged) appendBody(dst []byte) []byte {
	dst = appendString(append(dst, byte(c.Resource.Type)), c.Resource.Name)
	dst = appendString(appendString(dst, c.Name), c.Value)
	return appendBool(dst, c.Remove)
}

func (c ProducerIDsAssigned) appendBody(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(c.BrokerID))
	dst = binary.AppendVarint(dst, c.BrokerEpoch)
	return binary.AppendVarint(binary.AppendVarint(dst, c.First), c.Next)
}

func appendBroker(dst []byte, b *Broker) []byte {
	dst = binary.AppendVarint(dst, int64(b.ID))
	dst = binary.AppendVarint(dst, b.Epoch)
	dst = append(dst, b.Incarnation[:]...)
	dst = appendString(dst, b.Rack)
	dst = appendBool(appendBool(dst, b.Fenced), b.ShuttingDown)
	dst = appendUUIDs(appendUUIDs(dst, b.LogDirs), b.CordonedLogDirs)
	dst = binary.AppendUvarint(dst, uint64(len(b.Endpoints)))
	for _, e := range b.Endpoints {
		dst = appendString(appendString(dst, e.Listener), e.Protocol)
		dst = binary.AppendUvarint(appendString(dst, e.Host), uint64(e.Port))
	}
	return dst
}

func (r *reader) broker() Broker {
	b := Broker{
		ID: r.int32(), Epoch: r.varint(), Incarnation: r.uuid(), Rack: r.string(),
		Fenced: r.bool(), ShuttingDown: r.bool(), LogDirs: r.uuids(), CordonedLogDirs: r.uuids(),
	}
	for range r.count(1<<16, 4) {
		e := Endpoint{Listener: r.string(), Protocol: r.string(), Host: r.string()}
		port := r.uvarint()
		r.bad = r.bad || port > 1<<16-1
		e.Port = uint16(port)
		b.Endpoints = append(b.Endpoints, e)
	}
	return b
}

// Bits of a partition's presence byte: lists that are nearly always empty cost nothing.
const (
	hasELR        = 1 << 0
	hasLastELR    = 1 << 1
	hasAdding     = 1 << 2
	hasRemoving   = 1 << 3
	isRecovering  = 1 << 4
	partitionBits = hasELR | hasLastELR | hasAdding | hasRemoving | isRecovering
)

func appendPartition(dst []byte, p *Partition) []byte {
	at := len(dst)
	dst = append(dst, 0)
	dst = appendInt32s(dst, p.Replicas)
	dst = appendUUIDs(dst, p.Directories)
	dst = appendInt32s(dst, p.ISR)
	dst = binary.AppendVarint(dst, int64(p.Leader))
	dst = binary.AppendVarint(dst, int64(p.LeaderEpoch))
	dst = binary.AppendVarint(dst, int64(p.PartitionEpoch))
	for i, list := range [...][]int32{p.ELR, p.LastELR, p.Adding, p.Removing} {
		if len(list) != 0 {
			dst[at] |= 1 << i
			dst = appendInt32s(dst, list)
		}
	}
	if p.Recovering {
		dst[at] |= isRecovering
	}
	return dst
}

func (r *reader) partition() Partition {
	bits := r.byte()
	r.bad = r.bad || bits&^partitionBits != 0
	p := Partition{
		Replicas: r.int32s(), Directories: r.uuids(), ISR: r.int32s(),
		Leader: r.int32(), LeaderEpoch: r.int32(), PartitionEpoch: r.int32(),
		Recovering: bits&isRecovering != 0,
	}
	for i, list := range [...]*[]int32{&p.ELR, &p.LastELR, &p.Adding, &p.Removing} {
		if bits&(1<<i) != 0 {
			*list = r.int32s()
		}
	}
	return p
}

func (r *reader) partitions() []Partition {
	n := r.count(1<<24, 7)
	if n == 0 {
		return nil
	}
	list := make([]Partition, 0, n)
	for range n {
		list = append(list, r.partition())
		if r.short {
			return nil
		}
	}
	return list
}
