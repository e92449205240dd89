package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Options say what to gather, and where from.
type Options struct {
	// DataDir is the directory whose file system and device are asked about. Empty leaves that
	// group out. It need not exist yet: its nearest existing parent is asked.
	DataDir string

	// Hostname adds the machine's name, which a published report may not want.
	Hostname bool

	// Root stands for "/" where a recorded tree is read; empty means the machine itself. With a
	// root set, what has no file is reported as unreadable.
	Root string
}

// Fact is one thing that was asked. Exactly one of Value and Unreadable is set.
type Fact struct {
	Key   string `json:"key"`   // for programs, such as "cpu.model" or a sysctl's own name
	Label string `json:"label"` // for people
	Value string `json:"value,omitempty"`

	// Unreadable says why there is no value, such as "/proc/swaps: permission denied".
	Unreadable string `json:"unreadable,omitempty"`
}

// Text is the value, or "not readable: " with the reason.
func (f Fact) Text() string {
	if f.Unreadable != "" {
		return "not readable: " + f.Unreadable
	}
	return f.Value
}

// Group is a titled list of facts.
type Group struct {
	Title string `json:"title"`
	Facts []Fact `json:"facts"`
}

// Facts is all that was gathered. Groups and facts come in the same order on every host; only
// lists of what the host has (caches, mitigations, interfaces) differ in length.
type Facts struct {
	Groups []Group `json:"groups"`
}

// Get finds a fact by its key.
func (f Facts) Get(key string) (Fact, bool) {
	for _, g := range f.Groups {
		for _, fact := range g.Facts {
			if fact.Key == key {
				return fact, true
			}
		}
	}
	return Fact{}, false
}

// Table is all facts as rows of label and text, in order. A row with an empty second column is the
// title of the group that follows.
func (f Facts) Table() [][2]string {
	var rows [][2]string
	for _, g := range f.Groups {
		rows = append(rows, [2]string{g.Title, ""})
		for _, fact := range g.Facts {
			rows = append(rows, [2]string{fact.Label, fact.Text()})
		}
	}
	return rows
}

// Gather reads the facts. It takes some milliseconds, and always returns all groups.
func Gather(o Options) Facts {
	h := newHost(o)
	groups := []Group{
		{"Machine", h.machine()},
		{"Processor", h.processor()},
		{"Vulnerabilities", h.vulnerabilities()},
		{"Memory", h.memory()},
		{"Kernel", h.kernel()},
		{"Limits of this process", h.limits()},
	}
	if o.DataDir != "" {
		groups = append(groups, Group{"Data directory", h.storage(o.DataDir)})
	}
	groups = append(groups,
		Group{"Network", h.network()},
		Group{"Sysctl: memory", h.sysctls(sysctlsMemory)},
		Group{"Sysctl: network", h.sysctls(sysctlsNetwork)},
		Group{"Sysctl: files and kernel", h.sysctls(h.kernelSysctls())},
	)
	return Facts{Groups: groups}
}

// host reads files below a root, and makes system calls if the root is the machine's own.
type host struct {
	root     string // "" or an absolute directory without a slash at its end
	hostname bool
	statfs   func(path string) (sizeBytes, freeBytes uint64, err error)
	offload  func(device string, command uint32) (bool, error)
}

var errRecorded = errors.New("no file has it, and this is a recorded tree")

func newHost(o Options) *host {
	h := &host{root: strings.TrimSuffix(o.Root, "/"), hostname: o.Hostname}
	h.statfs, h.offload = statfs, offload
	if h.root != "" {
		h.statfs = func(string) (uint64, uint64, error) { return 0, 0, errRecorded }
		h.offload = func(string, uint32) (bool, error) { return false, errRecorded }
	}
	return h
}

// read returns a file's text without the white space around it. The error names the path as the
// machine has it, without the root.
func (h *host) read(path string) (string, error) {
	text, err := os.ReadFile(h.root + path)
	if err != nil {
		return "", h.reason(path, err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(text), "\x00", " ")), nil
}

func (h *host) reason(path string, err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return fmt.Errorf("%s: %w", path, errno)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// glob lists paths (without the root) that match a pattern, sorted.
func (h *host) glob(pattern string) []string {
	names, err := filepath.Glob(h.root + pattern)
	if err != nil {
		panic("BUG: bad pattern " + pattern)
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], h.root)
	}
	return names
}

// file is the fact that a file's text is.
func (h *host) file(key, label, path string) Fact {
	text, err := h.read(path)
	return fact(key, label, text, err)
}

// fact makes one from a value or the error in its place. An empty value is said, not hidden.
func fact(key, label, value string, err error) Fact {
	switch {
	case err != nil:
		return Fact{Key: key, Label: label, Unreadable: err.Error()}
	case value == "":
		return Fact{Key: key, Label: label, Value: "(empty)"}
	}
	return Fact{Key: key, Label: label, Value: strings.Join(strings.Fields(value), " ")}
}
