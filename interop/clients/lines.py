"""Copies lines from standard input until so many bytes are out: no empty lines, none over 64 KiB,
and every line ends in a line feed. Bytes are bytes: nothing is decoded.
"""

import sys

left = int(sys.argv[1])
out = sys.stdout.buffer
for line in sys.stdin.buffer:
    line = line.rstrip(b"\n")
    if not line or len(line) > 65536:
        continue
    out.write(line + b"\n")
    left -= len(line) + 1
    if left <= 0:
        break
