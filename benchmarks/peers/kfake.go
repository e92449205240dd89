package peers

import (
	"context"
	"fmt"
	"io"
	"regexp"
)

// KFake is franz-go's kfake, an in-memory broker written for tests, run as a process. It keeps
// batches on the heap and writes no file: it shows what a Go broker without storage could do.
type KFake struct {
	// Source is the folder of the nested module; empty finds benchmarks/peers/kfake in the
	// checkout that the working directory is in.
	Source string
}

const kfakeModule = "github.com/twmb/franz-go/pkg/kfake"

var kfakeListens = regexp.MustCompile(`(?m)^kfake listens at (\S+)$`)

// Name implements Peer.
func (k *KFake) Name() string { return "kfake" }

// Install implements Peer: it builds the nested module, whose needs come from the Go module proxy.
func (k *KFake) Install(ctx context.Context, log io.Writer) error {
	source, err := sourceDir(k.Source, "kfake")
	if err != nil {
		return err
	}
	if err := buildModule(ctx, log, source, "kfake", goTarget{".", "kfake"}); err != nil {
		return fmt.Errorf("install kfake: %w", err)
	}
	return nil
}

// Start implements Peer. Overrides are the few broker configs that kfake heeds, others are refused;
// HeapMiB has no meaning for it.
func (k *KFake) Start(ctx context.Context, o StartOptions) (*Instance, error) {
	if err := o.normalize(); err != nil {
		return nil, err
	}
	binary, err := installed("kfake", "kfake")
	if err != nil {
		return nil, err
	}
	version, err := moduleVersion(binary, kfakeModule)
	if err != nil {
		return nil, err
	}
	command := []string{binary}
	for _, k := range o.overrides() {
		command = append(command, "-override", k+"="+o.Overrides[k])
	}
	l := launch{
		name: k.Name(), version: version, command: command,
		listening: kfakeListens, probe: probeAPIVersions,
	}
	return l.start(ctx, o)
}
