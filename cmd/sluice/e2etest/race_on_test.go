//go:build race

package e2etest

// raceEnabled makes the binary under test be built with the race detector, as the test is.
const raceEnabled = true
