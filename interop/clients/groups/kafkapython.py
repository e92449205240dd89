"""kafka-python as a member of a group. How it is called and what it writes is in scenes.py and
members.py.

    kafkapython.py ASSIGNOR BOOTSTRAP TOPIC GROUP INSTANCE
"""

import sys

from events import Leaving, say
from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "cooperative-sticky": CooperativeStickyAssignor}


class Told(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        say("assigned", ",".join(str(tp.partition) for tp in assigned))

    def on_partitions_revoked(self, revoked):
        say("revoked", ",".join(str(tp.partition) for tp in revoked))


def main(assignor, bootstrap, topic, group, instance):
    c = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest", partition_assignment_strategy=[ASSIGNORS[assignor]],
        group_instance_id=None if instance == "-" else instance,
        session_timeout_ms=3000 if instance == "-" else 20000, heartbeat_interval_ms=300,
        reconnect_backoff_max_ms=300)
    c.subscribe([topic], listener=Told())
    leaving = Leaving()
    while not leaving:
        done = {}
        for tp, records in c.poll(timeout_ms=100).items():
            for r in records:
                say("record", r.partition, r.offset, r.value.decode())
            done[tp] = OffsetAndMetadata(records[-1].offset + 1, "", -1)
        if not done:
            continue
        try:
            c.commit(done)
            say("commit", ",".join(f"{tp.partition}={o.offset}" for tp, o in done.items()))
        except KafkaError as e:
            say("note", repr(e))
    c.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
