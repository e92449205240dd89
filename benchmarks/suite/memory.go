package suite

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/measure"
)

// recycledBytesMax bounds the memory that recycleMemory touches; it is more than a turn appends
// before old pages come back.
const recycledBytesMax = 8 << 30

// recycleMemory touches free memory and gives it back, so that each turn finds it in the same
// state. On a virtual machine whose kernel reports free pages to its host, the first touch of a page
// is a fault in the host: appends to the page cache then cost up to twice as much processor time,
// which no counter of the guest tells apart, and how many pages are in that state depends on what
// was deleted how long ago. On bare metal this changes nothing.
func recycleMemory() error {
	host, err := measure.OpenHost("")
	if err != nil {
		return err
	}
	var s measure.HostSample
	if err := host.Sample(&s); err != nil {
		return err
	}
	// What is free and not merely available: cached pages have been touched.
	size := min(recycledBytesMax, s.Pages.FreeBytes*3/4) >> 21 << 21
	if size <= 0 {
		return nil
	}
	memory, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("touch free memory: %w", err)
	}
	// Both are wishes: without huge pages it takes longer, without MADV_POPULATE_WRITE (Linux 5.14)
	// it is not done.
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE)
	_ = unix.Madvise(memory, unix.MADV_POPULATE_WRITE)
	return unix.Munmap(memory)
}
