package catalog

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrInconsistent: an entry does not fit the image it is applied to. No decider makes such an
// entry, and a node that meets one must not go on.
var ErrInconsistent = errors.New("metadata entry does not fit")

// EffectKind says what happened.
type EffectKind uint8

// The kinds of effects. Which fields of an Effect are set is said with each.
const (
	// EffectTopicCreated: Topic, with its partitions.
	EffectTopicCreated EffectKind = iota + 1
	// EffectTopicDeleted: Topic as it was.
	EffectTopicDeleted
	// EffectPartitionsAdded: Topic as it is now; Partition is the first new id.
	EffectPartitionsAdded
	// EffectPartitionChanged: Topic as it is now, Partition.
	EffectPartitionChanged
	// EffectConfigsChanged: Resource, and for a topic also Topic. One per resource and entry.
	EffectConfigsChanged
	// EffectBrokerChanged: BrokerID, which was registered, changed or removed.
	EffectBrokerChanged
	// EffectClusterNamed: the cluster has its id.
	EffectClusterNamed
	// EffectFeatureChanged: a finalized level changed.
	EffectFeatureChanged
	// EffectProducerIDs: a block [First, Next) went to BrokerID.
	EffectProducerIDs
)

// Effect is something an applied entry did that the broker has to act on.
type Effect struct {
	Kind      EffectKind
	Topic     *Topic
	Partition int32
	Resource  Resource
	BrokerID  int32
	First     int64
	Next      int64
}

// State is the state machine: it applies entries and publishes images. Apply and Load are called by
// one goroutine at a time; Image by any.
type State struct {
	// image publishes the newest complete image.
	image atomic.Pointer[Image]
}

// NewState returns a state machine with the empty image.
func NewState() *State {
	s := &State{}
	s.image.Store(newImage())
	return s
}

func newImage() *Image {
	return &Image{
		byName:      newSorted[string, *Topic](compareString),
		byID:        newSorted[UUID, *Topic](compareUUID),
		byCollision: newSorted[string, *Topic](compareString),
		configs:     newSorted[Resource, *Configs](compareResource),
	}
}

// Image returns the newest image.
func (s *State) Image() *Image { return s.image.Load() }

// Load replaces the image by one from LoadSnapshot.
func (s *State) Load(im *Image) { s.image.Store(im) }

// Apply applies the entry at index, publishes the new image, and returns what it did, in order. An
// entry takes effect as a whole or not at all. An index that the image already holds, as in a
// replay over a snapshot, does nothing. Indexes may have gaps. The error wraps ErrCorrupt,
// ErrUnknownChange or ErrInconsistent; it is the same on every node, and no node may go on after
// it.
func (s *State) Apply(index uint64, entry []byte) ([]Effect, error) {
	im := s.Image()
	if index <= im.index {
		return nil, nil
	}
	changes, err := DecodeEntry(entry)
	if err != nil {
		return nil, fmt.Errorf("metadata entry %d: %w", index, err)
	}
	next, effects, err := im.With(index, changes)
	if err != nil {
		return nil, fmt.Errorf("metadata entry %d: %w", index, err)
	}
	s.image.Store(next)
	return effects, nil
}
