// Package peers starts and stops the brokers that a benchmark compares: Sluice itself, Apache Kafka,
// an in-memory Go fake (kfake) and NATS JetStream. All are processes of their own, so that CPU and
// memory of broker and client can be told apart, and all are driven through one interface:
//
//	Install   fetch it from its registry (Maven Central, the Go module proxy) into a cache folder
//	Start     run it in a folder of the caller's, pinned to processors if asked, wait until it answers
//	Pause     stop it in place (SIGSTOP) while its rival is measured; Resume lets it go on
//	Stop      SIGTERM, a deadline, SIGKILL; the data removed if asked
//
// What a comparison has to be able to trust:
//
//   - Nothing is left behind. A broker leads a process group of its own. The kernel kills it when
//     the harness dies, however it dies (PR_SET_PDEATHSIG, prctl(2)), and when the broker itself
//     ends, what is left of its group is killed before its number can be given to anybody else.
//   - The parent-death signal is tied to the thread that forked, not to the process, and so is the
//     processor mask that a child inherits (sched_setaffinity(2)). So one goroutine, locked to a
//     thread that it never gives back, sets the mask, starts the broker, restores the mask and
//     waits for the broker's end: no mask leaks into the harness, and no thread's end kills a
//     broker early.
//   - A pause is over when the kernel says that each thread has stopped (waitid(2) with WSTOPPED),
//     not when the signal was sent.
//   - Ports are not guessed. Brokers that can bind port 0 and tell what they got do so; for Apache
//     Kafka, which must know its ports beforehand, reserved ports are used (see reservePorts).
//   - "Ready" means that a request was answered: ReadyAfter counts from just before the fork to
//     the first ApiVersions response (NATS: to PONG).
//
// Defaults stay defaults: each driver sets addresses, folders, replication factors that one node
// can hold, and what StartOptions.Overrides names; nothing is tuned for or against anybody. Apache
// Kafka runs with the JVM flags of its own start script. What a comparison changes beyond that is
// in Instance.Command and in the configuration file beside the log, and belongs into its report.
//
// NATS does not speak Kafka's protocol. It is measured by a driver of its own (folder nats/), for
// publish and consume throughput only; nothing is said about its latency.
//
// cmd/peer does all of this from the command line.
package peers
