# SPDX-License-Identifier: MIT
"""The echo servers: each runs alone on one CPU while one client on another loads it (client.c)."""

import json
import os

from harness import child
from harness.model import Bench, Failed, Row, Side

PEERS = ("libuv", "go", "tokio", "uring", "epoll")
OURS = {"weft-uring": "uring", "weft-epoll": "epoll"}  # each of weft's back ends, and its raw loop


def port_of(server, name):
    line = server.stdout.readline()
    if not line:
        raise Failed(f"{name} did not say where it listens")
    return int(json.loads(line)["port"])


def side(programs, name, connections, ms):
    peer, _, back_end = name.partition("-")
    if reason := programs.missing("echo", peer):
        return Side(name, None, reason)
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return Side(name, None, "server and client need a CPU each")
    settings = {**child.workers(1), **({"WEFT_IO": back_end} if back_end else {})}

    def run(warm_up):
        with child.started([programs.path(f"echo-{peer}")], settings, cpus[0]) as server:
            port = port_of(server, name)
            with child.started([programs.path("echo-client"), port, server.pid, connections, ms],
                               cpu=cpus[-1]) as client:
                text = client.stdout.read()
                if client.wait(child.TIMEOUT_S) != 0:
                    raise Failed(f"the client of {name} exited with {client.returncode}")
        return json.loads(text)

    return Side(name, run)


def rows():
    """Against the raw loop of the same back end; below libuv and tokio in CPU time."""
    both = []
    for ours, raw in OURS.items():
        for peer, target in ((raw, 1.1), ("libuv", 1.0), ("tokio", 1.0), ("go", None)):
            both.append(Row("cpu_us", peer, target, unit="us", label=f"{ours}, CPU", ours=ours))
            both.append(Row("per_s", peer, less_is_better=False, unit="/s",
                            label=f"{ours}, rate", ours=ours))
    return both


def benches(programs):
    ms = programs.size(500, 50)
    return [Bench(f"echo-{connections}", f"{connections} connections send 64 bytes and wait for"
                  " them to come back; requests/s and the server's CPU time for each",
                  next(iter(OURS)), [side(programs, name, connections, ms)
                                     for name in (*OURS, *PEERS)], rows(), rounds=11)
            for connections in (100, 1000)]
