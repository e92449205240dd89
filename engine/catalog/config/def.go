package config

// Type is the type of a key's value, with the numbers of DescribeConfigs (KIP-569).
type Type int8

// The types of values.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// Mode says when a broker key may change (KIP-226).
type Mode uint8

// The update modes of broker keys.
const (
	ReadOnly    Mode = iota // Only by editing server.properties and restarting.
	PerBroker               // Dynamically, for one broker.
	ClusterWide             // Dynamically, for one broker or as the default of all.
)

// String returns Kafka's word for the mode.
func (m Mode) String() string { return [...]string{"read-only", "per-broker", "cluster-wide"}[m] }

// Source says which layer a value comes from, with the numbers of DescribeConfigs (KIP-226).
type Source int8

// The sources of values.
const (
	SourceTopic          Source = 1
	SourceDynamicBroker  Source = 2
	SourceDynamicDefault Source = 3
	SourceStatic         Source = 4
	SourceDefault        Source = 5
)

// Def defines one key.
type Def struct {
	Name string
	Type Type
	// Default is the value when nobody sets the key; meaningless with NoDefault.
	Default string
	// NoDefault says that the key has no value (null) when nobody sets it.
	NoDefault bool
	// Synonym is, for a topic key, the broker key that supplies its default; empty when none does.
	Synonym string
	// Mode is, for a broker key, when it may change.
	Mode       Mode
	Importance Importance
	// Doc says what the key does, in a sentence.
	Doc string

	valid rule
	// internal keys hold as any other, but are not described unless somebody sets them.
	internal bool
}

// Sensitive says whether values are never shown: passwords.
func (d *Def) Sensitive() bool { return d.Type == Password }

// Allowed describes the values that the key takes, as put into error messages, such as
// "an integer of at least 1". It is never empty.
func (d *Def) Allowed() string { return d.allowed() }

// Check says whether value is one that the key takes. The error names key, value and what is
// allowed.
func (d *Def) Check(value string) error { return d.check(value) }

// TopicDef returns the definition of a topic key, or nil.
func TopicDef(name string) *Def { return topicIndex[name] }

// BrokerDef returns the definition of a broker key, or nil. Keys with a listener.name.<l>. prefix
// are looked up by what follows it.
func BrokerDef(name string) *Def { return brokerDef(name) }

// TopicDefs returns the definitions of all topic keys, ordered by name. The slice is borrowed.
func TopicDefs() []*Def { return topicSorted }

// BrokerDefs returns the definitions of all broker keys, ordered by name. The slice is borrowed.
func BrokerDefs() []*Def { return brokerSorted }

// Getter is one layer of set keys. A nil Getter is an empty layer.
type Getter interface {
	Get(name string) (value string, ok bool)
}

// Map is a layer held in a map. A nil Map is empty.
type Map map[string]string

// Get implements Getter.
func (m Map) Get(name string) (string, bool) { v, ok := m[name]; return v, ok }

// Layers are the layers that may set a key, strongest first. Any may be nil.
type Layers struct {
	Topic          Getter // The topic's own configs; unused for broker keys.
	DynamicBroker  Getter // Set dynamically for this broker.
	DynamicDefault Getter // Set dynamically for all brokers.
	Static         Getter // server.properties.
}

// Synonym is one place that supplies, or would supply, a key's value.
type Synonym struct {
	Name   string
	Value  *string // Null for sensitive keys and for keys without a value.
	Source Source
}

// Entry is a key as DescribeConfigs shows it.
type Entry struct {
	Name  string
	Value *string // Null for sensitive keys and for keys without a value.
	// Written is a topic key's value as whoever set it wrote it, where Value has it as its type
	// writes it: CreateTopics answers the one, DescribeConfigs the other.
	Written   *string
	Source    Source
	Type      Type
	ReadOnly  bool
	Sensitive bool
	Doc       string
	// Synonyms are the places that set the key, strongest first; the first is the one that holds.
	Synonyms []Synonym
}

// DescribeTopic returns the entries of the named topic keys, or of all when names is nil, ordered
// by name. Unknown names are left out.
func DescribeTopic(l Layers, names []string) []Entry { return describeTopic(l, names) }

// DescribeBroker returns the entries of the named broker keys, or of all when names is nil,
// ordered by name. Keys that no definition knows but that a layer sets are shown as sensitive, as
// their values might be secrets.
func DescribeBroker(l Layers, names []string) []Entry { return describeBroker(l, names) }

// DescribeDefault returns the entries of the keys that are dynamically set as the default of all
// brokers: the broker resource with the empty name.
func DescribeDefault(l Layers, names []string) []Entry { return describeDefault(l, names) }
