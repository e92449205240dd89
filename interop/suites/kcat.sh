#!/usr/bin/env bash
# kcat (librdkafka of the distribution): codecs, keys, headers, tombstones, sizes, offsets by time.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

apt_install kcat
"$INTEROP_DIR/kafka/get.sh"
cd "$WORK"

fail() { say "kcat: $*"; exit 1; }
ok() { echo "ok: $*"; }

# produce TOPIC ARG... reads records from stdin.
produce() {
	local topic=$1
	shift
	kcat -b "$BOOTSTRAP" -P -t "$topic" -p 0 -X message.max.bytes=4194304 -X acks=all \
		-X topic.metadata.refresh.fast.interval.ms=20 "$@"
}

# consume TOPIC FORMAT ARG...
consume() {
	local topic=$1 format=$2
	shift 2
	kcat -b "$BOOTSTRAP" -C -t "$topic" -p 0 -e -q -f "$format" -X check.crcs=true \
		-X fetch.message.max.bytes=4194304 -X fetch.wait.max.ms=50 "$@"
}

# same WHAT FILE FILE
same() {
	cmp -s "$2" "$3" || {
		diff <(xxd "$2" | head -1000) <(xxd "$3" | head -1000) | head -6 >&2
		fail "$1 differs"
	}
	ok "$1"
}

# Topics come into being with the first produce, as kcat has no command for it. keyed records: plain ones, empty keys, empty values, UTF-8, one byte
{
	for i in $(seq 1 2000); do printf 'key-%d\tvalue %d ☃\n' $((i % 13)) "$i"; done
	printf '\tno key text\n'
	printf 'x\ty\n'
} >keyed.txt

for codec in none gzip snappy lz4 zstd; do
	for mode in plain idempotent; do
		topic=kcat-$codec-$mode
		extra=()
		[ $mode = idempotent ] && extra=(-X enable.idempotence=true)
		produce "$topic" -z "$codec" -K '\t' "${extra[@]}" <keyed.txt
		consume "$topic" '%k\t%s\n' >got.txt
		same "$topic: 2002 keyed records" keyed.txt got.txt
	done
done

consume kcat-none-plain '%o\n' >offsets.txt
same "offsets are 0 to 2001" <(seq 0 2001) offsets.txt

# tombstones (-Z), and values of length 0 told from null by %S, which prints -1 for null
printf 'dead\t\nalive\tv\n' | produce kcat-null -K '\t' -Z
printf 'empty\t\n' | produce kcat-null -K '\t'
consume kcat-null '%k %S\n' >got.txt
same "a tombstone and an empty value" <(printf 'dead -1\nalive 1\nempty 0\n') got.txt

printf 'v\n' | produce kcat-headers -H a=1 -H b=2 -H a=3
consume kcat-headers '%h %s\n' >got.txt
same "headers keep their order and repeat" <(printf 'a=1,b=2,a=3 v\n') got.txt

# a whole file is one record: one byte, and one MiB of noise and of text
kafka_tool TopicCommand --bootstrap-server "$BOOTSTRAP" --create --topic kcat-file \
	--partitions 1 --config max.message.bytes=4194304 >/dev/null
printf 'x' >one-byte
head -c 1048576 /dev/urandom >noise
python3 -c 'print(("all work and no play " * 50000)[:1048576], end="")' >text
for codec in none gzip snappy lz4 zstd; do
	produce kcat-file -z "$codec" one-byte noise text
	cat one-byte noise text >>files.txt
	consume kcat-file '%s' >got
	same "$codec: records of 1 byte and of 1 MiB" files.txt got
done

# offsets by time, -o from the end, an offset, a count
consume kcat-none-plain '%s\n' -o 1999 >got.txt
same "from an offset on" <(tail -3 keyed.txt | cut -f2) got.txt
consume kcat-none-plain '%s\n' -o -2 >got.txt
same "the last two" <(tail -2 keyed.txt | cut -f2) got.txt
when=$(consume kcat-none-plain '%T\n' -o 0 -c 1)
kcat -b "$BOOTSTRAP" -Q -t "kcat-none-plain:0:$when" >got.txt
grep -q 'offset 0$' got.txt || fail "offset by time: $(cat got.txt)"
ok "the offset at the first record's time is 0"
kcat -b "$BOOTSTRAP" -Q -t "kcat-none-plain:0:-1" >got.txt
grep -q 'offset 2002$' got.txt || fail "latest offset: $(cat got.txt)"
ok "the latest offset is 2002"

kcat -b "$BOOTSTRAP" -L >meta.txt
grep -q '1 brokers' meta.txt && grep -q 'topic "kcat-zstd-plain" with 1 partitions' meta.txt ||
	fail "the listing: $(head -5 meta.txt)"
ok "the listing has the broker and the topics"
