#!/usr/bin/env bash
# Runs the long explorations whole, of which `make test` takes a short slice: every test five times,
# every test under the race detector, crash points and simulations with many seeds each, transactions
# for TXN_SECONDS with each protocol and against all mutants, and all fuzz targets for FUZZ_TOTAL
# seconds together. It goes on after a failure, and ends with a table of what it ran.
# Each step's output is in LOGS (default: a folder in TMPDIR, kept).
#
#   STEPS="count race crash sim txn fuzz" SIM_SEEDS=5000 TXN_SECONDS=600 FUZZ_TOTAL=3600 scripts/long.sh
set -uo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
STEPS=${STEPS:-count race crash sim txn fuzz}
CRASH_SEEDS=${CRASH_SEEDS:-100}
SIM_SEEDS=${SIM_SEEDS:-5000}
TXN_SECONDS=${TXN_SECONDS:-600}
FUZZ_TOTAL=${FUZZ_TOTAL:-3600}
LOGS=${LOGS:-$(mktemp -d "${TMPDIR:-/tmp}/sluice-long.XXXXXX")}
mkdir -p "$LOGS"
report=()
status=0

# step NAME COMMAND... runs the command and notes how it ended and how long it took.
step() {
	local name=$1 began=$SECONDS verdict=ok
	shift
	echo "== $name: $* (output: $LOGS/$name.log)"
	if ! "$@" >"$LOGS/$name.log" 2>&1; then
		verdict=FAILED
		status=1
		grep -E '^(---|===|#|panic|FAIL|fuzz:|WARNING: DATA RACE)|_test\.go:[0-9]+:' "$LOGS/$name.log" |
			grep -v '^=== RUN' | head -n 40
	fi
	report+=("$(printf '%-8s %-7s %6d s' "$name" "$verdict" $((SECONDS - began)))")
}

fuzz() {
	local targets
	targets=$(scripts/fuzz.sh -list | wc -l)
	if [ "$targets" = 0 ]; then
		echo "fuzz: no targets"
		return 1
	fi
	FUZZTIME=$(((FUZZ_TOTAL + targets - 1) / targets))s scripts/fuzz.sh
}

for s in $STEPS; do
	case $s in
	count) step count $GO test -count=5 -timeout 60m ./... ;;
	race) step race $GO test -race -count=1 -timeout 60m ./... ;;
	# Every package whose tests know the variable takes part.
	crash) step crash env SLUICE_CRASH_SEEDS="$CRASH_SEEDS" $GO test -count=1 -timeout 6h -v \
		-run 'Crash|Torn|Recover|Mutant' ./pagecache/... ./engine/... ;;
	sim) step sim make sim SEEDS="$SIM_SEEDS" GO="$GO" ;;
	txn) step txn make txncheck TXNCHECK_MUTANTS=100 TXNCHECK_SECONDS="$TXN_SECONDS" GO="$GO" ;;
	fuzz) step fuzz fuzz ;;
	*)
		echo "long: no step $s (count, race, crash, sim, txn, fuzz)" >&2
		exit 2
		;;
	esac
done
echo
printf '%s\n' "${report[@]}"
exit $status
