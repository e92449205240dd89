// Package broker is the top of a request's path: it reads headers, picks handlers, and ties the
// rooms beneath it together. One file per API key holds that API's handler; the key is in its name.
//
// # Where code runs
//
// Frames arrive on a reactor. Produce, Fetch and ApiVersions are handled right there, without
// blocking and without allocating. Everything else may touch a disk or walk a large metadata image
// and runs on control workers (control.go): the frame is kept, the answer is built on the worker,
// and the connection's reactor sends it. Two pools keep changes, which wait for the metadata
// journal's sync, from holding up queries.
//
// # One request per connection
//
// A request struct belongs to its connection and is used for one request after the other, so the
// steady state allocates nothing. Whoever finishes it does so on the connection's reactor: other
// goroutines post the request's task there. A request that waits (a long poll, acks=all, a batch
// queued behind another append) holds a timer on the reactor's wheel.
//
// # Lock order
//
//	producerIDs.mu → metadata.mu → partition append lock → waiters.mu → fetchSession.mu → wakeList.mu
//
// A later lock may be taken while an earlier one is held, never the other way round. The topic
// table's lock and the session cache's lock are leaves: nothing is locked while they are held.
//
// # What follows an append
//
// Inside the append lock, appended (replica.go) steps replication's core with the new log end. If
// the high watermark moved it is published, and waiters are told: fetch sessions get the partition
// marked dirty, acks that were waiting are decided. Only reactors that own a waiting session are
// posted to, once each, however many sessions wait there (wake.go).
package broker
