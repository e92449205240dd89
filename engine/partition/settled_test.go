package partition

import (
	"fmt"
	"testing"

	"sluice/pagecache"
)

// TestHousekeepingWhileLogsOpen lets the dir's periodic duties run beside logs that are being opened:
// the race detector must find nothing, and every duty must succeed.
func TestHousekeepingWhileLogsOpen(t *testing.T) {
	t.Parallel()
	d, err := OpenDir(DirOptions{
		FS: pagecache.OS{}, Path: t.TempDir(), ClusterID: "c", NodeID: 1,
		NowMs: func() int64 { return 1_700_000_000_000 },
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 40 {
			if _, _, err := Open(Options{
				Dir: d, Topic: fmt.Sprint("t", i), TopicID: [16]byte{1, byte(i)}, Config: DefaultConfig(),
			}); err != nil {
				t.Error(err)
			}
		}
	}()
	for tick, running := int64(0), true; running; tick++ {
		select {
		case <-done:
			running = false
		default:
		}
		d.Tick(1_700_000_000_000 + tick*producerExpiryEveryMs)
		if err := d.Checkpoint(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(true, -1); err != nil {
		t.Error(err)
	}
}
