package tuning

import (
	"path/filepath"
	"strings"
)

// The sysctls that move a broker's figures, by admin-guide/sysctl/vm.rst, net.rst, kernel.rst and
// networking/ip-sysctl.rst.
var (
	sysctlsMemory = []string{
		"vm.dirty_background_bytes", "vm.dirty_background_ratio", "vm.dirty_bytes", "vm.dirty_ratio",
		"vm.dirty_expire_centisecs", "vm.dirty_writeback_centisecs", "vm.swappiness",
		"vm.max_map_count", "vm.overcommit_memory", "vm.min_free_kbytes",
		"vm.watermark_scale_factor", "vm.vfs_cache_pressure", "vm.zone_reclaim_mode",
		"vm.nr_hugepages",
	}
	sysctlsNetwork = []string{
		"net.core.rmem_default", "net.core.rmem_max", "net.core.wmem_default", "net.core.wmem_max",
		"net.core.somaxconn", "net.core.netdev_max_backlog", "net.core.netdev_budget",
		"net.core.netdev_budget_usecs", "net.core.busy_poll", "net.core.busy_read",
		"net.core.default_qdisc", "net.core.optmem_max",
		"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.tcp_mem",
		"net.ipv4.tcp_congestion_control", "net.ipv4.tcp_moderate_rcvbuf",
		"net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_max_syn_backlog",
		"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_autocorking", "net.ipv4.tcp_timestamps",
		"net.ipv4.tcp_sack", "net.ipv4.tcp_window_scaling", "net.ipv4.tcp_tw_reuse",
		"net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_limit_output_bytes",
		"net.ipv4.ip_local_port_range",
	}
	sysctlsKernel = []string{
		"fs.file-max", "fs.nr_open", "fs.aio-max-nr", "kernel.io_uring_disabled",
		"kernel.perf_event_paranoid", "kernel.numa_balancing", "kernel.pid_max",
		"kernel.threads-max", "kernel.timer_migration", "kernel.watchdog",
		"kernel.randomize_va_space",
	}
)

// kernelSysctls adds the scheduler's, whose names change from kernel to kernel.
func (h *host) kernelSysctls() []string {
	names := append([]string(nil), sysctlsKernel...)
	for _, path := range h.glob("/proc/sys/kernel/sched_*") {
		names = append(names, "kernel."+filepath.Base(path))
	}
	return names
}

// sysctls reads each by its file: dots are slashes. A name that this kernel has not is reported as
// such, since its absence is a fact too.
func (h *host) sysctls(names []string) []Fact {
	facts := make([]Fact, 0, len(names))
	for _, name := range names {
		facts = append(facts, h.file(name, name, "/proc/sys/"+strings.ReplaceAll(name, ".", "/")))
	}
	return facts
}
