#!/usr/bin/env bash
# confluent-kafka for Python (librdkafka) in groups, eager and cooperative, and in transactions.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_python
client="$PYTHON $INTEROP_DIR/clients/groups/confluent.py"
conduct --consumers roundrobin "$client consume roundrobin" --static range "$client consume range" \
	--static cooperative "$client consume cooperative-sticky" \
	--movers transactions "$client move range"
