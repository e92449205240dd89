package report

import "slices"

// closedNote stands below the latencies of a closed loop.
const closedNote = "Closed loop: a latency follows from what is kept in flight and from throughput, and " +
	"a stall delays only what was in flight (coordinated omission). These are no comparison of brokers."

// notLatencies says why the latencies of runs do not compare their targets; "" if they do. Those of
// an open loop do. Those of a closed loop shift with throughput, and leave out what a stall would have
// delayed; with a single request in flight they are round trips, which may be held against a limit
// server's and never against a peer's. Those of a search are of different rates.
func notLatencies(runs []Run, peer bool) string {
	for _, r := range runs {
		if r.Loop == "open" || !peer && oneInFlight(r) {
			continue
		}
		if r.Loop == "search" {
			return "latencies of a search are of different rates, and are not compared"
		}
		return "latencies of a closed loop are not compared: they follow from what is kept in flight"
	}
	return ""
}

func oneInFlight(r Run) bool {
	s := r.Spec
	return s.Connections == 1 && s.InFlight == 1 && max(s.Producers, 1) == 1 && max(s.Consumers, 1) == 1
}

// comparedLatency prints a ratio of latencies, with a label where the loop was closed.
func (r *row) comparedLatency(other *row, metric string) Cell {
	runs := slices.Concat(r.Runs, other.Runs)
	if notLatencies(runs, other.Side.IsPeer()) != "" {
		return plain(none)
	}
	c := ratio(r.against(other, metric))
	if c.Text != none && slices.ContainsFunc(runs, func(r Run) bool { return r.Loop != "open" }) {
		c.Sub += ", round trips"
	}
	return c
}

// latencyNote is closedNote if any run that the case shows latencies of was a closed loop.
func (c *Case) latencyNote() string {
	for _, r := range c.rows {
		for _, run := range r.Counted {
			if len(run.Stages) > 0 && run.Loop == "closed" && !oneInFlight(run) {
				return closedNote
			}
		}
	}
	return ""
}
