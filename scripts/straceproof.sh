#!/usr/bin/env bash
# Proves that fetched payload does not pass through the broker's memory: the built broker runs under
# strace while MIB mebibytes are produced and fetched back in pieces of PIECE bytes, and what its
# read calls returned from *.log files, from its start to its end, may be at most 0.1 % of what was
# fetched. Log files that were mapped into memory would be a way around that, so none may be. (The
# process's I/O counters do not show this: sendfile is in them.)
#
#   BIN=bin/sluice MIB=1024 PIECE=65536 scripts/straceproof.sh
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=${BIN:-bin/sluice}
MIB=${MIB:-1024}
PIECE=${PIECE:-65536}

if ! command -v strace >/dev/null; then
	echo "straceproof: strace is not installed, so nothing was proven" >&2
	exit 2
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/straceproof.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/trace"

# -ff writes one file for each thread, so that no call is cut in two by another thread's; -D keeps
# the broker our child; the seccomp filter stops it at the traced calls alone.
calls=read,pread64,readv,preadv,preadv2,sendfile,splice,copy_file_range,mmap
go run ./scripts/fetchdrive -bin "$BIN" -dir "$dir" -mib "$MIB" -piece "$PIECE" \
	-under "strace -D -f -ff --seccomp-bpf -s 0 -y -e signal=none -e trace=$calls -o $dir/trace/t"

# The tracer outlives the broker by a moment.
for _ in $(seq 100); do
	unfinished=0
	for f in "$dir"/trace/t.*; do
		tail -n 1 "$f" | grep -q '^+++' || unfinished=1
	done
	[ "$unfinished" = 0 ] && break
	sleep 0.1
done
[ "$unfinished" = 0 ] || { echo "straceproof: the trace is incomplete" >&2; exit 2; }

cat "$dir"/trace/t.* | awk -v goal=0.001 -v wanted=$((MIB * 1048576)) '
	# name(3</data/topic-0/00000000000000000000.log>, ...) = result
	{ result = $0; sub(/.*\) += +/, "", result); result += 0 }
	/^(read|pread64|readv|preadv|preadv2)\([0-9]+<[^>]*\.log>/ {
		calls++; if (result > 0) bytes += result
	}
	/^sendfile\(.*<[^>]*\.log>/ { if (result > 0) sent += result }
	/^(splice|copy_file_range)\(.*<[^>]*\.log>/ { if (result > 0) sent += result }
	/^mmap\(.*<[^>]*\.log>/ { mapped++ }
	END {
		printf "read calls on *.log: %d, which returned %d bytes\n", calls, bytes
		printf "sent from *.log without reading: %d bytes\n", sent
		printf "*.log files mapped: %d\n", mapped
		if (sent + bytes < wanted) {
			printf "straceproof: less left *.log than was fetched: the trace is no proof\n"
			exit 2
		}
		share = bytes / (sent + bytes)
		printf "share that was read: %.6f %%, goal <= %.1f %%\n", 100 * share, 100 * goal
		if (mapped > 0 || share > goal) { print "MISSED"; exit 1 }
		print "ok"
	}'
