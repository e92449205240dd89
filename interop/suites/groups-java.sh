#!/usr/bin/env bash
# Kafka's Java client in groups of the classic protocol, eager and cooperative; in transactions, the
# newest client by those of transaction.version 2 and one before Kafka 4 by KIP-98's; and Kafka
# Streams with exactly_once_v2.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

command -v javac >/dev/null || apt_install default-jdk-headless
"$INTEROP_DIR/kafka/get.sh" server clients-3 streams
source=$INTEROP_DIR/clients/java

# compile NAME JARS FILE
compile() {
	mkdir -p "$WORK/$1"
	javac -cp "$2/*" -d "$WORK/$1" "$source/$3"
}

# client NAME JARS CLASS prints the command that runs it.
client() {
	echo "java -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto" \
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp $WORK/$1:$2/* $3"
}

compile new "$KAFKA_SERVER_JARS" Member.java
compile old "$KAFKA_CLIENTS_3_JARS" Member.java
compile streams "$KAFKA_STREAMS_JARS" Counter.java
new=$(client new "$KAFKA_SERVER_JARS" Member)
old=$(client old "$KAFKA_CLIENTS_3_JARS" Member)
streams=$(client streams "$KAFKA_STREAMS_JARS" Counter)
conduct --static range "$new consume range" --static cooperative "$new consume cooperative-sticky" \
	--movers-v2 transactions-v2 "$new move range" --movers transactions-v1 "$old move range" \
	--counters streams "$streams $WORK/state"
