package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// draft is an image under construction. It starts as a shallow copy and replaces what it changes.
type draft struct {
	im      Image
	effects []Effect
	// sole says that nobody else has seen any part of the image, as when a snapshot is loaded: maps
	// are then changed in place, and no effects are noted.
	sole bool
}

// With returns the image after changes, applied as one entry at index, and what they did. The image
// itself stays as it is. Deciders use it to see several steps ahead.
func (im *Image) With(index uint64, changes []Change) (*Image, []Effect, error) {
	d := &draft{im: *im}
	d.im.index = index
	for i, c := range changes {
		if err := c.apply(d); err != nil {
			return nil, nil, fmt.Errorf("%w: change %d: %w", ErrInconsistent, i, err)
		}
	}
	d.refreshTopics()
	return &d.im, d.effects, nil
}

// effect notes an effect, once per resource for configs.
func (d *draft) effect(e Effect) {
	if d.sole {
		return
	}
	if e.Kind == EffectConfigsChanged && slices.ContainsFunc(d.effects, func(o Effect) bool {
		return o.Kind == EffectConfigsChanged && o.Resource == e.Resource
	}) {
		return
	}
	d.effects = append(d.effects, e)
}

// refreshTopics lets effects point to topics as the whole entry left them: a TopicCreated comes
// before the entry's PartitionsAdded, which then needs no effect of its own.
func (d *draft) refreshTopics() {
	created := map[UUID]bool{}
	kept := d.effects[:0]
	for _, e := range d.effects {
		if e.Kind == EffectConfigsChanged && e.Resource.Type == ResourceTopic {
			e.Topic = d.im.Topic(e.Resource.Name)
		} else if e.Topic != nil && e.Kind != EffectTopicDeleted {
			if now := d.im.TopicByID(e.Topic.ID); now != nil {
				e.Topic = now
			}
		}
		if e.Kind == EffectTopicCreated {
			created[e.Topic.ID] = true
		} else if e.Kind == EffectPartitionsAdded && created[e.Topic.ID] {
			continue
		}
		kept = append(kept, e)
	}
	d.effects = kept
}

func compareString(a, b string) int { return strings.Compare(a, b) }

func (c ClusterNamed) apply(d *draft) error {
	if c.ClusterID == "" || d.im.clusterID != "" && d.im.clusterID != c.ClusterID {
		return fmt.Errorf("cluster id %q after %q", c.ClusterID, d.im.clusterID)
	}
	d.im.clusterID = c.ClusterID
	d.effect(Effect{Kind: EffectClusterNamed})
	return nil
}

func (c FeatureLevel) apply(d *draft) error {
	if c.Name == MetadataVersionFeature && c.Level > MetadataVersionLatest {
		return fmt.Errorf("%w: %s %d", ErrUnknownChange, c.Name, c.Level)
	}
	if c.Name == "" || c.Level < 0 {
		return fmt.Errorf("feature %q at level %d", c.Name, c.Level)
	}
	i, found := slices.BinarySearchFunc(d.im.features, c.Name, compareFeature)
	switch {
	case found && c.Level == 0:
		d.im.features = removed(d.im.features, i)
	case found:
		d.im.features = replaced(d.im.features, i, Feature(c))
	case c.Level != 0:
		d.im.features = inserted(d.im.features, i, Feature(c))
	}
	d.effect(Effect{Kind: EffectFeatureChanged})
	return nil
}

func compareFeature(f Feature, name string) int { return strings.Compare(f.Name, name) }

func (c BrokerRegistered) apply(d *draft) error {
	b := c.Broker
	i, found := slices.BinarySearchFunc(d.im.brokers, b.ID, compareBroker)
	switch {
	case b.ID < 0 || b.Epoch < 0:
		return fmt.Errorf("broker %d with epoch %d", b.ID, b.Epoch)
	case found && b.Epoch <= d.im.brokers[i].Epoch:
		return fmt.Errorf("broker %d registers with epoch %d after %d",
			b.ID, b.Epoch, d.im.brokers[i].Epoch)
	case found:
		d.im.brokers = replaced(d.im.brokers, i, &b)
	default:
		d.im.brokers = inserted(d.im.brokers, i, &b)
	}
	d.effect(Effect{Kind: EffectBrokerChanged, BrokerID: b.ID})
	return nil
}

