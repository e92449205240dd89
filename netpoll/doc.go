// Package netpoll is the floor between the broker and its sockets: bytes come in and leave as whole
// request frames, responses go out as chains of bytes and file regions. It knows nothing of what a
// frame means.
//
// # Threads
//
// A Server owns listeners, an acceptor goroutine for each, and a few reactors. A reactor is one
// goroutine locked to its thread; it owns its connections, their buffers, a timer wheel and one
// poller. Everything a connection does happens on its reactor, so nothing in a connection is
// locked. Others reach a reactor through its mailbox (Reactor.Post), which allocates nothing and
// writes to an eventfd only when the reactor has announced that it sleeps.
//
// A reactor runs in turns: messages, timers that are due, then what the poller brings. In one turn
// one connection moves at most 256 KiB each way with at most 64 system calls; whoever has more to
// do waits on the ready list for the next turn, so that a hot connection cannot starve the others.
// A reactor without timers and traffic sleeps for good.
//
// # Requests
//
// A frame is the four-byte big-endian length and that many bytes (Kafka protocol guide, "Request
// format"). Exactly one request per connection is in process, as Kafka's SocketServer does it: the
// next frame is handed out when the earlier one was answered with Conn.Respond, or ended with
// Conn.Done where the protocol has no answer (Produce with acks=0). Frames that arrive meanwhile
// wait here or in the kernel, and responses leave in the order of requests. Requests that are
// answered inside Handler.Frame run back to back and their small responses leave in one system
// call.
//
// # Whose bytes
//
// The frame is lent. Until Handler.Frame returns it may lie in the receive buffer that all
// connections of the reactor share; who needs it until the request has ended calls Conn.Keep. With
// poisoning on (SetPoison, or the build tag poison) a frame is overwritten as soon as its loan
// ends, so that a keeper fails at once. Idle connections hold no buffer.
//
// Memory for incomplete and kept frames comes in mmapped chunks outside the Go heap. Only pages
// whose bytes have arrived are committed, and they count against Config.MemoryBytesMax for the
// whole server. Above it, a connection in the middle of a frame is not read until memory comes
// back, except one, which holds the pass: so some frame always completes. All together hold at most
// MemoryBytesMax + one frame + 256 KiB per reactor + 4 KiB per connection.
//
// # Responses
//
// A Chain is a response: bytes that the broker appended and regions of files between them. Bytes
// before a region go out with MSG_MORE and the region follows with sendfile(2), so its bytes never
// enter user space; a region under RegionCopyBytesMax that is in the page cache is copied between
// the bytes instead, which is cheaper at that size. Before the first byte of a response leaves, the
// residency of its regions is probed, and what is cold is read by a worker while the reactor goes
// on. A slow reader pins no more than ConnQueueBytesMax + one response of bytes, and of its regions
// only the open files: no further request of a connection is handed out while its output holds a
// region or more bytes than that.
//
// # The seams
//
// Beneath the reactor lies a poller (poller.go), whose calls are shaped like completions: bytes
// arrived, the output was sent, the connection was lost. epoll(7) implements it; the tests have a
// second one in memory, which is deterministic and runs the reactor's logic without sockets.
// Between poller and socket lies a Transport, which says what it waits for, so that one that
// encrypts can be put in without touching the reactor.
//
// # What it costs
//
// A small request takes three system calls (recvfrom, sendto, and a share of epoll_pwait), a region
// adds sendfile: under a profile of 64 connections that ping, 77 % of all samples are system calls
// and the loop's own code is about 8 %, a quarter of that reading the clock once per connection and
// turn, which the stall causes need. Two mechanisms keep it so: a short read on a socket without a
// FIN ends the reading without another call for EAGAIN, and under load the loop asks epoll without
// blocking, which spares the scheduler the hand-over of a processor. "go test -bench ." has
// the figures.
package netpoll
