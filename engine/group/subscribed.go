package group

// subscribed are the topics that the group's consumers subscribe to. known is false where that can't
// be told: groups that are not of consumers, or whose metadata is not what consumers write (class
// ClassicGroup, computeSubscribedTopics). The map is the group's own.
func (g *group) subscribed() (topics map[string]struct{}, known bool) {
	if g.protocolType != consumerType {
		return nil, false
	}
	if g.topicsCached {
		return g.topics, g.topicsKnown
	}
	topics, known = g.parseSubscriptions()
	if g.state == stateStable {
		// It can't change before the group rebalances or a member is replaced.
		g.topics, g.topicsKnown, g.topicsCached = topics, known, true
	}
	return topics, known
}

func (g *group) parseSubscriptions() (map[string]struct{}, bool) {
	topics := map[string]struct{}{}
	if len(g.members) > 0 && g.protocol == nil {
		return nil, false
	}
	for mem := range g.all() {
		metadata, supported := mem.metadataOf(*g.protocol)
		if !supported || !addTopics(topics, metadata) {
			return nil, false
		}
	}
	return topics, true
}

// addTopics adds the topics of a ConsumerProtocolSubscription, whose every version begins like version
// 0: int16 version, then an array of strings. It says whether the bytes look like that.
func addTopics(topics map[string]struct{}, metadata []byte) bool {
	r := reader{b: metadata}
	version, n := r.int16(), r.int32()
	if r.bad || version < 0 || n < 0 || int(n) > len(r.b)/2 {
		return false
	}
	for range n {
		topic := r.text(false)
		if r.bad {
			return false
		}
		if _, have := topics[string(topic)]; !have {
			topics[string(topic)] = struct{}{}
		}
	}
	return true
}
