// Package compare sets two revisions of this repository against each other: the work tree (new) and
// a commit (old), on the same machine, in turn. It has two halves.
//
// Micro-benchmarks: the test binaries of chosen packages are built once for each side and run
// alternately, one count at a time, so that a machine that gets slower in the course of it slows
// both. A benchmark has regressed if its median got worse by more than the threshold and the
// Mann-Whitney U test, which benchstat uses, says that this is no accident (p < 0.05).
//
// End to end: each side's broker is built, started with empty data, loaded, and stopped, in the
// order old new new old. The client is the same binary for both, the new one's. From each pair of
// runs comes one ratio, new to old; a figure has regressed if the 90 % interval of the mean ratio
// (package stats) lies wholly beyond the threshold. Runs that failed, are invalid, or lost
// processor time to the hypervisor drop their pair.
//
// So an end-to-end regression needs evidence: few or noisy pairs make a wide interval, which
// accuses nobody, and clears nobody either. The report prints every interval; a figure without one
// is called undecided, and a comparison with nothing decided is a failure of its own (ErrNothing).
//
// The old side lives in a git worktree in a temporary folder, which is removed however the
// comparison ends. Files of the work tree that are not committed are part of the new side.
package compare
