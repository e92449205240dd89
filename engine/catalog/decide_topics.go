package catalog

import (
	"slices"

	"sluice/engine/catalog/config"
)

// partitionsPerRequestMax bounds the partitions that one request creates, so that one entry, and
// the work that applying it causes on every node, stays bounded.
const partitionsPerRequestMax = 10_000

// repeats returns the keys that occur more than once.
func repeats[T any, K comparable](items []T, keyOf func(T) K) map[K]bool {
	seen, twice := map[K]bool{}, map[K]bool{}
	for _, item := range items {
		k := keyOf(item)
		if seen[k] {
			twice[k] = true
		}
		seen[k] = true
	}
	return twice
}

func createTopics(
	im *Image, env *Environment, topics []NewTopic, ids []UUID,
) ([]Change, []TopicResult) {
	results := make([]TopicResult, 0, len(topics))
	tooMany := wanted(env, topics) > partitionsPerRequestMax
	twice := repeats(topics, func(t NewTopic) string { return t.Name })
	answered := map[string]bool{}
	var changes []Change
	for i := range topics {
		t := &topics[i]
		if answered[t.Name] {
			continue
		}
		answered[t.Name] = true
		var more []Change
		r := TopicResult{Name: t.Name}
		switch {
		case tooMany:
			r.Error = refuse(codePolicyViolation,
				"Excessively large number of partitions per request: at most %d.",
				partitionsPerRequestMax)
		case twice[t.Name]:
			r.Error = refuse(codeInvalidRequest, "Duplicate topic name.")
		default:
			more, r = createTopic(im, env, t, ids[i], uint32(i))
		}
		if r.OK() {
			changes = append(changes, more...)
			// The next topic is judged as if this one existed, so that two names in one request
			// cannot collide either.
			im = mustWith(im, more)
		}
		results = append(results, r)
	}
	return changes, results
}

// mustWith looks one step ahead. A decider whose own changes do not apply is broken.
func mustWith(im *Image, changes []Change) *Image {
	next, _, err := im.With(im.index, changes)
	if err != nil {
		panic("BUG: a decider made changes that do not apply: " + err.Error())
	}
	return next
}

// wanted is the number of partitions that a request asks for in all.
func wanted(env *Environment, topics []NewTopic) (n int64) {
	for i := range topics {
		switch t := &topics[i]; {
		case len(t.Assignment) > 0:
			n += int64(len(t.Assignment))
		case t.Partitions == -1:
			n += int64(env.NumPartitions)
		default:
			n += int64(max(t.Partitions, 0))
		}
	}
	return n
}

// createTopic decides one topic of a request.
func createTopic(
	im *Image, env *Environment, t *NewTopic, id UUID, nth uint32,
) ([]Change, TopicResult) {
	r := TopicResult{Name: t.Name}
	r.Error = checkNewTopic(im, t)
	if !r.OK() {
		return nil, r
	}
	parts, err := newPartitions(im, env, t, nth)
	if r.Error = err; !r.OK() {
		return nil, r
	}
	configs, err := newConfigs(env, t)
	if r.Error = err; !r.OK() {
		return nil, r
	}
	r.ID, r.Partitions = id, int32(len(parts))
	r.ReplicationFactor = int16(len(parts[0].Replicas))
	changes := []Change{
		TopicCreated{ID: id, Name: t.Name, Internal: internalTopics[t.Name]},
		PartitionsAdded{TopicID: id, Partitions: parts},
	}
	for _, c := range configs {
		changes = append(changes, ConfigChanged{
			Resource: Resource{Type: ResourceTopic, Name: t.Name}, Name: c.Name, Value: c.Value,
		})
	}
	return changes, r
}

