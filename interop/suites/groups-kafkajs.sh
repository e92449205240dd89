#!/usr/bin/env bash
# kafkajs in groups and, as it commits offsets without KIP-447, as the only mover of its group.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_kafkajs
export KAFKAJS_NO_PARTITIONER_WARNING=1
conduct --consumers roundrobin "node $KAFKAJS/member.js consume" \
	--lone-mover transactions "node $KAFKAJS/member.js move"
