#!/usr/bin/env bash
# Kafka's own shell tools, run by class name: topics, console producer and consumer, offsets,
# configs, deleted records, log dirs, dump-log on the broker's segments, perf test, API versions.
#
# DATA names the broker's data directory on this machine, for dump-log.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

"$INTEROP_DIR/kafka/get.sh"
cd "$WORK"

fail() { say "tools: $*"; exit 1; }
ok() { echo "ok: $*"; }

# tool CLASS ARG... runs a tool against the broker; its output goes to out.txt and its exit
# status is the function's.
tool() {
	local class=$1
	shift
	timeout 60 bash -c '. "$0"; kafka_tool "$@"' "$INTEROP_DIR/lib.sh" "$class" \
		--bootstrap-server "$BOOTSTRAP" "$@" >out.txt 2>err.txt
}

# expect WHAT PATTERN looks for an extended regular expression in the last tool's output.
expect() {
	grep -Eq -- "$2" out.txt || {
		head -20 out.txt err.txt >&2
		fail "$1: no line matches $2"
	}
	ok "$1"
}

# refused WHAT PATTERN CLASS ARG... wants a tool to fail with a message.
refused() {
	local what=$1 pattern=$2
	shift 2
	if tool "$@" && ! grep -Eq -- "$pattern" out.txt err.txt; then
		fail "$what was not refused"
	fi
	cat err.txt >>out.txt
	expect "$what" "$pattern"
}

topics() {
	tool TopicCommand --create --topic t-one --partitions 3 --replication-factor 1 \
		--config retention.ms=3600000 --config segment.ms=7200000
	expect "kafka-topics --create" 'Created topic t-one'
	refused "a second creation is refused" 'already exists' \
		TopicCommand --create --topic t-one --partitions 3
	tool TopicCommand --create --if-not-exists --topic t-one --partitions 3
	ok "--if-not-exists is content"
	refused "an invalid name is refused" 'nvalid' TopicCommand --create --topic 'a b'
	refused "an unknown config is refused" 'Unknown topic config' \
		TopicCommand --create --topic t-bad --config no.such=1
	tool TopicCommand --list
	expect "kafka-topics --list" '^t-one$'
	tool TopicCommand --describe --topic t-one
	expect "--describe: the topic's line" \
		'Topic: t-one.*PartitionCount: 3.*ReplicationFactor: 1.*retention.ms=3600000'
	expect "--describe: a partition's line" 'Partition: 2.*Leader: [0-9]+.*Replicas: [0-9]+.*Isr: [0-9]+'
	for filter in under-replicated-partitions unavailable-partitions under-min-isr-partitions; do
		tool TopicCommand --describe "--$filter"
		[ ! -s out.txt ] || fail "--$filter names something: $(head -3 out.txt)"
	done
	ok "no partition is under-replicated, unavailable or under min ISR"
	tool TopicCommand --describe --topics-with-overrides
	expect "--topics-with-overrides" 'Topic: t-one'
	tool TopicCommand --alter --topic t-one --partitions 5
	tool TopicCommand --describe --topic t-one
	expect "--alter grows it to 5 partitions" 'PartitionCount: 5'
	refused "shrinking is refused" 'would not be an increase|INVALID_PARTITIONS|InvalidPartitions' \
		TopicCommand --alter --topic t-one --partitions 2
}

console() {
	seq 1 500 | sed 's/.*/key-&:line & of the console/' >lines.txt
	tool TopicCommand --create --topic t-console --partitions 1
	for codec in none gzip snappy lz4 zstd; do
		tool ConsoleProducer --topic t-console --compression-codec "$codec" \
			--reader-property parse.key=true --reader-property key.separator=: <lines.txt
		cat lines.txt >>all.txt
	done
	tool consumer.ConsoleConsumer --topic t-console --partition 0 --offset earliest \
		--max-messages 2500 --timeout-ms 20000 --formatter-property print.key=true \
		--formatter-property key.separator=:
	cmp -s all.txt out.txt || fail "the console consumer read other lines"
	ok "console producer and consumer, five codecs, 2500 lines"
	tool consumer.ConsoleConsumer --topic t-console --partition 0 --offset 2495 \
		--max-messages 5 --timeout-ms 20000
	cmp -s <(tail -5 lines.txt | cut -d: -f2) out.txt || fail "--offset 2495 reads other lines"
	ok "--offset reads from there"
}

