package catalog

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"sluice/engine/catalog/config"
)

// TestTranscripts plays testdata/decide/*: requests put to the deciders, whose changes are encoded,
// applied and described. Error codes are Kafka's numbers.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/decide", func(t *testing.T, path string) {
		d := newDriver(t)
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			d.out.Reset()
			d.run(t, td)
			return d.out.String()
		})
	})
}

// driver is a controller without disk: decisions become entries that are applied at once.
type driver struct {
	state  *State
	env    Environment
	nextID byte
	out    strings.Builder
}

func newDriver(t testing.TB) *driver {
	d := &driver{state: NewState(), env: Environment{
		NumPartitions: 1, ReplicationFactor: 1, DeleteTopics: true,
		Layers: config.Layers{Static: config.Map{}},
	}}
	d.apply(t, NameCluster(d.state.Image(), "cluster"))
	return d
}

func (d *driver) apply(t testing.TB, changes []Change) []Effect {
	t.Helper()
	if len(changes) == 0 {
		return nil
	}
	effects, err := d.state.Apply(d.state.Image().Index()+1, EncodeEntry(nil, changes))
	if err != nil {
		t.Fatal(err)
	}
	return effects
}

func (d *driver) ids(n int) []UUID {
	ids := make([]UUID, n)
	for i := range ids {
		d.nextID++
		ids[i] = UUID{0: 0xee, 15: d.nextID}
	}
	return ids
}

// fields splits a line into words and key=value pairs.
func fields(line string) (words []string, pairs map[string]string) {
	pairs = map[string]string{}
	for _, f := range strings.Fields(line) {
		if k, v, ok := strings.Cut(f, "="); ok {
			pairs[k] = v
		} else {
			words = append(words, f)
		}
	}
	return words, pairs
}

func atoi(s string, fallback int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return fallback
}

// lists parses 1,2/2,3 into two lists of broker ids.
func lists(text string) (all [][]int32) {
	if text == "" {
		return nil
	}
	for _, part := range strings.Split(text, "/") {
		var ids []int32
		for _, id := range config.SplitList(part) {
			ids = append(ids, int32(atoi(id, -1)))
		}
		all = append(all, ids)
	}
	return all
}

func (d *driver) run(t *testing.T, td *datadriven.TestData) {
	lines := strings.Split(strings.TrimSpace(td.Input), "\n")
	im := d.state.Image()
	switch td.Cmd {
	case "env":
		_, p := fields(lines[0])
		d.env.NumPartitions = int32(atoi(p["partitions"], int(d.env.NumPartitions)))
		d.env.ReplicationFactor = int16(atoi(p["rf"], int(d.env.ReplicationFactor)))
		d.env.Start = uint32(atoi(p["start"], 0))
		d.env.DeleteTopics = p["delete"] != "false"
	case "brokers":
		d.brokers(t, lines)
	case "create-topics":
		d.createTopics(t, im, lines)
	case "delete-topics":
		var refs []TopicRef
		for _, line := range lines {
			words, p := fields(line)
			ref := TopicRef{}
			if len(words) > 0 {
				ref.Name = words[0]
			}
			if id, ok := p["id-of"]; ok {
				ref.ID = im.Topic(id).ID
			}
			if _, ok := p["unknown-id"]; ok {
				ref.ID = UUID{1}
			}
			refs = append(refs, ref)
		}
		changes, results := DeleteTopics(im, &d.env, refs)
		d.topicResults(t, changes, results)
	case "create-partitions":
		var more []MorePartitions
		for _, line := range lines {
			words, p := fields(line)
			more = append(more, MorePartitions{
				Name: words[0], Count: int32(atoi(p["count"], 0)), Assignment: lists(p["assign"]),
			})
		}
		changes, results := CreatePartitions(im, &d.env, more)
		d.topicResults(t, changes, results)
	case "alter", "replace":
		d.configs(t, td.Cmd == "alter", lines)
	case "producer-ids":
		_, p := fields(lines[0])
		c, e := AllocateProducerIDs(im, int32(atoi(p["broker"], 0)), int64(atoi(p["epoch"], 0)))
		d.refusal(e)
		if e.OK() {
			d.effects(d.apply(t, []Change{c}))
		}
	case "topics":
		d.topics(im)
	default:
		t.Fatalf("unknown command %q", td.Cmd)
	}
}

func (d *driver) brokers(t *testing.T, lines []string) {
	for _, line := range lines {
		words, p := fields(line)
		id := int32(atoi(words[0], -1))
		b := Broker{
			ID: id, Incarnation: UUID{15: byte(atoi(p["incarnation"], 1))}, Rack: p["rack"],
			Endpoints: []Endpoint{{Listener: "PLAINTEXT", Protocol: "PLAINTEXT", Port: 9092}},
			LogDirs:   []UUID{{0: 0xd1, 15: byte(id)}}, Fenced: p["fenced"] == "true",
		}
		if p["dirs"] == "none" {
			b.LogDirs = nil
		}
		if p["cordoned"] == "true" {
			b.CordonedLogDirs = b.LogDirs
		}
		changes, e := RegisterBroker(d.state.Image(), b)
		d.refusal(e)
		d.effects(d.apply(t, changes))
		if e.OK() {
			fmt.Fprintf(&d.out, "  epoch %d\n", d.state.Image().Broker(id).Epoch)
		}
	}
}

