// Package pagecache is the floor between the engine's files and the kernel's page cache: the
// file-system seam (FS, File), reference-counted open files that responses in flight may hold,
// append gates, space reserved ahead, write-behind, residency probes, prefetch and sync.
//
// It knows files and bytes only. What the bytes mean is wire's and engine/partition's business.
//
// # Why a seam
//
// Every file that the broker touches is opened through an FS. OS is the kernel; the sub-package
// faultfs is its twin in memory, which remembers what was synced, fails on demand and loses power
// between any two operations. The contract between the two is written at FS: only Sync and SyncDir
// make anything durable, and a crash may do to the rest what it likes.
//
// # Who may wait
//
// WriteAt normally copies into the page cache and returns, but the kernel makes a writer sleep when
// there are too many dirty pages, for tens or hundreds of milliseconds. Reactors cannot afford that.
// So each log dir has a Gate: it watches how long appends take and how near the dirty pages
// are to the kernel's throttling point, and while it is closed appends go through one Worker, in
// order. Sync, Reserve, WriteBehind and Prefetch wait for the device as a matter of course, and are
// called on workers only. Resident tells beforehand whether a region can be sent without waiting.
//
// # Space ahead
//
// A file that grows gets its blocks one delayed allocation at a time; reserving them in larger steps
// is faster and keeps files contiguous. Above all, an append into reserved blocks need not change
// the file's map of blocks, whose lock write-back of the same file holds while it waits for the
// device. Ahead decides how much from the rate of the file, within one
// Budget for all: nothing for an idle file. Reserved blocks lie past the end of the file and are
// unwritten extents, which read as zeros if the size should ever reach them: stale bytes cannot
// appear. They are trimmed when the segment is closed.
package pagecache
