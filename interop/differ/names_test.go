//go:build interop

package differ

import (
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// base is the timestamp that scenarios build theirs from: the same for both brokers, recent
// enough that no retention deletes it, and in the past so that no broker refuses it.
var base = time.Now().Add(-20*time.Minute).UnixMilli() / 1000 * 1000

// namer replaces what must differ between two brokers by names that are equal when the
// brokers agree.
type namer struct {
	host, port string
	nodeID     int32
	clusterID  string
	topics     map[[16]byte]string
	producers  map[int64]string
	sessions   map[int32]string
	started    time.Time
	hostPort   *regexp.Regexp
	uuids      map[string]string
}

// uuidText is how brokers end the member ids that they make.
var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// valueOf is v as reflection sees it.
func valueOf(v any) reflect.Value { return reflect.ValueOf(v) }

func newNamer(addr string) namer {
	host, port, _ := net.SplitHostPort(addr)
	return namer{
		host: host, port: port, nodeID: -1,
		topics:    map[[16]byte]string{{}: "0"},
		producers: map[int64]string{},
		sessions:  map[int32]string{},
		uuids:     map[string]string{},
		started:   time.Now(),
		hostPort:  regexp.MustCompile(`(127\.0\.0\.1|localhost):\d+`),
	}
}

// flatten lists a message's fields in order, one line each: first under names, then as they are.
func (n *namer) flatten(msg any) (lines, raw []string) {
	v := reflect.ValueOf(msg).Elem()
	n.learn(v)
	_, ordered := msg.(*kmsg.FetchResponse)
	w := walker{n: n, ordered: ordered}
	w.walk("", "", v, v)
	return w.lines, w.raw
}

// learn collects topic ids wherever a struct names a topic beside its id.
func (n *namer) learn(v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			n.learn(v.Index(i))
		}
	case reflect.Struct:
		id, name := v.FieldByName("TopicID"), v.FieldByName("Topic")
		if id.IsValid() && name.IsValid() {
			if name.Kind() == reflect.Pointer {
				name = name.Elem()
			}
			key := id.Interface().([16]byte)
			if name.IsValid() && name.Len() > 0 && key != ([16]byte{}) {
				n.topics[key] = "id(" + name.String() + ")"
			}
		}
		for i := range v.NumField() {
			n.learn(v.Field(i))
		}
	}
}

// walker is one flattening.
type walker struct {
	n *namer
	// ordered keeps lists as they came, for Fetch, where their order is the client's.
	ordered    bool
	lines, raw []string
}

func (w *walker) add(path, named, raw string) {
	w.lines = append(w.lines, path+" = "+named)
	w.raw = append(w.raw, path+" = "+raw)
}

func (w *walker) walk(path, field string, v, parent reflect.Value) {
	switch {
	case field == "UnknownTags":
		if tags := v.Interface().(kmsg.Tags); tags.Len() > 0 {
			w.add(path, fmt.Sprint(tags.Len()), fmt.Sprint(tags.Len()))
		}
	case field == "RecordBatches":
		w.walkBatches(path, v.Bytes())
	case v.Kind() == reflect.Struct:
		w.walkStruct(path, v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		w.walkList(path, v)
	default:
		w.add(path, w.n.name(field, v, parent), plain(v))
	}
}

func (w *walker) walkStruct(path string, v reflect.Value) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if name == "Version" && path == "" {
			continue
		}
		sub := name
		if path != "" {
			sub = path + "." + name
		}
		w.walk(sub, name, v.Field(i), v)
	}
}

// walkList writes a list's length, then its elements under their key where they have one, sorted
// by it: brokers build these lists from hash sets.
func (w *walker) walkList(path string, v reflect.Value) {
	if v.IsNil() {
		w.add(path, "none", "nil")
		return
	}
	if v.Len() == 0 {
		w.add(path, "none", "[]")
	}
	var elements []element
	for i := range v.Len() {
		elements = append(elements, w.element(v.Index(i)))
	}
	if !w.ordered {
		sort.SliceStable(elements, func(i, j int) bool {
			return less(elements[i].order, elements[j].order)
		})
	}
	for i, e := range elements {
		if w.ordered {
			e.key = fmt.Sprintf("%d:%s", i, e.key)
		}
		w.walk(path+"["+e.key+"]", "", e.v, v)
	}
}

// element is a list's member with the key it is shown under and what it is sorted by.
type element struct {
	key, order string
	v          reflect.Value
}

// element finds the key; what has none, or shares it, is sorted by all that it says.
func (w *walker) element(v reflect.Value) element {
	key, ok := w.n.key(v)
	if !ok {
		key = "?"
	}
	if _, err := strconv.Atoi(key); err == nil {
		return element{key, key, v}
	}
	all := walker{n: w.n}
	all.walk("", "", v, v)
	return element{key, key + strings.Join(all.lines, "\n"), v}
}

// less orders numbers as numbers and all else as text.
func less(a, b string) bool {
	x, errA := strconv.Atoi(a)
	y, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return x < y
	}
	return a < b
}

// key is what tells an element from its neighbours, under names.
func (n *namer) key(v reflect.Value) (string, bool) {
	for _, field := range []string{
		"Topic", "TopicID", "Partition", "ResourceName", "ApiKey", "Dir", "Name",
		"Group", "TransactionalID", "Key", "MemberID", "ProducerID", "NodeID",
	} {
		f := v.FieldByName(field)
		if !f.IsValid() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if s := n.name(field, f, v); s != `""` && s != "0" || f.Kind() == reflect.Int32 {
			return s, true
		}
	}
	return "", false
}

