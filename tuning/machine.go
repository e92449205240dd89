package tuning

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// machine is what the box is, and what runs beneath it.
func (h *host) machine() []Fact {
	var facts []Fact
	if h.hostname {
		facts = append(facts, h.file("host.name", "Host name", "/proc/sys/kernel/hostname"))
	}
	virtual, err := h.virtualization()
	steal, stealErr := h.stealSinceBoot()
	uptime, uptimeErr := h.uptime()
	return append(facts,
		h.file("dmi.vendor", "Maker", "/sys/class/dmi/id/sys_vendor"),
		h.file("dmi.product", "Product", "/sys/class/dmi/id/product_name"),
		fact("host.virtual", "Virtual machine", virtual, err),
		fact("host.container", "Container", h.container(), nil),
		fact("host.uptime", "Up for", uptime, uptimeErr),
		fact("host.steal", "Processor time stolen since boot", steal, stealErr),
	)
}

// virtualization tells a guest from bare metal by the flag that every hypervisor sets for its
// guests (CPUID leaf 1, ECX bit 31), and names the hypervisor from what guests can see of it.
func (h *host) virtualization() (string, error) {
	if kind, err := h.read("/sys/hypervisor/type"); err == nil && kind != "" {
		return "yes: " + kind, nil
	}
	cpuinfo, err := h.read("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	flags, known := cpuinfoField(cpuinfo, "flags")
	if name := h.hypervisorName(); name != "" {
		return "yes: " + name, nil
	}
	if !known {
		return "", fmt.Errorf("/proc/cpuinfo: no flags on this architecture")
	}
	if !hasWord(flags, "hypervisor") {
		return "no: the hypervisor flag is not set", nil
	}
	return "yes: the hypervisor flag is set, it does not say which", nil
}

// hypervisorMarks are words in DMI strings and clock sources that only one hypervisor uses.
var hypervisorMarks = []struct{ word, name string }{
	{"amazon ec2", "KVM (Amazon EC2)"},
	{"google compute engine", "KVM (Google Compute Engine)"},
	{"kvm-clock", "KVM"},
	{"kvm", "KVM"},
	{"qemu", "QEMU"},
	{"vmware", "VMware"},
	{"virtualbox", "VirtualBox"},
	{"hyperv_clocksource", "Hyper-V"},
	{"virtual machine", "Hyper-V"},
	{"xen", "Xen"},
	{"parallels", "Parallels"},
	{"bhyve", "bhyve"},
}

func (h *host) hypervisorName() string {
	var seen []string
	for _, path := range []string{
		"/sys/class/dmi/id/product_name",
		"/sys/class/dmi/id/sys_vendor",
		"/sys/devices/system/clocksource/clocksource0/available_clocksource",
	} {
		text, err := h.read(path)
		if err == nil {
			seen = append(seen, strings.ToLower(text))
		}
	}
	all := strings.Join(seen, " ")
	if strings.Contains(all, "amazon ec2") && strings.Contains(all, ".metal") {
		return ""
	}
	for _, mark := range hypervisorMarks {
		if strings.Contains(all, mark.word) {
			return mark.name
		}
	}
	return ""
}

// container names the container manager that left its mark, if any did.
func (h *host) container() string {
	if name, err := h.read("/run/systemd/container"); err == nil && name != "" {
		return "yes: " + name
	}
	marks := []struct{ path, name string }{{"/.dockerenv", "docker"}, {"/run/.containerenv", "podman"}}
	for _, mark := range marks {
		if len(h.glob(mark.path)) > 0 {
			return "yes: " + mark.name
		}
	}
	return "no mark of one"
}

// stealSinceBoot is column 8 of the cpu line of /proc/stat, as a share of all columns but guest
// time, which user time already holds (proc_stat(5)).
func (h *host) stealSinceBoot() (string, error) {
	text, err := h.read("/proc/stat")
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return "", fmt.Errorf("/proc/stat: no cpu line with steal time")
	}
	var total, steal uint64
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return "", fmt.Errorf("/proc/stat: %q is no number", field)
		}
		total += ticks
		if i == 7 {
			steal = ticks
		}
	}
	if total == 0 {
		return "", fmt.Errorf("/proc/stat: no time has passed")
	}
	return fmt.Sprintf("%.2f %%", 100*float64(steal)/float64(total)), nil
}

func (h *host) uptime() (string, error) {
	text, err := h.read("/proc/uptime")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(text, " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return "", fmt.Errorf("/proc/uptime: %q is no number", first)
	}
	return fmt.Sprintf("%.1f hours", seconds/3600), nil
}

// vulnerabilities are the processor's known ones with what the kernel does about each
// (admin-guide/hw-vuln). Those that do not concern this processor share one line.
func (h *host) vulnerabilities() []Fact {
	const dir = "/sys/devices/system/cpu/vulnerabilities"
	var facts []Fact
	var clear []string
	for _, path := range h.glob(dir + "/*") {
		name := filepath.Base(path)
		f := h.file("vulnerability."+name, name, path)
		if f.Value == "Not affected" {
			clear = append(clear, name)
			continue
		}
		facts = append(facts, f)
	}
	if len(clear) == 0 && len(facts) == 0 {
		return []Fact{fact("vulnerability", "All", "", fmt.Errorf("%s: nothing there", dir))}
	}
	if len(clear) > 0 {
		facts = append(facts, fact("vulnerability.none", "Not affected", strings.Join(clear, ", "), nil))
	}
	return facts
}

// cpuinfoField is the value of a field in the first processor's block of /proc/cpuinfo.
func cpuinfoField(cpuinfo, name string) (string, bool) {
	block, _, _ := strings.Cut(cpuinfo, "\n\n")
	for _, line := range strings.Split(block, "\n") {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

func hasWord(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}
