"""What takes part in a run: groups of consumers, movers that copy in transactions, word counts.

Each kind answers the same calls, one for every act of the play that conduct.py gives. A command line
gets more arguments than it names: BOOTSTRAP TOPIC GROUP ID for a consumer, BOOTSTRAP TOPIC OUTPUT
GROUP ID for the others. ID is the group's instance, or the transactional id; "-" means none.
"""

import os
import threading

from checks import Violation, check_copy, check_counts, check_group
from cluster import INPUT, PARTITIONS, Failure
from members import Member

ALL = list(range(PARTITIONS))
EPOCHS_OF_V2 = 15  # more transactions than any producer is begun anew, fewer than it makes


class Scene:
    """One group. Its offsets are watched from the first to the last moment: they never go back, and
    an answer to who asks after a commit was acknowledged has at least that commit."""

    kind = "group"
    outputs = ()

    def __init__(self, name, command, world):
        self.name, self.command, self.world = name, command, world
        self.group = f"{self.kind}-{name}"
        self.members, self.gone = [], []
        self.former = set()  # the member ids before a crash
        self.trouble = None
        self.readings = 0
        self.closing = threading.Event()
        self.watcher = threading.Thread(target=self._watch)

    def _watch(self):
        last = {}
        while not self.closing.wait(0.1):
            known = self.acked()
            got = self.world.observer.committed(self.group)
            if got is None:
                continue
            self.readings += 1
            for p in ALL:
                least = max(known.get(p, 0), last.get(p, 0))
                if got.get(p, 0) < least:
                    self.trouble = self.trouble or (
                        f"partition {p} is committed up to {got.get(p)}; {least} was before")
            last = got

    def arguments(self, member_id):
        return [INPUT, self.group, member_id]

    def add(self, name, member_id="-"):
        log = os.path.join(self.world.folder, f"{self.group}-{name}.log")
        m = Member(f"{self.name}/{name}", self.command + [self.world.broker.bootstrap] +
                   self.arguments(member_id), log)
        self.members.append(m)
        return m

    def remove(self, m):
        self.members.remove(m)
        self.gone.append(m)

    def everyone(self):
        return self.gone + self.members

    def acked(self):
        """The highest acknowledged commit by partition, of all members."""
        out = {}
        for m in self.everyone():
            for p, o in m.snapshot("acked").items():
                out[p] = max(o, out.get(p, 0))
        return out

    def inspect(self):
        """Fails the run on what cannot be right at any time."""
        if self.trouble:
            raise Violation(f"{self.name}: {self.trouble}")
        for m in self.everyone():
            if m.broken:
                raise Violation(f"{m.name}: {m.broken}")
        for m in self.members:
            if not m.alive():
                raise Failure(f"{m.name} ended by itself")

    def settled(self):
        """Stable, with as many members as live and not the same as before a crash, and one owner by
        partition."""
        described = self.world.observer.described(self.group)
        if described is None:
            return False
        state, owned = described[0], list(described[1].values())
        if self.former and self.former <= described[1].keys():
            return False
        return (state == "Stable" and len(owned) == len(self.members) and all(owned) and
                sorted(p for ps in owned for p in ps) == ALL and self.agreed(owned))

    def agreed(self, owned):
        return True

    def reached(self, marks):
        """All partitions are committed up to the marks, as the broker says."""
        got = self.world.observer.committed(self.group)
        return got is not None and all(got.get(p, 0) >= marks[p] for p in ALL)

    def end(self):
        self.closing.set()
        if self.watcher.ident:
            self.watcher.join()
        for m in self.members:
            m.kill()

    def begin(self):
        self.watcher.start()

    def join(self):
        pass

    def leave(self):
        return False

    def crash(self):
        self.former = self.world.observer.described(self.group)[1].keys()

    def bounce(self):
        return False

    def bounced(self):
        return True

    def part(self):
        """The members leave."""
        for m in self.members:
            m.leave()
        for m in list(self.members):
            if not m.finish(30):
                raise Failure(f"{m.name} did not end in peace: {m.process.returncode}")
            self.remove(m)


    def parted(self):
        """Nobody is left in the group."""
        return self.world.observer.described(self.group) == ("Empty", {})


