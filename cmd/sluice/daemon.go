package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/engine/catalog/config"
	"sluice/pagecache"
)

const (
	// daemonStartMax is how long a daemon may take to listen: recovery of a large log takes a
	// while.
	daemonStartMax = 5 * time.Minute
	// daemonPoll is the pause between looks at it.
	daemonPoll = 20 * time.Millisecond
	// daemonLogTail is how much of its log is shown if it does not start.
	daemonLogTail = 4096
)

// daemon starts this binary again as a server without a terminal, and waits until it listens or
// ends, so that the exit code tells whether there is a broker now.
func (a *app) daemon(ctx context.Context, f *serverFlags, cfg *config.Server) error {
	if err := os.MkdirAll(cfg.LogDirs[0], 0o755); err != nil {
		return err
	}
	// A second daemon would complain into the log of the first.
	for _, dir := range cfg.LogDirs {
		lock, err := pagecache.OS{}.Lock(filepath.Join(dir, ".lock"))
		if errors.Is(err, pagecache.ErrLocked) {
			return fmt.Errorf("log dir %s is in use by another broker", dir)
		}
		if err == nil {
			// Any other trouble, and a broker that comes in between, is for the start itself to find.
			_ = lock.Close()
		}
	}
	path := f.logFile
	if path == "" {
		path = filepath.Join(cfg.LogDirs[0], "sluice.log")
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, f.daemonArgs()...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := a.awaitListening(ctx, cmd.Process.Pid, cfg, ended); err != nil {
		tail, _ := os.ReadFile(path)
		tail = tail[min(info.Size(), int64(len(tail))):]
		tail = tail[max(0, len(tail)-daemonLogTail):]
		return fmt.Errorf("%w; its log %s says:\n%s", err, path, strings.TrimSpace(string(tail)))
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	if err := os.WriteFile(filepath.Join(cfg.LogDirs[0], pidFile), []byte(pid+"\n"), 0o644); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "sluice runs as process %s, its log is %s\n", pid, path)
	return nil
}

// daemonArgs are the flags of a daemon's own process.
func (f *serverFlags) daemonArgs() []string {
	args := []string{"server", "--log-level", f.logLevel, "--log-format", f.logFormat}
	if f.config != "" {
		args = append(args, "--config", f.config)
	}
	for _, o := range f.overrides {
		args = append(args, "--override", o)
	}
	return args
}

// awaitListening waits until a process listens on the broker's first port.
func (a *app) awaitListening(ctx context.Context, pid int, cfg *config.Server,
	ended <-chan error,
) error {
	ctx, cancel := context.WithTimeout(ctx, daemonStartMax)
	defer cancel()
	told := time.AfterFunc(progressAfter, func() { a.warnf("waiting for the broker to start") })
	defer told.Stop()
	tick := time.NewTicker(daemonPoll)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the broker did not start (%v)", err)
		case <-ctx.Done():
			return errors.New("the broker runs but does not listen yet")
		case <-tick.C:
			if listens(pid, cfg.Listeners[0].Port) {
				return nil
			}
		}
	}
}

// listens reports whether a process has a listening socket on a port; port 0 stands for any.
func listens(pid int, port uint16) bool {
	inodes := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			// proc_pid_net(5): sl, local address, remote address, state, …, inode as the tenth.
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != "0A" {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			n, err := strconv.ParseUint(hex, 16, 16)
			if err == nil && (port == 0 || uint16(n) == port) {
				inodes["socket:["+fields[9]+"]"] = true
			}
		}
	}
	for _, link := range openFiles(pid) {
		if inodes[link] {
			return true
		}
	}
	return false
}

// openFiles returns what the descriptors of a process refer to, as far as one may know.
func openFiles(pid int) []string {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if link, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out = append(out, link)
		}
	}
	return out
}