// registration returns the index of a broker that is registered with exactly that epoch.
func (d *draft) registration(id int32, epoch int64) (int, error) {
	i, found := slices.BinarySearchFunc(d.im.brokers, id, compareBroker)
	if !found {
		return 0, fmt.Errorf("broker %d is not registered", id)
	}
	if have := d.im.brokers[i].Epoch; have != epoch {
		return 0, fmt.Errorf("broker %d has epoch %d, not %d", id, have, epoch)
	}
	return i, nil
}

func (c BrokerChanged) apply(d *draft) error {
	i, err := d.registration(c.ID, c.Epoch)
	if err != nil {
		return err
	}
	b := *d.im.brokers[i]
	b.Fenced, b.ShuttingDown = c.Fenced, c.ShuttingDown
	b.LogDirs, b.CordonedLogDirs = c.LogDirs, c.CordonedLogDirs
	d.im.brokers = replaced(d.im.brokers, i, &b)
	d.effect(Effect{Kind: EffectBrokerChanged, BrokerID: c.ID})
	return nil
}

func (c BrokerUnregistered) apply(d *draft) error {
	i, err := d.registration(c.ID, c.Epoch)
	if err != nil {
		return err
	}
	d.im.brokers = removed(d.im.brokers, i)
	d.effect(Effect{Kind: EffectBrokerChanged, BrokerID: c.ID})
	return nil
}

func (c TopicCreated) apply(d *draft) error {
	if c.Name == "" || c.ID.IsZero() {
		return fmt.Errorf("topic %q with id %v", c.Name, c.ID)
	}
	if d.im.Topic(c.Name) != nil || d.im.TopicByID(c.ID) != nil || d.im.collides(c.Name) != nil {
		return fmt.Errorf("topic %q or id %v exists", c.Name, c.ID)
	}
	t := &Topic{ID: c.ID, Name: c.Name, Internal: c.Internal}
	d.putTopic(t)
	d.effect(Effect{Kind: EffectTopicCreated, Topic: t})
	return nil
}

func (d *draft) putTopic(t *Topic) {
	put(d, &d.im.byName, t.Name, t)
	put(d, &d.im.byID, t.ID, t)
	if strings.ContainsAny(t.Name, "._") {
		put(d, &d.im.byCollision, collisionKey(t.Name), t)
	}
}

// put sets a key of one of the draft's maps.
func put[K, V any](d *draft, s *sorted[K, V], key K, value V) {
	if d.sole {
		s.set(key, value)
		return
	}
	*s = s.with(key, value)
}

// topic returns a copy of a topic, to be changed and put back.
func (d *draft) topic(id UUID) (*Topic, error) {
	t := d.im.TopicByID(id)
	if t == nil {
		return nil, fmt.Errorf("no topic with id %v", id)
	}
	t2 := *t
	return &t2, nil
}

func (c PartitionsAdded) apply(d *draft) error {
	t, err := d.topic(c.TopicID)
	if err != nil {
		return err
	}
	if int(c.First) != t.PartitionCount() || len(c.Partitions) == 0 {
		return fmt.Errorf("topic %q has %d partitions and gets %d from %d on",
			t.Name, t.PartitionCount(), len(c.Partitions), c.First)
	}
	for i := range c.Partitions {
		if err := c.Partitions[i].check(); err != nil {
			return fmt.Errorf("topic %q partition %d: %w", t.Name, int(c.First)+i, err)
		}
	}
	t.parts = t.parts.appended(c.Partitions)
	d.im.partitionCount += len(c.Partitions)
	d.putTopic(t)
	d.effect(Effect{Kind: EffectPartitionsAdded, Topic: t, Partition: c.First})
	return nil
}

