package broker

import (
	"bytes"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/wire"
)

// controlHandler answers a decoded request. It runs on a control worker and returns the response,
// or nil to close the connection.
type controlHandler func(b *Broker, r *request, q kmsg.Request) kmsg.Response

// asyncHandler answers a decoded request through to, exactly once, at any time and on any goroutine:
// what waits for others, as JoinGroup does, holds no worker meanwhile.
type asyncHandler func(b *Broker, to *answerTo, q kmsg.Request)

// answerTo is where an asynchronous handler's answer goes.
type answerTo struct {
	r      *request
	fromNs int64
	done   atomic.Bool
}

// answer sends the response. Only the first call counts: what failed half way may be tried twice.
func (a *answerTo) answer(p kmsg.Response) {
	if !a.done.CompareAndSwap(false, true) {
		return
	}
	r := a.r
	r.waitedNs = r.b.nanotime() - a.fromNs
	r.fill(p)
	r.conn.Loop().Post(&r.control)
}

// fail closes the connection instead of answering.
func (a *answerTo) fail(cause error) {
	if !a.done.CompareAndSwap(false, true) {
		return
	}
	a.r.failed = cause
	a.r.conn.Loop().Post(&a.r.control)
}

// poolKind says which workers run a handler.
type poolKind uint8

const (
	// queries read the metadata image or a log.
	queries poolKind = iota
	// changes wait for the metadata journal's sync or delete files.
	changes
	// coordination is what coordinators answer: it waits for no disk but the append of a few bytes, and
	// not behind the others.
	coordination
	poolCount
)

const (
	queryWorkers        = 4
	changeWorkers       = 2
	coordinationWorkers = 4
	// controlFrameBytesMax bounds a control request. The decoder's structs take up to about 100
	// bytes for one byte of a hostile frame; 8 MiB is room for naming 100,000 topics at once.
	controlFrameBytesMax = 8 << 20
	// controlLargeBytes is from where on requests are decoded one at a time, so that the decoder's
	// memory is bounded by one large frame and a few small ones.
	controlLargeBytes = 256 << 10
)

// controlPool runs control requests in order of arrival on a few goroutines that exist only while
// there is work. Its queue is bounded by the number of connections, each of which has one request in
// process at most.
type controlPool struct {
	max int
	// mu guards what follows.
	mu         sync.Mutex
	head, tail *request
	running    int
	idle       sync.WaitGroup
}

func (p *controlPool) submit(r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tail == nil {
		p.head = r
	} else {
		p.tail.queueNext = r
	}
	p.tail = r
	if p.running < p.max {
		p.running++
		p.idle.Add(1)
		go p.work()
	}
}

func (p *controlPool) work() {
	defer p.idle.Done()
	for {
		p.mu.Lock()
		r := p.head
		if r == nil {
			p.running--
			p.mu.Unlock()
			return
		}
		p.head, r.queueNext = r.queueNext, nil
		if p.head == nil {
			p.tail = nil
		}
		p.mu.Unlock()
		r.runControl()
	}
}

// wait returns when every worker has ended.
func (p *controlPool) wait() { p.idle.Wait() }

// dispatchControl hands the request to its pool. The frame is kept, since the reactor goes on.
func (b *Broker) dispatchControl(r *request, frame []byte) {
	if len(frame) > controlFrameBytesMax {
		b.refuse(r, r.header, errTooLarge)
		return
	}
	if r.api.async != nil {
		// It may wait for long, also when the connection is gone, and lets go of its bytes before.
		frame = bytes.Clone(frame)
	} else {
		frame = r.conn.Keep()
	}
	h, body, err := wire.ParseRequestHeader(frame)
	if err != nil {
		b.refuse(r, h, err)
		return
	}
	r.header, r.body = h, body
	r.chain = r.conn.Chain()
	b.pools[r.api.pool].submit(r)
}

// runControl decodes, handles and encodes on the worker, and posts the rest to the reactor.
func (r *request) runControl() {
	if r.api.async != nil {
		r.runAsync()
		return
	}
	began := r.b.nanotime()
	r.waitedNs = 0
	r.failed = r.answerControl()
	r.localNs = r.b.nanotime() - began
	r.conn.Loop().Post(&r.control)
}

// answerControl fills the chain. A panic in a handler is our bug; it costs the connection and a loud
// line, not the broker, since no lock or log is left half changed by a query, and changes are applied
// as a whole.
func (r *request) answerControl() (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.b.log.Error("BUG: handler panicked", "api", r.api.spec.Name,
				"version", r.header.APIVersion, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("BUG: %v", p)
		}
	}()
	q, err := r.decodeControl()
	if err != nil {
		return err
	}
	p := r.api.control(r.b, r, q)
	if p == nil {
		return errUnexpected
	}
	r.fill(p)
	return nil
}

// fill encodes the response into the chain.
func (r *request) fill(p kmsg.Response) {
	p.SetVersion(r.header.APIVersion)
	r.answered(p)
	chain := r.begin()
	chain.Buf = p.AppendTo(chain.Buf)
}

// runAsync decodes the request and begins to handle it. Once the handler runs, the request belongs
// to whoever answers it.
func (r *request) runAsync() {
	began := r.b.nanotime()
	r.failed, r.waitedNs = nil, 0
	q, err := r.decodeControl()
	r.header.ClientID, r.body = bytes.Clone(r.header.ClientID), nil
	to := &answerTo{r: r, fromNs: r.b.nanotime()}
	r.localNs = to.fromNs - began
	if err != nil {
		to.fail(err)
		return
	}
	b, api, version := r.b, r.api, r.header.APIVersion
	defer func() {
		if p := recover(); p != nil {
			b.log.Error("BUG: handler panicked", "api", api.spec.Name, "version", version,
				"panic", p, "stack", string(debug.Stack()))
			to.fail(fmt.Errorf("BUG: %v", p))
		}
	}()
	api.async(b, to, q)
}

func (r *request) decodeControl() (kmsg.Request, error) {
	if len(r.body) > controlLargeBytes {
		r.b.largeControl.Lock()
		defer r.b.largeControl.Unlock()
	}
	q := kmsg.RequestForKey(r.header.APIKey)
	q.SetVersion(r.header.APIVersion)
	if err := r.decodeInto(q); err != nil {
		return nil, err
	}
	return q, nil
}

// decodeInto decodes the body into q, whose version is set. It is the only way to the library's
// decoder, which is not made for strangers: see wire.CheckShape.
func (r *request) decodeInto(q kmsg.Request) error {
	if err := wire.CheckShape(q.Key(), q.GetVersion(), r.body); err != nil {
		return err
	}
	if err := q.ReadFrom(r.body); err != nil {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, err)
	}
	return nil
}

// controlled is the completion task, on the reactor.
func (r *request) controlled() {
	if r.failed != nil {
		r.b.refuse(r, r.header, r.failed)
		return
	}
	r.respond()
}
