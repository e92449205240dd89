"""Member processes and what they say of themselves, one line an event, to standard output:

    TIME assigned P,P,…       these partitions were added to what it owns
    TIME owns P,P,…           it was given exactly these (clients that do not tell what is new)
    TIME revoked P,P,…        these were taken
    TIME record P OFFSET VALUE
    TIME commit P=OFFSET,…    the broker has acknowledged this commit
    TIME note TEXT            an error that it got over

TIME is the machine's monotonic clock in nanoseconds, so that the lines of two processes compare. A
member ends, having left its group, when its standard input says so or ends.
"""

import subprocess
import threading


class Assigned:
    """A partition was given to the member. What it delivers from here on is one stint."""

    def __init__(self, time, partition):
        self.time, self.partition = time, partition


class Delivered:
    def __init__(self, time, partition, offset, value):
        self.time, self.partition, self.offset, self.value = time, partition, offset, value


class Committed:
    def __init__(self, time, offsets):
        self.time, self.offsets = time, offsets


def numbers(text):
    return [int(p) for p in text.split(",") if p]


class Member:
    """One process of a client under test."""

    def __init__(self, name, command, log):
        self.name = name
        self.lock = threading.Lock()  # guards all that follows
        self.events = []
        self.owned = set()
        self.changes = 0  # how often what it owns was changed
        self.delivered = {}  # the highest offset by partition
        self.commits = 0
        self.acked = {}  # the highest acknowledged commit by partition
        self.broken = None
        self.notes = open(log, "w")
        # It ends with this process, however that ends (prctl(2), PR_SET_PDEATHSIG).
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.notes, text=True, errors="replace")
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.lock:
                try:
                    self._take(line.rstrip("\n"))
                except (ValueError, IndexError):
                    # A line that SIGKILL cut has no end; every other one must be understood.
                    if line.endswith("\n"):
                        self.broken = self.broken or f"it wrote {line!r}"
        self.process.wait()

    def _take(self, line):
        time, kind, rest = (line + " ").split(" ", 2)
        time, rest = int(time), rest.strip()
        if kind in ("assigned", "owns"):
            partitions = numbers(rest)
            self.owned = set(partitions) if kind == "owns" else self.owned | set(partitions)
            self.events += [Assigned(time, p) for p in partitions]
            self.changes += 1
        elif kind == "revoked":
            self.owned -= set(numbers(rest))
            self.changes += bool(rest)
        elif kind == "record":
            partition, offset, value = rest.split(" ", 2)
            partition, offset = int(partition), int(offset)
            if partition not in self.owned:
                self.broken = f"it delivers offset {offset} of partition {partition}, not its own"
            self.events.append(Delivered(time, partition, offset, value))
            self.delivered[partition] = max(offset, self.delivered.get(partition, -1))
        elif kind == "commit":
            offsets = {int(p): int(o) for p, o in (kv.split("=") for kv in rest.split(","))}
            self.events.append(Committed(time, offsets))
            self.commits += 1
            for p, o in offsets.items():
                self.acked[p] = max(o, self.acked.get(p, 0))
        elif kind == "note":
            self.notes.write(line + "\n")
            self.notes.flush()
        else:
            raise ValueError(kind)

    def snapshot(self, field):
        with self.lock:
            value = getattr(self, field)
            return value.copy() if isinstance(value, (set, dict, list)) else value

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        """Ends it as a crash would, and waits until all that it said is read."""
        self.process.kill()
        self._end()

    def leave(self):
        """Asks it to leave its group. finish waits until it has."""
        self.process.stdin.close()

    def finish(self, seconds):
        """Says whether it ended in time and without an error."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._end()
        return self.process.returncode == 0

    def _end(self):
        self.process.wait()
        self.reader.join()
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.stdout.close()
        self.notes.close()
