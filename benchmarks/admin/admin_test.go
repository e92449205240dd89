package admin

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"go.uber.org/goleak"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/peers"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// sluiceBin is the broker that the tests run against.
var sluiceBin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bench-admin-")
	if err != nil {
		panic(err)
	}
	sluiceBin = filepath.Join(dir, "sluice")
	out, err := exec.Command("go", "build", "-o", sluiceBin, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		panic(string(out))
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		code = 1
		println(err.Error())
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func broker(t *testing.T) *peers.Instance {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	i, err := (&peers.Sluice{Binary: sluiceBin}).Start(ctx, peers.StartOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Stop(context.Background()) })
	return i
}

// fake is a listener that answers each frame with what answer gives; nil closes the connection.
func fake(t *testing.T, answer func(n int, frame []byte) []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var frames atomic.Int64
	serve := func(conn net.Conn) {
		defer conn.Close()
		for {
			var head [4]byte
			if _, err := io.ReadFull(conn, head[:]); err != nil {
				return
			}
			frame := make([]byte, binary.BigEndian.Uint32(head[:]))
			if _, err := io.ReadFull(conn, frame); err != nil {
				return
			}
			reply := answer(int(frames.Add(1)), frame)
			if reply == nil {
				return
			}
			if _, err := conn.Write(reply); err != nil {
				return
			}
		}
	}
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// versions is an answer to ApiVersions v0 without any versions, or with an error.
func versions(frame []byte, code int16) []byte {
	reply := []byte{0, 0, 0, 10, frame[4], frame[5], frame[6], frame[7], 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(reply[8:], uint16(code))
	return reply
}

func connections(n int, d time.Duration) workload.Spec {
	return workload.Spec{
		Mode: workload.Connections, Connections: n, Rate: 200, Duration: workload.Duration(d),
	}.Normalize()
}

// TestConnections: each connection is timed, random ones are pinged on schedule, and measured time
// has them all open.
func TestConnections(t *testing.T) {
	i := broker(t)
	var began, ended bool
	out, err := Connections(t.Context(), drive.Target{Addrs: []string{i.Addr}},
		connections(100, 300*time.Millisecond),
		drive.Hooks{Begin: func() { began = true }, End: func() { ended = began }})
	if err != nil || len(out.Errors) > 0 || !ended || out.Interrupted {
		t.Fatalf("%v %+v", err, out)
	}
	f := func(stage string, want int64) {
		t.Helper()
		if h := out.Stages[stage]; h == nil || h.Count() != want {
			t.Errorf("%s: %v, want %d", stage, h, want)
		}
	}
	f(result.StageConnect, 100)
	f(result.StageHandshake, 100)
	f(result.StagePing, 60)
	f(result.StageLag, 60)
	if out.Figures["connections"] != 100 || out.Figures["open_per_second"] <= 0 || out.Figures["connections_lost"] != 0 {
		t.Errorf("%v", out.Figures)
	}
}

// TestConnectionsFail: what goes wrong is counted by its name; nothing that could be opened is an
// error of the run.
func TestConnectionsFail(t *testing.T) {
	f := func(n int, answer func(n int, frame []byte) []byte, wantErr, name string, pings int64) {
		t.Helper()
		out, err := Connections(t.Context(), drive.Target{Addrs: []string{fake(t, answer)}},
			connections(n, 100*time.Millisecond), drive.Hooks{})
		if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("%v, want %q", err, wantErr)
		}
		if name != "" && out.Errors[name] == 0 || name == "" && len(out.Errors) > 0 {
			t.Errorf("%v, want %s", out.Errors, name)
		}
		if h := out.Stages[result.StagePing]; pings > 0 && (h == nil || h.Count() != pings) {
			t.Errorf("%v pings, want %d", h, pings)
		}
	}
	f(3, func(_ int, frame []byte) []byte { return versions(frame, 0) }, "", "", 20)
	f(3, func(int, []byte) []byte { return nil }, "no connection could be opened: CONNECTION_LOST × 3", "CONNECTION_LOST", 0)
	f(3, func(_ int, frame []byte) []byte { return versions(frame, 35) }, "UNSUPPORTED_VERSION × 3", "UNSUPPORTED_VERSION", 0)
	f(3, func(int, []byte) []byte { return []byte("HTTP/1.1 400 Bad Request") }, "BAD_ANSWER × 3", "BAD_ANSWER", 0)
	f(3, func(_ int, frame []byte) []byte { frame[7]++; return versions(frame, 0) }, "BAD_ANSWER × 3", "BAD_ANSWER", 0)
	// Connections that end while they are idle are lost, and nothing is pinged any more.
	f(3, func(n int, frame []byte) []byte {
		if n > 3 {
			return nil
		}
		return versions(frame, 0)
	}, "", "CONNECTION_LOST", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Connections(t.Context(), drive.Target{Addrs: []string{l.Addr().String()}},
		connections(3, time.Second), drive.Hooks{})
	if err == nil || !strings.Contains(err.Error(), "CONNECT_REFUSED × 3") {
		t.Error(err)
	}
}

// TestConnectionsInterrupted: the end of the context ends a run that waits for answers.
func TestConnectionsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := fake(t, func(n int, frame []byte) []byte {
		if n > 2 {
			cancel()
			<-ctx.Done()
		}
		return versions(frame, 0)
	})
	target := drive.Target{Addrs: []string{addr}}
	out, err := Connections(ctx, target, connections(2, time.Hour), drive.Hooks{})
	if !errors.Is(err, context.Canceled) || !out.Interrupted || len(out.Errors) > 0 {
		t.Errorf("%v %+v", err, out)
	}
}

// TestSource: the kernel chooses the address until one has no more ports, and for others' machines.
func TestSource(t *testing.T) {
	f := func(addr string, i int, want string) {
		t.Helper()
		got := ""
		if a := source(addr, i); a != nil {
			got = a.String()
		}
		if got != want {
			t.Errorf("%s %d: %q, want %q", addr, i, got, want)
		}
	}
	f("127.0.0.1:9092", 0, "")
	f("127.0.0.1:9092", perSource-1, "")
	f("127.0.0.1:9092", perSource, "127.0.0.2:0")
	f("localhost:9092", 300*perSource, "127.0.1.45:0")
	f("10.0.0.1:9092", 300*perSource, "")
	f("[::1]:9092", 300*perSource, "")
	f("nonsense", 300*perSource, "")
}

func topics(change func(*workload.Spec)) workload.Spec {
	s := workload.Spec{
		Mode: workload.Topics, Topic: "many", Topics: 250, Partitions: 2,
		Duration: workload.Duration(300 * time.Millisecond),
	}
	if change != nil {
		change(&s)
	}
	return s.Normalize()
}

// TestTopics: topics are made in requests of createBatch, asked about while measured time runs, and
// deleted after it.
func TestTopics(t *testing.T) {
	i := broker(t)
	target := drive.Target{Addrs: []string{i.Addr}}
	out, err := Topics(t.Context(), target, topics(nil), drive.Hooks{})
	if err != nil || len(out.Errors) > 0 {
		t.Fatalf("%v %+v", err, out)
	}
	for stage, atLeast := range map[string]int64{
		result.StageCreate: 3, result.StageDelete: 3, result.StageMetadata: 1, StageMetadataAll: 1,
		StageDescribe: 1, result.StageAck: 1,
	} {
		if h := out.Stages[stage]; h == nil || h.Count() < atLeast {
			t.Errorf("%s: %v, want %d", stage, h, atLeast)
		}
	}
	if out.Figures["partitions"] != 500 || out.Figures["create_topics_per_second"] <= 0 ||
		out.Figures["delete_topics_per_second"] <= 0 {
		t.Errorf("%v", out.Figures)
	}
	// They are gone, so they can be made again; kept ones cannot.
	keep := topics(func(s *workload.Spec) { s.Keep, s.Topics = true, 3 })
	out, err = Topics(t.Context(), target, keep, drive.Hooks{})
	if err != nil || out.Stages[result.StageDelete] != nil {
		t.Errorf("%v %+v", err, out)
	}
	out, err = Topics(t.Context(), target, topics(func(s *workload.Spec) { s.Topics = 5 }), drive.Hooks{})
	if !errors.Is(err, kerr.TopicAlreadyExists) || out.Errors["TOPIC_ALREADY_EXISTS"] != 1 {
		t.Errorf("%v %+v", err, out)
	}
	// What that run did create is deleted all the same.
	rest := topics(func(s *workload.Spec) { s.Topic, s.Topics = "many-4", 1 })
	if _, err := Topics(t.Context(), target, rest, drive.Hooks{}); err != nil {
		t.Error(err)
	}
}

// TestTopicsInterrupted: the end of the context ends the probing, and the topics are deleted.
func TestTopicsInterrupted(t *testing.T) {
	i := broker(t)
	target := drive.Target{Addrs: []string{i.Addr}}
	ctx, cancel := context.WithCancel(t.Context())
	long := topics(func(s *workload.Spec) { s.Topics, s.Duration = 3, workload.Duration(time.Hour) })
	out, err := Topics(ctx, target, long, drive.Hooks{Live: func(drive.Tick) { cancel() }})
	if !errors.Is(err, context.Canceled) || !out.Interrupted || out.Stages[result.StageDelete] == nil {
		t.Errorf("%v %+v", err, out)
	}
	if _, err := Topics(t.Context(), target, topics(nil), drive.Hooks{}); err != nil {
		t.Error(err)
	}
}
