// Package faultfs is the file system's evil twin: an in-memory pagecache.FS that knows what has been
// synced and what has not, fails on demand, and can lose power between any two operations.
//
// # What it models
//
// Every file has its live contents and the contents of its last Sync, with a list of the writes and
// truncations since. Every directory has its live names and those of its last SyncDir, with the list
// of creations, renames and removals since. A crash builds a new file system from the synced state
// plus what the seeded choice keeps of those lists:
//
//   - a write is kept, dropped, or torn: some of its 512-byte sectors arrive, others do not;
//   - writes may arrive in another order than they were made in;
//   - the growth of a file may arrive without the data, which then reads as zeros;
//   - a name may arrive or not, each on its own, but a rename is atomic.
//
// What was synced is always there. That is the durability contract of pagecache.FS, and nothing
// more: real file systems promise more, and what holds here holds there.
//
// # How it is used
//
// A test runs its workload with CrashAfter(n) for every n up to the number of operations: from the
// n-th on everything fails with ErrCrashed. It then calls Crash with several seeds and recovers from
// each. All choices come from the seed, so a failing (n, seed) is a reproduction.
package faultfs
