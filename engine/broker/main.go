package broker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"sluice/engine/catalog/config"
	"sluice/pagecache"
)

// drainMax is how long a shutdown waits for requests in process and their responses.
const drainMax = 10 * time.Second

// Main runs a broker until ctx ends, and shuts it down cleanly then. It returns nil after a clean
// shutdown; any other end is an error fit for a person to read.
func Main(ctx context.Context, cfg *config.Server, version string, log *slog.Logger) error {
	runtime.GOMAXPROCS(2 * runtime.NumCPU())
	for _, w := range cfg.Warnings {
		log.Warn(w)
	}
	b, err := New(cfg, System(version, log))
	if err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		b.Stop(context.Background())
		return err
	}
	b.announce()
	select {
	case <-ctx.Done():
		log.Info("shutting down: draining connections", "at_most", drainMax.String())
	case err = <-b.fatal:
		log.Error("shutting down: the broker cannot go on", "error", err)
	}
	drain, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	return errors.Join(err, b.Stop(drain))
}

// System is the environment of a real process.
func System(version string, log *slog.Logger) Environment {
	start := time.Now()
	return Environment{
		FS:       pagecache.OS{},
		NowMs:    func() int64 { return time.Now().UnixMilli() },
		NanoTime: func() int64 { return int64(time.Since(start)) },
		Random:   func(p []byte) { _, _ = rand.Read(p) },
		Log:      log,
		Version:  version,
	}
}

// announce writes the one line that tells a person what runs where.
func (b *Broker) announce() {
	var addrs []string
	for _, l := range b.cfg.Listeners {
		addrs = append(addrs, fmt.Sprintf("%s://%s", l.Name, b.Addr(l.Name)))
	}
	admin := b.AdminAddr()
	if admin == "" {
		admin = "off"
	}
	b.log.Info("sluice is ready", "version", b.env.Version, "listen", strings.Join(addrs, ","),
		"data", strings.Join(b.cfg.LogDirs, ","), "cluster_id", b.clusterID, "node_id", b.nodeID,
		"io_engine", "epoll", "durability", "pagecache", "topics", b.image().TopicCount(),
		"partitions", b.image().PartitionCount(), "admin", admin)
}

// Stop ends the broker: it stops accepting, lets requests in process finish until ctx ends, and
// closes everything on disk cleanly. It may be called after a Start that failed.
func (b *Broker) Stop(ctx context.Context) error {
	served := b.state.Swap(stateDraining) == stateServing
	if b.stopWork != nil {
		b.stopWork()
		b.work.Wait()
	}
	// Members that wait for each other would keep the connections from draining.
	b.closeCoordinators()
	if b.net != nil {
		b.endPolls()
		if err := b.net.Drain(ctx); err != nil {
			// A client that does not take its answer keeps no broker from ending cleanly.
			b.log.Warn("connections were cut before their answers had left", "cause", err)
		}
		b.net.Close()
	}
	for _, p := range b.pools {
		p.wait()
	}
	if b.admin != nil {
		b.admin.stop(ctx)
	}
	err := b.closeStorage(true)
	if err == nil && served {
		b.log.Info("logs are closed; the shutdown was clean")
	}
	return err
}

// closeStorage closes dirs and metadata. When the broker had started every healthy dir gets its
// marker, last of all, so that the next start need not check anything. When the start was refused,
// no log has been opened and every dir is left as clean as it was found.
func (b *Broker) closeStorage(started bool) error {
	var errs []error
	if started {
		b.checkpointHighWatermarks()
	}
	for _, d := range b.dirs {
		clean, epoch := d.dir.Clean()
		if started {
			clean, epoch = true, b.epoch
		}
		clean = clean && !d.failed.Load()
		if err := d.dir.Close(clean, epoch); err != nil && clean {
			errs = append(errs, fmt.Errorf("closing log dir %s: %w", filepath.Clean(d.path), err))
		}
	}
	if b.meta != nil {
		errs = append(errs, b.meta.close())
	}
	if b.metaLock != nil {
		errs = append(errs, b.metaLock())
	}
	return errors.Join(errs...)
}
