package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Peer is a kind of broker that can be installed and started. Its methods may be called from many
// goroutines; several instances may run at once, each in a folder of its own.
type Peer interface {
	// Name is "sluice", "kafka", "kfake" or "nats".
	Name() string
	// Install fetches and builds what Start needs; a second call finds it in the cache. Progress
	// goes to log. An error that wraps ErrRegistry means that a download failed, for example
	// because there is no network.
	Install(ctx context.Context, log io.Writer) error
	// Start runs the broker and returns when it answers. Install must have succeeded before, in
	// this process or an earlier one. ctx bounds the start only: a broker that started lives until
	// Stop, or until this process ends. The error of a start that failed ends with the last lines
	// of the broker's log, and nothing is left running.
	Start(ctx context.Context, o StartOptions) (*Instance, error)
}

// StartOptions say where and how an instance runs.
type StartOptions struct {
	// Dir is the instance's own folder, made if need be: its configuration, its log files, and its
	// data in the folder "data". Data of an earlier instance is used again, as after a restart.
	Dir string
	// CPUs are the processors the broker may run on; empty leaves it to the scheduler.
	CPUs []int
	// HeapMiB is the heap of a broker that runs in a JVM (-Xms and -Xmx); 0 is 1024, as in Apache
	// Kafka's start script. Peers without such a heap take no notice of it.
	HeapMiB int
	// Overrides are settings of the broker by the names its own configuration file uses.
	Overrides map[string]string
	// RemoveData lets Stop remove the data folder. Log and configuration stay.
	RemoveData bool
}

// heapMiBDefault is what kafka-server-start.sh gives the broker; the bounds keep mistakes of unit out.
const (
	heapMiBDefault = 1024
	heapMiBMin     = 64
	heapMiBMax     = 1 << 20
)

// normalize checks o, fills in defaults, and makes the folder.
func (o *StartOptions) normalize() error {
	if o.Dir == "" {
		return errors.New("a broker needs a folder of its own: Dir is empty")
	}
	if o.HeapMiB == 0 {
		o.HeapMiB = heapMiBDefault
	}
	if o.HeapMiB < heapMiBMin || o.HeapMiB > heapMiBMax {
		return fmt.Errorf("heap of %d MiB: it must be from %d to %d", o.HeapMiB, heapMiBMin, heapMiBMax)
	}
	for _, c := range o.CPUs {
		if c < 0 || c > cpuMax {
			return fmt.Errorf("processor %d: it must be from 0 to %d", c, cpuMax)
		}
	}
	for k, v := range o.Overrides {
		if k == "" || strings.ContainsAny(k, "=\n") || strings.Contains(v, "\n") {
			return fmt.Errorf("override %q = %q: a name without '=', and both within one line", k, v)
		}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return err
	}
	o.Dir = dir
	return os.MkdirAll(dir, 0o755)
}

// overrides returns the overrides in the order of their names, so that two starts with the same
// options have the same command line and the same files.
func (o *StartOptions) overrides() (names []string) {
	for k := range o.Overrides {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}

func (o *StartOptions) dataDir() string { return filepath.Join(o.Dir, dataName) }

const dataName = "data"

// ErrRegistry says that a download failed.
var ErrRegistry = errors.New("the registry did not deliver")

// ErrNotInstalled says that Start was called before Install.
var ErrNotInstalled = errors.New("it is not installed")

// Settings are what the peers of New need to know.
type Settings struct {
	// SluiceBinary is the path of the built broker.
	SluiceBinary string
}

// Names lists the peers that New knows.
func Names() []string { return []string{"sluice", "kafka", "kfake", "nats"} }

// New returns a peer by its name.
func New(name string, s Settings) (Peer, error) {
	switch name {
	case "sluice":
		return &Sluice{Binary: s.SluiceBinary}, nil
	case "kafka":
		return &Kafka{}, nil
	case "kfake":
		return &KFake{}, nil
	case "nats":
		return &NATS{}, nil
	}
	return nil, fmt.Errorf("no peer %q: there are %s", name, strings.Join(Names(), ", "))
}

// Measure looks at a broker that runs and answers.
type Measure func(ctx context.Context, i *Instance) error

// Run is the life of a peer in one call: install, start, measure, stop. The broker is stopped also
// if measure fails or ctx ends; all errors are returned.
func Run(ctx context.Context, p Peer, o StartOptions, log io.Writer, measure Measure) error {
	if err := p.Install(ctx, log); err != nil {
		return err
	}
	i, err := p.Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s %s: process %d answers at %s after %v\n",
		i.Name, i.Version, i.Pid, i.Addr, i.ReadyAfter.Round(time.Millisecond))
	err = measure(ctx, i)
	// The end of ctx ends the measuring, not the orderly stop.
	return errors.Join(err, i.Stop(context.WithoutCancel(ctx)))
}
