package peers

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Sluice is the broker of this project, from a binary that is built already.
type Sluice struct {
	// Binary is its path.
	Binary string
}

var (
	sluiceListens = regexp.MustCompile(`msg="sluice is ready" .*\blisten=PLAINTEXT://([^\s,]+)`)
	sluiceAdmin   = regexp.MustCompile(`msg="sluice is ready" .*\badmin=(\S+)`)
)

// Name implements Peer.
func (s *Sluice) Name() string { return "sluice" }

// Install implements Peer. There is nothing to install: it makes sure that the binary runs.
func (s *Sluice) Install(ctx context.Context, _ io.Writer) error {
	_, err := s.version(ctx)
	return err
}

// version asks the binary.
func (s *Sluice) version(ctx context.Context) (string, error) {
	if s.Binary == "" {
		return "", fmt.Errorf("sluice: %w: no binary is named (make build makes bin/sluice)", ErrNotInstalled)
	}
	out, err := exec.CommandContext(ctx, s.Binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %w", s.Binary, err)
	}
	words := strings.Fields(string(out))
	if len(words) < 2 || words[0] != "sluice" {
		return "", fmt.Errorf("%s version: it says %.80q", s.Binary, out)
	}
	return words[1], nil
}

// Start implements Peer. Overrides are given as --override, after those of the driver, so that they
// win; HeapMiB has no meaning for it.
func (s *Sluice) Start(ctx context.Context, o StartOptions) (*Instance, error) {
	if err := o.normalize(); err != nil {
		return nil, err
	}
	version, err := s.version(ctx)
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(s.Binary)
	if err != nil {
		return nil, err
	}
	command := []string{
		binary, "server",
		"--override", "listeners=PLAINTEXT://127.0.0.1:0",
		"--override", "admin.listener=127.0.0.1:0",
		"--override", "log.dirs=" + o.dataDir(),
	}
	for _, k := range o.overrides() {
		command = append(command, "--override", k+"="+o.Overrides[k])
	}
	l := launch{
		name: s.Name(), version: version, command: command,
		listening: sluiceListens, administering: sluiceAdmin, probe: probeAPIVersions,
	}
	return l.start(ctx, o)
}
