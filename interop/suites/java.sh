#!/usr/bin/env bash
# Kafka's Java client, the newest on Maven Central, from the jars of Kafka's own broker.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

command -v javac >/dev/null || apt_install default-jdk-headless
"$INTEROP_DIR/kafka/get.sh"
python3 "$INTEROP_DIR/clients/corpus.py" "$WORK/corpus.jsonl"
mkdir -p "$WORK/classes"
javac -cp "$KAFKA_SERVER_JARS/*" -d "$WORK/classes" "$INTEROP_DIR/clients/java/Suite.java"
java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
	-Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
	-cp "$WORK/classes:$KAFKA_SERVER_JARS/*" Suite "$BOOTSTRAP" "$WORK/corpus.jsonl"
