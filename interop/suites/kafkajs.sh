#!/usr/bin/env bash
# kafkajs, installed from its lock file; what it wrote, kafka-python reads as well.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_python
ensure_kafkajs
python3 "$INTEROP_DIR/clients/corpus.py" "$WORK/corpus.jsonl"
export KAFKAJS_NO_PARTITIONER_WARNING=1
node "$KAFKAJS/suite.js" "$BOOTSTRAP" "$WORK/corpus.jsonl"
# The idempotent topic has its first records deleted by the scenario, so it is not among these.
"$PYTHON" "$INTEROP_DIR/clients/python/suite.py" verify "$BOOTSTRAP" "$WORK/corpus.jsonl" \
	js-none js-gzip js-snappy js-lz4 js-zstd
