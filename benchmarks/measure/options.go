package measure

import "errors"

// Errors that tell what kind of thing is missing; use errors.Is.
var (
	// ErrProcessGone: the process has ended, or there never was one of that id.
	ErrProcessGone = errors.New("the process has ended")
	// ErrNoListener: no socket of this machine listens on the address.
	ErrNoListener = errors.New("nothing on this machine listens there")
	// ErrNotLocal: the address belongs to another machine.
	ErrNotLocal = errors.New("the address is not one of this machine")
	// ErrHiddenOwner: a socket listens, but /proc does not show whose it is (another user's).
	ErrHiddenOwner = errors.New("a process listens there that this user may not look into")
	// ErrSeveralOwners: more than one process has the listening socket.
	ErrSeveralOwners = errors.New("several processes listen there")
	// ErrRestarted: a counter went backwards between two scrapes.
	ErrRestarted = errors.New("a counter went backwards: the broker was restarted in between")
)

// userHz is the unit of times in /proc/stat and /proc/pid/stat, ticks per second. It is part of
// the kernel's interface to programs, and 100 on every architecture that Go runs on, whatever the
// kernel's own tick is (proc_stat(5), USER_HZ).
const userHz = 100

const nanosPerTick = 1_000_000_000 / userHz
