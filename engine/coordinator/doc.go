// Package coordinator is what group and transaction coordinators have in common: the contract between
// a state machine and its surroundings, and Shard, which steps one machine through inputs, appends
// and replies. It is pure: no clock, no I/O, no goroutines. A broker gives it a log and threads, a
// simulator gives it a seed.
//
// # One shard, one partition
//
// A coordinator's state is split like the internal topic that keeps it: each partition of
// __consumer_offsets or __transaction_state has a shard of its own, which exists while this broker
// leads that partition. A shard's state is exactly what replaying its partition from the start
// gives, plus what nobody needs to keep: who waits for an answer, and timers.
//
// # Decide, append, replay
//
// An input (a request's part for one key, or a timer) goes through three steps:
//
//	Decide   looks at the state, and says which records would change it; or answers at once.
//	append   the shard writes the records as a whole, or not at all.
//	Replay   each record changes the state, by the same code that loads a log; then Settle
//	         answers. After a failed append Settle is told the code, and no state has changed.
//
// So there is nothing to revert: what is not in the log was never in the state. Inputs of different
// keys do not see each other, and the shard uses that: it decides many of them, appends their records
// as one batch, and replays them together. A second input of one key first has the batch written.
//
// # When answers leave
//
// An answer may tell of anything that its machine has seen, so it leaves when the high watermark has
// passed all that the shard had appended when the answer was made. With one replica that is at once.
// A shard that loses its partition answers NOT_COORDINATOR to everybody whose answer has not left, and
// is forgotten whole; the next leader replays the log.
package coordinator
