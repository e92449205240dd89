package tuning

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
)

// kernel is which kernel this is, and how it was started.
func (h *host) kernel() []Fact {
	const clock = "/sys/devices/system/clocksource/clocksource0/"
	line, err := h.commandLine()
	model, modelErr := h.preemption()
	return []Fact{
		h.file("kernel.release", "Release", "/proc/sys/kernel/osrelease"),
		h.file("kernel.version", "Version", "/proc/sys/kernel/version"),
		fact("kernel.cmdline", "Parameters at boot", line, err),
		fact("kernel.preemption", "Preemption", model, modelErr),
		h.file("kernel.clocksource", "Clock source", clock+"current_clocksource"),
		h.file("kernel.clocksources", "Clock sources available", clock+"available_clocksource"),
	}
}

// commandLine is /proc/cmdline without what is not meant for the kernel: which program it starts
// first, and what follows "--", which is that program's (admin-guide/kernel-parameters).
func (h *host) commandLine() (string, error) {
	text, err := h.read("/proc/cmdline")
	if err != nil {
		return "", err
	}
	var keep []string
	for _, word := range strings.Fields(text) {
		if word == "--" {
			break
		}
		if !strings.HasPrefix(word, "init=") && !strings.HasPrefix(word, "rdinit=") {
			keep = append(keep, word)
		}
	}
	return strings.Join(keep, " "), nil
}

// preemption is the model in force. A kernel with dynamic preemption has several and tells the
// chosen one in debugfs, which only root sees; without that it is what the command line asked
// for, or else what it was built with.
func (h *host) preemption() (string, error) {
	if text, err := h.read("/sys/kernel/debug/sched/preempt"); err == nil {
		return text, nil
	}
	version, err := h.read("/proc/sys/kernel/version")
	if err != nil {
		return "", err
	}
	if strings.Contains(version, "PREEMPT_RT") {
		return "real-time", nil
	}
	if line, err := h.read("/proc/cmdline"); err == nil {
		for _, word := range strings.Fields(line) {
			if model, found := strings.CutPrefix(word, "preempt="); found {
				return model + " (command line)", nil
			}
		}
	}
	if model := h.builtPreemption(); model != "" {
		return model + " (as built)", nil
	}
	if strings.Contains(version, "PREEMPT_DYNAMIC") {
		return "dynamic; which model is in force is not readable", nil
	}
	if strings.Contains(version, "PREEMPT") {
		return "full (version)", nil
	}
	return "none or voluntary (version)", nil
}

// builtPreemption looks for the model in the kernel's configuration, in /proc or in /boot.
func (h *host) builtPreemption() string {
	models := map[string]string{
		"CONFIG_PREEMPT_NONE=y": "none", "CONFIG_PREEMPT_VOLUNTARY=y": "voluntary",
		"CONFIG_PREEMPT=y": "full", "CONFIG_PREEMPT_LAZY=y": "lazy",
	}
	release, _ := h.read("/proc/sys/kernel/osrelease")
	for _, path := range []string{"/proc/config.gz", "/boot/config-" + release} {
		model := ""
		_ = h.eachLine(path, func(line string) {
			if m, ok := models[line]; ok {
				model = m
			}
		})
		if model != "" {
			return model
		}
	}
	return ""
}

// eachLine reads a text file, unpacking it if its name ends in .gz, up to 4 MiB.
func (h *host) eachLine(path string, do func(string)) error {
	f, err := os.Open(h.root + path)
	if err != nil {
		return h.reason(path, err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	lines := bufio.NewScanner(io.LimitReader(r, 4<<20))
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}
