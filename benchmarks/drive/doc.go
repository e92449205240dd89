// Package drive is the seam between a run and the client that carries it out: where the load goes,
// what the client is told, what it gives back. load and kgoload each offer a function of type
// Client; package benchmarks wraps either with meters, the live line and the verdict.
//
// A client goes through three phases: it connects and warms up (nothing is counted), calls Begin,
// counts for spec.Duration, calls End, and then drains: requests still in flight get up to
// DrainTimeout to be answered. What was due within measured time and is answered while draining
// belongs to the run, so that the slowest requests are not the ones left out.
package drive