class Consumers(Scene):
    """Members that commit what they have read. The first one is static where the client can."""

    def __init__(self, name, command, world, static):
        super().__init__(name, command, world)
        self.static = static
        self.bouncing = None

    def agreed(self, owned):
        return sorted(sorted(m.snapshot("owned")) for m in self.members) == sorted(owned)

    def begin(self):
        super().begin()
        self.add("first", "the-first" if self.static else "-")
        self.add("second")

    def join(self):
        self.add("third")

    def leave(self):
        m = self.members[1]
        m.leave()
        if not m.finish(30):
            raise Failure(f"{m.name} did not leave in peace: {m.process.returncode}")
        self.remove(m)
        return True

    def crash(self):
        super().crash()
        m = self.members[-1]
        m.kill()
        self.remove(m)
        self.add("fourth")

    def bounce(self):
        """A static member is killed, and comes back under its name (KIP-345)."""
        if not self.static:
            return False
        m = self.members[0]
        m.kill()
        self.remove(m)
        others = {x: x.snapshot("changes") for x in self.members}
        back = self.add("first-again", "the-first")
        self.bouncing = back, m.snapshot("owned"), others
        return True

    def bounced(self):
        if not self.bouncing:
            return True
        back, owned, others = self.bouncing
        for m, changes in others.items():
            if m.snapshot("changes") != changes:
                raise Violation(f"{m.name} was rebalanced as a static member came back")
        return back.snapshot("owned") == owned

    def parted(self):
        """A static member does not leave with its process: it is awaited for its session."""
        if not self.static:
            return super().parted()
        described = self.world.observer.described(self.group)
        return described is not None and len(described[1]) == 1

    def verdict(self):
        stream = self.world.stream
        delivered, again = check_group(self.everyone(), stream.acked)
        return (f"{sum(stream.ends())} acknowledged records all consumed, {again} of {delivered} "
                f"deliveries repeated, none after its commit; offsets read {self.readings} times "
                f"never went back")


class Movers(Scene):
    """Consume, transform, produce in transactions (KIP-447): the output has the input once."""

    kind = "movers"

    def __init__(self, name, command, world, count=2, version=1):
        super().__init__(name, command, world)
        self.count, self.version = count, version
        self.output = f"out-{name}"
        self.outputs = (self.output,)

    def arguments(self, member_id):
        return [INPUT, self.output, self.group, member_id]

    def begin(self):
        super().begin()
        for i in range(self.count):
            self.add(f"mover-{i}", f"{self.name}-{i}")

    def crash(self):
        """The next one has its transactional id, and so aborts what it left open."""
        super().crash()
        m = self.members[-1]
        m.kill()
        self.remove(m)
        self.add("mover-again", f"{self.name}-{self.count - 1}")

    def spoken(self):
        """The transactions that the producers speak, told by their epochs: those of
        transaction.version 2 raise it each time (KIP-890), those of KIP-98 with every new producer."""
        epochs = [self.world.observer.epoch(f"{self.name}-{i}") for i in range(self.count)]
        if any((e >= EPOCHS_OF_V2) != (self.version == 2) for e in epochs):
            raise Violation(f"{self.name}: epochs {epochs} are not those of version {self.version}")
        return f"transactions of version {self.version} (epochs {epochs})"

    def verdict(self):
        out = self.world.observer.read_committed(self.output)
        moved = check_copy([[v for _, v in part] for part in out], self.world.stream.acked)
        return (f"{moved} records are in the output once and in order, read committed; "
                f"{self.spoken()}")


class Counters(Movers):
    """Kafka Streams with exactly_once_v2: counts of words, every update of which is written."""

    kind = "count"

    def verdict(self):
        counted = {}
        for part in self.world.observer.read_committed(self.output):
            for word, count in part:
                counted.setdefault(word, []).append(int(count))
        words = check_counts(counted, self.world.stream.words())
        return f"{words} words are counted, each once"