func (d *driver) createTopics(t *testing.T, im *Image, lines []string) {
	var topics []NewTopic
	for _, line := range lines {
		words, p := fields(line)
		name := ""
		if len(words) > 0 {
			name = strings.ReplaceAll(words[0], "<space>", " ")
		}
		if n := atoi(p["length"], 0); n > 0 {
			name = strings.Repeat("x", n)
		}
		nt := NewTopic{
			Name: name, Partitions: int32(atoi(p["partitions"], -1)),
			ReplicationFactor: int16(atoi(p["rf"], -1)),
		}
		for i, replicas := range lists(p["assign"]) {
			at := int32(i + atoi(p["first"], 0))
			nt.Assignment = append(nt.Assignment, ManualReplicas{Partition: at, Replicas: replicas})
		}
		for key, value := range p {
			if strings.Contains(key, ".") {
				nt.Configs = append(nt.Configs, configValue(key, value))
			}
		}
		topics = append(topics, nt)
	}
	changes, results := CreateTopics(im, &d.env, topics, d.ids(len(topics)))
	d.topicResults(t, changes, results)
}

func configValue(key, value string) ConfigValue {
	if value == "<null>" {
		return ConfigValue{Name: key}
	}
	return ConfigValue{Name: key, Value: &value}
}

func (d *driver) topicResults(t *testing.T, changes []Change, results []TopicResult) {
	for _, r := range results {
		name := r.Name
		if len(name) > 40 {
			name = name[:10] + "…"
		}
		fmt.Fprintf(&d.out, "%q: ", name)
		if !r.OK() {
			d.refusal(r.Error)
			continue
		}
		fmt.Fprintf(&d.out, "ok partitions=%d rf=%d\n", r.Partitions, r.ReplicationFactor)
	}
	d.effects(d.apply(t, changes))
}

func (d *driver) refusal(e Error) {
	if !e.OK() {
		fmt.Fprintf(&d.out, "error %d: %s\n", e.Code, e.Message)
	}
}

func (d *driver) effects(effects []Effect) {
	names := [...]string{
		EffectTopicCreated: "TopicCreated", EffectTopicDeleted: "TopicDeleted",
		EffectPartitionsAdded: "PartitionsAdded", EffectPartitionChanged: "PartitionChanged",
		EffectConfigsChanged: "ConfigsChanged", EffectBrokerChanged: "BrokerChanged",
		EffectClusterNamed: "ClusterNamed", EffectFeatureChanged: "FeatureChanged",
		EffectProducerIDs: "ProducerIDs",
	}
	for _, e := range effects {
		fmt.Fprintf(&d.out, "  %s", names[e.Kind])
		switch e.Kind {
		case EffectConfigsChanged:
			fmt.Fprintf(&d.out, " %d %q", e.Resource.Type, e.Resource.Name)
		case EffectBrokerChanged:
			fmt.Fprintf(&d.out, " %d", e.BrokerID)
		case EffectProducerIDs:
			fmt.Fprintf(&d.out, " [%d, %d)", e.First, e.Next)
		case EffectPartitionsAdded:
			fmt.Fprintf(&d.out, " %s from %d", e.Topic.Name, e.Partition)
		default:
			if e.Topic != nil {
				fmt.Fprintf(&d.out, " %s", e.Topic.Name)
			}
		}
		d.out.WriteString("\n")
	}
}

func (d *driver) configs(t *testing.T, incremental bool, lines []string) {
	var alters []AlterResource
	var replaces []ReplaceConfigs
	for _, line := range lines {
		words, _ := fields(line)
		r := Resource{Type: ResourceTopic, Name: words[0]}
		if name, ok := strings.CutPrefix(words[0], "broker:"); ok {
			r = Resource{Type: ResourceBroker, Name: name}
		}
		if words[0] == "group:g" {
			r = Resource{Type: ResourceGroup, Name: "g"}
		}
		a, rep := AlterResource{Resource: r}, ReplaceConfigs{Resource: r}
		for _, f := range strings.Fields(line)[1:] {
			key, value, _ := strings.Cut(f, "=")
			op := OpSet
			switch {
			case strings.HasPrefix(key, "-") && value == "":
				op = OpDelete
			case strings.HasSuffix(key, "+"):
				op = OpAppend
			case strings.HasSuffix(key, "-"):
				op = OpSubtract
			}
			c := configValue(strings.Trim(key, "+-"), value)
			a.Ops = append(a.Ops, ConfigOp{Op: op, Name: c.Name, Value: c.Value})
			rep.Configs = append(rep.Configs, c)
		}
		alters, replaces = append(alters, a), append(replaces, rep)
	}
	decide := func() ([]Change, []ResourceResult) {
		return IncrementalAlterConfigs(d.state.Image(), &d.env, alters)
	}
	if !incremental {
		decide = func() ([]Change, []ResourceResult) {
			return AlterConfigs(d.state.Image(), &d.env, replaces)
		}
	}
	changes, results := decide()
	for _, r := range results {
		d.refusal(r.Error)
	}
	effects := d.apply(t, changes)
	d.effects(effects)
	for _, e := range effects {
		c := d.state.Image().Configs(e.Resource)
		for i := range c.Len() {
			fmt.Fprintf(&d.out, "    %s=%s\n", c.At(i).Name, c.At(i).Value)
		}
	}
}

func (d *driver) topics(im *Image) {
	for topic := range im.Topics {
		fmt.Fprintf(&d.out, "%s internal=%t\n", topic.Name, topic.Internal)
		for i := range topic.PartitionCount() {
			p := topic.Partition(int32(i))
			fmt.Fprintf(&d.out, "  %d: replicas=%v isr=%v leader=%d\n",
				i, p.Replicas, p.ISR, p.Leader)
		}
	}
}
