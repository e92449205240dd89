package pagecache

import "sync"

// Task is one unit of work for a Worker, embedded in the object that the work is about, so that
// posting allocates nothing. It is posted at most once at a time: posting a task that still waits
// is a no-op, posting one that runs makes it run again afterwards. Run must therefore look at the
// object's state instead of relying on being called once per post.
type Task struct {
	// Run does the work, on the worker's goroutine. It is set once, before the first post.
	Run  func()
	next *Task
	// waiting is guarded by the worker's mutex.
	waiting bool
}

// Worker runs tasks one after the other, in the order in which they were posted, on one goroutine
// that exists only while there is work: an idle log dir costs no goroutine.
type Worker struct {
	// mu guards the fields below. It is held for a few instructions at a time.
	mu         sync.Mutex
	head, tail *Task
	running    bool
	closed     bool
	idle       *sync.Cond
	// manual is set once: Post starts no goroutine, Wait runs the tasks.
	manual bool
}

// NewWorker returns a worker with nothing to do.
func NewWorker() *Worker {
	w := &Worker{}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// NewManualWorker returns a worker without a goroutine: tasks run inside Wait and Close, on the
// caller's goroutine. Deterministic tests use it to decide when background work happens.
func NewManualWorker() *Worker {
	w := NewWorker()
	w.manual = true
	return w
}

// Post queues t unless it already waits. It reports false once the worker is closed.
func (w *Worker) Post(t *Task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	if t.waiting {
		return true
	}
	t.waiting, t.next = true, nil
	if w.tail == nil {
		w.head = t
	} else {
		w.tail.next = t
	}
	w.tail = t
	if !w.running && !w.manual {
		w.running = true
		go w.loop()
	}
	return true
}

// Wait returns when every task posted so far has run. It must not be called by a task.
func (w *Worker) Wait() {
	if w.manual {
		w.loop()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.running {
		w.idle.Wait()
	}
}

// Close refuses further tasks and returns when those already posted have run.
func (w *Worker) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.Wait()
}

func (w *Worker) loop() {
	w.mu.Lock()
	for w.head != nil {
		t := w.head
		w.head = t.next
		if w.head == nil {
			w.tail = nil
		}
		t.waiting, t.next = false, nil
		w.mu.Unlock()
		t.Run()
		w.mu.Lock()
	}
	w.running = false
	w.idle.Broadcast()
	w.mu.Unlock()
}
