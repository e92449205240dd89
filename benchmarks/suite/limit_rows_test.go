package suite

import (
	"slices"
	"strings"
	"testing"

	"sluice/benchmarks/limits"
)

// Every reference row of a limit server is measured by a case of the plan, in the row's unit, so
// that a disturbed box cannot pass for want of a figure. The plan has no batches of 4 KiB.
func TestRowsOfLimitServersAreMeasured(t *testing.T) {
	t.Parallel()
	measures := serverMeasures()
	for _, row := range limits.Rows() {
		ofServer := strings.HasPrefix(row.Name, "fetch/") || strings.HasPrefix(row.Name, "ping-pong/") ||
			strings.HasPrefix(row.Name, "produce/")
		if !ofServer || strings.HasSuffix(row.Name, "/4KiB") {
			continue
		}
		i := slices.IndexFunc(measures, func(m serverMeasure) bool { return m.name == row.Name })
		if i < 0 || measures[i].unit != row.Unit {
			t.Errorf("no case measures %s in %s", row.Name, row.Unit)
			continue
		}
		m := measures[i]
		at := slices.IndexFunc(Cases(), func(c Case) bool { return c.ID == m.id })
		if at < 0 || !slices.Contains(Cases()[at].Contenders, Contender{Target: m.target}) {
			t.Errorf("%s: case %s has no %s", row.Name, m.id, m.target)
		}
	}
}
