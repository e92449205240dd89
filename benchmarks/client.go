package benchmarks

import (
	"sluice/benchmarks/admin"
	"sluice/benchmarks/drive"
	"sluice/benchmarks/kgoload"
	"sluice/benchmarks/load"
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
		return load.Run
	}
}
