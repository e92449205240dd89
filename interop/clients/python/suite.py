"""kafka-python against a broker: admin, every codec, headers, tombstones, offsets, seek.

    suite.py run BOOTSTRAP CORPUS             the whole scenario
    suite.py verify BOOTSTRAP CORPUS TOPIC…   only read topics that another client filled
"""

import base64
import json
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError

LIMIT = 4 << 20


def load(path):
    def raw(s):
        return None if s is None else base64.b64decode(s)

    with open(path) as f:
        for line in f:
            r = json.loads(line)
            if not r.get("wide"):
                yield raw(r["key"]), raw(r["value"]), [(n, raw(v)) for n, v in r["headers"]]


def check(ok, what):
    if not ok:
        sys.exit("kafka-python: " + what)
    print("ok:", what)


def consumer(bootstrap, *partitions):
    c = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False,
                      max_partition_fetch_bytes=LIMIT, fetch_max_bytes=8 << 20, check_crcs=True)
    c.assign(list(partitions))
    return c


def read(c, tp, n):
    """Reads n records of a partition from its beginning."""
    c.seek_to_beginning(tp)
    out, deadline = [], time.time() + 60
    while len(out) < n and time.time() < deadline:
        for records in c.poll(timeout_ms=500).values():
            out += records
    return out


def verify(bootstrap, corpus, topic):
    tp = TopicPartition(topic, 0)
    c = consumer(bootstrap, tp)
    end = c.end_offsets([tp])[tp]
    got = read(c, tp, len(corpus))
    c.close()
    check(end == len(corpus), f"{topic} ends at {end} of {len(corpus)}")
    for i, (want, r) in enumerate(zip(corpus, got)):
        if want != (r.key, r.value, list(r.headers)) or r.offset != i:
            sys.exit(f"kafka-python: record {i} of {topic} differs")
    check(len(got) == len(corpus), f"{topic}: {len(got)} records are byte for byte what was sent")


def produce(bootstrap, corpus, topic, codec, **config):
    p = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, max_request_size=LIMIT,
                      linger_ms=20, batch_size=64 << 10, **config)
    futures = [p.send(topic, key=k, value=v, headers=h, partition=0) for k, v, h in corpus]
    offsets = [f.get(timeout=60).offset for f in futures]
    p.close()
    check(offsets == list(range(len(corpus))), f"{topic}: offsets are dense")


def admin(bootstrap):
    a = KafkaAdminClient(bootstrap_servers=bootstrap)
    a.create_topics([NewTopic("py-admin", num_partitions=3, replication_factor=1)])
    try:
        a.create_topics([NewTopic("py-admin", num_partitions=3, replication_factor=1)])
        sys.exit("kafka-python: a topic was created twice")
    except TopicAlreadyExistsError:
        print("ok: a second creation is refused")
    wait(lambda: "py-admin" in a.list_topics(), "list_topics has it")
    a.create_partitions({"py-admin": NewPartitions(5)})
    wait(lambda: partitions(a, "py-admin") == 5, "describe_topics shows 5 partitions")
    config = ConfigResource(ConfigResourceType.TOPIC, "py-admin", {"retention.ms": "3600000"})
    a.alter_configs([config])
    wait(lambda: "3600000" in str(a.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, "py-admin")])), "retention.ms was altered")
    check(len(a.describe_cluster()["brokers"]) == 1, "describe_cluster shows one broker")
    a.delete_topics(["py-admin"])
    wait(lambda: "py-admin" not in a.list_topics(), "the topic was deleted")
    return a


def partitions(a, topic):
    described = a.describe_topics([topic])
    return len(described[0]["partitions"]) if described else 0


def wait(ready, what):
    deadline = time.time() + 20
    while not ready():
        if time.time() > deadline:
            sys.exit("kafka-python: never: " + what)
        time.sleep(0.1)
    print("ok:", what)


def offsets(bootstrap, corpus, topic):
    tp = TopicPartition(topic, 0)
    c = consumer(bootstrap, tp)
    all_records = read(c, tp, len(corpus))
    middle = all_records[len(corpus) // 2]
    found = c.offsets_for_times({tp: middle.timestamp})[tp]
    first = next(r.offset for r in all_records if r.timestamp >= middle.timestamp)
    check(found.offset == first, "offsets_for_times finds the first record at a time")
    later = c.offsets_for_times({tp: all_records[-1].timestamp + 60_000})[tp]
    check(later is None, "offsets_for_times finds none in the future")
    check(c.beginning_offsets([tp])[tp] == 0, "the beginning is 0")
    c.seek(tp, 100)
    again = []
    while not again:
        for records in c.poll(timeout_ms=500).values():
            again += records
    check(again[0].offset == 100 and again[0].value == corpus[100][1], "seek goes to offset 100")
    c.close()


def run(bootstrap, corpus):
    a = admin(bootstrap)
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        topic = f"py-{codec or 'none'}"
        a.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1,
                                  topic_configs={"max.message.bytes": str(LIMIT)})])
        produce(bootstrap, corpus, topic, codec, acks="all", enable_idempotence=codec == "lz4")
        verify(bootstrap, corpus, topic)
    offsets(bootstrap, corpus, "py-none")
    a.delete_records({TopicPartition("py-gzip", 0): 10})
    tp = TopicPartition("py-gzip", 0)
    c = consumer(bootstrap, tp)
    check(c.beginning_offsets([tp])[tp] == 10, "delete_records moves the beginning to 10")
    c.close()
    a.close()


if __name__ == "__main__":
    records = list(load(sys.argv[3]))
    if sys.argv[1] == "run":
        run(sys.argv[2], records)
    else:
        for name in sys.argv[4:]:
            verify(sys.argv[2], records, name)
