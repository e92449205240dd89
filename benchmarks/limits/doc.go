// Package limits measures what the box could do at all, so that a report can state Sluice's
// figures as a share of the machine's own.
//
// Two C programs do the measuring. They are part of this package as text, are compiled by the
// box's own C compiler when a run needs them (Build), and share no code with the broker:
//
//   - limitd.c answers Produce and Fetch frames with as little work as the mechanism allows:
//     epoll, sendfile behind a MSG_MORE header, receive + CRC-32C + pwrite through one buffer that
//     stays in the second-level cache. No topics to create, no validation beyond the CRC, no
//     index, no replication, no durability. Any load client that speaks Produce version 8 and
//     Fetch version 11 drives it unchanged (StartServer), so the client's share of the two cores is
//     the same in the limit as in the figure it is held against.
//   - limitio.c measures the file system and the memory without a network (RunIO): appends through
//     the page cache and with O_DIRECT, burst and sustained; fdatasync by group size and
//     number of files; CRC-32C and memcpy in cache and from DRAM.
//
// # What the limit server leaves out, and what follows from it
//
// The server keeps one file per topic-partition, made on the first Produce, in which every batch
// has the same size and the same number of records; the first one sets both. The batch at offset o
// is therefore at position (o / recordsPerBatch) * batchBytes, which is the whole index. A batch of
// another size is answered with INVALID_RECORD (87). Where nothing is appended there is no file,
// any batch is accepted, and offsets count on over all partitions together.
//
// Beyond ServerOptions.RetainBytes a file is written from its start again: offsets go on, the
// oldest batches are overwritten, and offsets below them are answered with OFFSET_OUT_OF_RANGE (1).
// So a long run does not fill the disk, and after the first lap it overwrites pages that are
// mostly still in memory, which is the fastest case there is. A reader that far behind may be sent
// bytes that are being overwritten: readers that check what they get must stay within the bound.
//
// A batch that is larger than one receive gets its slot when its first bytes arrive, is written
// chunk by chunk, and is visible to Fetch once it and all before it are whole; while 1,024 wait so
// for an earlier one, others are answered with REQUEST_TIMED_OUT (7). When its CRC then proves
// wrong it is answered with CORRUPT_MESSAGE (2) and its slot is given back, or, if later
// batches have slots already, stays behind as a damaged batch. That would be unforgivable in a
// broker; here the bytes exist only to be moved. A partition has no epoch, a fetch never waits (at
// the end it is answered empty at once), a Produce's answer names no log start offset, and
// anything that is not one of the two requests closes its connection.
//
// The programs run on Linux on x86-64 with SSE 4.2, on a file system that knows O_TMPFILE and
// O_DIRECT (ext4, XFS and btrfs do); elsewhere Build or RunIO says what is missing.
//
// # How the figures are to be read
//
// A limit is only worth its name while it is hard to reach: Rows lists what the same mechanisms
// reached on the reference box (a virtual machine with two cores and a virtual disk), and Check
// names every limit that came out below 70 % of its row. Such a run was disturbed, or its box is
// weaker than the reference and needs rows of its own; shares of such limits would flatter, so a
// report built on them is invalid.
package limits
