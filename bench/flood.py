"""Sends relay datagrams of 64 B as cheaply as Linux can: 50 with one system call (UDP_SEGMENT).

The generator of bench/relay-node-workers.mjs: with Node's sends, two cores would mostly be busy with
generating. Usage: flood.py SERVER_PORT CLIENT_PORT SESSIONS, then a line on standard input for each second of
sending. It never reads what comes back: the kernel drops that when the sockets are full.
"""

import os
import socket
import struct
import sys
import time

SERVER_PORT, CLIENT_PORT, SESSIONS = map(int, sys.argv[1:])
USERS = 4
SOCKETS = 64
BATCH = 50
UDP_SEGMENT = 103
os.nice(10)


def tokens(s, n):
    return struct.pack("<II", 2_000_000 + s * USERS + n, 1_000_000 + s)


def open_socket(segment):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    if segment:
        one.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
    one.setblocking(False)
    return one


batches = []
for i in range(SOCKETS):
    # A socket has the hosts of some sessions, or their first clients.
    host = i % 2 == 0
    mine = [s for s in range(SESSIONS) if s % (SOCKETS // 2) == i // 2]
    pinger = open_socket(0)
    to = ("127.0.0.1", SERVER_PORT if host else CLIENT_PORT)
    header = lambda s: tokens(s, 0) + b"\2" + struct.pack("<i", 1) if host else tokens(s, 1) + b"\2"
    data = [header(s) + bytes(64) for s in mine]
    pinger.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(data[0]))
    for s in mine:
        pinger.sendto(tokens(s, 0 if host else 1) + b"\1", to)
        time.sleep(0.0002)
    batches.append((pinger, to, [b"".join(data[j : j + BATCH]) for j in range(0, len(data), BATCH)]))

print("ready", flush=True)
for _ in sys.stdin:
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        for one, to, some in batches:
            for batch in some:
                try:
                    one.sendto(batch, to)
                except BlockingIOError:
                    pass
    print("sent", flush=True)
