#!/usr/bin/env bash
# At least 200 MB of real text, line by line, produced by kcat and by sluice produce, each read
# back by both in offset order and compared by SHA-256, before and after kill -9 and a restart.
#
# BROKER=kafka proves the script itself against Apache Kafka.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

apt_install kcat
TEXT_BYTES=${TEXT_BYTES:-209715200}
BROKER=${BROKER:-sluice}
SLUICE_BIN=$(sluice_bin)
read -r port controller < <(free_ports 2)
BOOTSTRAP=127.0.0.1:$port
text=$WORK/text.txt
STARTED_PID=
trap 'stop_pid "$STARTED_PID"; rm -rf "$WORK/broker" "$text"' EXIT

fail() { say "realtext: $*"; exit 1; }

# gather writes whole files of this machine's Go sources and documentation until there is enough.
# kcat drops empty lines, so there are none. A second pass over the files is only for machines that have little.
gather() {
	local folders=("$(go env GOROOT)" "$(go env GOMODCACHE)" /usr/share/doc /usr/include)
	find "${folders[@]}" -type f -size -2000k \( -name '*.go' -o -name '*.txt' -o -name '*.md' \
		-o -name '*.h' -o -name '*.s' -o -name '*.html' -o -name copyright \) -print0 2>/dev/null |
		LC_ALL=C sort -z >"$WORK/files"
	# The reader stops when it has enough, which ends the writers by SIGPIPE: no failure.
	{
		xargs -0 cat -- <"$WORK/files" || true
		xargs -0 cat -- <"$WORK/files" || true
	} 2>/dev/null | python3 "$INTEROP_DIR/clients/lines.py" "$TEXT_BYTES" >"$text" ||
		true
	[ "$(stat -c %s "$text")" -ge "$TEXT_BYTES" ] || fail "this machine has too little text"
}

start() {
	if [ "$BROKER" = kafka ]; then
		start_kafka "$WORK/broker" "$port" "$controller"
	else
		start_sluice "$WORK/broker" "$port"
	fi
}

# read_all TOPIC prints the SHA-256 that each client reads.
read_all() {
	kcat -b "$BOOTSTRAP" -C -t "$1" -p 0 -o beginning -e -q -f '%s\n' -X check.crcs=true |
		sha256sum | sed "s/-/kcat reads $1/"
	"$SLUICE_BIN" -b "$BOOTSTRAP" consume "$1" -p 0 -o start -e |
		sha256sum | sed "s/-/sluice reads $1/"
}

# compare WHEN reads both topics with both clients and wants the text's own digest each time.
compare() {
	local topic wrong
	for topic in by-kcat by-sluice; do
		read_all "$topic"
	done >"$WORK/digests"
	wrong=$(grep -v "^$digest " "$WORK/digests" || true)
	[ -z "$wrong" ] || fail "$1: other bytes: $wrong (want $digest)"
	echo "ok: $1: kcat and sluice consume both read both topics, SHA-256 ${digest:0:16}…"
}

gather
digest=$(sha256sum <"$text" | cut -d' ' -f1)
echo "text: $(stat -c %s "$text") bytes, $(wc -l <"$text") lines, SHA-256 ${digest:0:16}…"
start
echo "start" | kcat -b "$BOOTSTRAP" -P -t warm-up -p 0
began=$SECONDS
kcat -b "$BOOTSTRAP" -P -t by-kcat -p 0 -l "$text" -X acks=all \
	-X queue.buffering.max.kbytes=262144 -X queue.buffering.max.messages=1000000
echo "ok: produced by kcat in $((SECONDS - began)) s"
began=$SECONDS
"$SLUICE_BIN" -b "$BOOTSTRAP" produce by-sluice -q -p 0 -f "$text" --allow-auto-topic-creation
echo "ok: produced by sluice produce in $((SECONDS - began)) s"
compare "before the crash"
kill -KILL "$STARTED_PID"
wait "$STARTED_PID" 2>/dev/null || true
start
compare "after kill -9 and a restart"
