package main

import "os"

// The colours of a terminal, by what they say (ECMA-48, SGR).
const (
	colourGood    = "32"
	colourChanges = "33"
	colourBad     = "31"
)

// paint colours a text if standard output is a terminal and NO_COLOR is not set
// (https://no-color.org). It is not for cells of a table, whose widths it would change.
func (a *app) paint(colour, text string) string {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !isTerminal(a.out) {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// stateColour paints the state of a group or of a transaction.
func (a *app) stateColour(state string) string {
	switch state {
	case "Stable", "CompleteCommit":
		return a.paint(colourGood, state)
	case "Dead", "CompleteAbort", "PrepareAbort", "PrepareEpochFence":
		return a.paint(colourBad, state)
	case "Empty":
		return state
	}
	return a.paint(colourChanges, state)
}
