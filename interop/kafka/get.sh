#!/usr/bin/env bash
# Fetches Apache Kafka's broker and its shell tools from Maven Central, each into its own folder
# of jars, by ordinary Maven with whatever settings it has. A second call does nothing.
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
fetch server "$KAFKA_SERVER_VERSION" "$KAFKA_SERVER_JARS"
fetch tools "$KAFKA_TOOLS_VERSION" "$KAFKA_TOOLS_JARS"