// check says whether a partition's fields agree with each other.
func (p *Partition) check() error {
	switch {
	case len(p.Replicas) == 0:
		return fmt.Errorf("no replicas")
	case len(p.Directories) != 0 && len(p.Directories) != len(p.Replicas):
		return fmt.Errorf("%d directories for %d replicas", len(p.Directories), len(p.Replicas))
	case p.LeaderEpoch < 0 || p.PartitionEpoch < 0:
		return fmt.Errorf("leader epoch %d, partition epoch %d", p.LeaderEpoch, p.PartitionEpoch)
	case p.Leader != NoLeader && !slices.Contains(p.Replicas, p.Leader):
		return fmt.Errorf("leader %d is none of the replicas %v", p.Leader, p.Replicas)
	case p.Leader != NoLeader && !slices.Contains(p.ISR, p.Leader):
		return fmt.Errorf("leader %d is not in the ISR %v", p.Leader, p.ISR)
	}
	for i, id := range p.ISR {
		if !slices.Contains(p.Replicas, id) || slices.Contains(p.ISR[:i], id) {
			return fmt.Errorf("ISR %v does not fit the replicas %v", p.ISR, p.Replicas)
		}
	}
	return nil
}

func (c PartitionChanged) apply(d *draft) error {
	t, err := d.topic(c.TopicID)
	if err != nil {
		return err
	}
	old := t.Partition(c.Partition)
	if old == nil {
		return fmt.Errorf("topic %q has no partition %d", t.Name, c.Partition)
	}
	if c.State.PartitionEpoch != old.PartitionEpoch+1 || c.State.LeaderEpoch < old.LeaderEpoch {
		return fmt.Errorf("topic %q partition %d: partition epoch %d after %d, leader epoch %d after %d",
			t.Name, c.Partition, c.State.PartitionEpoch, old.PartitionEpoch,
			c.State.LeaderEpoch, old.LeaderEpoch)
	}
	if err := c.State.check(); err != nil {
		return fmt.Errorf("topic %q partition %d: %w", t.Name, c.Partition, err)
	}
	t.parts = t.parts.with(int(c.Partition), c.State)
	d.putTopic(t)
	d.effect(Effect{Kind: EffectPartitionChanged, Topic: t, Partition: c.Partition})
	return nil
}

func (c TopicDeleted) apply(d *draft) error {
	t := d.im.TopicByID(c.ID)
	if t == nil {
		return fmt.Errorf("no topic with id %v", c.ID)
	}
	d.im.byName = d.im.byName.without(t.Name)
	d.im.byID = d.im.byID.without(t.ID)
	if strings.ContainsAny(t.Name, "._") {
		d.im.byCollision = d.im.byCollision.without(collisionKey(t.Name))
	}
	d.im.configs = d.im.configs.without(Resource{Type: ResourceTopic, Name: t.Name})
	d.im.partitionCount -= t.PartitionCount()
	d.effect(Effect{Kind: EffectTopicDeleted, Topic: t})
	return nil
}

func (c ConfigChanged) apply(d *draft) error {
	if c.Name == "" || c.Remove && c.Value != "" {
		return fmt.Errorf("config %q of %v removed with value %q", c.Name, c.Resource, c.Value)
	}
	if c.Resource.Type == ResourceTopic && d.im.Topic(c.Resource.Name) == nil {
		return fmt.Errorf("config %q of unknown topic %q", c.Name, c.Resource.Name)
	}
	var entries []Config
	if have := d.im.Configs(c.Resource); have != nil {
		entries = have.entries
	}
	i, found := slices.BinarySearchFunc(entries, c.Name, compareConfig)
	switch {
	case found && c.Remove:
		entries = removed(entries, i)
	case found:
		entries = replaced(entries, i, Config{Name: c.Name, Value: c.Value})
	case !c.Remove:
		entries = inserted(entries, i, Config{Name: c.Name, Value: c.Value})
	}
	if len(entries) == 0 {
		d.im.configs = d.im.configs.without(c.Resource)
	} else {
		put(d, &d.im.configs, c.Resource, &Configs{entries: entries})
	}
	d.effect(Effect{Kind: EffectConfigsChanged, Resource: c.Resource})
	return nil
}

func (c ProducerIDsAssigned) apply(d *draft) error {
	if c.First != d.im.nextProducerID || c.Next <= c.First {
		return fmt.Errorf("producer ids [%d, %d) assigned, next is %d",
			c.First, c.Next, d.im.nextProducerID)
	}
	d.im.nextProducerID = c.Next
	d.effect(Effect{
		Kind: EffectProducerIDs, BrokerID: c.BrokerID, First: c.First, Next: c.Next,
	})
	return nil
}
