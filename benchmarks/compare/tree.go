package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cleanUpMax bounds the removal of a worktree after the comparison was interrupted.
const cleanUpMax = 30 * time.Second

// Tree is one revision as files.
type Tree struct {
	Dir     string // of its go.mod
	Version string // what `git describe` says of it
	// repository is where the worktree belongs to; empty for the work tree itself.
	repository string
	parent     string // temporary folder around the worktree
}

// WorkTree is the repository that holds dir, as it is now.
func WorkTree(ctx context.Context, dir string) (*Tree, error) {
	top, err := output(ctx, dir, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	version, err := output(ctx, top, "git", "describe", "--tags", "--always", "--dirty")
	if err != nil {
		return nil, err
	}
	return &Tree{Dir: top, Version: version}, nil
}

// Checkout makes a worktree of a revision ("HEAD~3", a branch, a commit) below temp, or below the
// system's folder for temporary files if temp is empty. Remove must be called.
func (t *Tree) Checkout(ctx context.Context, ref, temp string) (*Tree, error) {
	commit, err := output(ctx, t.Dir, "git", "rev-parse", "--verify", "--quiet", "--end-of-options",
		ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("%q is no revision of %s: %w", ref, t.Dir, err)
	}
	version, err := output(ctx, t.Dir, "git", "describe", "--tags", "--always", commit)
	if err != nil {
		return nil, err
	}
	parent, err := os.MkdirTemp(temp, "sluice-compare-")
	if err != nil {
		return nil, err
	}
	old := &Tree{
		Dir: filepath.Join(parent, "tree"), Version: version, repository: t.Dir, parent: parent,
	}
	if _, err := output(ctx, t.Dir, "git", "worktree", "add", "--detach", "--quiet", old.Dir, commit); err != nil {
		return nil, errors.Join(err, old.Remove(ctx))
	}
	return old, nil
}

// Remove takes the worktree away, also when ctx has ended. The work tree itself stays.
func (t *Tree) Remove(ctx context.Context) error {
	if t.repository == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpMax)
	defer cancel()
	err := os.RemoveAll(t.parent)
	// With its files gone, git forgets the worktree itself.
	_, prune := output(ctx, t.repository, "git", "worktree", "prune", "--expire", "now")
	return errors.Join(err, prune)
}

// Build makes the tree's broker at path, as `make build` does.
func (t *Tree) Build(ctx context.Context, path string) error {
	cmd := command(ctx, t.Dir, "go", "build", "-trimpath",
		"-ldflags", "-s -w -X main.version="+t.Version, "-o", path, "./cmd/sluice")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return run(cmd)
}

// command is a program that runs in dir.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd
}

// run runs a command; its error holds what the command wrote to stderr.
func run(cmd *exec.Cmd) error {
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(text.Bytes()))
	}
	return nil
}

// output is what a command writes to stdout, without spaces around it.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := command(ctx, dir, name, args...)
	var text bytes.Buffer
	cmd.Stdout = &text
	err := run(cmd)
	return strings.TrimSpace(text.String()), err
}
