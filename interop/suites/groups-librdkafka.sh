#!/usr/bin/env bash
# confluent-kafka-go (librdkafka) in groups, eager and cooperative, and in transactions.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

command -v gcc >/dev/null || apt_install gcc libc6-dev
client=$INTEROP_CACHE/librdkafka-member
(cd "$INTEROP_DIR/clients/librdkafka" && CGO_ENABLED=1 go build -o "$client" ./member)
conduct --consumers roundrobin "$client consume roundrobin" --static range "$client consume range" \
	--static cooperative "$client consume cooperative-sticky" \
	--movers transactions "$client move range"
