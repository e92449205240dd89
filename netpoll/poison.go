package netpoll

import "sync/atomic"

// poisoning makes released frames be overwritten.
var poisoning atomic.Bool

// poisonByte is what a released frame is filled with: as a length, an API key or a count it is
// negative, so whoever reads it fails soon.
const poisonByte = 0xdb

// SetPoison makes released frames be overwritten, in all servers of the process. Tests set it
// before they start a server; the build tag poison sets it from the start.
func SetPoison(on bool) { poisoning.Store(on) }

func poison(b []byte) {
	if !poisoning.Load() {
		return
	}
	for i := range b {
		b[i] = poisonByte
	}
}
