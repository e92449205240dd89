#!/usr/bin/env bash
# confluent-kafka-go with the librdkafka that it carries, in a Go module of its own (cgo).
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

command -v gcc >/dev/null || apt_install gcc libc6-dev
python3 "$INTEROP_DIR/clients/corpus.py" "$WORK/corpus.jsonl"
cd "$INTEROP_DIR/clients/librdkafka"
CGO_ENABLED=1 go build -o "$INTEROP_CACHE/librdkafka" .
"$INTEROP_CACHE/librdkafka" "$BOOTSTRAP" "$WORK/corpus.jsonl"
