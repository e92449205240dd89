// Package txn is the transaction coordinator (KIP-98, KIP-360, KIP-890) as a pure machine: it
// implements coordinator.Machine over one partition of __transaction_state, and decides of each
// transactional id which producer id and epoch are valid, which partitions its transaction has, and how
// it ends.
//
// # States
//
//	                 InitProducerId
//	               ┌──┐
//	               ▼  │           AddPartitions, AddOffsets
//	(none) ──────▶ Empty ────────────────────────────────▶ Ongoing ◀─┐ more partitions
//	                 ▲ │                                    │ │ ▲ └──┘
//	  InitProducerId │ │ EndTxn abort, protocol 2    commit │ │ │ AddPartitions
//	                 │ └──────────────┐         ┌───────────┘ │ └───────────────┐
//	                 │                ▼         ▼             │ abort, timeout, │
//	                 │        PrepareAbort   PrepareCommit    │ InitProducerId  │
//	                 │           ▲    │ ▲       │             │                 │
//	                 │           │    │ └───────┼─────────────┘                 │
//	                 │           │    ▼ markers ▼ written                       │
//	                 └────── CompleteAbort, CompleteCommit ─────────────────────┘
//
// From the idle states (Empty and both Complete) an id that nobody used for
// transactional.id.expiration.ms is forgotten with a tombstone; so a client that comes back later has
// to begin with InitProducerId (INVALID_PRODUCER_ID_MAPPING).
//
// # Prepare is the decision
//
// The record Prepare* is the commit point: once it is below the high watermark, the answer to EndTxn
// and the errand SendMarkers leave, and no failure can turn the decision. The surroundings write the
// markers until each is in its partition, and the last MarkersWritten makes the record Complete*. Which
// markers are written is not recorded, as in Kafka: a shard that is loaded in Prepare* sends all of them
// again, and partitions take a second one for what it is. A transaction without partitions is prepared
// and completed in one batch.
//
// Kafka keeps a transition that is being appended as a pending state, and answers
// CONCURRENT_TRANSACTIONS meanwhile. Here a record is in the state as soon as it is in the log, and
// answers wait for the high watermark instead; so what remains of the pending state is Prepare* itself.
// During it InitProducerId, AddPartitions, AddOffsets and EndTxn are answered CONCURRENT_TRANSACTIONS,
// which a client takes as "come again". That is checked before the producer's id and epoch, as in Kafka,
// because with protocol 2 the producer has been told already what becomes valid only at Complete*; only
// EndTxn of protocol 1, whose ids do not change, finds the fenced first. An answer that tells of a
// state above the high watermark never leaves if that state is lost: the shard is forgotten with all
// that it held back.
//
// # Epochs
//
// InitProducerId gives the next epoch, and an epoch that is not the current one is PRODUCER_FENCED. A
// producer that names its id and epoch is given the next one too, and the same again if its request
// was a retry, which lastEpoch tells (KIP-360). lastEpoch is in no record, so after a reload such a
// retry is fenced, as in Kafka. A transaction that is open when another producer asks for the id, or
// that exceeds its timeout, is aborted with the next epoch, so that its producer cannot write to it any
// more; the one who asked comes again after CONCURRENT_TRANSACTIONS.
//
// With protocol 2 every end of a transaction takes an epoch: the marker has one more than the records,
// so that no late record can land behind it, and EndTxn's answer tells the producer its next epoch. The
// last epoch but one is the last that a producer is given: the very last one is for fencing it. When it
// is used up, InitProducerId or, with protocol 2, the end of the transaction, moves on to another
// producer id: Prepare* carries it as the next id, with Complete* it is in force, and the previous one
// is kept to know a retry by. The id is offered by the surroundings with each input that may need one;
// for a timeout it is asked for with the errand NeedProducerID.
//
// # Invariants
//
//   - A transaction that was answered as committed has, in exactly its partitions, commit markers, and
//     in none an abort marker.
//   - The producer id and epoch of a transactional id never go back: (id, epoch) is never in force
//     again after another was.
//   - Once InitProducerId was answered, no producer with an earlier epoch adds partitions or ends the
//     transaction.
//   - No transaction stays in Prepare* when markers can be written and records appended.
//   - Every input that somebody waits for is answered once.
//   - After any record, replaying the log gives the same state, but for lastEpoch, for written markers
//     and for timers.
//
// # Where Kafka differs
//
//   - A retry of InitProducerId that arrives when the epoch has become the last one is answered like any
//     other retry, and a foreign epoch PRODUCER_FENCED; Kafka meets an exception (UNKNOWN_SERVER_ERROR).
//   - After an append that failed, nothing has changed. Kafka keeps the epoch of a failed fencing by
//     protocol 1 in memory, and the producer id of a failed first InitProducerId.
//   - EndTxn of protocol 2 knows a retry only of an end by protocol 2, and across producer ids only if
//     the id did change. Kafka looks at the epochs alone, so that a fenced producer of protocol 2 can be
//     given the epoch of one of protocol 1 that shares its transactional id.
//   - Ids and partitions have bounds (Config).
//
// # Costs
//
// An idle id takes an entry of 88 bytes without pointers, its name in an arena, and an index entry; no
// timer. Timers are lazy (see timers), and expired ids are searched for in small steps, not before the
// oldest one can have expired.
package txn
