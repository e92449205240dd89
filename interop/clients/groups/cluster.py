"""The broker that is killed and started again, a producer that never stops, and an observer that is
no part of any group. All three speak through librdkafka (confluent-kafka)."""

import os
import signal
import socket
import subprocess
import threading
import time

from confluent_kafka import (OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import errors
from kafka.admin import KafkaAdminClient

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 6
INPUT = "in"
WORDS = 7  # different words by partition

# Waits that would prove nothing are short: for a group's first members, and for a crashed one.
OVERRIDES = ["group.initial.rebalance.delay.ms=100", "group.min.session.timeout.ms=1000",
             "auto.create.topics.enable=false"]
# Without a rebootstrap (KIP-899), in which librdkafka 2.16 forgets the transaction coordinator.
QUICK = {"reconnect.backoff.ms": "50", "reconnect.backoff.max.ms": "300", "log_level": "0",
         "socket.connection.setup.timeout.ms": "2000", "metadata.recovery.strategy": "none"}


class Failure(Exception):
    pass


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Broker:
    """One data directory and one port, and at most one process that serves them."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.ports[0]}"
        self.process = None
        os.makedirs(folder, exist_ok=True)

    def start(self):
        """Starts it and waits until it accepts connections. It ends with this process at the latest."""
        log = open(os.path.join(self.folder, "broker.log"), "a")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", os.path.join(HERE, "broker.sh"), self.folder, *map(str, self.ports), *OVERRIDES],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
        log.close()
        deadline = time.monotonic() + 90
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports[0]), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure("the broker did not start") from None
                time.sleep(0.02)

    def kill(self):
        # The group, as Kafka's script has a child while it makes the data directory.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it cleanly. Kafka's process then reports the signal, Sluice's nothing."""
        self.process.terminate()
        code = self.process.wait(60)
        if code not in (0, 143, -signal.SIGTERM):
            raise Failure(f"after SIGTERM the broker ended with {code}")

    def end(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Stream:
    """Produces to every partition of the input in turn until it is stopped, through every restart,
    idempotently: what is acknowledged is there once and in order."""

    def __init__(self, bootstrap):
        self.lock = threading.Lock()  # guards acked and failed
        self.acked = [[] for _ in range(PARTITIONS)]
        self.failed = None
        self.stopped = threading.Event()
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True,
                                  "linger.ms": 5, "retry.backoff.ms": 50, **QUICK})
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        n = 0
        while not self.stopped.is_set():
            for p in range(PARTITIONS):
                # The key is a word that no other partition has.
                self.producer.produce(INPUT, f"{p}-{n}", key=f"{p}w{n % WORDS}", partition=p,
                                      on_delivery=self._delivered)
            n += 1
            # This is the rate at which records come, not a wait for anything.
            self.producer.poll(0.025)
            self.stopped.wait(0.01)

    def _delivered(self, err, message):
        with self.lock:
            of_partition = self.acked[message.partition()]
            if err:
                self.failed = f"a record was not accepted: {err}"
            elif message.offset() != len(of_partition):
                self.failed = (f"a record of partition {message.partition()} was acknowledged at "
                               f"{message.offset()}, after {len(of_partition)} others")
            else:
                of_partition.append(message.value().decode())

    def ends(self):
        """How many records of each partition are acknowledged."""
        with self.lock:
            if self.failed:
                raise Failure(self.failed)
            return [len(a) for a in self.acked]

    def stop(self, seconds=60):
        self.stopped.set()
        self.thread.join()
        if self.producer.flush(seconds):
            raise Failure("records were not acknowledged")

    def words(self):
        """How often each key was produced."""
        out = {}
        for p, values in enumerate(self.acked):
            for n in range(len(values)):
                word = f"{p}w{n % WORDS}"
                out[word] = out.get(word, 0) + 1
        return out


class Observer:
    """Asks the broker what it knows of groups."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap, **QUICK})
        self.second = None
        self.lock = threading.Lock()  # guards consumers
        self.consumers = {}

    def create(self, *topics):
        """Makes topics, as soon as the broker lets it."""
        for t in topics:
            deadline = time.monotonic() + 60
            while True:
                try:
                    self.admin.create_topics([NewTopic(t, PARTITIONS, 1)])[t].result(10)
                    break
                except KafkaException as e:
                    if e.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                        break
                    if time.monotonic() > deadline:
                        raise Failure(f"topic {t} cannot be made: {e}") from None

    def committed(self, group):
        """The committed offsets by partition, or None while the broker cannot say. (The admin
        client of confluent-kafka 2.16 crashes on some errors of this request, a consumer does not;
        it is in no group as it subscribes to nothing.)"""
        with self.lock:
            if group not in self.consumers:
                self.consumers[group] = Consumer({"bootstrap.servers": self.bootstrap,
                                                  "group.id": group, **QUICK})
            c = self.consumers[group]
        try:
            asked = c.committed([TopicPartition(INPUT, p) for p in range(PARTITIONS)], 5)
        except KafkaException:
            return None
        if any(tp.error for tp in asked):
            return None
        return {tp.partition: tp.offset for tp in asked if tp.offset >= 0}

    def described(self, group):
        """The group's state, and each member's id and partitions; None while nobody can say. (By
        kafka-python, as the admin client of confluent-kafka 2.16 fails an assertion of its own when
        a coordinator goes away while it asks.)"""
        try:
            self.second = self.second or KafkaAdminClient(
                bootstrap_servers=self.bootstrap, request_timeout_ms=5000,
                reconnect_backoff_max_ms=300)
            answer = self.second.describe_groups([group])[group]
        except (errors.KafkaError, OSError):
            return None
        return answer["group_state"], {
            m["member_id"]: sorted(p for t in (m["member_assignment"] or {}).get(
                "assigned_partitions", []) for p in t["partitions"])
            for m in answer["members"]}

    def epoch(self, transactional_id):
        """The epoch of a transactional id's producer. With transaction.version 2 it rises with every
        transaction (KIP-890), before that with every new producer."""
        return self.second.describe_transactions([transactional_id])[transactional_id].producer_epoch

    def read_committed(self, topic, seconds=60):
        """All of a topic as readers of committed records see it: (key, value) by partition."""
        out, ended = [[] for _ in range(PARTITIONS)], set()
        c = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "reads-alone",
                      "isolation.level": "read_committed", "enable.partition.eof": True,
                      "enable.auto.commit": False, **QUICK})
        c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
        deadline = time.monotonic() + seconds
        while len(ended) < PARTITIONS and time.monotonic() < deadline:
            m = c.poll(0.5)
            if m is None:
                continue
            if not m.error():
                out[m.partition()].append((m.key() and m.key().decode(), m.value().decode()))
            elif m.error().code() == KafkaError._PARTITION_EOF:
                ended.add(m.partition())
        c.close()
        if len(ended) < PARTITIONS:
            raise Failure(f"{topic} was not read to its end")
        return out
