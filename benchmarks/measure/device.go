package measure

import (
	"fmt"

	"sluice/tuning"
)

// DeviceSample is what a block device has done since boot.
type DeviceSample struct {
	Reads        int64
	ReadBytes    int64
	Writes       int64
	WrittenBytes int64
	DiscardBytes int64
	Flushes      int64
	BusyMs       int64
}

// DeviceMeter reads the block device under a directory. Not for use by several goroutines at once.
type DeviceMeter struct {
	about Device
	stat  *procFile
}

// OpenDevice finds the device under dir: its mount, that mount's device, a partition's disk.
// Directories on no device (tmpfs, overlays, network) give tuning.ErrNoDevice. root stands for
// "/", and is "" in use.
func OpenDevice(root, dir string) (*DeviceMeter, error) {
	mount, err := tuning.MountOf(root, dir)
	if err != nil {
		return nil, err
	}
	disk, err := tuning.DiskOf(root, mount)
	if err != nil {
		return nil, err
	}
	stat, err := openProc(root + "/sys/class/block/" + disk + "/stat")
	if err != nil {
		return nil, err
	}
	about := Device{Dir: dir, MountPoint: mount.Point, FileSystem: mount.Type, Name: disk}
	return &DeviceMeter{about, stat}, nil
}

// Close lets the file go.
func (m *DeviceMeter) Close() { m.stat.close() }

// About is where the device is; all its figures are zero.
func (m *DeviceMeter) About() Device { return m.about }

// Sample reads all figures into s; on an error s is unchanged.
func (m *DeviceMeter) Sample(s *DeviceSample) error {
	text, err := m.stat.read()
	if err != nil {
		return fmt.Errorf("statistics of %s: %w", m.about.Name, err)
	}
	return parseDeviceStat(text, s)
}

// parseDeviceStat reads the line of admin-guide/iostats: 11 figures on any kernel, 15 with
// discards (4.18), 17 with flushes (5.5). A sector is 512 bytes here, whatever the device's is.
func parseDeviceStat(text []byte, s *DeviceSample) error {
	const sectorBytes = 512
	line, _ := nextLine(text)
	var f [17]int64
	n := numbers(line, f[:])
	if n < 11 {
		return fmt.Errorf("a device's statistics have %d figures, want 11 or more", n)
	}
	*s = DeviceSample{
		Reads: f[0], ReadBytes: f[2] * sectorBytes,
		Writes: f[4], WrittenBytes: f[6] * sectorBytes,
		BusyMs: f[9], DiscardBytes: f[13] * sectorBytes, Flushes: f[15],
	}
	return nil
}
