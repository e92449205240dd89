"""confluent-kafka for Python as a member of a group. How it is called and what it writes is in
scenes.py and members.py.

    confluent.py consume ASSIGNOR BOOTSTRAP TOPIC GROUP INSTANCE
    confluent.py move    ASSIGNOR BOOTSTRAP TOPIC OUTPUT GROUP TRANSACTIONAL_ID
"""

import sys

from confluent_kafka import Consumer, KafkaException, Producer
from events import Leaving, say

# Without a rebootstrap (KIP-899), in which librdkafka 2.16 forgets the transaction coordinator.
QUICK = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 300, "log_level": 0,
         "metadata.recovery.strategy": "none"}


def join(assignor, bootstrap, topic, group, instance, isolation="read_uncommitted"):
    config = {
        "bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "partition.assignment.strategy": assignor,
        "isolation.level": isolation, "heartbeat.interval.ms": 300,
        # A static member has time to come back.
        "session.timeout.ms": 3000 if instance == "-" else 20000, **QUICK,
    }
    if instance != "-":
        config["group.instance.id"] = instance

    def told(kind):
        return lambda _, partitions: say(kind, ",".join(str(p.partition) for p in partitions))

    c = Consumer(config)
    c.subscribe([topic], on_assign=told("assigned"), on_revoke=told("revoked"),
                on_lost=told("revoked"))
    return c


def read(c):
    messages = []
    for m in c.consume(200, 0.1):
        if m.error():
            say("note", m.error())
        else:
            messages.append(m)
    return messages


def consume(assignor, bootstrap, topic, group, instance):
    c = join(assignor, bootstrap, topic, group, instance)
    leaving = Leaving()
    while not leaving:
        messages = read(c)
        for m in messages:
            say("record", m.partition(), m.offset(), m.value().decode())
        if not messages:
            continue
        try:
            done = c.commit(asynchronous=False)
        except KafkaException as e:
            say("note", e.args[0])
            continue
        acked = [f"{tp.partition}={tp.offset}" for tp in done if not tp.error and tp.offset >= 0]
        if acked:
            say("commit", ",".join(acked))
    c.close()


class Mover:
    """Copies in transactions, and aborts every fifth one to do it again."""

    def __init__(self, assignor, bootstrap, topic, output, group, transactional_id):
        self.consumer = join(assignor, bootstrap, topic, group, "-", "read_committed")
        self.output = output
        self.config = {"bootstrap.servers": bootstrap, "transactional.id": transactional_id,
                       "transaction.timeout.ms": 10000, **QUICK}
        self.count = 0
        self.connect()

    def connect(self):
        self.producer = Producer(self.config)
        self.patiently(self.producer.init_transactions)

    def patiently(self, call, *args):
        """Calls again while the error says that this may help."""
        while True:
            try:
                return call(*args)
            except KafkaException as e:
                if not e.args[0].retriable():
                    raise
                say("note", e.args[0])

    def rewind(self):
        """Goes back to what is committed."""
        for tp in self.patiently(self.consumer.committed, self.consumer.assignment(), 10):
            tp.offset = max(tp.offset, 0)
            self.consumer.seek(tp)

    def move(self, messages):
        p, c = self.producer, self.consumer
        p.begin_transaction()
        for m in messages:
            p.produce(self.output, m.value(), m.key(), m.partition())
        self.count += 1
        if self.count % 5 == 0:
            p.flush(10)
            self.patiently(p.abort_transaction)
            self.rewind()
            return
        positions = [tp for tp in c.position(c.assignment()) if tp.offset >= 0]
        self.patiently(p.send_offsets_to_transaction, positions, c.consumer_group_metadata())
        self.patiently(p.commit_transaction)

    def recover(self, by_abort):
        """Aborts where that is enough, and begins with a new producer where it is not."""
        try:
            if by_abort:
                self.patiently(self.producer.abort_transaction)
        except KafkaException as e:
            say("note", e.args[0])
            by_abort = False
        if not by_abort:
            self.connect()
        self.rewind()

    def run(self):
        leaving = Leaving()
        while not leaving:
            messages = read(self.consumer)
            if not messages:
                continue
            try:
                self.move(messages)
            except KafkaException as e:
                say("note", e.args[0])
                self.recover(e.args[0].txn_requires_abort())
        self.consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "consume":
        consume(*sys.argv[2:])
    else:
        Mover(*sys.argv[2:]).run()