offsets_and_configs() {
	tool GetOffsetShell --topic t-console
	expect "kafka-get-offsets, latest" '^t-console:0:2500$'
	tool GetOffsetShell --topic t-console --time earliest
	expect "kafka-get-offsets, earliest" '^t-console:0:0$'
	tool GetOffsetShell --topic t-console --time max-timestamp
	expect "kafka-get-offsets, max-timestamp" '^t-console:0:[0-9]+$'
	tool GetOffsetShell --topic-partitions 't-.*:0-2'
	expect "kafka-get-offsets, a pattern" '^t-one:1:0$'
	local config=(--entity-type topics --entity-name t-console)
	configs "${config[@]}" --alter --add-config 'retention.ms=7200000,segment.bytes=1048576'
	expect "kafka-configs --alter" 'Completed updating config'
	configs "${config[@]}" --describe
	expect "kafka-configs --describe" 'retention.ms=7200000 .*DYNAMIC_TOPIC_CONFIG'
	configs "${config[@]}" --alter --delete-config retention.ms
	configs "${config[@]}" --describe --all
	expect "a deleted config has its default" 'retention.ms=604800000 .*synonyms=\{\}'
	configs --entity-type brokers --entity-name "$NODE" --describe --all
	expect "kafka-configs of the broker" 'num.partitions=1 '
	printf '{"partitions":[{"topic":"t-console","partition":0,"offset":100}],"version":1}' >del.json
	tool DeleteRecordsCommand --offset-json-file del.json
	expect "kafka-delete-records" 'low_watermark: 100'
	tool GetOffsetShell --topic t-console --time earliest
	expect "the earliest offset is now 100" '^t-console:0:100$'
}

# configs ARG... runs kafka-configs, which lives in the broker's package.
configs() {
	java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$KAFKA_TOOLS_JARS/*" \
		kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" "$@" >out.txt 2>err.txt
}

storage() {
	tool LogDirsCommand --describe --topic-list t-console
	expect "kafka-log-dirs" '"partition":"t-console-0","size":[1-9]'
	# Four MiB over segments of one: the first segment is rolled, its indexes are final.
	tool ProducerPerformance --topic t-console --num-records 8000 --record-size 500 \
		--throughput -1 --reporting-interval 60000
	tool ProducerPerformance --topic t-one --num-records 20000 --record-size 200 --throughput -1 \
		--reporting-interval 60000 --command-property acks=all
	expect "kafka-producer-perf-test" '20000 records sent'
	tool BrokerApiVersionsCommand
	expect "kafka-broker-api-versions" 'Produce\(0\): 0 to 1[0-9]'
	kafka_tool ClusterTool cluster-id --bootstrap-server "$BOOTSTRAP" >out.txt 2>err.txt
	expect "kafka-cluster cluster-id" 'Cluster ID: .+'
	local segment=$DATA/t-console-0/00000000000000000000.log
	[ -s "$segment" ] || fail "no segment at $segment"
	dump --files "$segment" --deep-iteration --print-data-log
	expect "kafka-dump-log: batches" 'baseOffset: 0 lastOffset: .*isvalid: true'
	expect "kafka-dump-log: records" 'offset: 499 .*payload: line 500 of the console'
	! grep -q 'isvalid: false' out.txt || fail "dump-log finds an invalid batch"
	local kind index
	for kind in index timeindex; do
		index=$DATA/t-console-0/00000000000000000000.$kind
		dump --files "$index" --index-sanity-check
		expect "kafka-dump-log: the .$kind is sane" 'passed sanity check'
		dump --files "$index"
		! grep -Eqi 'mismatch|not found|out of order' out.txt err.txt ||
			fail "dump-log finds the .$kind wrong: $(grep -Ei 'mismatch|not found|order' out.txt)"
		ok "kafka-dump-log: the .$kind agrees with the log"
	done
	tool TopicCommand --delete --topic t-one
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		tool TopicCommand --list
		grep -q '^t-one$' out.txt || { ok "kafka-topics --delete"; return; }
	done
	fail "t-one was never deleted"
}

dump() {
	(kafka_tool DumpLogSegments "$@") >out.txt 2>err.txt
}

NODE=${NODE:-1}
topics
console
offsets_and_configs
storage
