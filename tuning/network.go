package tuning

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// network is the loopback, which most benchmarks run over, and the other interfaces in one line
// each (sysfs-class-net, ethtool(8)).
func (h *host) network() []Fact {
	facts := []Fact{
		h.file("net.lo.mtu", "Loopback MTU, bytes", "/sys/class/net/lo/mtu"),
		h.offloadFact("net.lo.tso", "Loopback TSO", unix.ETHTOOL_GTSO),
		h.offloadFact("net.lo.gso", "Loopback GSO", unix.ETHTOOL_GGSO),
		h.offloadFact("net.lo.gro", "Loopback GRO", unix.ETHTOOL_GGRO),
	}
	for _, dir := range h.glob("/sys/class/net/*") {
		name := filepath.Base(dir)
		state, err := h.read(dir + "/operstate")
		if name == "lo" || (err == nil && state == "down") {
			continue
		}
		facts = append(facts, fact("net."+name, "Interface "+name, h.interfaceText(dir, state), err))
	}
	return facts
}

func (h *host) interfaceText(dir, state string) string {
	parts := []string{state}
	if mtu, err := h.read(dir + "/mtu"); err == nil {
		parts = append(parts, "MTU "+mtu)
	}
	// Virtual devices answer -1, or refuse.
	if speed, err := h.read(dir + "/speed"); err == nil && speed != "-1" {
		parts = append(parts, speed+" Mbit/s")
	}
	if driver, err := filepath.EvalSymlinks(h.root + dir + "/device/driver"); err == nil {
		parts = append(parts, "driver "+filepath.Base(driver))
	}
	return strings.Join(parts, ", ")
}

func (h *host) offloadFact(key, label string, command uint32) Fact {
	on, err := h.offload("lo", command)
	value := "off"
	if on {
		value = "on"
	}
	return fact(key, label, value, err)
}

// offload asks a device's driver for one on-or-off feature by the ioctl that ethtool uses. Asking
// needs no privilege.
func offload(device string, command uint32) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	value := struct{ command, data uint32 }{command: command} // struct ethtool_value
	request := struct {                                       // struct ifreq
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(&value)
	if errno != 0 {
		return false, fmt.Errorf("ioctl SIOCETHTOOL on %s: %w", device, errno)
	}
	return value.data != 0, nil
}
