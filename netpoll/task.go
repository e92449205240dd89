package netpoll

import "sync/atomic"

// Task is a message to a reactor: Run is called there, once for each time that Post accepted it.
// It is meant to be embedded in the state that it is about and used again and again; posting it
// allocates nothing. Run must be set before the first Post and not change while it is queued.
type Task struct {
	Run func()

	next   *Task
	queued atomic.Bool // from Post until just before Run
}

// mailbox is a stack that any goroutine pushes to and one takes whole. A push publishes what the
// pusher wrote before it.
type mailbox struct {
	head atomic.Pointer[Task]
}

// push reports false if t is already in a mailbox.
func (m *mailbox) push(t *Task) bool {
	if !t.queued.CompareAndSwap(false, true) {
		return false
	}
	for {
		head := m.head.Load()
		t.next = head
		if m.head.CompareAndSwap(head, t) {
			return true
		}
	}
}

func (m *mailbox) empty() bool { return m.head.Load() == nil }

// take empties the mailbox and returns its tasks linked in the order of their pushes.
func (m *mailbox) take() *Task {
	var first *Task
	for t := m.head.Swap(nil); t != nil; {
		t.next, first, t = first, t, t.next
	}
	return first
}
