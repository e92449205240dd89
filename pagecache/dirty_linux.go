package pagecache

import (
	"bytes"
	"os"
	"strconv"
)

// dirtyPages reads the kernel's own account from /proc/vmstat. Writers begin to sleep half-way
// between the background threshold and the hard one (balance_dirty_pages, "freerun"), long before
// vm.dirty_ratio itself is reached.
func dirtyPages() (dirty, throttle int64, ok bool) {
	stat, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, 0, false
	}
	var background, limit int64
	for line := range bytes.Lines(stat) {
		name, value, found := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		if !found {
			continue
		}
		var into *int64
		switch string(name) {
		case "nr_dirty", "nr_writeback":
			into = &dirty
		case "nr_dirty_background_threshold":
			into = &background
		case "nr_dirty_threshold":
			into = &limit
		default:
			continue
		}
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		*into += n
	}
	return dirty, (background + limit) / 2, limit > 0
}
