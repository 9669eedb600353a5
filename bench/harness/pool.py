# SPDX-License-Identifier: MIT
"""The benchmarks of the process pool: weft's beside Python's, and beside what one writes by hand.

A side is a program that opens its pool, does the work once without the clock, then several times
with it, and checks every result. All have two workers unless a benchmark says otherwise.
"""

import importlib.util
import sys

from harness import child
from harness.model import Bench, Row, Side, limit

ROUNDS = 9  # the fewest whose interval leaves out the extremes
WORKERS = 2
DEPTH = 32  # calls under way with each worker of the raw ring
SPINS = 1000  # looks that the ring that spins takes before it sleeps
SMALL, LARGE = 64, 1 << 20
WORKERS_STARTED = 8


def python(programs, name, *arguments):
    """The side that is python.py with these arguments."""
    if "joblib" in arguments and importlib.util.find_spec("joblib") is None:
        return Side(name, None, "joblib (python3-joblib) is not installed")
    command = [sys.executable, programs.bench_source / "pool" / "python.py", *arguments]
    return Side(name, lambda warm_up: child.figures(command))


def named(name, side):
    return Side(name, side.run, side.missing)


def ring(programs, name, lanes, depth, calls, size, times, spins):
    return named(name, programs.side("pool", "ring", lanes, depth, calls, size, times, spins + 1))


def rates(peers, **targets):
    return [Row("rate", peer.name, targets.get(peer.name.replace("-", "_")), unit="/s",
                less_is_better=False, label="calls/s") for peer in peers]


def small_map(programs):
    n, times = programs.size(20_000, 500), programs.size(20, 1)
    peers = [limit("limit", rate=3e6),
             ring(programs, "ring", WORKERS, DEPTH, n, SMALL, times, 0),
             ring(programs, "ring-spin", WORKERS, DEPTH, n, SMALL, times, SPINS),
             programs.side("pool", "pipe", WORKERS, 8, n, SMALL, times)]
    peers += [python(programs, name, "map", name, WORKERS, n, SMALL, 1 if "1" in name else 2)
              for name in ("pool", "pool-1", "executor-large", "joblib")]
    peers.append(python(programs, "executor", "map", "executor", WORKERS, n, SMALL, 1))
    return Bench("pool-map", f"a map of {n} calls, {SMALL} bytes in and out, {WORKERS} workers",
                 "weft", [programs.side("pool", "weft", "map", WORKERS, n, SMALL, times)] + peers,
                 rates(peers, limit=1.0, ring=0.8), rounds=ROUNDS)


def one_by_one(programs):
    n, few = programs.size(20_000, 200), programs.size(3000, 50)
    peers = [ring(programs, "ring", 1, 1, n, SMALL, 1, 0),
             ring(programs, "ring-spin", 1, 1, n, SMALL, 1, SPINS),
             programs.side("pool", "pipe", 1, 1, n, SMALL, 1)]
    peers += [python(programs, name, "one", name, WORKERS, few, SMALL, 1)
              for name in ("pool", "executor", "joblib")]
    return Bench("pool-one", f"one call of {SMALL} bytes in and out at a time, {n} times", "weft",
                 [programs.side("pool", "weft", "one", WORKERS, n, SMALL, 1)] + peers,
                 rates(peers, ring=0.8, pool=3.0, executor=3.0, joblib=3.0),
                 rounds=ROUNDS)


def bandwidths(peers, **targets):
    return [Row("gbs", peer.name, targets.get(peer.name), unit="GB/s", less_is_better=False,
                label="each way") for peer in peers]


def large_map(programs):
    n, times = programs.size(200, 8), programs.size(3, 1)
    peers = [ring(programs, "ring", WORKERS, 2, n, LARGE, times, SPINS),
             programs.side("pool", "pipe", WORKERS, 1, n, LARGE, times)]
    peers += [python(programs, name, "map", name, WORKERS, n, LARGE, 1)
              for name in ("pool", "executor", "joblib")]
    return Bench("pool-large", f"a map of {n} calls, 1 MiB in and out, {WORKERS} workers", "weft",
                 [programs.side("pool", "weft", "map", WORKERS, n, LARGE, times)] + peers,
                 bandwidths(peers, ring=0.9), rounds=ROUNDS)


def map_in_place(programs):
    n, times = programs.size(200, 8), programs.size(5, 1)
    peers = [programs.side("pool", "copy", WORKERS, n, LARGE, times)]
    return Bench("pool-place", f"a map of {n} calls, 1 MiB from one array in shared memory into"
                 f" another, {WORKERS} workers", "weft",
                 [programs.side("pool", "weft", "place", WORKERS, n, LARGE, times)] + peers,
                 bandwidths(peers, copy=0.9), rounds=ROUNDS)


def death(programs):
    few, fewer = programs.size(10, 2), programs.size(3, 1)
    peers = [limit("limit", outcome_ms=1, again_ms=5),
             python(programs, "executor", "death", "executor", few),
             python(programs, "joblib", "death", "joblib", fewer)]
    rows = []
    for figure, label in (("outcome_ms", "until told"), ("again_ms", "until replaced")):
        rows += [Row(figure, peer.name, 1.0 if peer.name == "limit" else None, unit="ms",
                     label=label) for peer in peers]
    return Bench("pool-death", "a worker of two is killed: until its call ends, and until there is"
                 " one in its place that has run a call", "weft",
                 [programs.side("pool", "weft", "death", programs.size(20, 2))] + peers, rows,
                 rounds=ROUNDS)


def start(programs):
    n = programs.size(WORKERS_STARTED, 2)
    methods = [python(programs, method, "start", method, n)
               for method in ("fork", "forkserver", "spawn")]
    rows = [Row("ms", side.name, 1.0 if side.name == "fork" else None, unit="ms")
            for side in methods]
    rows += [Row("kib", "limit", 1.0, unit="KiB", label="private memory")]
    rows += [Row("kib", side.name, unit="KiB", label="private memory") for side in methods]
    return Bench("pool-start", f"from nothing until all {n} workers have run a call; private"
                 " memory of a worker that has", "weft",
                 [programs.side("pool", "weft", "start", n)] + methods
                 + [limit("limit", kib=2e6 / 1024)], rows, rounds=ROUNDS)


def benches(programs):
    return [
        small_map(programs),
        one_by_one(programs),
        large_map(programs),
        map_in_place(programs),
        death(programs),
        start(programs),
    ]