// checkNewTopic looks at what does not depend on brokers or configs.
func checkNewTopic(im *Image, t *NewTopic) Error {
	if t.Name == clusterMetadataTopic {
		return refuse(codeInvalidRequest, "Creation of internal topic %s is prohibited.", t.Name)
	}
	if e := CheckTopicName(t.Name); !e.OK() {
		return e
	}
	if im.Topic(t.Name) != nil {
		return refuse(codeTopicAlreadyExists, "Topic '%s' already exists.", t.Name)
	}
	if other := im.collides(t.Name); other != nil {
		return refuse(codeInvalidTopic, "Topic '%s' collides with existing topic: %s",
			t.Name, other.Name)
	}
	if len(t.Assignment) > 0 {
		switch {
		case t.ReplicationFactor != -1:
			return refuse(codeInvalidRequest, "A manual partition assignment was specified, but "+
				"replication factor was not set to -1.")
		case t.Partitions != -1:
			return refuse(codeInvalidRequest, "A manual partition assignment was specified, but "+
				"numPartitions was not set to -1.")
		}
		return Error{}
	}
	if t.ReplicationFactor < -1 || t.ReplicationFactor == 0 {
		return refuse(codeInvalidReplicationFactor,
			"Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if t.Partitions < -1 || t.Partitions == 0 {
		return refuse(codeInvalidPartitions,
			"Number of partitions was set to an invalid non-positive value.")
	}
	return Error{}
}

// newPartitions places a new topic's partitions, by hand or by itself.
func newPartitions(im *Image, env *Environment, t *NewTopic, nth uint32) ([]Partition, Error) {
	if len(t.Assignment) == 0 {
		n, factor := t.Partitions, t.ReplicationFactor
		if n == -1 {
			n = env.NumPartitions
		}
		if factor == -1 {
			factor = env.ReplicationFactor
		}
		return place(im, int(n), int(factor), env.Start+nth)
	}
	parts := make([]Partition, len(t.Assignment))
	for _, a := range t.Assignment {
		if a.Partition < 0 || int(a.Partition) >= len(parts) {
			return nil, refuse(codeInvalidReplicaAssignment, "partitions should be a consecutive "+
				"0-based integer sequence, but partition %d of %d was given.",
				a.Partition, len(parts))
		}
		if parts[a.Partition].Replicas != nil {
			return nil, refuse(codeInvalidReplicaAssignment, "Found multiple manual partition "+
				"assignments for partition %d", a.Partition)
		}
		p, e := manual(im, a.Replicas, len(t.Assignment[0].Replicas), a.Partition)
		if !e.OK() {
			return nil, e
		}
		parts[a.Partition] = p
	}
	return parts, Error{}
}

// newConfigs validates a new topic's configs, which come out ordered by name.
func newConfigs(env *Environment, t *NewTopic) ([]Config, Error) {
	set := config.Map{}
	for _, c := range t.Configs {
		if c.Value == nil {
			return nil, refuse(codeInvalidConfig,
				"Null value not supported for topic configs: %s", c.Name)
		}
		set[c.Name] = *c.Value
	}
	layers := env.Layers
	layers.Topic = set
	names := set.Names()
	if err := config.CheckTopic(layers, names); err != nil {
		return nil, refuse(codeInvalidConfig, "%v", err)
	}
	configs := make([]Config, 0, len(names))
	for _, name := range names {
		configs = append(configs, Config{Name: name, Value: set[name]})
	}
	return configs, Error{}
}

func deleteTopics(im *Image, env *Environment, topics []TopicRef) ([]Change, []TopicResult) {
	results := make([]TopicResult, 0, len(topics))
	// A name and an id of one topic are two mentions of it.
	twice := repeats(topics, func(ref TopicRef) UUID {
		if t := im.Topic(ref.Name); t != nil && ref.Name != "" {
			return t.ID
		}
		return ref.ID
	})
	named := map[TopicRef]bool{}
	var changes []Change
	for _, ref := range topics {
		if named[ref] {
			continue
		}
		named[ref] = true
		t, r := findTopic(im, env, ref)
		if r.OK() && twice[t.ID] {
			r.Error = refuse(codeInvalidRequest, "Duplicate topic name.")
		}
		if r.OK() {
			changes = append(changes, TopicDeleted{ID: t.ID})
		}
		results = append(results, r)
	}
	return changes, results
}

func findTopic(im *Image, env *Environment, ref TopicRef) (*Topic, TopicResult) {
	r := TopicResult{Name: ref.Name, ID: ref.ID}
	t := im.Topic(ref.Name)
	if ref.Name == "" {
		t = im.TopicByID(ref.ID)
	}
	switch {
	case !env.DeleteTopics:
		r.Error = refuse(codeTopicDeletionDisabled, "Topic deletion is disabled.")
	case ref.Name != "" && !ref.ID.IsZero():
		r.Error = refuse(codeInvalidRequest, "You may not specify both topic name and topic id.")
	case ref.Name == "" && ref.ID.IsZero():
		r.Error = refuse(codeInvalidRequest, "Neither topic name nor id were specified.")
	case t == nil && ref.Name == "":
		r.Error = refuse(codeUnknownTopicID, "This server does not host this topic ID.")
	case t == nil:
		r.Error = refuse(codeUnknownTopicOrPartition,
			"This server does not host this topic-partition.")
	default:
		r.Name, r.ID = t.Name, t.ID
	}
	return t, r
}

func createPartitions(
	im *Image, env *Environment, topics []MorePartitions,
) ([]Change, []TopicResult) {
	results := make([]TopicResult, 0, len(topics))
	twice := repeats(topics, func(t MorePartitions) string { return t.Name })
	answered := map[string]bool{}
	var changes []Change
	var added int
	for i := range topics {
		t := &topics[i]
		if answered[t.Name] {
			continue
		}
		answered[t.Name] = true
		r := TopicResult{Name: t.Name}
		if twice[t.Name] {
			r.Error = refuse(codeInvalidRequest, "Duplicate topic name.")
		}
		var more PartitionsAdded
		if r.OK() {
			more, r = addPartitions(im, env, t, partitionsPerRequestMax-added, uint32(i))
		}
		if r.OK() {
			added += len(more.Partitions)
			changes = append(changes, more)
		}
		results = append(results, r)
	}
	return changes, results
}

// addPartitions decides one topic of a CreatePartitions request, which may get at most room more.
func addPartitions(
	im *Image, env *Environment, t *MorePartitions, room int, nth uint32,
) (PartitionsAdded, TopicResult) {
	r := TopicResult{Name: t.Name}
	have := im.Topic(t.Name)
	if have == nil {
		r.Error = refuse(codeUnknownTopicOrPartition,
			"This server does not host this topic-partition.")
		return PartitionsAdded{}, r
	}
	r.ID, r.ReplicationFactor = have.ID, int16(have.ReplicationFactor())
	count := have.PartitionCount()
	additional := int(t.Count) - count
	switch {
	case additional == 0:
		r.Error = refuse(codeInvalidPartitions, "Topic already has %d partition(s).", count)
	case additional < 0:
		r.Error = refuse(codeInvalidPartitions, "The topic %s currently has %d partition(s); %d "+
			"would not be an increase.", t.Name, count, t.Count)
	case have.Internal:
		r.Error = refuse(codeInvalidPartitions, "The number of partitions of the internal topic %s "+
			"cannot be changed: its keys would be looked for in others.", t.Name)
	case additional > room:
		r.Error = refuse(codePolicyViolation, "Excessively large number of partitions per request: "+
			"at most %d.", partitionsPerRequestMax)
	case len(t.Assignment) > 0 && len(t.Assignment) != additional:
		r.Error = refuse(codeInvalidReplicaAssignment, "Attempted to add %d additional "+
			"partition(s), but only %d assignment(s) were specified.", additional, len(t.Assignment))
	}
	if !r.OK() {
		return PartitionsAdded{}, r
	}
	var parts []Partition
	if len(t.Assignment) == 0 {
		parts, r.Error = place(im, additional, have.ReplicationFactor(), env.Start+nth)
	}
	for i, replicas := range t.Assignment {
		var p Partition
		if p, r.Error = manual(im, replicas, have.ReplicationFactor(), int32(count+i)); !r.OK() {
			return PartitionsAdded{}, r
		}
		parts = append(parts, p)
	}
	r.Partitions = t.Count
	return PartitionsAdded{
		TopicID: have.ID, First: int32(count), Partitions: slices.Clip(parts),
	}, r
}
