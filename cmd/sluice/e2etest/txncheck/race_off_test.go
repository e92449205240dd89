//go:build !race

package txncheck

// raceEnabled makes the binary under test be built with the race detector if the test is.
const raceEnabled = false
