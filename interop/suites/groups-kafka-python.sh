#!/usr/bin/env bash
# kafka-python in groups: eager and cooperative, static members. Its eager assignors lose members
# where static ones and others are mixed (3.0.12, against Apache Kafka as well), so that only the
# cooperative group has a static one.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

ensure_python
member="$PYTHON $INTEROP_DIR/clients/groups/kafkapython.py"
conduct --consumers range "$member range" --consumers roundrobin "$member roundrobin" \
	--static cooperative "$member cooperative-sticky"
