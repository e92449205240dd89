#!/usr/bin/env bash
# Runs a broker in the foreground on DIR, so that whoever starts it has its process id and may kill
# it: broker.sh DIR PORT CONTROLLER_PORT [KEY=VALUE...]. BROKER picks sluice or kafka. A second run on
# the same DIR finds what the first one left.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../lib.sh"

dir=$1 port=$2 cport=$3
shift 3
mkdir -p "$dir"
if [ "${BROKER:-sluice}" = sluice ]; then
	override=()
	for kv in "$@"; do override+=(--override "$kv"); done
	exec "$(sluice_bin)" server --override "listeners=PLAINTEXT://127.0.0.1:$port" \
		--override "log.dirs=$dir/data" --override admin.listener= "${override[@]}"
fi
"$INTEROP_DIR/kafka/get.sh"
{
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.bootstrap.servers=127.0.0.1:$cport
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$cport
		log.dirs=$dir/data
		offsets.topic.replication.factor=1
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
	END
	printf '%s\n' "$@"
} >"$dir/server.properties"
if [ ! -e "$dir/data/meta.properties" ]; then
	java -cp "$KAFKA_SERVER_JARS/*" kafka.tools.StorageTool format --standalone \
		--cluster-id=c2x1aWNlLWludGVyb3BfZw -c "$dir/server.properties"
fi
exec java -Xmx640m -Xms256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
	-cp "$KAFKA_SERVER_JARS/*" kafka.Kafka "$dir/server.properties"
