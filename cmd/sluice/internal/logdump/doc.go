// Package logdump reads the files of a partition's log without a broker: segments, their indexes,
// producer snapshots and checkpoints, all in Kafka's formats, and checks indexes against their
// segments. It reads only, so it may look at the files of a running broker; the last batch may then
// be incomplete, and says so.
//
// Reading and printing are apart: the readers hand out entries, and a Printer writes them as text
// for people, as JSON, or as Kafka's DumpLogSegments does, which scripts parse.
package logdump
