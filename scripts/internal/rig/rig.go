// Package rig starts the built broker for the programs in scripts, and speaks to it with raw frames:
// what they measure is the binary that users run, from outside.
package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// StartMax is how long a broker may take from its start to its first answer, and StopMax from
// SIGTERM to its end, before it counts as hung.
const (
	StartMax = 20 * time.Second
	StopMax  = 20 * time.Second
)

// Broker is a broker process of ours.
type Broker struct {
	// Addr and Admin are its Kafka and admin listeners, host:port.
	Addr, Admin string
	// Started is when the process was started.
	Started time.Time

	cmd *exec.Cmd
	log string
	// exited is closed when the process has ended.
	exited chan struct{}
}

// Start starts bin with its data in dir and listeners on free ports. prefix, if any, is a command
// that runs the broker, such as strace with its flags. The caller ends it with Stop.
func Start(bin, dir string, prefix ...string) (*Broker, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		Addr: ports[0], Admin: ports[1],
		log: filepath.Join(dir, "broker.log"), exited: make(chan struct{}),
	}
	args := append(append([]string(nil), prefix...), bin, "server",
		"--override", "listeners=PLAINTEXT://"+b.Addr,
		"--override", "admin.listener="+b.Admin,
		"--override", "log.dirs="+filepath.Join(dir, "data"))
	out, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	b.cmd = exec.Command(args[0], args[1:]...)
	b.cmd.Stdout, b.cmd.Stderr = out, out
	b.Started = time.Now()
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", bin, err)
	}
	go func() {
		_ = b.cmd.Wait()
		close(b.exited)
	}()
	return b, nil
}

// freePorts returns loopback addresses that nobody listens on.
func freePorts(n int) (addrs []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		// All are held until the last is chosen, so that no two are the same.
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// PID is the number of the process that Start started.
func (b *Broker) PID() int { return b.cmd.Process.Pid }

// Stop ends the broker with SIGTERM and waits for it.
func (b *Broker) Stop() error {
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-b.exited:
	case <-time.After(StopMax):
		_ = b.cmd.Process.Kill()
		<-b.exited
		return fmt.Errorf("the broker had to be killed %v after SIGTERM; its log:\n%s", StopMax, b.Log())
	}
	if code := b.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the broker ended with exit code %d; its log:\n%s", code, b.Log())
	}
	return nil
}

// Log is what the broker has written so far.
func (b *Broker) Log() string {
	text, _ := os.ReadFile(b.log)
	return string(text)
}

// FirstAnswer asks for ApiVersions until the broker answers, and returns how long after its start
// that was.
func (b *Broker) FirstAnswer() (time.Duration, error) {
	for {
		conn, err := net.Dial("tcp", b.Addr)
		if err == nil {
			c := NewClient(conn)
			_, err = c.Ask(kmsg.NewPtrApiVersionsRequest())
			took := time.Since(b.Started)
			conn.Close()
			if err == nil {
				return took, nil
			}
		}
		select {
		case <-b.exited:
			return 0, fmt.Errorf("the broker ended before it answered; its log:\n%s", b.Log())
		case <-time.After(500 * time.Microsecond):
		}
		if time.Since(b.Started) > StartMax {
			return 0, fmt.Errorf("no answer within %v (%w); its log:\n%s", StartMax, err, b.Log())
		}
	}
}

// Dial connects to the broker.
func (b *Broker) Dial() (*Client, error) {
	conn, err := net.Dial("tcp", b.Addr)
	if err != nil {
		return nil, err
	}
	return NewClient(conn), nil
}

// Metrics reads series, with their labels, from one page of the broker's admin listener.
func (b *Broker) Metrics(ctx context.Context, series ...string) ([]float64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	p, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer p.Body.Close()
	values, found := make([]float64, len(series)), 0
	// The page is read to its end, so that the connection can be used again.
	lines := bufio.NewScanner(p.Body)
	for lines.Scan() {
		for i, name := range series {
			text, ok := strings.CutPrefix(lines.Text(), name+" ")
			if !ok {
				continue
			}
			if values[i], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			found++
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if found != len(series) {
		return nil, fmt.Errorf("http://%s/metrics has %d of the %d series %q",
			b.Admin, found, len(series), series)
	}
	return values, nil
}

// Verdict compares a measured value with its goal, prints both, and reports whether it was met.
func Verdict(what, measured, goal string, met bool) bool {
	word := "ok"
	if !met {
		word = "MISSED"
	}
	fmt.Printf("%-42s %14s   goal %-10s %s\n", what, measured, goal, word)
	return met
}
