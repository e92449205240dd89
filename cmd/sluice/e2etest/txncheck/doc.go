// Package txncheck tries transactions of the built binary in the manner of Jepsen's Kafka workload:
// many clients write and read at random while the broker is killed, stopped and restarted and while
// clients lose answers, stall, and are replaced by successors. Each operation's outcome is noted as
// ok, failed or unknown. When everything has come to rest all partitions are read whole, and the
// history is compared with what is there.
//
// # Who takes part
//
//   - Writers are transactional producers, each transactional id with one living instance at a time
//     and at times a zombie beside it. They speak frames of their own, so that the protocol and each
//     unknown outcome are exact: the one of KIP-98 (AddPartitionsToTxn, Produce up to version 11,
//     EndTxn up to version 4), or that of KIP-890 (Produce 12, EndTxn 5). They commit, abort, leave
//     transactions open, lose answers and repeat requests, write to partitions that they have not
//     added, race an end against a write, stall beyond their transaction's timeout, and go on after
//     they were fenced.
//   - Idempotent writers repeat what was not answered until it is.
//   - Movers consume, transform and produce: each has one input partition, whose offset it commits
//     within the transaction (TxnOffsetCommit) and reads back when it starts.
//   - Relays are franz-go's GroupTransactSession: two members of one group, ended without a goodbye at
//     random.
//   - Pollers read all partitions, committed or uncommitted, again and again from a random place;
//     watchers read committed offsets.
//
// # What must hold
//
// A transaction is committed if EndTxn said so, doubtful if a commit was asked for and no answer
// settles it, and otherwise aborted. SIGKILL leaves the page cache, so whatever was acknowledged is
// there afterwards.
//
//   - lost: an acknowledged record of a committed transaction, or of an idempotent writer, is read.
//   - aborted: a record of an aborted transaction, or one that was refused, is not (Adya's G1a, for
//     every read in the whole run).
//   - torn: of a doubtful transaction everything is read, or nothing; likewise its offsets.
//   - duplicate, reordered, misplaced: each record is read once, where it was acknowledged, and in its
//     writer's order; no zombie writes after its successor.
//   - poll: whatever was read during the run is what is read at the end, without gaps; so neither did
//     committed readers pass an open transaction, nor did anybody see what was not there later.
//   - backwards: high watermark, last stable offset and committed offsets only grow.
//   - zombie, unverified: a fenced producer, or a partition that is not part of the transaction, is
//     refused from then on.
//   - exactly-once: the movers' transactions tile their input, each with the output of exactly the
//     records it consumed; each input record is relayed once.
//   - hanging: in the end no transaction is open, and the last stable offset is the high watermark.
//   - superset: uncommitted reads hold all that committed ones do.
//
// Everything that is drawn at random comes from one seed, which is printed. The order in which
// processes run does not, so a seed repeats the same script, not the same race.
//
//	TXNCHECK_SECONDS=60 TXNCHECK_PROTOCOL=new TXNCHECK_SEED=7 go test -run Transactions -v .
package txncheck
