package measure

import (
	"os"
	"path/filepath"
	"strconv"
)

// Switches are the context switches of one thread since it began.
type Switches struct {
	Voluntary   int64
	Involuntary int64
}

// ThreadSwitches reads the context switches of each living thread, by thread id. /proc/pid/status
// tells only the main thread's, so every thread's file is opened: too dear for each sample, right
// for the two ends of a run.
func (m *ProcessMeter) ThreadSwitches() (map[int]Switches, error) {
	entries, err := os.ReadDir(m.dir + "/task")
	if err != nil {
		return nil, goneError(err)
	}
	all := make(map[int]Switches, len(entries))
	for _, entry := range entries {
		tid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.dir, "task", entry.Name(), "status"))
		if err != nil {
			continue // The thread ended between the two calls.
		}
		var s Switches
		for len(text) > 0 {
			var line []byte
			line, text = nextLine(text)
			switch name, value := labelled(line); string(name) {
			case "voluntary_ctxt_switches":
				s.Voluntary = value
			case "nonvoluntary_ctxt_switches":
				s.Involuntary = value
			}
		}
		all[tid] = s
	}
	return all, nil
}

// switchesBetween sums what the threads of end did since start; new threads count from their own
// beginning.
func switchesBetween(start, end map[int]Switches) (sum Switches) {
	for tid, now := range end {
		before := start[tid]
		if now.Voluntary < before.Voluntary || now.Involuntary < before.Involuntary {
			before = Switches{} // The id went to another thread.
		}
		sum.Voluntary += now.Voluntary - before.Voluntary
		sum.Involuntary += now.Involuntary - before.Involuntary
	}
	return sum
}
