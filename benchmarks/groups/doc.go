// Package groups measures a broker's coordinators, as `sluice bench groups` does: what members cost
// that only send heartbeats, how long a large group takes to become stable, and how many offset
// commits and transactions a broker completes in a second.
//
// It speaks the protocol itself, over plain connections, one for each member or producer as
// applications have them. Members are simulated as far as coordinators can tell: they join, the leader
// assigns, all sync and then send heartbeats. They fetch nothing.
//
// Latencies are from just before a request is written until its answer is read; with several requests
// in flight on a connection they include the wait behind the earlier ones.
package groups
