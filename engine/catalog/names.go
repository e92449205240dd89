package catalog

import "strings"

// topicNameMax is the longest topic name. A log directory adds a dash, a partition id and suffixes,
// and the whole has to fit a file name of 255 bytes.
const topicNameMax = 249

// internalTopics are the broker's own.
var internalTopics = map[string]bool{
	"__consumer_offsets": true, "__transaction_state": true, "__share_group_state": true,
}

// clusterMetadataTopic is the name that Kafka keeps for the metadata log itself.
const clusterMetadataTopic = "__cluster_metadata"

// IsInternalTopic says whether a name is that of one of the broker's own topics.
func IsInternalTopic(name string) bool { return internalTopics[name] }

// CheckTopicName says whether a topic may have that name: 1 to 249 of the characters A-Z, a-z, 0-9,
// '.', '_' and '-', and neither "." nor "..". The code is INVALID_TOPIC_EXCEPTION.
func CheckTopicName(name string) Error {
	switch {
	case name == "":
		return refuse(codeInvalidTopic, "Topic name is invalid: it is empty.")
	case name == "." || name == "..":
		return refuse(codeInvalidTopic, "Topic name is invalid: %q is not allowed.", name)
	case len(name) > topicNameMax:
		return refuse(codeInvalidTopic,
			"Topic name is invalid: it has %d characters, and %d are allowed.",
			len(name), topicNameMax)
	}
	for i := range len(name) {
		if c := name[i]; !nameByte(c) {
			return refuse(codeInvalidTopic, "Topic name is invalid: %q contains a character other "+
				"than ASCII letters and digits, '.', '_' and '-'.", name)
		}
	}
	return Error{}
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '.' || c == '_' || c == '-'
}

// collisionKey maps names that would share metric names, where '.' becomes '_', to one key.
func collisionKey(name string) string { return strings.ReplaceAll(name, ".", "_") }

// collides returns an existing topic whose name differs from name only in '.' against '_', or nil.
// The keys of the image's third index are collision keys of names that have such characters at all.
func (im *Image) collides(name string) *Topic {
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	t, _ := im.byCollision.get(collisionKey(name))
	if t == nil || t.Name == name {
		return nil
	}
	return t
}
