package pagecache

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// preadvNoWait is preadv2(2) with RWF_NOWAIT, one vector and no allocation. unix.Preadv2 builds a
// slice of vectors for each call, which the residency probe on a reactor cannot afford. With that
// flag the call cannot wait for a device, so the scheduler need not know of it.
func preadvNoWait(fd int, p []byte, pos int64) (int, unix.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	vec := unix.Iovec{Base: &p[0]}
	vec.SetLen(len(p))
	// On 64-bit machines the low word carries the whole position and the high word is unused.
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&vec)), 1,
		uintptr(pos), 0, unix.RWF_NOWAIT)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
