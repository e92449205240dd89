package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kfake takes records and gives them back: what a figure of it rests on.
func TestKFakeIsMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: kfake is not built")
	}
	i := start(t, newKFake(t), StartOptions{
		RemoveData: true, Overrides: map[string]string{"auto.create.topics.enable": "true"},
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(i.Addr), kgo.AllowAutoTopicCreation(),
		kgo.ConsumeTopics("tiny"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const records = 100
	var batch []*kgo.Record
	for n := range records {
		batch = append(batch, &kgo.Record{Topic: "tiny", Value: fmt.Append(nil, n)})
	}
	if err := client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < records {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
	}
	stopsClean(t, i)
}

// NATS JetStream from its install to its last file: the driver publishes for a moment and reads back
// what it published.
func TestNATSIsMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the NATS server is not built")
	}
	var log bytes.Buffer
	p := &NATS{}
	err := p.Install(t.Context(), &log)
	if errors.Is(err, ErrRegistry) {
		t.Skipf("the NATS server's modules are not cached and cannot be downloaded: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	i := start(t, p, StartOptions{RemoveData: true})
	if i.Version == "" || i.ReadyAfter <= 0 {
		t.Errorf("instance: %+v", i)
	}
	for _, mode := range []string{"publish", "consume"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, i.Driver, mode, "-addr", i.Addr, "-streams", "2", "-connections", "2",
			"-warmup", "0s", "-duration", "300ms")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		cancel()
		var said struct {
			Mode    string           `json:"mode"`
			Records int64            `json:"records"`
			Bytes   int64            `json:"bytes"`
			Seconds float64          `json:"seconds"`
			Errors  map[string]int64 `json:"errors"`
		}
		if err == nil {
			err = json.Unmarshal(out, &said)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", mode, err, &stderr)
		}
		if said.Mode != mode || said.Records == 0 || said.Bytes != 1024*said.Records || said.Seconds <= 0 ||
			len(said.Errors) > 0 {
			t.Errorf("%s: %+v", mode, said)
		}
	}
	stopsClean(t, i)
}

// stopsClean wants the peer to end in order and to leave no data.
func stopsClean(t *testing.T, i *Instance) {
	t.Helper()
	if err := i.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(i.data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data folder after Stop: %v", err)
	}
}
