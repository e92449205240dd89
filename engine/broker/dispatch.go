package broker

import (
	"errors"
	"fmt"

	"sluice/wire"
)

// api is one API that this broker serves.
type api struct {
	spec *wire.API
	// inline handles the request on the reactor. It ends the request itself, now or later.
	inline func(*request)
	// control handles the request on a worker: it appends the response's body.
	control controlHandler
	// async begins to handle the request on a worker; the answer comes when it comes.
	async asyncHandler
	// express, unless nil, tries to answer an async request on the reactor, which it may only do
	// without waiting for anything. It reports whether the request has ended.
	express func(*request) bool
	// pool is where control or async runs.
	pool poolKind
	// stats are this API's metrics.
	stats *apiMetrics
}

// Causes of closed connections, for the log.
var (
	errUnserved   = errors.New("API or version not served")
	errAcksZero   = errors.New("acks=0 produce failed; closing is the only way to tell")
	errTooLarge   = errors.New("control request too large")
	errUnexpected = errors.New("unexpected end of request")
)

// newRequest makes the state of a fresh connection.
func (b *Broker) newRequest(conn Conn) *request {
	r := &request{b: b, conn: conn, open: true}
	r.control.Run = r.controlled
	return r
}

// dispatch handles one frame. It runs on the connection's reactor.
func (b *Broker) dispatch(r *request, frame []byte) {
	if r.busy {
		panic("BUG: a frame arrived while another request was in process")
	}
	r.busy = true
	r.startedNs = r.conn.Loop().NowNs()
	r.localNs, r.waitedNs, r.throttleMs, r.failed = 0, 0, 0, nil
	h, body, err := wire.ParseRequestHeader(frame)
	if err != nil {
		b.refuse(r, h, err)
		return
	}
	r.header, r.body = h, body
	r.api = b.apis.find(h.APIKey)
	switch {
	case r.api == nil:
		b.refuse(r, h, errUnserved)
	case h.APIKey == wire.KeyAPIVersions:
		// Any version is answered: a client that asks for too high a one learns our range.
		r.api.inline(r)
	case !r.api.spec.Serves(h.APIVersion, false):
		b.refuse(r, h, errUnserved)
	case r.api.inline != nil:
		r.api.inline(r)
	case r.api.express != nil && r.api.express(r):
	default:
		b.dispatchControl(r, frame)
	}
}

// refuse closes the connection of a client whose request cannot be served, as Kafka does, with one
// throttled line that names the client.
func (b *Broker) refuse(r *request, h wire.RequestHeader, cause error) {
	b.metrics.refused.Inc()
	if line := b.refusals.allow(); line.ok {
		b.log.Warn("connection closed: request refused",
			"peer", r.conn.Peer(), "listener", r.conn.Listener(), "cause", cause,
			"api", wire.APIName(h.APIKey), "key", h.APIKey, "version", h.APIVersion,
			"suppressed", line.suppressed)
	}
	r.abort(fmt.Errorf("%s v%d: %w", wire.APIName(h.APIKey), h.APIVersion, cause))
}

// closed ends what waits on a connection that is gone.
func (b *Broker) closed(r *request) {
	r.open = false
	if !r.busy {
		return
	}
	switch {
	case r.fetch != nil && r.fetch.active:
		r.fetch.abandon()
	case r.produce != nil && r.produce.active:
		r.produce.abandon()
	}
	// A control worker has the request: its completion task ends it.
}
