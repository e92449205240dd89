// Command peer installs a broker from its registry, starts it, waits until it answers, runs the
// commands that measure it, stops it and cleans up:
//
//	go run ./benchmarks/peers/cmd/peer kafka \
//	    -bench 'bin/sluice bench produce -b $BOOTSTRAP --broker-pid $BROKER_PID --duration 60s'
//	go run ./benchmarks/peers/cmd/peer nats -bench '$BROKER_DRIVER publish -addr $BOOTSTRAP'
//
// Each -bench is run by sh, one after the other, with the variables that peers.Instance.Env lists in
// its environment. Without one, the broker runs until Ctrl-C. The exit code is 0 only if the
// broker and every command ended well.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/benchmarks/peers"
)

// options are the command line.
type options struct {
	name     string
	settings peers.Settings
	start    peers.StartOptions
	keep     bool
	install  bool
	bench    []string
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{start: peers.StartOptions{Overrides: map[string]string{}}}
	f := flag.NewFlagSet("peer", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() {
		fmt.Fprintf(out, "usage: peer %s [flags]\n", strings.Join(peers.Names(), "|"))
		f.PrintDefaults()
	}
	f.StringVar(&o.settings.SluiceBinary, "bin", "bin/sluice", "Sluice's binary")
	f.StringVar(&o.start.Dir, "dir", "", "`folder` for data and logs; a temporary one if empty")
	f.Func("cpus", "processors the broker may run on, `0,1,…`", func(s string) (err error) {
		o.start.CPUs, err = parseCPUs(s)
		return err
	})
	f.IntVar(&o.start.HeapMiB, "heap", 0, "heap of a JVM in `MiB` (default 1024)")
	f.Func("override", "a setting of the broker, `name=value`; may be repeated", func(s string) error {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return errors.New("it must be name=value")
		}
		o.start.Overrides[k] = v
		return nil
	})
	f.BoolVar(&o.keep, "keep", false, "leave data and logs behind")
	f.BoolVar(&o.install, "install", false, "install only")
	f.Func("bench", "a `command` to run against the broker; may be repeated", func(s string) error {
		o.bench = append(o.bench, s)
		return nil
	})
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.name, args = args[0], args[1:]
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.name == "" || f.NArg() > 0 {
		return nil, fmt.Errorf("usage: peer %s [flags]", strings.Join(peers.Names(), "|"))
	}
	return o, nil
}

func parseCPUs(text string) (cpus []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("%q is not the number of a processor", word)
		}
		cpus = append(cpus, n)
	}
	return cpus, nil
}

func run(ctx context.Context, o *options) (err error) {
	p, err := peers.New(o.name, o.settings)
	if err != nil {
		return err
	}
	if o.install {
		return p.Install(ctx, os.Stderr)
	}
	if o.start.Dir == "" {
		if o.start.Dir, err = os.MkdirTemp("", "peer-"+o.name+"-"); err != nil {
			return err
		}
		if !o.keep {
			dir := o.start.Dir
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		}
	}
	o.start.RemoveData = !o.keep
	return peers.Run(ctx, p, o.start, os.Stderr, func(ctx context.Context, i *peers.Instance) error {
		if len(o.bench) == 0 {
			fmt.Fprintln(os.Stderr, "no -bench: it runs until Ctrl-C")
			select {
			case <-ctx.Done():
			case <-i.Done():
			}
			return nil
		}
		for _, command := range o.bench {
			if err := bench(ctx, i, command); err != nil {
				return err
			}
		}
		return nil
	})
}

// bench runs a command. When ctx ends it is interrupted as by Ctrl-C, so that it can report what it
// has, and given the time for it.
func bench(ctx context.Context, i *peers.Instance, command string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), i.Env()...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGINT) }
	cmd.WaitDelay = peers.StopMax
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
