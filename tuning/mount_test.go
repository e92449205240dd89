package tuning

import (
	"errors"
	"os"
	"reflect"
	"testing"
)

func TestMountOf(t *testing.T) {
	guest, server := plant(t, "testdata/guest.tree"), plant(t, "testdata/server.tree")
	for _, c := range []struct{ root, dir, point, kind, disk string }{
		{guest, "/var/lib/sluice", "/", "ext4", "vda"},
		{guest, "/", "/", "ext4", "vda"},
		{guest, "/sys/class", "/sys", "sysfs", ""},
		{server, "/data", "/data", "xfs", "nvme0n1"},
		{server, "/data/sluice/not/there", "/data", "xfs", "nvme0n1"},
		{server, "/data2", "/", "ext4", ""},
		{server, "/data/volume/x", "/data/volume", "btrfs", "nvme0n1"},
	} {
		m, err := MountOf(c.root, c.dir)
		if err != nil || m.Point != c.point || m.Type != c.kind {
			t.Errorf("MountOf(%s): %+v, %v; want %s at %s", c.dir, m, err, c.kind, c.point)
		}
		disk, err := DiskOf(c.root, m)
		if disk != c.disk || (err == nil) == (c.disk == "") || err != nil && !errors.Is(err, ErrNoDevice) {
			t.Errorf("DiskOf(%s): %q, %v; want %q", c.dir, disk, err, c.disk)
		}
	}
}

func TestParseMount(t *testing.T) {
	line := `36 35 98:0 /mnt1 /my\040data\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue`
	want := Mount{`/my data\x`, "98:0", "ext3", "/dev/root", "rw,noatime,errors=continue"}
	if m, ok := parseMount(line); !ok || m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	for _, bad := range []string{"", "36 35 98:0 / /a rw", "- ext4 /dev/sda rw", "1 2 3 4 5 rw - ext4"} {
		if m, ok := parseMount(bad); ok {
			t.Errorf("%q read as %+v", bad, m)
		}
	}
}

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string][]int{
		"": nil, "0": {0}, "0-3,8,10-11": {0, 1, 2, 3, 8, 10, 11}, "5-5": {5},
	} {
		if got, err := ParseCPUList(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"x", "3-1", "1,", "-1", "0-65535,0-65535", "70000"} {
		if got, err := ParseCPUList(bad); err == nil {
			t.Errorf("%q read as %d processors, want an error", bad, len(got))
		}
	}
}

// TestMountOfCoveredPoint: of two mounts on one point the later is the one that files are on.
func TestMountOfCoveredPoint(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/proc/self", 0o755); err != nil {
		t.Fatal(err)
	}
	text := "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / / rw - xfs /dev/b rw\n"
	if err := os.WriteFile(root+"/proc/self/mountinfo", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if m, err := MountOf(root, "/proc"); err != nil || m.Type != "xfs" {
		t.Errorf("got %+v, %v; want the xfs mount", m, err)
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add(`36 35 98:0 / /my\040data rw shared:2 - ext3 /dev/root rw,errors=continue`)
	f.Add(`1 2 3 4 \ rw - a \1`)
	f.Fuzz(func(t *testing.T, line string) {
		if m, ok := parseMount(line); ok && (m.Type == "" || m.Point == "") {
			t.Errorf("%q gave %+v", line, m)
		}
	})
}
