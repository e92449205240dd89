package peers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// NATS is the NATS server with JetStream and file storage. It does not speak Kafka's protocol:
// Instance.Driver is the program that measures it, publish and consume throughput only.
type NATS struct {
	// Source is the folder of the nested module; empty finds benchmarks/peers/nats in the
	// checkout that the working directory is in.
	Source string
}

const natsModule = "github.com/nats-io/nats-server/v2"

var natsListens = regexp.MustCompile(`Listening for client connections on (\S+)`)

// Name implements Peer.
func (n *NATS) Name() string { return "nats" }

// Install implements Peer: it builds the server, unchanged, and the driver, from the Go module proxy.
func (n *NATS) Install(ctx context.Context, log io.Writer) error {
	source, err := sourceDir(n.Source, "nats")
	if err != nil {
		return err
	}
	err = buildModule(ctx, log, source, "nats",
		goTarget{natsModule, "nats-server"}, goTarget{".", "nats-driver"})
	if err != nil {
		return fmt.Errorf("install nats: %w", err)
	}
	return nil
}

// natsConfig is the server's configuration. Overrides are top-level settings; those whose names
// begin with "jetstream." belong into that block. Values stand as the file's grammar has them.
func natsConfig(o *StartOptions) []byte {
	top := []string{`listen: "127.0.0.1:-1"`}
	jetstream := []string{fmt.Sprintf("store_dir: %q", o.dataDir())}
	for _, k := range o.overrides() {
		if inner, ok := strings.CutPrefix(k, "jetstream."); ok {
			jetstream = append(jetstream, inner+": "+o.Overrides[k])
		} else {
			top = append(top, k+": "+o.Overrides[k])
		}
	}
	return []byte(strings.Join(top, "\n") + "\njetstream {\n  " + strings.Join(jetstream, "\n  ") + "\n}\n")
}

// Start implements Peer. Overrides are settings of the server's configuration file ("max_payload",
// "jetstream.sync_interval"); HeapMiB has no meaning for it.
func (n *NATS) Start(ctx context.Context, o StartOptions) (*Instance, error) {
	if err := o.normalize(); err != nil {
		return nil, err
	}
	server, err := installed("nats", "nats-server")
	if err != nil {
		return nil, err
	}
	driver, err := installed("nats", "nats-driver")
	if err != nil {
		return nil, err
	}
	version, err := moduleVersion(server, natsModule)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(o.Dir, "nats.conf")
	if err := os.WriteFile(config, natsConfig(&o), 0o644); err != nil {
		return nil, err
	}
	l := launch{
		name: n.Name(), version: version, command: []string{server, "--config", config},
		listening: natsListens, probe: probeNATS, driver: driver,
	}
	return l.start(ctx, o)
}
