package broker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func startTestAdmin(t *testing.T, ready func() error) *adminServer {
	t.Helper()
	a, err := startAdmin("127.0.0.1:0", ready, newMetrics(10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.stop(t.Context()) })
	return a
}

// ask returns the status and body of one request; its connection is not kept.
func ask(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Close = true
	p, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Body.Close()
	text, err := io.ReadAll(p.Body)
	if err != nil {
		t.Fatal(err)
	}
	return p.StatusCode, string(text)
}

func TestAdminPages(t *testing.T) {
	a := startTestAdmin(t, func() error { return nil })
	f := func(method, path string, wantStatus int, wantText string) {
		t.Helper()
		status, body := ask(t, method, "http://"+a.addr()+path)
		if status != wantStatus || !strings.Contains(body, wantText) {
			t.Errorf("%s %s: %d %.200q, want %d with %q",
				method, path, status, body, wantStatus, wantText)
		}
	}
	f("GET", "/", 200, "/metrics")
	f("GET", "/healthz", 200, "ok\n")
	f("GET", "/readyz", 200, "ready\n")
	f("HEAD", "/readyz", 200, "")
	f("GET", "/metrics", 200, "\ngo_gc_heap_allocs_objects_total ")
	f("GET", "/metrics", 200, "\nprocess_resident_memory_bytes ")
	f("GET", "/debug/pprof/", 200, "goroutine")
	f("GET", "/debug/pprof/goroutine?debug=1", 200, "goroutine profile")
	f("GET", "/debug/pprof/cmdline", 200, "")
	f("GET", "/debug/pprof/profile?seconds=9999", 400, "5m0s at most")
	f("GET", "/debug/pprof/trace?seconds=x", 400, "at most")
	f("GET", "/debug/pprof/heap?seconds=NaN", 400, "at most")
	f("GET", "/nothing", 404, "")
	f("POST", "/metrics", 405, "")
	f("POST", "/debug/pprof/symbol", 405, "")
}

func TestAdminReadiness(t *testing.T) {
	var state atomic.Pointer[error]
	set := func(err error) { state.Store(&err) }
	set(errors.New("starting"))
	a := startTestAdmin(t, func() error { return *state.Load() })
	f := func(wantStatus int, wantBody string) {
		t.Helper()
		status, body := ask(t, "GET", "http://"+a.addr()+"/readyz")
		if status != wantStatus || body != wantBody {
			t.Errorf("/readyz: %d %q, want %d %q", status, body, wantStatus, wantBody)
		}
		if status, _ := ask(t, "GET", "http://"+a.addr()+"/healthz"); status != 200 {
			t.Errorf("/healthz: %d: a broker that is not ready is alive all the same", status)
		}
	}
	f(503, "starting\n")
	set(nil)
	f(200, "ready\n")
	set(errors.New("draining"))
	f(503, "draining\n")
}

func TestAdminPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a, err := startAdmin(taken.Addr().String(), func() error { return nil }, newMetrics(1))
	if err == nil {
		a.stop(t.Context())
		t.Fatal("two listeners on one port")
	}
	want := "admin.listener=" + taken.Addr().String() + ": the port is in use"
	if !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one sentence that begins %q", err, want)
	}
}

func TestAdminAddressOfAnotherHost(t *testing.T) {
	// 192.0.2.0/24 is set aside for documentation (RFC 5737): no host has it.
	_, err := startAdmin("192.0.2.1:0", func() error { return nil }, newMetrics(1))
	if err == nil || !strings.HasPrefix(err.Error(), "admin.listener=192.0.2.1:0: ") {
		t.Errorf("got %v, want a sentence that names the key", err)
	}
}

func TestAdminOff(t *testing.T) {
	a, err := startAdmin("", func() error { return nil }, newMetrics(1))
	if a != nil || err != nil {
		t.Fatalf("got %v, %v, want neither", a, err)
	}
	if a.addr() != "" {
		t.Errorf("address %q of no listener", a.addr())
	}
	a.stop(t.Context())
}

func TestAdminStopLetsRequestsEnd(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	asked, finish := make(chan bool), make(chan bool)
	a, err := startAdmin("127.0.0.1:0", func() error {
		asked <- true
		<-finish
		return nil
	}, newMetrics(1))
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan int)
	go func() {
		status, _ := ask(t, "GET", "http://"+a.addr()+"/readyz")
		answer <- status
	}()
	<-asked
	stopped := make(chan bool)
	go func() {
		a.stop(context.Background())
		close(stopped)
	}()
	<-a.ended // nothing is accepted any more, but the request still is in process
	close(finish)
	if status := <-answer; status != 200 {
		t.Errorf("status %d of a request that was in process", status)
	}
	<-stopped
	if _, err := net.Dial("tcp", a.addr()); err == nil {
		t.Error("the listener still accepts")
	}
	goleak.VerifyNone(t, leaks)
}

func TestAdminStopDoesNotWaitForEver(t *testing.T) {
	asked, finish := make(chan bool), make(chan bool)
	a, err := startAdmin("127.0.0.1:0", func() error {
		close(asked)
		<-finish
		return nil
	}, newMetrics(1))
	if err != nil {
		t.Fatal(err)
	}
	defer close(finish)
	conn, err := net.Dial("tcp", a.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-asked
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.stop(ctx)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlived the listener")
	}
}
