// Package suite is the plan of a whole report and its stage manager: which runs, against whom, in
// which order. It judges nothing; that is package report's, from the files this package leaves.
//
// A case is one workload and the contenders that carry it out. Its turns go A B, B A, A B, …: every
// pair of neighbours sees much the same machine, and a drift favours neither side. Before a turn
// all other brokers stand still (SIGSTOP), the page cache's dirty pages are written out, and the
// topics of the last turn are gone. Every run is a process of its own, started with the very
// command line that its result records, so that any line of the report can be typed again.
//
// Contenders are Sluice, its peers, and limit servers: small programs that do for the same
// client, sizes, connections and file system only what no broker could leave out.
//
// Sluice and its peers keep their defaults but for what Overrides names, which is the same for each.
package suite
