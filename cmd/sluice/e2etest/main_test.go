package e2etest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// sluiceBin is the binary under test.
var sluiceBin string

// common is one broker for all tests that neither stop nor configure it. Each has topics of its own.
var common struct {
	once   sync.Once
	dir    string
	broker *broker
	err    error
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sluiceBin = filepath.Join(dir, "sluice")
	if err := build(sluiceBin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	common.dir = filepath.Join(dir, "data")
	code := m.Run()
	if b := common.broker; b != nil {
		if err := errors.Join(b.terminate(), b.sound()); err != nil {
			fmt.Fprintf(os.Stderr, "the common broker: %v\n%s\n", err, b.log.tail(logTailLines))
			return 1
		}
	}
	return code
}

func build(bin string) error {
	args := []string{"build", "-tags", "poison", "-o", bin}
	if raceEnabled {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "sluice/cmd/sluice")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the binary under test: %w\n%s", err, out)
	}
	return nil
}

// sharedBroker returns the common broker, which it starts if need be.
func sharedBroker(t *testing.T) *broker {
	t.Helper()
	common.once.Do(func() { common.broker, common.err = launch(common.dir) })
	if common.err != nil {
		t.Fatal(common.err)
	}
	b := common.broker
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the common broker's log ends:\n%s", b.log.tail(logTailLines))
		}
	})
	return b
}
