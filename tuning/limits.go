package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// limits are this process's own: control group and resource limits (cgroups(7), getrlimit(2)).
func (h *host) limits() []Fact {
	version, err := h.cgroupVersion()
	cpu, cpuErr := h.cgroupCPU()
	memory, memoryErr := h.cgroupBytes("memory.max", "memory.limit_in_bytes")
	high, highErr := h.cgroupBytes("memory.high", "memory.soft_limit_in_bytes")
	allowed, allowedErr := h.allowedCPUs()
	facts := []Fact{
		fact("cgroup.version", "Control groups", version, err),
		fact("cgroup.cpu.max", "Processors' time (cpu.max)", cpu, cpuErr),
		fact("cgroup.memory.max", "Memory (memory.max)", memory, memoryErr),
		fact("cgroup.memory.high", "Memory (memory.high)", high, highErr),
		fact("process.cpus", "Processors allowed", allowed, allowedErr),
	}
	limits, err := h.read("/proc/self/limits")
	for _, l := range []struct{ key, label, name string }{
		{"ulimit.nofile", "Open files", "Max open files"},
		{"ulimit.memlock", "Locked memory", "Max locked memory"},
		{"ulimit.nproc", "Processes", "Max processes"},
		{"ulimit.fsize", "File size", "Max file size"},
		{"ulimit.as", "Address space", "Max address space"},
	} {
		value, limitErr := ulimit(limits, err, l.name)
		facts = append(facts, fact(l.key, l.label, value, limitErr))
	}
	return facts
}

// ulimit finds a line such as "Max open files   1024   524288   files". Go programs raise their
// soft limit of open files to the hard one when they start.
func ulimit(limits string, err error, name string) (string, error) {
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(limits, "\n") {
		if rest, found := strings.CutPrefix(line, name); found {
			if fields := strings.Fields(rest); len(fields) >= 2 {
				return "soft " + fields[0] + ", hard " + fields[1], nil
			}
		}
	}
	return "", fmt.Errorf("/proc/self/limits: no line %q", name)
}

func (h *host) allowedCPUs() (string, error) {
	status, err := h.read("/proc/self/status")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(status, "\n") {
		if value, found := strings.CutPrefix(line, "Cpus_allowed_list:"); found {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("/proc/self/status: no line Cpus_allowed_list")
}

// cgroupEntry is a line of /proc/self/cgroup: hierarchy, controllers, path. The unified hierarchy
// (version 2) has number 0 and no controllers.
type cgroupEntry struct {
	unified     bool
	controllers string
	path        string
}

func (h *host) cgroupEntries() ([]cgroupEntry, error) {
	text, err := h.read("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var entries []cgroupEntry
	for _, line := range strings.Split(text, "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 {
			unified := parts[0] == "0" && parts[1] == ""
			entries = append(entries, cgroupEntry{unified, parts[1], path.Clean("/" + parts[2])})
		}
	}
	if entries == nil {
		return nil, fmt.Errorf("/proc/self/cgroup: in no control group")
	}
	return entries, nil
}

func (h *host) cgroupVersion() (string, error) {
	entries, err := h.cgroupEntries()
	if err != nil {
		return "", err
	}
	unified, other := false, false
	for _, e := range entries {
		unified = unified || e.unified
		other = other || (!e.unified && e.controllers != "")
	}
	switch {
	case unified && other:
		return "1 and 2 (hybrid)", nil
	case unified:
		return "2", nil
	}
	return "1", nil
}

// cgroupDirs are the directories that limit this process for a controller: its own group first,
// then the groups above it, each of which limits it too.
func (h *host) cgroupDirs(controller string) (dirs []string, version int, err error) {
	entries, err := h.cgroupEntries()
	if err != nil {
		return nil, 0, err
	}
	group, version := "", 0
	for _, e := range entries {
		switch {
		case hasOption(e.controllers, controller):
			group, version = e.path, 1
		case e.unified && version == 0:
			group, version = e.path, 2
		}
	}
	mount, err := h.cgroupMount(controller, version)
	if err != nil {
		return nil, 0, err
	}
	// Within a container the path may be the host's, of which only the end is mounted: the mount
	// point then is this process's own group.
	if group == "/" || len(h.glob(path.Join(mount, group))) == 0 {
		return []string{mount}, version, nil
	}
	for ; group != "/"; group = path.Dir(group) {
		dirs = append(dirs, path.Join(mount, group))
	}
	return append(dirs, mount), version, nil
}

// readLimit is a group's file, or "max" where there is none: the root group has no limits, nor has
// a group whose parent does not hand the controller down.
func (h *host) readLimit(path string) (string, error) {
	text, err := h.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "max", nil
	}
	return text, err
}

func (h *host) cgroupMount(controller string, version int) (string, error) {
	text, err := h.read("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(text, "\n") {
		m, ok := parseMount(line)
		if ok && (version == 2 && m.Type == "cgroup2" ||
			version == 1 && m.Type == "cgroup" && hasOption(m.Options, controller)) {
			return m.Point, nil
		}
	}
	return "", fmt.Errorf("/proc/self/mountinfo: no mount of the %s controller", controller)
}

// cgroupCPU is the tightest quota on the way up, in processors. The root has no such file, which
// is no limit.
func (h *host) cgroupCPU() (string, error) {
	dirs, version, err := h.cgroupDirs("cpu")
	if err != nil {
		return "", err
	}
	tightest, text := 0.0, "no limit"
	for _, dir := range dirs {
		quota, period, err := h.cpuQuota(dir, version)
		if err != nil {
			return "", err
		}
		us, err1 := strconv.ParseFloat(quota, 64)
		every, err2 := strconv.ParseFloat(period, 64)
		if err1 != nil || err2 != nil || us <= 0 || every <= 0 {
			continue
		}
		if cpus := us / every; tightest == 0 || cpus < tightest {
			tightest, text = cpus, fmt.Sprintf("%.2f processors (%s of every %s µs)", cpus, quota, period)
		}
	}
	return text, nil
}

// cpuQuota is what a group may use in each period, both in µs; the quota may be "max" or -1.
func (h *host) cpuQuota(dir string, version int) (quota, period string, err error) {
	if version == 2 {
		line, err := h.readLimit(dir + "/cpu.max")
		quota, period, _ = strings.Cut(line, " ")
		return quota, period, err
	}
	if quota, err = h.readLimit(dir + "/cpu.cfs_quota_us"); err == nil {
		period, err = h.readLimit(dir + "/cpu.cfs_period_us")
	}
	return quota, period, err
}

// cgroupBytes is the tightest of a limit in bytes on the way up.
func (h *host) cgroupBytes(file2, file1 string) (string, error) {
	// Version 1 says "no limit" as the largest multiple of the page size.
	const unlimitedMin = 1 << 62
	dirs, version, err := h.cgroupDirs("memory")
	if err != nil {
		return "", err
	}
	file := file2
	if version == 1 {
		file = file1
	}
	tightest := uint64(unlimitedMin)
	for _, dir := range dirs {
		text, err := h.readLimit(dir + "/" + file)
		if err != nil {
			return "", err
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && n < tightest {
			tightest = n
		}
	}
	if tightest == unlimitedMin {
		return "no limit", nil
	}
	return bytesText(tightest), nil
}
