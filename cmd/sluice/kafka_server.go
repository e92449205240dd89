package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

func (a *app) kafkaServerStart() kafkaTool {
	return kafkaTool{
		name:  "kafka-server-start",
		about: "Run a broker with a server.properties, with -daemon in the background",
		example: "  kafka-server-start server.properties\n" +
			"  kafka-server-start -daemon server.properties --override log.dirs=/var/lib/sluice",
		words: true,
		options: withHelp(
			kopt.Option{Name: "override", Kind: kopt.Value, Arg: "key=value", Help: "Wins over the file; may be repeated."},
			// Kafka's script takes these with one dash, and only before the file.
			kopt.Option{Name: "daemon", Help: "Run in the background; -daemon does too."},
			kopt.Option{Name: "name", Kind: kopt.Value, Arg: "name"},
			kopt.Option{Name: "loggc"},
		),
		oneDash: []string{"-daemon", "-name", "-loggc"},
		run: func(ctx context.Context, line *kopt.Line) error {
			if len(line.Rest) != 1 {
				return kopt.Errorf("Name one server.properties")
			}
			return a.runServer(ctx, &serverFlags{
				config: line.Rest[0], overrides: line.All("override"), daemon: line.Has("daemon"),
				logLevel: "info", logFormat: "text",
			})
		},
	}
}

// stopMax is how long a broker may take to end: it drains its connections and closes its logs.
const stopMax = 2 * time.Minute

func (a *app) kafkaServerStop() kafkaTool {
	return kafkaTool{
		name:  "kafka-server-stop",
		about: "End every broker of this user on this host, or those named, and wait for it",
		example: "  kafka-server-stop    (every broker of this user on this host)\n" +
			"  kafka-server-stop --node-id 1\n" +
			"  kafka-server-stop server.properties",
		words: true,
		options: withHelp(
			kopt.Option{Name: "node-id", Kind: kopt.Value, Arg: "id", Help: "Only the broker of this id."},
			kopt.Option{Name: "process-role", Kind: kopt.Value, Arg: "role", Help: "broker or controller; a broker is both."},
			kopt.Option{Name: "override", Kind: kopt.Value, Arg: "key=value", Help: "As the broker was started with."},
		),
		run: func(ctx context.Context, line *kopt.Line) error { return a.runServerStop(ctx, line) },
	}
}

// runningBroker is a process of this binary that holds log dirs.
type runningBroker struct {
	pid  int
	dirs []string
}

// runningBrokers finds brokers by what they hold: a process of a binary of the same name with the
// lock file of a log dir open. Unlike a pid file this cannot be stale.
func runningBrokers() ([]runningBroker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []runningBroker
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		exe = strings.TrimSuffix(exe, " (deleted)")
		if err != nil || filepath.Base(exe) != filepath.Base(self) {
			continue
		}
		b := runningBroker{pid: pid}
		for _, link := range openFiles(pid) {
			if filepath.Base(link) == ".lock" && !slices.Contains(b.dirs, filepath.Dir(link)) {
				b.dirs = append(b.dirs, filepath.Dir(link))
			}
		}
		if len(b.dirs) > 0 {
			out = append(out, b)
		}
	}
	return out, nil
}

// nodeID reads a broker's id from one of its log dirs.
func (b *runningBroker) nodeID() string {
	for _, dir := range b.dirs {
		text, err := os.ReadFile(filepath.Join(dir, "meta.properties"))
		if err != nil {
			continue
		}
		if props, err := client.ParseProperties(string(text)); err == nil && props["node.id"] != "" {
			return props["node.id"]
		}
	}
	return ""
}

func (a *app) runServerStop(ctx context.Context, line *kopt.Line) error {
	if role := line.GetOr("process-role", "broker"); role != "broker" && role != "controller" {
		return says("Invalid value %s for --process-role: it must be broker or controller", role)
	}
	dirs, err := stopDirs(line)
	if err != nil {
		return err
	}
	brokers, err := runningBrokers()
	if err != nil {
		return err
	}
	brokers = slices.DeleteFunc(brokers, func(b runningBroker) bool {
		if id := line.Get("node-id"); id != "" && b.nodeID() != id {
			return true
		}
		named := func(dir string) bool { return slices.Contains(dirs, dir) }
		return dirs != nil && !slices.ContainsFunc(b.dirs, named)
	})
	if len(brokers) == 0 {
		return says("No kafka server to stop")
	}
	for _, b := range brokers {
		err := syscall.Kill(b.pid, syscall.SIGTERM)
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("cannot end process %d: %w", b.pid, err)
		}
	}
	for _, b := range brokers {
		if err := a.awaitEnd(ctx, b.pid); err != nil {
			return err
		}
	}
	return nil
}

// stopDirs returns the log dirs of the configuration that was named, or nil if none was.
func stopDirs(line *kopt.Line) ([]string, error) {
	if len(line.Rest) == 0 && !line.Has("override") {
		return nil, nil
	}
	f := serverFlags{overrides: line.All("override")}
	switch len(line.Rest) {
	case 0:
	case 1:
		f.config = line.Rest[0]
	default:
		return nil, kopt.Errorf("more than one server.properties")
	}
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, d := range cfg.LogDirs {
		abs, err := filepath.Abs(d)
		if err != nil {
			return nil, err
		}
		// The kernel names open files by their real path.
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			abs = real
		}
		dirs = append(dirs, abs)
	}
	return dirs, nil
}

// awaitEnd waits until a process is gone.
func (a *app) awaitEnd(ctx context.Context, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, stopMax)
	defer cancel()
	told := time.AfterFunc(progressAfter, func() { a.warnf("waiting for process %d to end", pid) })
	defer told.Stop()
	tick := time.NewTicker(daemonPoll)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d has not ended within %d s", pid, stopMax/time.Second)
		case <-tick.C:
		}
	}
	return nil
}

// alive reports whether a process exists and is more than the remains that its parent has not
// collected.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// proc_pid_stat(5): the state follows the name, which is in parentheses and may hold any text.
	state := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	return !strings.HasPrefix(strings.TrimSpace(state), "Z")
}
