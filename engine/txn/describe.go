package txn

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// describe answers DescribeTransactions for one id (KIP-664). While markers are being written, the
// partitions are those that still lack one.
func (m *Machine) describe(id string) *kmsg.DescribeTransactionsResponseTransactionState {
	r := &kmsg.DescribeTransactionsResponseTransactionState{TransactionalID: id}
	if id == "" {
		r.ErrorCode = wire.CodeInvalidRequest
		return r
	}
	_, e := m.table.get(id)
	if e == nil {
		r.ErrorCode = wire.CodeTransactionalIDNotFound
		return r
	}
	r.State, r.TimeoutMillis, r.StartTimestamp = e.state.String(), e.timeoutMs, e.startMs
	r.ProducerID, r.ProducerEpoch = e.producerID, e.epoch
	for i, p := range m.table.partitions(e) {
		if m.table.openOf(e).isDone(i) {
			continue
		}
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != p.Topic {
			r.Topics = append(r.Topics,
				kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: p.Topic})
		}
		last := &r.Topics[len(r.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return r
}

// filter is what a ListTransactions request asks for.
type filter struct {
	producers map[int64]struct{}
	// states has a bit for each state that is asked for; byState says whether it matters.
	states  uint8
	byState bool
	// ageMs asks for transactions that began longer ago, unless it is negative.
	ageMs   int64
	pattern *regexp.Regexp
}

func (f *filter) wants(nowMs int64, e *entry, name []byte) bool {
	if len(f.producers) > 0 {
		if _, ok := f.producers[e.producerID]; !ok {
			return false
		}
	}
	if f.byState && f.states&(1<<e.state) == 0 {
		return false
	}
	if f.ageMs >= 0 && nowMs-e.startMs <= f.ageMs {
		return false
	}
	return f.pattern == nil || f.pattern.Match(name)
}

// list answers ListTransactions (KIP-664, KIP-994, KIP-1152) in the order of the entries. A pattern
// has to match a whole name, in the syntax of package regexp, which lacks what of Java's could take
// exponential time.
func (m *Machine) list(nowMs int64, in *Input) *kmsg.ListTransactionsResponse {
	req := in.Request.(*kmsg.ListTransactionsRequest)
	r := kmsg.NewPtrListTransactionsResponse()
	f := filter{ageMs: -1, byState: len(req.StateFilters) > 0}
	for _, name := range req.StateFilters {
		if s, ok := stateNamed(name); ok {
			f.states |= 1 << s
		} else if !slices.Contains(r.UnknownStateFilters, name) {
			r.UnknownStateFilters = append(r.UnknownStateFilters, name)
		}
	}
	if len(req.ProducerIDFilters) > 0 {
		f.producers = make(map[int64]struct{}, len(req.ProducerIDFilters))
		for _, id := range req.ProducerIDFilters {
			f.producers[id] = struct{}{}
		}
	}
	if in.Version >= 1 {
		f.ageMs = req.DurationFilterMillis
	}
	if p := req.TransactionalIDPattern; in.Version >= 2 && p != nil && *p != "" {
		var err error
		if f.pattern, err = m.compile(*p); err != nil {
			return in.Refuse(wire.CodeInvalidRegularExpression).(*kmsg.ListTransactionsResponse)
		}
	}
	for slot := range m.table.used {
		e := m.table.at(slot)
		if e.state == vacant {
			continue
		}
		if name := m.table.name(slot); f.wants(nowMs, e, name) {
			r.TransactionStates = append(r.TransactionStates,
				kmsg.ListTransactionsResponseTransactionState{
					TransactionalID: string(name), ProducerID: e.producerID,
					TransactionState: e.state.String(),
				})
		}
	}
	return r
}

func (m *Machine) compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > m.config.PatternBytesMax {
		return nil, errLongPattern
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	if pieces(parsed) > len(pattern)+unfoldedMax {
		return nil, errLongPattern
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

// unfoldedMax bounds by how much a pattern may unfold to more than it has bytes, since each byte of each
// name may have to be compared with all of it.
const unfoldedMax = 500

// pieces is about how many instructions a pattern takes, repetitions unfolded; the parser bounds what
// nested ones multiply to.
func pieces(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += pieces(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Max, re.Min, 1)
	}
	return n
}

var errLongPattern = errors.New("the pattern is too long")
