package main

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/benchmarks/groups"
)

// TestBenchGroups: each part ends with what it counts, and disturbs nobody's measured time.
func TestBenchGroups(t *testing.T) {
	t.Parallel()
	broker := ownBroker(t)
	r := runBench(t, []int{0}, broker.address, "groups", "-o", "json", "--duration", "1s", "--warmup",
		"100ms", "--heartbeat", "100ms", "--groups", "3", "--members", "4", "--large-members", "20",
		"--large-partitions", "50", "--connections", "2", "--producers", "2")
	var parts []groups.Part
	if err := json.Unmarshal([]byte(r.out), &parts); err != nil {
		t.Fatalf("%v\n%s", err, r.out)
	}
	seen := map[string]groups.Part{}
	for _, p := range parts {
		seen[p.Name] = p
		if p.Failed != "" || p.Rebalances > 0 || p.Name != groups.Rebalance && p.Count == 0 {
			t.Errorf("%+v", p)
		}
	}
	if p := seen[groups.Steady]; p.Members != 12 || p.StableSeconds <= 0 {
		t.Errorf("steady: %+v", p)
	}
	if p := seen[groups.Rebalance]; p.Members != 20 || p.Partitions != 50 {
		t.Errorf("rebalance: %+v", p)
	}
	if p := seen[groups.Commits]; p.Offsets != p.Count {
		t.Errorf("commits: %+v", p)
	}
	if left := run(t, "", "group", "list", "-b", broker.address, "-o", "json"); left.out != "[]\n" {
		t.Errorf("groups were left behind: %s", left.out)
	}
}

// TestBenchGroupsRefusals: what cannot be is refused before anything is done; a broker that is not
// there fails every part, with the reason.
func TestBenchGroupsRefusals(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{
		"--parts=quick":   `part "quick" is none of steady, rebalance, commits, transactions`,
		"--groups=0":      "--groups is 0, allowed are 1 to 100000",
		"--heartbeat=1ms": "--heartbeat is at least 100ms",
	} {
		r := runBench(t, []int{exitUsage}, "127.0.0.1:1", "groups", flag)
		if !strings.Contains(r.err, want) {
			t.Errorf("%s: %s", flag, r.err)
		}
	}
	r := runBench(t, []int{1}, "127.0.0.1:1", "groups", "--duration", "1s")
	for _, part := range groups.Parts() {
		if !strings.Contains(r.err, part+": ") {
			t.Errorf("%s is not among the failures: %s", part, r.err)
		}
	}
}
