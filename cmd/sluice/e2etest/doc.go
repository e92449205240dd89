// Package e2etest tests the built binary from outside: it builds sluice once, starts it as a process of
// its own, and speaks to it over TCP with clients that other people wrote (franz-go, kafka-go,
// sarama) and, where a client would be too polite, with raw bytes.
//
// What it proves, by file:
//
//   - roundtrip, acks, admin, offsets, fetch, lifecycle, metadata: what a client writes is what every
//     client reads, and the admin APIs do what they say.
//   - crash: an acknowledged record survives kill -9, in order and exactly once; so does an
//     acknowledged change of the metadata.
//   - group: groups of franz-go and sarama, and transactions of franz-go, while members come and go
//     and the broker is killed and stopped: nothing is lost, nothing comes again after its commit,
//     what is copied in transactions is there once.
//   - startup, shutdown: what an operator sees when the broker cannot start, and when it ends.
//   - frames, batches, bomb: bad input costs its sender the connection or a named error, and the
//     broker neither memory, log lines nor a byte of log.
//   - slow, limits: a client that does not read, and clients that are too many or too quiet.
//
// Processes end with the test that started them, also when the test binary dies. Nothing here
// asserts on time: deadlines are there to end a test that hangs, and generous for a busy machine.
// The binary is built with the tag poison, so that a request which is used after its end fails, and
// with the race detector when the tests are.
package e2etest
