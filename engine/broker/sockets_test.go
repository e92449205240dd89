package broker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog/config"
	"sluice/pagecache"
)

// TestControlAnswersOverSockets proves that answers built by control workers and by the reactor itself
// do not meet in one chain: every client gets its own.
func TestControlAnswersOverSockets(t *testing.T) {
	cfg, err := config.Load("", []string{
		"log.dirs=" + t.TempDir(), "admin.listener=",
		"listeners=PLAINTEXT://127.0.0.1:0", "advertised.listeners=PLAINTEXT://127.0.0.1:1", "num.network.threads=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	b, err := New(cfg, Environment{
		FS: pagecache.OS{}, NowMs: func() int64 { return time.Now().UnixMilli() },
		NanoTime: func() int64 { return int64(time.Since(start)) },
		Random:   func(p []byte) { _, _ = rand.Read(p) },
		Log:      slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	defer b.Stop(context.Background())
	addr := b.Addr("PLAINTEXT").String()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			f := kmsg.NewRequestFormatter()
			for n := range int32(300) {
				var q kmsg.Request
				if i%2 == 0 {
					m := kmsg.NewPtrMetadataRequest()
					m.SetVersion(4)
					q = m
				} else {
					m := kmsg.NewPtrApiVersionsRequest()
					m.SetVersion(0)
					q = m
				}
				corr := int32(i)*1000 + n
				if _, err := c.Write(f.AppendRequest(nil, q, corr)); err != nil {
					t.Error(i, n, err)
					return
				}
				var head [4]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					t.Error(i, n, err)
					return
				}
				body := make([]byte, binary.BigEndian.Uint32(head[:]))
				if _, err := io.ReadFull(c, body); err != nil {
					t.Error(i, n, err)
					return
				}
				if got := int32(binary.BigEndian.Uint32(body)); got != corr {
					t.Errorf("connection %d got the answer %d, want %d", i, got, corr)
					return
				}
			}
		})
	}
	wg.Wait()
}
