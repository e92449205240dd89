"""Writes the records that every client produces and reads back, one JSON object a line.

key and value are base64 or null; headers are pairs of a name and base64. The same bytes on every
run. Records whose headers not every client can send (a null value, a name repeated with others
between) carry "wide": true.
"""

import base64
import json
import random
import sys


def b64(b):
    return None if b is None else base64.b64encode(b).decode()


def record(key, value, headers=(), **extra):
    return {"key": b64(key), "value": b64(value),
            "headers": [[name, b64(v)] for name, v in headers], **extra}


def corpus():
    rng = random.Random(2)
    yield record(b"plain", b"value")
    yield record(None, b"no key")
    yield record(b"tombstone", None)
    yield record(b"empty value", b"")
    yield record(b"", b"empty key")
    yield record(None, b"x")
    yield record(b"k", b"y")
    yield record(b"headers", b"v", [("a", b"1"), ("a", b"3"), ("b", b"2")])
    yield record(b"repeated header apart", b"v", [("a", b"1"), ("b", b"2"), ("a", b"3")], wide=True)
    yield record(b"empty header", b"v", [("e", b"")])
    yield record(b"binary header", b"v", [("b", bytes(range(256)))])
    yield record(b"header name in UTF-8", b"v", [("naïve ☃", b"1")])
    yield record(b"null header", b"v", [("n", None)], wide=True)
    yield record(b"tombstone with header", None, [("why", b"gone")])
    yield record(bytes(range(256)), bytes(range(255, -1, -1)))
    yield record("ключ".encode(), "значение ☃ \U0001f600".encode())
    yield record(b"new\nline", b"tab\tand\0zero\r\n")
    yield record(b"one mebibyte of text", b"All work and no play. " * 47662 + b"12345678901 ")
    yield record(b"one mebibyte of noise", rng.randbytes(1 << 20))
    yield record(rng.randbytes(3000), b"a long key")
    for i in range(300):
        yield record(b"key-%d" % (i % 17), rng.randbytes(rng.randrange(0, 400)),
                     [("n", b"%d" % i)] if i % 5 == 0 else [])
    for i in range(200):
        yield record(None, b"line %d of many that look alike" % i)


with open(sys.argv[1], "w") as out:
    for r in corpus():
        print(json.dumps(r), file=out)
