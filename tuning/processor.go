package tuning

import (
	"fmt"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

const cpuDir = "/sys/devices/system/cpu"

// processor is what computes: model, topology, caches and clocks (sysfs cpu, cpufreq, cpuidle).
func (h *host) processor() []Fact {
	cpuinfo, err := h.read("/proc/cpuinfo")
	facts := []Fact{
		cpuinfoFact("cpu.model", "Model", cpuinfo, err, "model name"),
		cpuinfoFact("cpu.microcode", "Microcode", cpuinfo, err, "microcode"),
		cpuinfoFact("cpu.mhz", "Clock now, first processor, MHz", cpuinfo, err, "cpu MHz"),
	}
	facts = append(facts, h.topology()...)
	facts = append(facts, h.caches()...)
	governor, governorErr := h.eachCPU("cpufreq/scaling_governor")
	turbo, turboErr := h.turbo()
	return append(facts,
		fact("cpu.governor", "Frequency governor", governor, governorErr),
		h.file("cpu.driver", "Frequency driver", cpuDir+"/cpu0/cpufreq/scaling_driver"),
		fact("cpu.turbo", "Turbo", turbo, turboErr),
		h.file("cpu.idle.driver", "Idle driver", cpuDir+"/cpuidle/current_driver"),
		h.file("cpu.idle.governor", "Idle governor", cpuDir+"/cpuidle/current_governor"),
		h.file("cpu.isolated", "Isolated processors", cpuDir+"/isolated"),
		fact("cpu.features", "Of note among its features", features(cpuinfo), err),
	)
}

func cpuinfoFact(key, label, cpuinfo string, err error, field string) Fact {
	value, ok := cpuinfoField(cpuinfo, field)
	if err == nil && !ok {
		err = fmt.Errorf("/proc/cpuinfo: no field %q", field)
	}
	return fact(key, label, value, err)
}

// features picks the flags that checksums, copies and clocks depend on.
func features(cpuinfo string) string {
	flags, _ := cpuinfoField(cpuinfo, "flags")
	var have []string
	for _, name := range []string{
		"sse4_2", "pclmulqdq", "vpclmulqdq", "avx2", "avx512f", "erms", "fsrm",
		"constant_tsc", "nonstop_tsc", "tsc_known_freq",
	} {
		if hasWord(flags, name) {
			have = append(have, name)
		}
	}
	if have == nil {
		return "none of those looked for"
	}
	return strings.Join(have, " ")
}

// topology counts sockets, cores and threads of the processors that are online.
func (h *host) topology() []Fact {
	online, err := h.read(cpuDir + "/online")
	cpus, parseErr := ParseCPUList(online)
	if err == nil && parseErr != nil {
		err = fmt.Errorf("%s/online: %w", cpuDir, parseErr)
	}
	sockets, cores := map[string]bool{}, map[string]bool{}
	topologyErr := err
	for _, cpu := range cpus {
		dir := fmt.Sprintf("%s/cpu%d/topology", cpuDir, cpu)
		socket, err1 := h.read(dir + "/physical_package_id")
		core, err2 := h.read(dir + "/thread_siblings_list")
		if err1 != nil {
			topologyErr = err1
		} else if err2 != nil {
			topologyErr = err2
		}
		sockets[socket], cores[core] = true, true
	}
	return []Fact{
		fact("cpu.sockets", "Sockets", strconv.Itoa(len(sockets)), topologyErr),
		fact("cpu.cores", "Cores", strconv.Itoa(len(cores)), topologyErr),
		fact("cpu.threads", "Hardware threads online", fmt.Sprintf("%d (%s)", len(cpus), online), err),
		h.file("cpu.smt", "Hyper-threading active", cpuDir+"/smt/active"),
		h.numaNodes(),
	}
}

func (h *host) numaNodes() Fact {
	const path = "/sys/devices/system/node/online"
	online, err := h.read(path)
	nodes, parseErr := ParseCPUList(online)
	if err == nil && parseErr != nil {
		err = fmt.Errorf("%s: %w", path, parseErr)
	}
	return fact("numa.nodes", "NUMA nodes", fmt.Sprintf("%d (%s)", len(nodes), online), err)
}

// ParseCPUList reads the kernel's list format, such as "0-3,8,10-11" (cpuset(7), "List format").
// It refuses lists that name more than 65,536 processors.
func ParseCPUList(text string) ([]int, error) {
	const cpusMax = 1 << 16
	var cpus []int
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no list of processors", text)
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(high, 10, 16); err != nil || last < first {
				return nil, fmt.Errorf("%q is no list of processors", text)
			}
		}
		if len(cpus)+int(last-first)+1 > cpusMax {
			return nil, fmt.Errorf("more than %d processors", cpusMax)
		}
		for cpu := first; cpu <= last; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}

// caches are those of the first processor: size each, and who shares it.
func (h *host) caches() []Fact {
	var facts []Fact
	for _, dir := range h.glob(cpuDir + "/cpu0/cache/index[0-9]*") {
		level, err := h.read(dir + "/level")
		kind, kindErr := h.read(dir + "/type")
		if err != nil || kindErr != nil {
			continue
		}
		suffix := map[string]string{"Data": "d", "Instruction": "i"}[kind]
		size, err := h.read(dir + "/size")
		if shared, sharedErr := h.read(dir + "/shared_cpu_list"); sharedErr == nil {
			size += ", shared by processors " + shared
		}
		name := "L" + level + suffix
		facts = append(facts, fact("cpu.cache."+strings.ToLower(name), name+" cache", size, err))
	}
	if facts == nil {
		err := fmt.Errorf("%s/cpu0/cache: nothing there", cpuDir)
		return []Fact{fact("cpu.cache", "Caches", "", err)}
	}
	return facts
}

// eachCPU reads one file of each processor and lists the different texts.
func (h *host) eachCPU(name string) (string, error) {
	seen := map[string]bool{}
	for _, path := range h.glob(cpuDir + "/cpu[0-9]*/" + name) {
		if text, err := h.read(path); err == nil {
			seen[text] = true
		}
	}
	if len(seen) == 0 {
		_, err := h.read(filepath.Join(cpuDir, "cpu0", name))
		if err == nil {
			err = fmt.Errorf("%s/cpu*/%s: no processor has it", cpuDir, name)
		}
		return "", err
	}
	var texts []string
	for text := range seen {
		texts = append(texts, text)
	}
	sort.Strings(texts)
	return strings.Join(texts, ", "), nil
}

// turbo: intel_pstate says whether it is forbidden, all other drivers whether it is allowed.
func (h *host) turbo() (string, error) {
	if text, err := h.read(cpuDir + "/intel_pstate/no_turbo"); err == nil {
		return map[string]string{"0": "on", "1": "off"}[text], nil
	}
	text, err := h.read(cpuDir + "/cpufreq/boost")
	return map[string]string{"1": "on", "0": "off"}[text], err
}
