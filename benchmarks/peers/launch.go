package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// StartMax is how long a broker may take from its start to its first answer.
const StartMax = 2 * time.Minute

// launch is what a driver has prepared: a command, and how to tell that it serves.
type launch struct {
	name, version string
	command       []string
	// env is added to the harness's own.
	env []string
	// addr and admin are known beforehand, or else found in the log.
	addr, admin string
	// listening and administering match, in the log, where the broker listens; group 1 is
	// host:port.
	listening, administering *regexp.Regexp
	probe, settled           probe
	settle                   time.Duration
	heapMiB                  int
	driver                   string
}

// start runs l as o says, and waits until it serves.
func (l *launch) start(ctx context.Context, o StartOptions) (*Instance, error) {
	logPath := filepath.Join(o.Dir, l.name+".log")
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	logStart, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(l.command[0], l.command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Dir, out, out
	cmd.Env = append(os.Environ(), l.env...)
	p, err := spawn(cmd, o.CPUs)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", l.name, err)
	}
	i := &Instance{
		Name: l.name, Version: l.version, Addr: l.addr, AdminAddr: l.admin,
		Pid: p.pid, Command: l.command, Dir: o.Dir, Log: logPath, CPUs: o.CPUs, HeapMiB: l.heapMiB,
		Started: p.started, Driver: l.driver,
		process: p, probe: l.probe, settled: l.settled, settle: l.settle,
		logStart: logStart, data: o.dataDir(), removeAll: o.RemoveData,
	}
	if err := l.await(ctx, i); err != nil {
		p.destroy()
		err = i.annotate("start", err)
		if o.RemoveData {
			err = errors.Join(err, i.removeData())
		}
		return nil, err
	}
	return i, nil
}

// await waits until the instance serves, and fills in its addresses and how long that took.
func (l *launch) await(ctx context.Context, i *Instance) error {
	ctx, cancel := context.WithTimeout(ctx, StartMax)
	defer cancel()
	err := i.process.until(ctx, func(ctx context.Context) error {
		if i.Addr == "" {
			if err := l.find(i); err != nil {
				return err
			}
		}
		return l.probe(ctx, i.Addr)
	})
	if err != nil {
		return err
	}
	i.ReadyAfter = time.Since(i.Started)
	if l.settled == nil {
		return nil
	}
	return i.process.until(ctx, func(ctx context.Context) error { return l.settled(ctx, i.Addr) })
}

// find reads from the log where the broker listens.
func (l *launch) find(i *Instance) error {
	text, err := readFrom(i.Log, i.logStart)
	if err != nil {
		return err
	}
	// A line that is still being written could hold half a port.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	m := l.listening.FindSubmatch(text)
	if m == nil {
		return errors.New("its log does not say yet where it listens")
	}
	if l.administering != nil {
		a := l.administering.FindSubmatch(text)
		if a == nil {
			return errors.New("its log does not say yet where its admin listener is")
		}
		i.AdminAddr = string(a[1])
	}
	i.Addr = string(m[1])
	return nil
}

// tailLines and tailBytes bound what an error shows of a log.
const (
	tailLines = 20
	tailBytes = 16 << 10
)

// tail is the last lines of a log from position start on.
func tail(path string, start int64) string {
	text, err := readFrom(path, start)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// readFrom reads at most the last tailBytes of a file from position start on.
func readFrom(path string, start int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	start = max(start, end-tailBytes)
	return io.ReadAll(io.NewSectionReader(f, start, end-start))
}
