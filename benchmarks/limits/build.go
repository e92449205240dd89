package limits

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The programs travel inside the Go binary, so that an installed one can build them anywhere.
//
//go:embed crc32c.h limitd.c limitio.c
var sources embed.FS

// ErrNoCompiler is returned by Build when there is neither $CC nor cc, gcc or clang.
var ErrNoCompiler = errors.New("no C compiler found: the limits are measured by C programs " +
	"that are compiled on the box (install gcc or clang, or set CC)")

// compileFlags are the same for both programs. The instruction sets they need beyond the
// architecture's base are named in the sources.
var compileFlags = []string{"-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread"}

// Programs are the absolute paths of the two compiled programs.
type Programs struct {
	Server string // limitd: answers Produce and Fetch
	IO     string // limitio: measures the file system and the memory
}

// Build compiles both programs into dir and returns where they are. An empty dir means a folder in
// the user's cache directory. A program's file name carries a hash of its source, the compiler
// and the flags, so a second Build of the same text finds it done, and several processes may
// build into one dir at once.
func Build(dir string) (Programs, error) {
	compiler, err := findCompiler()
	if err != nil {
		return Programs{}, err
	}
	if dir == "" {
		dir = cacheDir()
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return Programs{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, err
	}
	var programs Programs
	if programs.Server, err = compile(compiler, dir, "limitd"); err != nil {
		return Programs{}, err
	}
	if programs.IO, err = compile(compiler, dir, "limitio"); err != nil {
		return Programs{}, err
	}
	return programs, nil
}

func findCompiler() (string, error) {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoCompiler
}

func cacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		// Without a home directory the user's own corner of the temporary directory will do.
		base = filepath.Join(os.TempDir(), fmt.Sprintf("sluice-%d", os.Getuid()))
	}
	return filepath.Join(base, "sluice", "limits")
}

// compile builds one program beside its final name and renames it, so that a half-written file
// is never run.
func compile(compiler, dir, name string) (string, error) {
	hash := sha256.New()
	texts := map[string][]byte{}
	for _, file := range []string{"crc32c.h", name + ".c"} {
		text, err := sources.ReadFile(file)
		if err != nil {
			return "", err
		}
		texts[file] = text
		hash.Write(text)
	}
	fmt.Fprint(hash, compiler, compileFlags)
	program := filepath.Join(dir, fmt.Sprintf("%s-%x", name, hash.Sum(nil)[:8]))
	if info, err := os.Stat(program); err == nil && info.Mode()&0o100 != 0 {
		return program, nil
	}

	work, err := os.MkdirTemp(dir, name+"-build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for file, text := range texts {
		if err := os.WriteFile(filepath.Join(work, file), text, 0o644); err != nil {
			return "", err
		}
	}
	fresh := filepath.Join(work, name)
	args := append(append([]string{}, compileFlags...), "-o", fresh, filepath.Join(work, name+".c"))
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", compiler, strings.Join(args, " "), err, out)
	}
	return program, os.Rename(fresh, program)
}
