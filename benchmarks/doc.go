// Package benchmarks is the front of the load generator: it takes what a person asked for (a
// workload.Spec), runs it against a broker, and hands back what was seen (a result.Result). The
// rooms behind it, each usable alone:
//
//	workload/  what a run is asked to do: the spec, its limits, the YAML workload files
//	load/      the lean client: epoll loops, pre-encoded batches, no allocation in steady state
//	kgoload/   the same workloads through franz-go, as an application would run them
//	admin/     the clients of modes connections and topics, which move no records
//	measure/   CPU, memory and device meters of processes and of the host; the broker's own stages
//	result/    what a run says: counters, histograms, verdict on its own validity; JSON and .hgrm
//	show/      a result as text for a terminal; the live line
//	limits/    C programs that show what the box could do at all, and their reference rows
//	peers/     other brokers, started and stopped for comparison
//	stats/     paired ratios with bootstrap intervals, the discard rule
//	suite/     the plan of a whole report: which runs, in which order, on which broker
//	report/    raw results in, HTML and Markdown out; pass and fail are computed here only
//
// docs/BENCHMARKING.md tells how to use them and what the figures mean.
package benchmarks
