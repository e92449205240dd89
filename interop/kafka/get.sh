#!/usr/bin/env bash
# Fetches parts of Apache Kafka from Maven Central, each into its own folder of jars, by ordinary
# Maven with whatever settings it has: get.sh [server|tools|clients-3|streams]..., the broker and
# the shell tools if none is named. A second call does nothing.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

# fetch NAME VERSION TARGET
fetch() {
	[ -e "$3/.complete" ] && return
	command -v mvn >/dev/null || apt_install maven default-jdk-headless
	rm -rf "$3" "$3.part"
	say "fetching kafka-$1 $2"
	mvn -B -q -f "$INTEROP_DIR/kafka/$1/pom.xml" dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$3.part" "-Dkafka.version=$2" >&2
	touch "$3.part/.complete"
	mv "$3.part" "$3"
}

mkdir -p "$INTEROP_CACHE"
exec 9>"$INTEROP_CACHE/.lock"
flock 9
[ $# -gt 0 ] || set -- server tools
for what in "$@"; do
	case $what in
	server) fetch server "$KAFKA_SERVER_VERSION" "$KAFKA_SERVER_JARS" ;;
	tools) fetch tools "$KAFKA_TOOLS_VERSION" "$KAFKA_TOOLS_JARS" ;;
	clients-3) fetch clients-3 "$KAFKA_CLIENTS_3_VERSION" "$KAFKA_CLIENTS_3_JARS" ;;
	streams) fetch streams "$KAFKA_STREAMS_VERSION" "$KAFKA_STREAMS_JARS" ;;
	*) die "get.sh: no $what" ;;
	esac
done
