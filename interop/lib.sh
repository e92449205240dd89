# Shared by every script here: where things are kept, free ports, brokers that start, are waited
# for, and stop. Source it; it sets no shell options of its own.

INTEROP_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO_DIR=$(cd "$INTEROP_DIR/.." && pwd)

# Downloads are kept outside the tree, so that a second run needs no network.
INTEROP_CACHE=${INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-interop}
KAFKA_SERVER_VERSION=4.4.0
KAFKA_TOOLS_VERSION=4.3.1
KAFKA_CLIENTS_3_VERSION=3.9.2
KAFKA_STREAMS_VERSION=4.3.1
KAFKA_SERVER_JARS=$INTEROP_CACHE/kafka-server-$KAFKA_SERVER_VERSION
KAFKA_TOOLS_JARS=$INTEROP_CACHE/kafka-tools-$KAFKA_TOOLS_VERSION
KAFKA_CLIENTS_3_JARS=$INTEROP_CACHE/kafka-clients-$KAFKA_CLIENTS_3_VERSION
KAFKA_STREAMS_JARS=$INTEROP_CACHE/kafka-streams-$KAFKA_STREAMS_VERSION

say() { printf '%s\n' "$*" >&2; }
die() { say "interop: $*"; exit 1; }

# free_ports N prints N ports that nothing listens on. All are held at once while they are chosen,
# so that one call never prints a port twice.
free_ports() {
	python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
}

# as_root CMD... runs it as root where that is possible, with no question asked.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# apt_install PACKAGE... installs what dpkg does not have yet.
apt_install() {
	local missing=() p
	for p in "$@"; do
		dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return 0
	as_root apt-get update -qq &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" \
			>/dev/null
}

# wait_listening PORT PID SECONDS waits until the port accepts, and fails early if PID is gone.
wait_listening() {
	local port=$1 pid=$2 deadline=$((SECONDS + $3))
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || return 1
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.05
	done
}

# stop_pid PID asks a process to end, waits up to 30 s, then kills it.
stop_pid() {
	local pid=$1 deadline=$((SECONDS + 30))
	kill -TERM "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null; do
		[ $SECONDS -lt $deadline ] || kill -KILL "$pid" 2>/dev/null
		sleep 0.1
	done
	wait "$pid" 2>/dev/null || true
}

# sluice_bin prints the binary under test, building it once where none is named.
sluice_bin() {
	if [ -n "${SLUICE_BIN:-}" ]; then
		printf '%s\n' "$SLUICE_BIN"
		return
	fi
	(cd "$REPO_DIR" && go build -o bin/sluice ./cmd/sluice) || return 1
	printf '%s\n' "$REPO_DIR/bin/sluice"
}

# start_sluice DIR PORT [KEY=VALUE...] starts a broker, sets STARTED_PID, waits for its port.
start_sluice() {
	local dir=$1 port=$2 bin override=()
	shift 2
	bin=$(sluice_bin) || return 1
	for kv in "$@"; do override+=(--override "$kv"); done
	mkdir -p "$dir"
	"$bin" server \
		--override "listeners=PLAINTEXT://127.0.0.1:$port" \
		--override "log.dirs=$dir/data" \
		--override admin.listener= \
		"${override[@]}" >>"$dir/sluice.log" 2>&1 &
	STARTED_PID=$!
	wait_listening "$port" "$STARTED_PID" 30 || {
		tail -20 "$dir/sluice.log" >&2
		return 1
	}
}

# start_kafka DIR PORT CONTROLLER_PORT [KEY=VALUE...] starts Apache Kafka with one node that is both
# broker and controller, all else at Kafka's defaults; sets STARTED_PID.
start_kafka() {
	local dir=$1 port=$2 cport=$3
	shift 3
	"$INTEROP_DIR/kafka/get.sh" || return 1
	mkdir -p "$dir"
	cat >"$dir/server.properties" <<-EOF
		process.roles=broker,controller
		node.id=1
		controller.quorum.bootstrap.servers=127.0.0.1:$cport
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$cport
		log.dirs=$dir/data
	EOF
	[ $# = 0 ] || printf '%s\n' "$@" >>"$dir/server.properties"
	if [ ! -e "$dir/data/meta.properties" ]; then
		java -cp "$KAFKA_SERVER_JARS/*" kafka.tools.StorageTool format --standalone \
			--cluster-id="$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)" \
			-c "$dir/server.properties" >"$dir/format.log" 2>&1 || {
			tail -5 "$dir/format.log" >&2
			return 1
		}
	fi
	: >"$dir/kafka.log"
	java -Xmx640m -Xms256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
		-cp "$KAFKA_SERVER_JARS/*" kafka.Kafka "$dir/server.properties" \
		>>"$dir/kafka.log" 2>&1 &
	STARTED_PID=$!
	local deadline=$((SECONDS + 90))
	until grep -q 'Kafka Server started' "$dir/kafka.log"; do
		kill -0 "$STARTED_PID" 2>/dev/null && [ $SECONDS -lt $deadline ] || {
			tail -20 "$dir/kafka.log" >&2
			return 1
		}
		sleep 0.1
	done
}

# kafka_tool CLASS ARG... runs one of Kafka's shell tools by its class name.
kafka_tool() {
	local class=$1
	shift
	java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
		-cp "$KAFKA_TOOLS_JARS/*" "org.apache.kafka.tools.$class" "$@"
}

# ensure_kafkajs installs kafkajs from its lock file, with the scripts beside it, into KAFKAJS.
ensure_kafkajs() {
	local source=$INTEROP_DIR/clients/kafkajs
	KAFKAJS=$INTEROP_CACHE/kafkajs
	command -v npm >/dev/null || apt_install nodejs npm
	if ! cmp -s "$source/package-lock.json" "$KAFKAJS/.installed"; then
		mkdir -p "$KAFKAJS" &&
			cp "$source/package.json" "$source/package-lock.json" "$KAFKAJS/" &&
			npm ci --prefix "$KAFKAJS" --no-audit --no-fund --silent &&
			cp "$source/package-lock.json" "$KAFKAJS/.installed" || return 1
	fi
	cp "$source"/*.js "$KAFKAJS/"
}

# conduct ARG... runs real clients' groups through crashes; see clients/groups/conduct.py.
conduct() {
	ensure_python || return 1
	"$PYTHON" "$INTEROP_DIR/clients/groups/conduct.py" "$WORK" "$@"
}

# ensure_python makes the virtual environment of the Python clients and sets PYTHON to its
# interpreter.
ensure_python() {
	local home=$INTEROP_CACHE/python requirements=$INTEROP_DIR/clients/python/requirements.txt
	PYTHON=$home/bin/python
	cmp -s "$requirements" "$home/.installed" && return 0
	python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3-venv
	rm -rf "$home"
	python3 -m venv "$home" &&
		"$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$requirements" &&
		cp "$requirements" "$home/.installed"
}
