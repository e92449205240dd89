// Package partition is the log of one partition, in Kafka's files: append, read, roll, recovery,
// idempotent producers, leader epochs, retention; and Dir, the log dir that holds many logs.
// It knows no topics' configuration beyond Config and no roles: who leads, how far consumers may
// read and when an append is acknowledged are the broker's business, which passes the leader epoch
// into every append and the bound into every read.
//
// # Append
//
// Submit only tries the append lock, because reactors call it. Whoever has the lock, or finds the
// queue empty and takes it, does the work on the spot: refuse a stale epoch, check the producer's
// sequence numbers, stamp base offset and leader epoch into the lent bytes, pwrite them at the end,
// note the batch in the index, and publish the new log end offset.
// Nothing is copied and nothing allocated. Everybody else queues the append, in order, and the
// holder carries out what queued up before it goes, a bounded number of bytes; more is left to the
// dir's writer goroutine. While the dir's gate is closed, or flush.messages makes appends wait for
// the device, everything goes through that writer. So does what waits for the device by itself, and
// all that is queued behind it: an append that needs a new segment, since rolling syncs names and
// takes a snapshot of all producers, and one whose write has failed.
//
// The order inside an append is what readers rely on: the bytes, then the segment's end, then the
// ring of recent batch boundaries, then LEO, then Observer.Appended, then the append's Done.
//
// # What is refused is never seen
//
// Checks come before the write, so that a refused batch has not touched the file. A write that
// fails may have left bytes behind the end, a whole valid batch even. They are cut off and the cut is
// synced before the refusal is answered; where the file cannot be cut its header is overwritten with
// zeros. A full disk then concerns that append only; any other error, and a failure to clean up,
// puts the whole dir out of service: OnFailure is called once, and every log in it answers
// KAFKA_STORAGE_ERROR from then on.
//
// # Read
//
// Read plans a region of one file and takes no lock: the list of segments is copied on write, and
// everything in a segment that readers look at is either constant or published by atomics. A
// reader's cursor says where its last region ended; failing that the ring knows the latest 64
// boundaries; failing that the offset index finds the place, and a few headers are read. Regions
// end at batch boundaries that the index knows, so the next read needs no lookup, and planning reads
// some eight bytes of log per region from closed segments and none from the active one.
//
// # Transactions
//
// A transaction is open in this log from its first batch to its marker. Producers with an open one are
// linked in the order of first offsets, so the oldest, which bounds the last stable offset, is at
// hand; those whose markers the high watermark may not have passed are a queue. Aborted ones are
// remembered by the segment of their marker, in its .txnindex. No transaction begins unless its
// coordinator knows of the partition: the first batch is refused, with a guard to come back with
// (Append.Guard, KIP-890). Recovery and truncation find all of it again from the newest usable
// producer snapshot and the batches behind it.
//
// # Truncation
//
// A region that was handed out must not change while a response is sending it. Truncation first
// publishes a list in which the segment ends at the cut, and then looks at how far the old one was
// ever served: beyond the cut, the kept part is copied to a new file which takes the name. A reader
// raises the served mark before it checks that its segment is still in the list, so one of the two
// sees the other.
//
// # Compaction
//
// A Cleaner reads a log's closed segments, which never change, once for the latest offset of each key
// and once to write what stays, into new segments (Cleaner.Clean). It holds no lock meanwhile; it
// then finds its segments still in the list, or gives up. New segments take the old ones' place by
// names that recovery understands at any moment (replaceSegments). A closed segment's next is the base
// of the one behind it, whatever of its records is left, so that segments have no gaps between them;
// inside there are gaps from then on, and every lookup finds the first batch at or behind an offset.
// The files of old segments stay open until the last reader has done with them.
//
// # What is durable when
//
// Flush syncs contents, then aborted transactions and leader epochs, then names, and then raises the
// recovery point; a checkpoint writes it to disk. Recovery trusts what lies below it, and checks the
// rest batch by batch: it cuts at the first thing that is no intact batch of this log. Indexes are
// trusted by the checksums in a sidecar, <base>.seal, and rebuilt otherwise. docs/CRASH.md has the
// assumptions and the argument, docs/FORMAT.md the bytes.
//
// # Locks, in the order in which they are taken
//
//	Dir.committing committing start offsets, one at a time
//	Log.structure  what changes the set of files: sealing, truncation, removal, closing
//	Log.flushing   syncing, one at a time
//	Log.mu         the append lock: tail, producers
//	Log.naming     syncing the directory's names; Dir.naming the dir's
//	Dir.writing    writing checkpoint files
//	Dir.mu         the dir's tables
//
// appendQueue.mu, epochs.mu, openTxns.mu and segment.filesMu are leaves, except that filesMu is held
// while index files are read. Log.mu is always released with unlock, which carries out what was
// queued meanwhile.
package partition
