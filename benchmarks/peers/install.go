package peers

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// CacheDir is where downloads and built peers are kept between runs: $SLUICE_BENCH_CACHE, or else
// sluice-bench in the user's cache folder ($XDG_CACHE_HOME, ~/.cache).
func CacheDir() (string, error) {
	if dir := os.Getenv("SLUICE_BENCH_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for downloads (set SLUICE_BENCH_CACHE): %w", err)
	}
	return filepath.Join(dir, "sluice-bench"), nil
}

// lockCache makes the cache folder and holds its lock, against another installer, until unlock.
func lockCache() (dir string, unlock func(), err error) {
	if dir, err = CacheDir(); err != nil {
		return "", nil, err
	}
	if err = os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return "", nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return dir, func() { f.Close() }, nil
}

// tool runs a program of an installation in dir; its output goes to log. When ctx ends, or this
// process, it ends with all its children or at least itself.
func tool(ctx context.Context, log io.Writer, dir string, env []string, args ...string) error {
	fmt.Fprintf(log, "%s\n", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// goEnv keeps a nested module apart from whatever workspace or vendoring the caller has.
var goEnv = []string{"GOWORK=off", "GO111MODULE=on", "CGO_ENABLED=0"}

// goTarget is a program of a nested module: a package, and the name of its binary in the cache.
type goTarget struct{ pkg, name string }

// buildModule downloads what the module in source needs and builds targets into the cache folder
// sub.
func buildModule(ctx context.Context, log io.Writer, source, sub string, targets ...goTarget) error {
	cache, unlock, err := lockCache()
	if err != nil {
		return err
	}
	defer unlock()
	if err := tool(ctx, log, source, goEnv, "go", "mod", "download"); err != nil {
		return fmt.Errorf("%w: %w", ErrRegistry, err)
	}
	for _, t := range targets {
		path := filepath.Join(cache, sub, t.name)
		// A path that only appears when it is whole: a broker of an earlier build may be running.
		part := path + ".part"
		args := []string{"go", "build", "-trimpath", "-buildvcs=false", "-o", part, t.pkg}
		if err := tool(ctx, log, source, goEnv, args...); err != nil {
			return err
		}
		if err := os.Rename(part, path); err != nil {
			return err
		}
	}
	return nil
}

// installed returns the path of a program that buildModule built.
func installed(sub, name string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, sub, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	return path, nil
}

// moduleVersion is the version of a module that a Go binary was built from.
func moduleVersion(binary, module string) (string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", err
	}
	for _, d := range append(info.Deps, &info.Main) {
		if d.Path == module {
			return strings.TrimPrefix(d.Version, "v"), nil
		}
	}
	return "", fmt.Errorf("%s was not built from %s", binary, module)
}

// sourceDir finds the folder of a nested module: source if it is named, else name beside this
// package in the checkout that the working directory is in.
func sourceDir(source, name string) (string, error) {
	if source != "" {
		return filepath.Abs(source)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module sluice\n") {
			return filepath.Join(dir, "benchmarks", "peers", name), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no sources of %s: run this inside a checkout of Sluice", name)
		}
		dir = parent
	}
}