// plain renders a value with nothing hidden.
func plain(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "nil"
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.String {
		return strconv.Quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// nodeFields hold node ids, alone or in lists.
var nodeFields = map[string]bool{
	"NodeID": true, "ControllerID": true, "Leader": true, "LeaderID": true, "Replicas": true,
	"ISR": true, "OfflineReplicas": true, "PreferredReadReplica": true,
	"EligibleLeaderReplicas": true, "LastKnownELR": true,
}

// name renders a field's value, replaced where it must differ between brokers.
func (n *namer) name(field string, v, parent reflect.Value) string {
	switch {
	case strings.HasSuffix(field, "ErrorCode"):
		return errorName(int16(v.Int()))
	case field == "ErrorMessage":
		return presence(v)
	case field == "TopicID":
		return n.topic(v.Interface().([16]byte))
	case field == "ProducerID":
		return symbol(n.producers, v.Int(), "pid")
	case field == "SessionID":
		return symbol(n.sessions, int32(v.Int()), "session")
	case nodeFields[field] && v.Kind() != reflect.String:
		return n.nodes(v)
	case field == "Partitions" && v.Kind() == reflect.Slice:
		return fmt.Sprint(slices.Sorted(slices.Values(v.Interface().([]int32))))
	case field == "ThrottleMillis":
		return "≥0"
	case strings.HasSuffix(field, "Timestamp"), field == "LogAppendTime":
		return n.clock(v.Int())
	case field == "TotalBytes" || field == "UsableBytes" || field == "FinalizedFeaturesEpoch":
		return sign(v.Int())
	case field == "Dir":
		return "DIR"
	case v.Kind() == reflect.Pointer && v.IsNil():
		return "nil"
	case v.Kind() == reflect.Pointer:
		return n.text(field, v.Elem())
	default:
		return n.text(field, v)
	}
}

func (n *namer) text(field string, v reflect.Value) string {
	if v.Kind() == reflect.Uint16 || v.Kind() == reflect.Int32 {
		if field == "Port" && strconv.FormatInt(v.Int(), 10) == n.port {
			return "PORT"
		}
	}
	if v.Kind() != reflect.String {
		return plain(v)
	}
	s := v.String()
	switch {
	case field == "ClusterID" && s == n.clusterID:
		return "CLUSTER"
	case field == "Host" && s == n.host:
		return "HOST"
	case field == "ResourceName" && s == strconv.Itoa(int(n.nodeID)):
		return "NODE"
	}
	return strconv.Quote(n.hostPort.ReplaceAllString(n.uuidsIn(s), "HOST:PORT"))
}

// uuidsIn replaces the random parts of member ids in a text.
func (n *namer) uuidsIn(s string) string { return uuidText.ReplaceAllStringFunc(s, n.uuid) }

// uuid names the random part of a member id in order of appearance.
func (n *namer) uuid(s string) string {
	if _, ok := n.uuids[s]; !ok {
		n.uuids[s] = fmt.Sprintf("UUID%d", len(n.uuids)+1)
	}
	return n.uuids[s]
}

func (n *namer) topic(id [16]byte) string {
	if name, ok := n.topics[id]; ok {
		return name
	}
	return "an unknown id"
}

func (n *namer) nodes(v reflect.Value) string {
	if v.Kind() != reflect.Slice {
		return n.node(int32(v.Int()))
	}
	var out []string
	for i := range v.Len() {
		out = append(out, n.node(int32(v.Index(i).Int())))
	}
	return "[" + strings.Join(out, " ") + "]"
}

func (n *namer) node(id int32) string {
	if id == n.nodeID && id >= 0 {
		return "NODE"
	}
	return strconv.Itoa(int(id))
}

// clock keeps what a scenario sent and hides what the broker's clock said.
func (n *namer) clock(ms int64) string {
	switch {
	case ms < 0:
		return strconv.FormatInt(ms, 10)
	case ms >= base-600_000 && ms <= base+600_000:
		return fmt.Sprintf("base%+d", ms-base)
	case ms >= n.started.Add(-time.Minute).UnixMilli() &&
		ms <= time.Now().Add(time.Minute).UnixMilli():
		return "now"
	default:
		return strconv.FormatInt(ms, 10)
	}
}

// symbol names positive numbers in their order of appearance.
func symbol[K int32 | int64](seen map[K]string, k K, kind string) string {
	if k <= 0 && kind == "session" || k < 0 {
		return strconv.FormatInt(int64(k), 10)
	}
	if _, ok := seen[k]; !ok {
		seen[k] = fmt.Sprintf("%s#%d", kind, len(seen)+1)
	}
	return seen[k]
}

func sign(x int64) string {
	if x > 0 {
		return "positive"
	}
	return strconv.FormatInt(x, 10)
}

func presence(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return "nil"
	case v.Kind() == reflect.Pointer && v.Elem().Len() == 0:
		return "empty"
	default:
		return "a text"
	}
}

func errorName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	if e := kerr.TypedErrorForCode(code); e != nil {
		return e.Message
	}
	return strconv.Itoa(int(code))
}
