package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

// memory is what there is, and how it is paged (proc_meminfo(5), admin-guide/mm/transhuge).
func (h *host) memory() []Fact {
	const thp = "/sys/kernel/mm/transparent_hugepage/"
	meminfo, err := h.read("/proc/meminfo")
	facts := []Fact{
		meminfoFact("memory.total", "Total", meminfo, err, "MemTotal"),
		meminfoFact("memory.available", "Available", meminfo, err, "MemAvailable"),
		meminfoFact("memory.cached", "Page cache", meminfo, err, "Cached"),
		meminfoFact("memory.swap", "Swap", meminfo, err, "SwapTotal"),
		meminfoFact("memory.swap.free", "Swap free", meminfo, err, "SwapFree"),
		meminfoFact("memory.hugepages", "Huge pages reserved", meminfo, err, "HugePages_Total"),
		meminfoFact("memory.hugepages.size", "Huge page size", meminfo, err, "Hugepagesize"),
		h.file("memory.thp", "Transparent huge pages", thp+"enabled"),
		h.file("memory.thp.defrag", "… defragmentation", thp+"defrag"),
		h.file("memory.thp.shmem", "… in shared memory", thp+"shmem_enabled"),
	}
	swaps, err := h.swaps()
	return append(facts, fact("memory.swap.areas", "Swap areas", swaps, err))
}

func meminfoFact(key, label, meminfo string, err error, field string) Fact {
	if err != nil {
		return fact(key, label, "", err)
	}
	for _, line := range strings.Split(meminfo, "\n") {
		name, value, _ := strings.Cut(line, ":")
		if name != field {
			continue
		}
		words := strings.Fields(value)
		if len(words) == 2 && words[1] == "kB" {
			if kib, err := strconv.ParseUint(words[0], 10, 54); err == nil {
				return fact(key, label, bytesText(kib*1024), nil)
			}
		}
		return fact(key, label, value, nil)
	}
	return fact(key, label, "", fmt.Errorf("/proc/meminfo: no field %s", field))
}

func (h *host) swaps() (string, error) {
	text, err := h.read("/proc/swaps")
	if err != nil {
		return "", err
	}
	lines := strings.Split(text, "\n")
	var areas []string
	for _, line := range lines[1:] {
		if fields := strings.Fields(line); len(fields) >= 2 {
			areas = append(areas, fields[0]+" ("+fields[1]+")")
		}
	}
	if areas == nil {
		return "none", nil
	}
	return strings.Join(areas, ", "), nil
}
