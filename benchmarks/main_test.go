package benchmarks

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sluice/benchmarks/peers"
)

// broker builds and starts a broker that ends with the test, and returns its address.
func broker(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	bin := filepath.Join(dir, "sluice")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "sluice/cmd/sluice").CombinedOutput()
	if err != nil {
		t.Fatalf("building the broker: %v\n%s", err, out)
	}
	i, err := (&peers.Sluice{Binary: bin}).Start(ctx, peers.StartOptions{Dir: filepath.Join(dir, "broker")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return i.Addr
}
