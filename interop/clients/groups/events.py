"""For members that are written in Python: how they tell what happens, and hear that they shall end."""

import sys
import threading
import time


def say(kind, *words):
    print(time.monotonic_ns(), kind, *words, flush=True)


class Leaving:
    """Is true once standard input has ended."""

    def __init__(self):
        self.asked = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        sys.stdin.read()
        self.asked.set()

    def __bool__(self):
        return self.asked.is_set()
