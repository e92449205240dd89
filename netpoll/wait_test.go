package netpoll

import "testing"

// Messages that keep coming do not keep the sockets from having their turn: a task that posts
// itself again runs beside a client that is answered.
func TestSocketsBesideEndlessMessages(t *testing.T) {
	t.Parallel()
	s, addr := startServer(t, Config{Reactors: 1}, &handler{frame: func(c *Conn, frame []byte) {
		c.Chain().Buf = append(c.Chain().Buf, frame...)
		c.Respond()
	}})
	r := s.reactors[0]
	var again Task
	again.Run = func() { r.Post(&again) }
	r.Post(&again)
	socket := dial(t, addr)
	for range 100 {
		if got := string(call(t, socket, []byte("ping"))); got != "ping" {
			t.Fatalf("answer %q", got)
		}
	}
}

// A blocking wait that found events at once makes the next one ask first; one that had to wait for
// them, or an asking in vain, makes it block without asking.
func TestPollFirst(t *testing.T) {
	t.Parallel()
	s, err := Listen(Config{
		Listeners: []Listener{{Name: "T", Address: "127.0.0.1:0"}}, Reactors: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := s.reactors[0]
	p := r.poller.(*epoll)
	f := func(what string, waitedNs int64, blocks bool) {
		t.Helper()
		p.blockedNs, r.turnNs, r.nowNs = 1000, 1000+waitedNs, 5000
		p.wake() // An event that is there ends either kind of wait.
		p.wait(-1)
		if got := p.blockedNs == r.nowNs; got != blocks || p.pollFirst == blocks {
			t.Errorf("%s: blocked %v, and would ask first %v", what, got, p.pollFirst)
		}
	}
	f("after a wait", pollFirstNs, true)
	f("after no wait", pollFirstNs-1, false)
	f("after a long wait", 1e9, true)
	p.blockedNs, p.pollFirst = 0, true
	p.wait(0)
	if p.pollFirst {
		t.Error("an asking in vain would be repeated")
	}
}
