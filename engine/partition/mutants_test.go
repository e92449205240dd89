package partition

import "testing"

// Each mutant is a bug that somebody could write: the exploration of crashes must notice it, or it
// proves nothing about the code without the bug.
func TestCrashExplorationFindsMutants(t *testing.T) {
	t.Parallel()
	for name, muts := range map[string]mutants{
		"no fdatasync before the recovery point moves": {skipSync: true},
		"no fsync of the directory":                    {skipSyncDir: true},
		"a failed append stays behind the end":         {skipCutTail: true},
		"truncation before the recovery point":         {lateRecoveryPoint: true},
		"recovery point ahead of the sync":             {earlyRecoveryPoint: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crashes, err := explore(t, wholeScript, muts, 1+crashSeeds(t))
			if err == nil {
				t.Fatalf("%d crashes did not show it", crashes)
			}
			t.Logf("%d crashes, then: %v", crashes, err)
		})
	}
}
