// Package workload says what a run of the load generator is asked to do. A Spec comes from flags, a
// workload file or the suite's plan; after Normalize it is complete (every default filled in) and
// after Validate it is possible, so that the clients behind it need not check again.
//
// Rates are records per second over all producers together. Sizes are bytes. A spec names no broker:
// where it runs is load.Target.
package workload
