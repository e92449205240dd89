#!/usr/bin/env bash
# Real clients, Kafka's own tools, and Apache Kafka itself as the oracle, against the built broker.
#
#   interop/run.sh              every suite
#   interop/run.sh kcat tools   only these
#   BROKER=kafka interop/run.sh the suites against Apache Kafka, which proves the suites
#
# SLUICE_BIN names the broker's binary (built where it is not set). Downloads are kept in
# INTEROP_CACHE. One line per suite tells PASS or FAIL, then one the total. Logs of a failed run
# stay in the folder that is printed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export BROKER=${BROKER:-sluice}
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(differ kcat librdkafka python kafkajs java tools realtext
	groups-librdkafka groups-confluent groups-kafka-python groups-kafkajs groups-java)
if [ "$BROKER" = sluice ]; then
	SLUICE_BIN=$(sluice_bin)
	export SLUICE_BIN
fi
export INTEROP_CACHE
mkdir -p "$INTEROP_CACHE"
root=$(mktemp -d "${TMPDIR:-/tmp}/sluice-interop.XXXXXX")
passed=0 failed=0 broker=

cleanup() {
	[ -z "$broker" ] || stop_pid "$broker"
	[ $failed -gt 0 ] && say "logs: $root" || rm -rf "$root"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# bounded SECONDS CMD... runs a suite in a process group of its own, so that nothing of it stays.
bounded() {
	local limit=$1
	shift
	timeout --kill-after=20 "$limit" "$@"
}

# own_broker SUITE starts a fresh broker for suites that do not start their own.
own_broker() {
	local port controller
	case $1 in differ | realtext | groups-*) return 0 ;; esac
	read -r port controller < <(free_ports 2)
	if [ "$BROKER" = kafka ]; then
		start_kafka "$root/$1/broker" "$port" "$controller" || return 1
	else
		start_sluice "$root/$1/broker" "$port" || return 1
	fi
	broker=$STARTED_PID
	export BOOTSTRAP=127.0.0.1:$port DATA=$root/$1/broker/data
}

# run SUITE runs one and prints its line.
run() {
	local name=$1 log=$root/$1.log began=$SECONDS verdict=PASS note=
	export WORK=$root/$name/work
	mkdir -p "$WORK"
	if ! own_broker "$name" >"$log" 2>&1; then
		verdict=FAIL note="the broker did not start"
	elif ! bounded 600 "$INTEROP_DIR/suites/$name.sh" >>"$log" 2>&1; then
		verdict=FAIL
	fi
	[ -z "$broker" ] || stop_pid "$broker"
	broker=
	printf '%s %-19s %3d s  %d checks %s\n' "$verdict" "$name" $((SECONDS - began)) \
		"$(grep -c '^ok:' "$log")" "$note"
	if [ $verdict = PASS ]; then
		passed=$((passed + 1))
		rm -rf "${root:?}/$name"
	else
		failed=$((failed + 1))
		tail -40 "$log" | sed 's/^/    /'
	fi
}

for name in "${suites[@]}"; do
	[ -x "$INTEROP_DIR/suites/$name.sh" ] || die "no suite $name"
	run "$name"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
