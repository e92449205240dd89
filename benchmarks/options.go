package benchmarks

import (
	"context"
	"time"

	"sluice/benchmarks/drive"
	"sluice/benchmarks/result"
	"sluice/benchmarks/workload"
)

// Options say what to run, where, and what to watch meanwhile.
type Options struct {
	// Spec is normalized and validated by Run.
	Spec workload.Spec
	// Target.Addrs are the brokers to ask first. A Raw target is a limit server: no topic is made.
	Target drive.Target
	// Who, Plan and Command go into the result as they are. An empty Who.Name becomes "broker".
	Who     result.Target
	Plan    result.Plan
	Command []string

	// BrokerPid is the broker's process on this machine; 0 finds it by the listening port, and -1
	// says that there is none to watch.
	BrokerPid int
	// DataDir is a directory on the device that the broker writes to; empty leaves the device out.
	DataDir string
	// Admin is the address of the broker's /metrics. Empty tries Sluice's default on this machine,
	// and believes it only if the same process listens there; "-" tries nothing.
	Admin string
	// UseExisting takes topics that exist already, if they have as many partitions as asked for.
	// Topics that the run did not create are never deleted.
	UseExisting bool

	// Live is called about once a second while the client runs; nil is allowed.
	Live func(drive.Tick)
	// Step is called when a search has finished a step; nil is allowed.
	Step func(result.SearchStep)
	// Client carries the run out; nil takes the one that Spec.Client and Spec.Mode name.
	Client drive.Client

	// These are replaced by tests of this package.
	watchEvery time.Duration
	freeBytes  func(dir string) (uint64, error)
}

// dialTimeout bounds the search for a broker that answers. It is short because a person waits.
const dialTimeout = 6 * time.Second

// cleanTimeout bounds the deletion of topics after the run.
const cleanTimeout = 10 * time.Second

// detached gives what cleans up after a run some time, also after the run was interrupted.
func detached(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), d)
}
