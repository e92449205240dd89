"""Groups of real clients through crashes and restarts of members and of the broker.

    conduct.py FOLDER [--consumers NAME COMMAND] [--static NAME COMMAND] [--movers NAME COMMAND]
               [--movers-v2 NAME COMMAND] [--lone-mover NAME COMMAND] [--counters NAME COMMAND] …

All groups that are named read one topic, which is written all the while, and go through the same
acts together:

    1. two members join; a third does, and each has partitions (static: one has an instance id)
    2. the broker is killed (SIGKILL) and started on what it left
    3. a member leaves; one is killed, and another takes its place (movers: of the same
       transactional id, so that the transaction it left open is aborted). Of which version of
       transactions a mover is, its producer's epoch must show. A lone mover is for
       clients without KIP-447, of which two in a group are not safe against each other
    4. static groups: a member is killed and comes back under its instance id; nobody is rebalanced
    5. the broker is stopped cleanly (SIGTERM) and started again
    6. writing ends; all is consumed and committed; the members leave, the offsets stay

checks.py and scenes.py say what must hold. Nothing waits for a time, only for a condition.
"""

import argparse
import glob
import os
import shlex
import signal
import sys
import time
import traceback

from checks import Violation
from cluster import INPUT, PARTITIONS, Broker, Failure, Observer, Stream
from scenes import Consumers, Counters, Movers

PATIENCE = 60  # seconds after which a condition that does not come ends the run


class World:
    def __init__(self, folder):
        self.folder = folder
        self.broker = Broker(os.path.join(folder, "broker"))
        self.observer = Observer(self.broker.bootstrap)
        self.stream = None
        self.scenes = []
        self.began = time.monotonic()

    def ok(self, what):
        print(f"ok: [{time.monotonic() - self.began:4.1f} s] {what}", flush=True)

    def until(self, holds, what, scenes=None):
        """Waits until a condition has held of each scene."""
        left, deadline = list(scenes or self.scenes), time.monotonic() + PATIENCE
        while True:
            left = [s for s in left if not holds(s)]
            for s in self.scenes:
                s.inspect()
            if not left:
                return
            if time.monotonic() > deadline:
                s = left[0]
                raise Failure(f"{s.name}: never {what}; committed "
                              f"{self.observer.committed(s.group)} of {self.stream.ends()}, "
                              f"described {self.observer.described(s.group)}")
            time.sleep(0.05)

    def settle(self, what):
        self.until(lambda s: s.settled(), what)
        self.ok(what)

    def advance(self, what):
        """Waits until records that are not yet written are consumed and committed."""
        marks = [end + 10 for end in self.stream.ends()]
        self.until(lambda s: s.reached(marks), what)
        self.ok(what)

    def recover(self, end, how):
        """Ends the broker, starts it again, and asks for what was committed before."""
        end()
        known = {s: s.acked() for s in self.scenes}
        self.broker.start()
        for s, acked in known.items():
            self.until(lambda s: self.observer.committed(s.group) is not None,
                       "its offsets can be read", [s])
            got = self.observer.committed(s.group)
            if any(got.get(p, 0) < o for p, o in acked.items()):
                raise Violation(f"{s.name}: committed {got} after the restart, {acked} before")
        self.ok(f"{how}: all committed offsets are there")
        self.settle("every group is whole again")
        self.advance("and every partition goes on")


def play(w):
    w.broker.start()
    w.observer.create(INPUT, *(t for s in w.scenes for t in s.outputs))
    w.stream = Stream(w.broker.bootstrap)
    for s in w.scenes:
        s.begin()
    w.settle("every group is Stable with its first members, one owner by partition")
    for s in w.scenes:
        s.join()
    w.settle("a third has joined")
    w.advance("every partition is consumed and committed")
    w.recover(w.broker.kill, "SIGKILL and restart")
    if any([s.leave() for s in w.scenes]):
        w.settle("after one left, the others own all")
    for s in w.scenes:
        s.crash()
    w.settle("after one was killed and another joined, these own all")
    if any([s.bounce() for s in w.scenes]):
        w.until(lambda s: s.bounced(), "a static member is back with what it owned")
        w.settle("a static member was killed and came back to its own; nobody was rebalanced")
    w.advance("every partition goes on")
    w.recover(w.broker.stop, "SIGTERM and restart")
    w.stream.stop()
    w.until(lambda s: s.reached(w.stream.ends()), "all is consumed and committed")
    w.settle("all is consumed and committed, every group is Stable")
    for s in w.scenes:
        s.part()
    w.until(lambda s: s.parted(), "its members have left")
    w.until(lambda s: s.reached(w.stream.ends()), "the offsets of an empty group stay")
    w.ok("all have left; their offsets stay")
    for s in w.scenes:
        s.inspect()
        w.ok(f"{s.name}: {s.verdict()}")


def tails(folder):
    for name in sorted(glob.glob(os.path.join(folder, "*.log")) +
                       [os.path.join(folder, "broker", "broker.log")]):
        with open(name, errors="replace") as f:
            lines = f.readlines()[-8:]
        if lines:
            print(f"--- {os.path.basename(name)}\n" + "".join(lines), file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    for kind in ("consumers", "static", "movers", "movers-v2", "lone-mover", "counters"):
        parser.add_argument("--" + kind, nargs=2, action="append", default=[])
    args = parser.parse_args()
    w = World(args.folder)
    for kind, make in (("consumers", lambda n, c: Consumers(n, c, w, False)),
                       ("static", lambda n, c: Consumers(n, c, w, True)),
                       ("movers", lambda n, c: Movers(n, c, w)),
                       ("movers_v2", lambda n, c: Movers(n, c, w, version=2)),
                       ("lone_mover", lambda n, c: Movers(n, c, w, 1)),
                       ("counters", lambda n, c: Counters(n, c, w))):
        w.scenes += [make(name, shlex.split(command)) for name, command in getattr(args, kind)]
    # Who ends this process early (timeout(1)) gets the same cleaning up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("groups: ended from outside"))
    try:
        play(w)
        return 0
    except (Failure, Violation) as e:
        print(f"groups: after {time.monotonic() - w.began:.1f} s: {e}", file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        # The stream ends before the broker does, so that it has somebody to say goodbye to.
        if w.stream:
            w.stream.stopped.set()
        for s in w.scenes:
            s.end()
        w.broker.end()


if __name__ == "__main__":
    try:
        code = main()
    except SystemExit as e:
        print(e, file=sys.stderr)
        code = 2
    if code:
        tails(sys.argv[1])
    # librdkafka's threads may still wait for a broker that is gone; nothing is left to say to it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
