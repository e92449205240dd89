package report

import (
	"strings"
	"testing"

	"sluice/benchmarks/result"
	"sluice/benchmarks/stats"
)

func looped(loop string, connections, inFlight int) func(*result.Result) {
	return func(r *result.Result) {
		r.Loop, r.Spec.Connections, r.Spec.InFlight = loop, connections, inFlight
		h := result.NewHistogram()
		h.RecordN(50_000, 20_000)
		r.Stages = map[string]*result.Histogram{result.StageAck: h}
	}
}

// TestClosedLoopLatenciesAreNotCompared: coordinated omission must not look like a comparison. One
// request at a time is a round trip, which may stand beside a limit's, and says what it is.
func TestClosedLoopLatenciesAreNotCompared(t *testing.T) {
	for _, c := range []struct {
		name, other string
		change      func(*result.Result)
		want        string // the cell of p99; "" where the column must be absent
		overview    string
	}{
		{"open, peer", "kafka", looped("open", 4, 5), "1.00\u202f× (1.00\u2009–\u20091.00)", "1.00\u202f×"},
		{"closed, peer", "kafka", looped("closed", 4, 5), "", none},
		{"closed, limit", "limit-append", looped("closed", 4, 5), "", none},
		{"round trips, peer", "kafka", looped("closed", 1, 1), "", none},
		{"search", "kafka", looped("search", 4, 5), "", none},
		{
			"round trips, limit", "limit-ping", looped("closed", 1, 1),
			"1.00\u202f× (1.00\u2009–\u20091.00, round trips)", "1.00\u202f×",
		},
	} {
		r, err := Build(folderOf(runsOf(Sluice, 3, 100, c.change), runsOf(c.other, 3, 50, c.change)))
		if err != nil {
			t.Fatal(err)
		}
		table := r.Cases[0].Ratios[0].Table
		got := ""
		for i, head := range table.Head {
			if head == "p99 of ack" {
				got = table.Rows[0][i].Text + " (" + table.Rows[0][i].Sub + ")"
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if got := r.Overview.Rows[0][5].Text; got != c.overview {
			t.Errorf("%s: the overview has %q, want %q", c.name, got, c.overview)
		}
		note := c.name == "closed, peer" || c.name == "closed, limit"
		if has := strings.Contains(string(r.markdown()), closedNote); has != note {
			t.Errorf("%s: the note is there: %v", c.name, has)
		}
		g := goal("g", []string{"c"}, "p99_ack", stats.AtMost, 1.5, Side{Target: c.other})
		want := stats.Pass
		if c.want == "" {
			want = stats.Invalid
		}
		expect(t, c.name, judge(folderOf(runsOf(Sluice, 3, 100, c.change), runsOf(c.other, 3, 50, c.change)), g, ""),
			want, "")
	}
}
