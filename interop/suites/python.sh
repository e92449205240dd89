#!/usr/bin/env bash
# kafka-python, in a virtual environment of its own.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_python
python3 "$INTEROP_DIR/clients/corpus.py" "$WORK/corpus.jsonl"
"$PYTHON" "$INTEROP_DIR/clients/python/suite.py" run "$BOOTSTRAP" "$WORK/corpus.jsonl"
