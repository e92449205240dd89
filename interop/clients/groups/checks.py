"""What must hold of a group's history, whatever happened to its members and to the broker.

1. Nothing is lost: every acknowledged record was delivered to some member, with the value that was
   acknowledged at its offset.
2. A stint (from when a member is given a partition) delivers offsets without gap and without
   repetition.
3. At least once, and no more than it has to: a record is delivered again only if its offset was not
   committed when the member that gets it was given the partition. In numbers: a stint's first
   offset is at or above every commit that was acknowledged before the stint began.
"""

from members import Assigned, Committed, Delivered


class Violation(Exception):
    pass


def commits_of(members):
    """All acknowledged commits by partition: (time, offset), sorted, each the highest so far."""
    commits = {}
    for m in members:
        for e in m.events:
            if isinstance(e, Committed):
                for p, o in e.offsets.items():
                    commits.setdefault(p, []).append((e.time, o))
    for p, all_of_p in commits.items():
        all_of_p.sort()
        high = 0
        for i, (t, o) in enumerate(all_of_p):
            high = max(high, o)
            all_of_p[i] = (t, high)
    return commits


def committed_before(commits, partition, time):
    last = 0
    for t, o in commits.get(partition, []):
        if t >= time:
            break
        last = o
    return last


def check_stints(member, commits):
    """Rules 2 and 3. Returns how many records the member was given."""
    floor, previous, count = {}, {}, 0
    for e in member.events:
        if isinstance(e, Assigned):
            floor[e.partition] = committed_before(commits, e.partition, e.time)
            previous.pop(e.partition, None)
        elif isinstance(e, Delivered):
            p, count = e.partition, count + 1
            if p in previous and e.offset != previous[p] + 1:
                raise Violation(f"{member.name}: offset {e.offset} of partition {p} follows "
                                f"{previous[p]}")
            if p not in previous and e.offset < floor[p]:
                raise Violation(f"{member.name} is given offset {e.offset} of partition {p} again: "
                                f"{floor[p]} was committed before it got the partition")
            previous[p] = e.offset
    return count


def check_group(members, produced):
    """All rules. produced holds the acknowledged values by partition, in order of offset. Returns
    how many records were delivered, and how many of these again."""
    commits = commits_of(members)
    deliveries = sum(check_stints(m, commits) for m in members)
    seen = {}
    for m in members:
        for e in m.events:
            if isinstance(e, Delivered):
                if produced[e.partition][e.offset] != e.value:
                    raise Violation(f"{m.name}: offset {e.offset} of partition {e.partition} is "
                                    f"{e.value!r}, not {produced[e.partition][e.offset]!r}")
                seen.setdefault(e.partition, set()).add(e.offset)
    for p, values in enumerate(produced):
        lost = set(range(len(values))) - seen.get(p, set())
        if lost:
            raise Violation(f"{len(lost)} acknowledged records of partition {p} were never "
                            f"delivered, offset {min(lost)} the first")
    distinct = sum(len(s) for s in seen.values())
    return deliveries, deliveries - distinct


def check_copy(copied, produced):
    """The output of movers, read committed, is the input: each record once and in order."""
    for p, values in enumerate(produced):
        if copied[p] != values:
            at = next((i for i, (a, b) in enumerate(zip(copied[p], values)) if a != b),
                      min(len(copied[p]), len(values)))
            raise Violation(f"partition {p} of the output has {len(copied[p])} records of "
                            f"{len(values)}; record {at} is {copied[p][at:at + 1]}, "
                            f"not {values[at:at + 1]}")
    return sum(len(v) for v in copied)


def check_counts(counted, words):
    """The output of a word count whose every update is seen: 1, 2, 3 … as often as the word came."""
    for word, times in words.items():
        if counted.get(word) != list(range(1, times + 1)):
            raise Violation(f"word {word} came {times} times; its counts: {counted.get(word)}")
    if counted.keys() - words.keys():
        raise Violation(f"counts of words that never came: {counted.keys() - words.keys()}")
    return sum(words.values())
