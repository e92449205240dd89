package tuning

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// storage is the file system and the device under the data directory (block/queue-sysfs).
func (h *host) storage(dir string) []Fact {
	m, err := MountOf(h.root, dir)
	path := dir
	if existing, pathErr := existing(h.root, dir); pathErr == nil {
		path = existing
	}
	sizeBytes, freeBytes, statErr := h.statfs(path)
	facts := []Fact{
		fact("data.fs", "File system", m.Type, err),
		fact("data.mount", "Mounted at", m.Point, err),
		fact("data.options", "Mount options", m.Options, err),
		fact("data.source", "Mounted from", m.Source, err),
		fact("data.size", "Size", bytesText(sizeBytes), statErr),
		fact("data.free", "Free for this user", bytesText(freeBytes), statErr),
	}
	disk := ""
	if err == nil {
		disk, err = DiskOf(h.root, m)
	}
	facts = append(facts, fact("data.device", "Device", disk, err))
	if err != nil {
		return facts
	}
	return append(facts, h.device("/sys/class/block/"+disk)...)
}

func (h *host) device(dir string) []Fact {
	size, err := h.deviceSize(dir)
	queues := len(h.glob(dir + "/mq/[0-9]*"))
	queue := dir + "/queue/"
	return []Fact{
		h.file("device.model", "Device model", dir+"/device/model"),
		fact("device.size", "Device size", size, err),
		h.file("device.scheduler", "I/O scheduler (in brackets)", queue+"scheduler"),
		h.file("device.rotational", "Rotational", queue+"rotational"),
		h.file("device.nr_requests", "Queue depth (nr_requests)", queue+"nr_requests"),
		fact("device.queues", "Hardware queues", strconv.Itoa(queues), nil),
		h.file("device.write_cache", "Write cache", queue+"write_cache"),
		h.file("device.fua", "Forced unit access", queue+"fua"),
		h.file("device.read_ahead", "Read-ahead, KiB", queue+"read_ahead_kb"),
		h.file("device.max_sectors", "Largest request, KiB", queue+"max_sectors_kb"),
		h.file("device.logical_block", "Logical block, bytes", queue+"logical_block_size"),
		h.file("device.physical_block", "Physical block, bytes", queue+"physical_block_size"),
		h.file("device.wbt", "Writeback throttling target, µs", queue+"wbt_lat_usec"),
		h.file("device.nomerges", "Merging switched off", queue+"nomerges"),
	}
}

// deviceSize: the file counts sectors of 512 bytes, whatever the device's own are.
func (h *host) deviceSize(dir string) (string, error) {
	text, err := h.read(dir + "/size")
	if err != nil {
		return "", err
	}
	sectors, err := strconv.ParseUint(text, 10, 54)
	if err != nil {
		return "", fmt.Errorf("%s/size: %q is no number", dir, text)
	}
	return bytesText(sectors * 512), nil
}

func statfs(path string) (sizeBytes, freeBytes uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", path, err)
	}
	unit := uint64(st.Frsize)
	return st.Blocks * unit, st.Bavail * unit, nil
}

// bytesText gives sizes in the largest unit that keeps a digit before the point.
func bytesText(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}
