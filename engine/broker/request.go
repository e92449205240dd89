package broker

import (
	"sluice/netpoll"
	"sluice/wire"
)

// request is the request in process on one connection. It lives as long as the connection and is
// used again for each request. All fields belong to the connection's reactor, except that a control
// worker has them between dispatch and the completion task.
type request struct {
	b      *Broker
	conn   Conn
	header wire.RequestHeader // ClientID is lent with the frame
	api    *api
	body   []byte // behind the header; lent with the frame

	// Stage clock readings, in ns of the reactor's clock; localNs sums the time handlers worked.
	startedNs  int64
	localNs    int64
	waitedNs   int64
	throttleMs int32

	// control is the task that brings a control worker's answer back to the reactor.
	control netpoll.Task
	// chain was taken on the reactor for a control worker, which may fill it but not take it: taking
	// goes to the reactor's pool.
	chain     *netpoll.Chain
	queueNext *request // the control pool's queue
	failed    error    // set by a control worker: close instead of answering

	produce *produceOp
	fetch   *fetchOp
	// open is false once the connection is gone: a waiting operation then just ends.
	open bool
	// busy is true while a request is in process.
	busy bool
}

// begin starts the response: the header that fits the request's version.
func (r *request) begin() *netpoll.Chain {
	chain := r.chain
	if chain == nil {
		chain = r.conn.Chain()
	}
	flexible := wire.ResponseHeaderVersion(r.header.APIKey, r.header.APIVersion) == 1
	chain.Buf = wire.AppendResponseHeader(chain.Buf, r.header.CorrelationID, flexible)
	chain.Note = noteOf(r)
	return chain
}

// respond ends the request with what the chain holds.
func (r *request) respond() {
	r.conn.Respond()
	r.observe()
}

// done ends the request without a response (acks=0).
func (r *request) done() {
	r.conn.Done()
	r.observe()
}

// abort closes the connection; the request gets no answer.
func (r *request) abort(cause error) {
	r.busy = false
	r.chain = nil
	r.conn.Close(cause)
}

// observe records the stages of a request that the connection has just ended, which read the clock
// for it, and makes the struct ready for the next one.
func (r *request) observe() {
	r.busy = false
	r.b.metrics.request(r)
	r.header.ClientID, r.body, r.chain = nil, nil, nil
}
