// Package measure says what a run used: processor time, memory, device traffic, and where inside
// the broker a request's time went.
//
// A load generator that prints only its own stopwatch hides half of the truth. On loopback the
// sender of a segment does the receiver's work in its own context, so that a broker looks cheap by
// pushing its costs over to the client; a page cache takes gigabytes that the device has not seen;
// a hypervisor takes cores away in the middle. The meters here read what the kernel keeps about
// that, next to the run and not inside it:
//
//   - Process: the processor clock of a process in nanoseconds, its split into user and system
//     time, resident memory by kind, threads, context switches, bytes read and written.
//   - Host: busy, idle, stolen time of all processors, dirty pages and free memory.
//   - Device: bytes and requests at the block device under a directory.
//   - Scrape: Sluice's own stage times and Go runtime counters, as a difference of two scrapes.
//
// A Sampler reads the first three at an interval and gives a Usage at the end. Its steady state
// allocates nothing: the files stay open, and are read and parsed in place.
//
// # What the figures can and cannot say
//
//   - Processor time of a process is exact (the scheduler's clock). The host's is counted in ticks
//     (USER_HZ, 10 ms) and, on kernels without full accounting, charged to whoever runs when the
//     tick falls; over ten seconds the error is well under one per cent, over one sample it is
//     not. Host.BusyFromIdleNanos is the same quantity from the idle clock, as a cross-check.
//   - Peaks are peaks of samples. What rises and falls between two samples is not seen, except
//     RSSHighWaterBytes, which the kernel keeps (over the life of the process).
//   - RSS counters of /proc/pid/status are approximate by up to a few pages for each processor
//     and thread (proc(5), VmRSS); that is far under what is compared here.
//   - The device's counters are everybody's who uses the device.
//
// Nothing here fails a run: a figure that cannot be read is absent, and Usage.Missing says why.
// Everything reads below a root directory ("/" in use), so that tests run on recorded trees.
package measure
