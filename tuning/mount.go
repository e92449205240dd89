package tuning

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type Mount struct {
	Point   string // where it is mounted
	Device  string // "major:minor" of its files
	Type    string // of the file system
	Source  string // such as /dev/sda1, or a name that means nothing
	Options string // of this mount, then of the file system, without doubles
}

// ErrNoDevice is given for file systems that no single block device of this machine holds: in
// memory, over the network, or layered on others.
var ErrNoDevice = errors.New("the file system is on no block device")

// MountOf finds the mount that holds dir, or its nearest existing parent. root stands for "/", and
// is "" on the machine itself.
func MountOf(root, dir string) (Mount, error) {
	path, err := existing(root, dir)
	if err != nil {
		return Mount{}, err
	}
	text, err := os.ReadFile(root + "/proc/self/mountinfo")
	if err != nil {
		return Mount{}, (&host{}).reason("/proc/self/mountinfo", err)
	}
	best, found := Mount{}, false
	for _, line := range strings.Split(string(text), "\n") {
		m, ok := parseMount(line)
		// Of two mounts on one point the later one covers the other.
		if ok && within(m.Point, path) && (!found || len(m.Point) >= len(best.Point)) {
			best, found = m, true
		}
	}
	if !found {
		return Mount{}, fmt.Errorf("/proc/self/mountinfo: no mount holds %s", path)
	}
	return best, nil
}

// existing follows dir's links as far as it exists, and returns the path without root.
func existing(root, dir string) (string, error) {
	if root == "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		dir = abs
	}
	for {
		real, err := filepath.EvalSymlinks(root + dir)
		if err == nil && (real == root || strings.HasPrefix(real, root)) {
			return "/" + strings.TrimPrefix(strings.TrimPrefix(real, root), "/"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("%s: %w", dir, err)
		}
		dir = parent
	}
}

func within(point, path string) bool {
	return point == "/" || path == point || strings.HasPrefix(path, point+"/")
}

// parseMount reads one line: id, parent, major:minor, root, point, options, optional fields, "-",
// type, source, options of the file system.
func parseMount(line string) (Mount, bool) {
	before, after, found := strings.Cut(line, " - ")
	left, right := strings.Fields(before), strings.Fields(after)
	if !found || len(left) < 6 || len(right) < 2 {
		return Mount{}, false
	}
	m := Mount{
		Point: unescape(left[4]), Device: left[2], Type: right[0],
		Source: unescape(right[1]), Options: left[5],
	}
	if len(right) > 2 {
		for _, option := range strings.Split(right[2], ",") {
			if !hasOption(m.Options, option) {
				m.Options += "," + option
			}
		}
	}
	return m, true
}

func hasOption(list, option string) bool {
	for _, o := range strings.Split(list, ",") {
		if o == option {
			return true
		}
	}
	return false
}

// unescape undoes mountinfo's octal escapes of space, tab, newline and backslash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if code, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// DiskOf names the block device under a mount as /sys/class/block has it: a partition's whole
// disk, otherwise the device itself (a device mapper or md volume is not taken apart).
// It returns ErrNoDevice if there is none.
func DiskOf(root string, m Mount) (string, error) {
	path, err := filepath.EvalSymlinks(root + "/sys/dev/block/" + m.Device)
	if err != nil {
		// Some file systems give their files a device number of their own (btrfs, major 0).
		if path, err = sourceDevice(root, m.Source); err != nil {
			return "", fmt.Errorf("%s from %s at %s: %w", m.Type, m.Source, m.Point, ErrNoDevice)
		}
	}
	if _, err := os.Stat(path + "/partition"); err == nil {
		path = filepath.Dir(path)
	}
	return filepath.Base(path), nil
}

func sourceDevice(root, source string) (string, error) {
	if !strings.HasPrefix(source, "/dev/") {
		return "", ErrNoDevice
	}
	info, err := os.Stat(root + source)
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode()&os.ModeDevice != 0 {
			number := fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
			return filepath.EvalSymlinks(root + "/sys/dev/block/" + number)
		}
	}
	return filepath.EvalSymlinks(root + "/sys/class/block/" + filepath.Base(source))
}
