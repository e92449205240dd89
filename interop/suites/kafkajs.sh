#!/usr/bin/env bash
# kafkajs, installed from its lock file. Its consumer needs groups, so kafka-python reads back.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_python
command -v npm >/dev/null || apt_install nodejs npm
home=$INTEROP_CACHE/kafkajs
source=$INTEROP_DIR/clients/kafkajs
if ! cmp -s "$source/package-lock.json" "$home/.installed"; then
	mkdir -p "$home"
	cp "$source/package.json" "$source/package-lock.json" "$home/"
	npm ci --prefix "$home" --no-audit --no-fund --silent
	cp "$source/package-lock.json" "$home/.installed"
fi
cp "$source/suite.js" "$home/"
python3 "$INTEROP_DIR/clients/corpus.py" "$WORK/corpus.jsonl"
export KAFKAJS_NO_PARTITIONER_WARNING=1
node "$home/suite.js" "$BOOTSTRAP" "$WORK/corpus.jsonl"
echo "kafkajs consumes in groups only, which this broker does not have yet: kafka-python reads"
# The idempotent topic has its first records deleted by the scenario, so it is not among these.
"$PYTHON" "$INTEROP_DIR/clients/python/suite.py" verify "$BOOTSTRAP" "$WORK/corpus.jsonl" \
	js-none js-gzip js-snappy js-lz4 js-zstd
