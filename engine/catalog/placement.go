package catalog

import (
	"cmp"
	"slices"
)

// place assigns n new partitions of factor replicas each to the brokers. Leaders go round robin
// over the brokers that serve, beginning at start. Followers come from the brokers after the
// leader, each partition's a step further away each time the leaders have gone round, so that a
// broker's followers spread over all others. Where racks are known the brokers stand in an order
// that alternates racks, and a follower's rack is a new one for as long as there is one. Fenced
// brokers are followers only when the others do not suffice; they begin outside the ISR.
func place(im *Image, n, factor int, start uint32) ([]Partition, Error) {
	serving, fenced := candidates(im)
	total := len(serving) + len(fenced)
	switch {
	case len(serving) == 0:
		return nil, refuse(codeInvalidReplicationFactor, "Unable to replicate the partition %d "+
			"time(s): All brokers are currently fenced.", factor)
	case factor > total:
		return nil, refuse(codeInvalidReplicationFactor, "Unable to replicate the partition %d "+
			"time(s): The target replication factor of %d cannot be reached because only %d "+
			"broker(s) are registered.", factor, factor, total)
	}
	parts := make([]Partition, n)
	for i := range parts {
		at := (int(start%uint32(len(serving))) + i) % len(serving)
		ids := pick(serving, at, 1+i/len(serving), factor)
		for _, b := range fenced[:max(0, factor-len(ids))] {
			ids = append(ids, b.ID)
		}
		parts[i] = fresh(im, ids)
	}
	return parts, Error{}
}

// candidates are the brokers that may get replicas, those that serve in an order that alternates
// racks.
func candidates(im *Image) (serving, fenced []*Broker) {
	byRack := map[string][]*Broker{}
	var racks []string
	for _, b := range im.brokers {
		switch {
		case len(b.LogDirs) > 0 && len(b.CordonedLogDirs) >= len(b.LogDirs):
			continue // Every directory is cordoned off (KIP-1066).
		case b.Fenced || b.ShuttingDown:
			fenced = append(fenced, b)
			continue
		}
		if len(byRack[b.Rack]) == 0 {
			racks = append(racks, b.Rack)
		}
		byRack[b.Rack] = append(byRack[b.Rack], b)
	}
	slices.Sort(racks)
	for depth := 0; ; depth++ {
		before := len(serving)
		for _, rack := range racks {
			if depth < len(byRack[rack]) {
				serving = append(serving, byRack[rack][depth])
			}
		}
		if len(serving) == before {
			return serving, fenced
		}
	}
}

// pick returns up to factor brokers: the leader at index at, and followers from a ring of the
// others that begins shift after it, first one from each rack not yet used, then any.
func pick(brokers []*Broker, at, shift, factor int) []int32 {
	ids := append(make([]int32, 0, factor), brokers[at].ID)
	racks := map[string]bool{brokers[at].Rack: true}
	others := len(brokers) - 1
	for _, anyRack := range [...]bool{false, true} {
		for k := 0; k < others && len(ids) < factor; k++ {
			b := brokers[(at+1+(shift-1+k)%others)%len(brokers)]
			if slices.Contains(ids, b.ID) || !anyRack && racks[b.Rack] {
				continue
			}
			racks[b.Rack] = true
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// fresh is a new partition on those replicas: led by the first that serves, with all that serve in
// sync, as an empty log is in sync with itself.
func fresh(im *Image, replicas []int32) Partition {
	p := Partition{Replicas: replicas, Leader: NoLeader}
	for _, id := range replicas {
		b := im.Broker(id)
		dir := DirUnassigned
		if len(b.LogDirs) == 1 {
			dir = b.LogDirs[0]
		}
		p.Directories = append(p.Directories, dir)
		if b.Fenced || b.ShuttingDown {
			continue
		}
		p.ISR = append(p.ISR, id)
		if p.Leader == NoLeader {
			p.Leader = id
		}
	}
	return p
}

// manual checks a partition that was placed by hand, with factor replicas as the first one has.
func manual(im *Image, replicas []int32, factor int, partition int32) (Partition, Error) {
	if len(replicas) == 0 {
		return Partition{}, refuse(codeInvalidReplicaAssignment,
			"The manual partition assignment includes an empty replica list.")
	}
	ordered := slices.SortedFunc(slices.Values(replicas), cmp.Compare[int32])
	for i, id := range ordered {
		switch {
		case im.Broker(id) == nil:
			return Partition{}, refuse(codeInvalidReplicaAssignment, "The manual partition "+
				"assignment includes broker %d, but no such broker is registered.", id)
		case i > 0 && ordered[i-1] == id:
			return Partition{}, refuse(codeInvalidReplicaAssignment, "The manual partition "+
				"assignment includes the broker %d more than once.", id)
		}
	}
	if len(replicas) != factor {
		return Partition{}, refuse(codeInvalidReplicaAssignment, "The manual partition assignment "+
			"includes a partition with %d replica(s), but this is not consistent with previous "+
			"partitions, which have %d replica(s).", len(replicas), factor)
	}
	p := fresh(im, slices.Clone(replicas))
	if p.Leader == NoLeader {
		return Partition{}, refuse(codeInvalidReplicaAssignment, "All brokers specified in the "+
			"manual partition assignment for partition %d are fenced or in controlled shutdown.",
			partition)
	}
	return p, Error{}
}
