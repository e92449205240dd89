#!/usr/bin/env bash
# The same requests to Apache Kafka and to Sluice; see the package comment of interop/differ.
# Both brokers are started here, because the tests want them empty.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

# What groups and transactions need on one broker, and shorter waits than the defaults.
settings=(
	offsets.topic.replication.factor=1
	transaction.state.log.replication.factor=1
	transaction.state.log.min.isr=1
	transaction.abort.timed.out.transaction.cleanup.interval.ms=200
	group.initial.rebalance.delay.ms=400
	group.min.session.timeout.ms=200
	group.max.size=4
)
pids=()
trap 'for pid in "${pids[@]}"; do stop_pid "$pid"; done' EXIT
read -r kafka controller other other_controller < <(free_ports 4)
start_kafka "$WORK/kafka" "$kafka" "$controller" "${settings[@]}"
pids+=("$STARTED_PID")
if [ "${BROKER:-sluice}" = kafka ]; then
	# Two Kafkas must be equal in everything: this proves the harness.
	start_kafka "$WORK/other" "$other" "$other_controller" "${settings[@]}"
	export SLUICE_INTEROP_SAME=1
else
	start_sluice "$WORK/other" "$other" "${settings[@]}"
fi
pids+=("$STARTED_PID")
cd "$REPO_DIR"
SLUICE_INTEROP_KAFKA=127.0.0.1:$kafka SLUICE_INTEROP_SLUICE=127.0.0.1:$other \
	SLUICE_INTEROP_DUMP=$WORK/kafka.transcript \
	go test -tags interop -count=1 -timeout 10m -v ./interop/differ | grep -v "^=== RUN" |
	sed "s/^--- PASS/ok: &/"
