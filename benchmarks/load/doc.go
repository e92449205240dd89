// Package load is the lean client: it produces and consumes over raw non-blocking sockets, so that
// what a run measures is the broker and the machine, and not the client. Run is a drive.Client and
// serves the modes produce, consume, e2e, mixed and backlog.
//
// # Threads
//
// A client thread is a goroutine locked to an OS thread, with an epoll set (edge-triggered), a
// receive buffer of 256 KiB that stays in L2, histograms of its own, and the producers and
// consumers dealt to it. Nothing is shared on the hot path; counters that the coordinator looks at
// are atomics with one writer. A turn of the loop receives what has arrived, at most one buffer per
// connection, takes up the records that have become due, and sends. In steady state nothing is
// allocated. What is rare goes another way: the handshake (ApiVersions, Metadata, ListOffsets,
// InitProducerId) and the refreshing of metadata use blocking connections on goroutines.
//
// # Produce
//
// Every request is Produce v8 with one batch of one partition. In closed loop without time stamps
// batches are encoded once, checksum and all, and sent as they are. Otherwise a batch of k records
// is the prefix of a template that was encoded once, under a header that is made for it; records
// with time stamps are patched in a copy that belongs to the connection. Records with keys, of
// varying size, or to be compressed are encoded when they are sent, as an application's client does.
//
// # Open loop
//
// Record j of a run is due at start + j/rate, computed from j, so that no error adds up. A turn
// takes up what is due, when it begins and again after every transfer, none of which is longer than
// 64 KiB, and notes how late it is (lag): that is the generator's own lateness. The thread runs with
// real-time priority for it, where that is allowed, and a second OS thread on other processors runs
// the turn that it is late for (relief.go).
//
// The record then belongs to an open batch, which closes when it is full or linger has passed, and
// waits in an unbounded queue for a place among the connection's requests in flight. The queue
// holds no payload, only which records a batch has: a batch is encoded as it is sent, so a broker
// that stalls costs memory by the batch and not by the byte, and what it does to latency shows where
// it belongs: the latency of a record runs from the time it was due to the arrival of its
// acknowledgement. Batches that failed for a reason that passes (a moved leader, a lost
// connection) are sent again, their latency still counted from the beginning; the failed attempt is
// counted as an error.
//
// # Consume
//
// Fetch v11. The reading client checks every batch while it streams through the buffer: header,
// CRC-32C, and that its base offset is the one that follows. The discarding client looks at the
// head of a response and has the kernel drop the rest (MSG_TRUNC in tcp(7)). More than one fetch in
// flight for a partition needs to know where the answer before will end; that is possible on a log
// of equal batches, as the preload of mode consume is. An answer that ends elsewhere makes the
// client go back to one at a time, with a note.
//
// # Stages
//
// ack, lag, batch, queue and e2e are per record, wire and fetch per request. A request counts as
// written from just before its first byte is given to the kernel. lag + batch + queue + wire is ack.
package load
