package measure

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/tuning"
)

func TestHostFromFiles(t *testing.T) {
	tr := newTree(t)
	tr.host(100, 400, 8, 70)
	m, err := OpenHost(tr.root)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got HostSample
	want := HostSample{
		CPUs: 2, UserNanos: 1_020_000_000, SystemNanos: 30_000_000, IdleNanos: 4_000_000_000,
		IOWaitNanos: 50_000_000, IRQNanos: 60_000_000, SoftIRQNanos: 70_000_000,
		StealNanos: 80_000_000, ContextSwitches: 1000,
		Pages: Pages{8000 * 1024, 1000 * 1024, 5930 * 1024, 3000 * 1024, 70 * 1024, 50 * 1024},
	}
	if err := m.Sample(&got); err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if busy := got.BusyNanos(); busy != 1_180_000_000 {
		t.Errorf("busy %d: guest time is in user time, waiting and steal are not work", busy)
	}
	tr.put("proc/stat", "cpu 1 2 3\n")
	if err := m.Sample(&got); err == nil || got != want {
		t.Errorf("a short line gave %v and %+v", err, got)
	}
}

// TestLongStat: /proc/stat of a big machine is longer than the first buffer.
func TestLongStat(t *testing.T) {
	tr := newTree(t)
	tr.host(1, 1, 1, 1)
	tr.put("proc/stat", "cpu  1 2 3 4 5 6 7 8 9 10\n"+strings.Repeat("cpu0 1\n", 5000)+"ctxt 77\n")
	m, err := OpenHost(tr.root)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var s HostSample
	if err := m.Sample(&s); err != nil || s.CPUs != 5000 || s.ContextSwitches != 77 {
		t.Errorf("%d processors, %d switches, %v", s.CPUs, s.ContextSwitches, err)
	}
}

// TestHostHere: on a running machine no counter but waiting time goes back, and there are as many
// processors as the kernel lists.
func TestHostHere(t *testing.T) {
	m, err := OpenHost("")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var a, b HostSample
	if err := errors.Join(m.Sample(&a), m.Sample(&b)); err != nil {
		t.Fatal(err)
	}
	if b.BusyNanos() < a.BusyNanos() || a.BusyNanos() == 0 || b.ContextSwitches < a.ContextSwitches {
		t.Errorf("%+v, then %+v", a, b)
	}
	if a.CPUs == 0 || a.Pages.TotalBytes == 0 || a.Pages.AvailableBytes == 0 {
		t.Errorf("%+v: want processors and memory", a)
	}
}

func TestDeviceFromFiles(t *testing.T) {
	tr := plant(t, "testdata/disks.tree")
	for _, c := range []struct {
		dir   string
		about Device
		want  DeviceSample
	}{
		{
			"/data/log",
			Device{Dir: "/data/log", MountPoint: "/data", FileSystem: "xfs", Name: "sda"},
			DeviceSample{11, 33 * 512, 55, 77 * 512, 0, 0, 110},
		},
		{
			"/srv/not/made/yet",
			Device{Dir: "/srv/not/made/yet", MountPoint: "/", FileSystem: "ext4", Name: "vda"},
			DeviceSample{1, 3 * 512, 5, 7 * 512, 14 * 512, 16, 10},
		},
	} {
		m, err := OpenDevice(tr.root, c.dir)
		if err != nil {
			t.Fatal(err)
		}
		var got DeviceSample
		if err := m.Sample(&got); err != nil || got != c.want || m.About() != c.about {
			t.Errorf("%s: %+v, %v, %+v\nwant %+v, %+v", c.dir, got, err, m.About(), c.want, c.about)
		}
		m.Close()
	}
	if _, err := OpenDevice(tr.root, "/memory"); !errors.Is(err, tuning.ErrNoDevice) {
		t.Errorf("tmpfs: %v, want ErrNoDevice", err)
	}
}

func TestDeviceBadLine(t *testing.T) {
	s := DeviceSample{Reads: 9}
	for _, text := range []string{"", "1 2 3", "\n"} {
		if err := parseDeviceStat([]byte(text), &s); err == nil || s.Reads != 9 {
			t.Errorf("%q gave %+v, %v", text, s, err)
		}
	}
}

// TestDeviceHere: a synced write shows at the device under the directory, if there is one.
func TestDeviceHere(t *testing.T) {
	dir := t.TempDir()
	m, err := OpenDevice("", dir)
	if errors.Is(err, tuning.ErrNoDevice) {
		t.Skipf("the temporary directory has no device to watch: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var before, after DeviceSample
	if err := m.Sample(&before); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 1 << 20
	if _, err := f.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), m.Sample(&after)); err != nil {
		t.Fatal(err)
	}
	if grown := after.WrittenBytes - before.WrittenBytes; grown < size {
		t.Errorf("%s wrote %d bytes while %d were synced", m.About().Name, grown, size)
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "x": 0, "12kB": 12, "-3": 0, "9223372036854775807": 1<<63 - 1,
		"9223372036854775808": 1<<63 - 1, "99999999999999999999": 1<<63 - 1,
	} {
		if got := number([]byte(text)); got != want {
			t.Errorf("number(%q) = %d, want %d", text, got, want)
		}
	}
}
