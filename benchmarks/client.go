package benchmarks

import (
	"context"
	"fmt"

	"sluice/benchmarks/admin"
	"sluice/benchmarks/drive"
	"sluice/benchmarks/kgoload"
	"sluice/benchmarks/workload"
)

// clientOf chooses the client of a valid spec.
func clientOf(s workload.Spec) drive.Client {
	switch {
	case s.Mode == workload.Connections:
		return admin.Connections
	case s.Mode == workload.Topics:
		return admin.Topics
	case s.Client == workload.KGO:
		return kgoload.Run
	default:
		return absent
	}
}

// absent refuses a client that this build does not have.
func absent(_ context.Context, _ drive.Target, s workload.Spec, _ drive.Hooks) (drive.Outcome, error) {
	return drive.Outcome{}, fmt.Errorf("this build has no client %q", s.Client)
}
