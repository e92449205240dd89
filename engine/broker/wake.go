package broker

import (
	"sync"

	"sluice/netpoll"
)

// wakeList gathers, for one reactor, the fetch sessions whose wait may be over. However many
// sessions an append concerns, the reactor gets one message, and none while one is under way.
type wakeList struct {
	loop Loop
	task netpoll.Task

	// mu guards sessions. It is the innermost lock.
	mu       sync.Mutex
	sessions []*fetchSession
	spare    []*fetchSession // the reactor's own, swapped with sessions
}

func newWakeList(loop Loop) *wakeList {
	w := &wakeList{loop: loop}
	w.task.Run = w.run
	return w
}

// add queues s to be looked at on the reactor. The caller has made sure that s is not queued.
func (w *wakeList) add(s *fetchSession) {
	w.mu.Lock()
	first := len(w.sessions) == 0
	w.sessions = append(w.sessions, s)
	w.mu.Unlock()
	if first {
		w.loop.Post(&w.task)
	}
}

// run is the message: it lets each session's waiting request try again.
func (w *wakeList) run() {
	w.mu.Lock()
	batch := w.sessions
	w.sessions = w.spare[:0]
	w.mu.Unlock()
	for i, s := range batch {
		batch[i] = nil
		s.woken(w.loop)
	}
	w.spare = batch[:0]
}
