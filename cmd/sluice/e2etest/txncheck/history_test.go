package txncheck

import (
	"fmt"
	"slices"
	"sync"
)

// outcome is what is known of an operation. The zero value is for what was not answered, or not in a
// way that settles it.
type outcome uint8

const (
	unknown outcome = iota
	ok
	failed
)

func (o outcome) String() string { return [...]string{"unknown", "ok", "failed"}[o] }

// place is one partition.
type place struct {
	topic     string
	partition int32
}

func (p place) String() string { return fmt.Sprintf("%s-%d", p.topic, p.partition) }

// origin is where a transformed record comes from.
type origin struct {
	at     place
	offset int64
}

// writer is one instance of a producer: those of one transactional id follow each other.
type writer struct {
	name     string
	instance int
}

func (w *writer) String() string { return fmt.Sprintf("%s#%d", w.name, w.instance) }

// write is one record that was sent.
type write struct {
	id     int
	writer *writer
	txn    *txn // nil: not transactional
	at     place
	// order counts the writer's records in this partition.
	order   int
	outcome outcome
	offset  int64   // if ok
	from    *origin // of a mover
}

// txn is one transaction.
type txn struct {
	id      int
	writer  *writer
	writes  []*write
	commits bool // a commit was asked for
	end     outcome
	// doubt says that a commit was asked for and not answered.
	doubt   bool
	advance *advance
}

// acknowledged says whether all that a mover does within a transaction was.
func (t *txn) acknowledged() bool {
	for _, w := range t.writes {
		if w.outcome != ok {
			return false
		}
	}
	return t.advance != nil && t.advance.outcome == ok && len(t.writes) > 0
}

// advance is an input offset that a mover commits within its transaction.
type advance struct {
	at       place
	from, to int64
	outcome  outcome
}

// fate is what became of a transaction as far as its producer can tell.
func (t *txn) fate() outcome {
	if !t.commits {
		return failed
	}
	return t.end
}

// seen is one record that was read. Its id is noID if its value is not one of ours.
type seen struct {
	offset int64
	id     int
}

const noID = -1

// poll is a stretch of one partition that a reader has read without a gap: all records in it are those
// of saw.
type poll struct {
	reader    string
	at        place
	committed bool
	from, to  int64
	saw       []seen
}

// lookup is a committed offset, as its group's coordinator told it.
type lookup struct {
	at     place
	offset int64
	// settled says that a mover asked, all whose transactions are decided, up to that with the id after.
	settled bool
	after   int
}

// anomaly is one rule broken.
type anomaly struct{ kind, text string }

func (a anomaly) String() string { return a.kind + ": " + a.text }

// history is all that happened. Writes and transactions belong to their actor until the end.
type history struct {
	mu        sync.Mutex // guards what follows
	writes    []*write
	txns      []*txn
	polls     []*poll
	lookups   map[string][]lookup // by reader, in order
	anomalies []anomaly
	counts    map[string]*[3]int
	codes     map[string]int
	news      chan struct{} // closed at the first anomaly
}

func newHistory() *history {
	return &history{
		lookups: map[string][]lookup{}, counts: map[string]*[3]int{}, codes: map[string]int{},
		news: make(chan struct{}),
	}
}

func (h *history) newWrite(w write) *write {
	h.mu.Lock()
	defer h.mu.Unlock()
	w.id = len(h.writes)
	out := &w
	h.writes = append(h.writes, out)
	if w.txn != nil {
		w.txn.writes = append(w.txn.writes, out)
	}
	return out
}

func (h *history) newTxn(w *writer) *txn {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &txn{id: len(h.txns), writer: w}
	h.txns = append(h.txns, t)
	return t
}

func (h *history) addPoll(p *poll) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polls = append(h.polls, p)
}

func (h *history) addLookup(reader string, l lookup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lookups[reader] = append(h.lookups[reader], l)
}

// count notes the outcome of one operation, and of a failed one why.
func (h *history) count(op string, o outcome, code string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts[op] == nil {
		h.counts[op] = &[3]int{}
	}
	h.counts[op][o]++
	if code != "" {
		h.codes[op+" "+code]++
	}
}

// wrong notes a broken rule.
func (h *history) wrong(kind, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.anomalies = append(h.anomalies, anomaly{kind, fmt.Sprintf(format, args...)})
	if len(h.anomalies) == 1 {
		close(h.news)
	}
}

// found returns the anomalies so far.
func (h *history) found() []anomaly {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.anomalies)
}
