# SPDX-License-Identifier: MIT
"""The benchmarks of single primitives. Each side is a small program; meson builds them."""

import sys

from harness import child
from harness.model import Bench, Row, Side, limit

INSIDE_NS, OUTSIDE_NS = 50, 100


REASONS = {
    "rust": "rustc is not installed",
    "std": "no C++ compiler was found",
    "embed": "Python's headers (libpython3-dev) were not found when it was built",
    "go": "go is not installed",
    "tokio": "cargo or librust-tokio-dev was not installed, or it did not build",
    "libuv": "libuv's headers were not found when it was built",
    "uring": "liburing's headers were not found when it was built",
}


class Programs:
    """The small programs, found where meson put them."""

    def __init__(self, build, source, quick, base=None):
        self.bench = build / "bench"
        self.base = base
        self.bench_source = source
        self.quick = quick

    def size(self, full, quick):
        return quick if self.quick else full

    def path(self, name):
        return self.bench / name

    def missing(self, subject, peer):
        """Why there is no program SUBJECT-PEER; None if there is one."""
        program = self.path(f"{subject}-{peer}")
        if program.exists():
            return None
        return REASONS.get(peer, f"{program} has not been built")

    def side(self, subject, peer, *arguments, workers=None):
        """A side that is the program SUBJECT-PEER, or that says why there is none."""
        if reason := self.missing(subject, peer):
            return Side(peer, None, reason)
        command = [self.path(f"{subject}-{peer}"), *arguments]
        settings = child.workers(workers) if workers else None
        return Side(peer, lambda warm_up: child.figures(command, settings))

    def rounds_for(self, ns):
        return child.figures([self.path("bench-calibrate"), ns])["rounds"]


def spawn(programs):
    n = programs.size(3000, 50)
    return Bench("spawn", f"start and join of a thread, {n} times", "weft",
                 [programs.side("spawn", peer, n) for peer in ("weft", "pthread", "std")],
                 [Row("ns", "pthread", 1.0), Row("ns", "std")])


def uncontended(programs, mode, what, target):
    n = programs.size(5_000_000, 50_000)
    return Bench(f"lock-{mode}", f"lock, count, unlock, {what}", "weft",
                 [programs.side("lock", peer, mode, n)
                  for peer in ("weft", "pthread", "std", "rust")],
                 [Row("ns", "pthread", target), Row("ns", "std"), Row("ns", "rust")])


def contended(programs, threads, inside, outside):
    ms = programs.size(250, 20)
    return Bench(f"lock-{threads}", f"{threads} threads, {INSIDE_NS} ns inside, "
                 f"{OUTSIDE_NS} ns outside; wall time per acquisition", "weft",
                 [programs.side("lock", peer, "contended", threads, ms, inside, outside)
                  for peer in ("weft", "pthread", "std", "rust")],
                 [Row("ns", "pthread", 0.6),
                  Row("p99_ns", "pthread", 1.0, label="p99 wait"),
                  Row("fairness", "pthread", 1.0, less_is_better=False, unit="",
                      label="least/most"),
                  Row("ns", "std"), Row("ns", "rust"),
                  Row("p99_ns", "rust", label="p99 wait"),
                  Row("fairness", "rust", less_is_better=False, unit="", label="least/most")])


def condition(programs):
    n = programs.size(5000, 100)
    return Bench("condition", "two threads take turns; a round trip", "weft",
                 [programs.side("condition", peer, n) for peer in ("weft", "pthread")],
                 [Row("ns", "pthread", 1.0)])


def queue(programs, producers, consumers):
    n = programs.size(500_000, 5000)
    few = programs.size(30_000, 1000)
    script = programs.bench_source / "queue" / "python.py"
    python = Side("python", lambda warm_up: child.figures(
        [sys.executable, script, producers, consumers, few]))
    return Bench(f"queue-{producers}-{consumers}", f"{producers} producers, {consumers} consumers,"
                 " 128 items of 16 bytes at most; an item through", "weft",
                 [programs.side("queue", peer, producers, consumers, n)
                  for peer in ("weft", "pthread")] + [python],
                 [Row("ns", "pthread", 1.0), Row("ns", "python")])


def shared(programs, size, n):
    n = programs.size(n, 100)
    return Bench(f"shared-{size}", f"take {size} zeroed bytes, write to each page of them, free"
                 " what was taken 16 before", "weft",
                 [programs.side("shared", peer, size, n) for peer in ("weft", "calloc")],
                 [Row("ns", "calloc")])


def gil(programs):
    n = programs.size(5_000_000, 50_000)
    return Bench("gil-uncontended", "enter and leave, nobody else wants it", "weft",
                 [programs.side("gil", "weft", "uncontended", n)]
                 + [programs.side("gil", peer, n) for peer in ("pthread", "embed")],
                 [Row("ns", "pthread", 1.5), Row("ns", "embed")])


def gil_check(programs):
    n = programs.size(20_000_000, 50_000)
    return Bench("gil-check", "a check, nobody waits", "weft",
                 [programs.side("gil", "weft", "check", n), limit("limit", ns=2)],
                 [Row("ns", "limit", 1.0)])


def gil_echo(programs):
    ms = programs.size(1000, 50)
    script, answer = programs.bench_source / "gil" / "python.py", programs.path("gil-weft")
    python = Side("python", lambda warm_up: child.figures([sys.executable, script, ms, answer]))
    blocked = programs.side("gil", "weft", "blocked", ms)
    blocked.name = "weft-blocked"
    rows = []
    for ours in ("weft", "weft-blocked"):
        label = "released when blocked, " * (ours != "weft")
        rows += [Row("trips", "python", 10, less_is_better=False, unit="/s",
                     label=label + "round trips", ours=ours),
                 Row("kept", "limit", 0.9, less_is_better=False, unit="",
                     label=label + "computing kept", ours=ours),
                 Row("kept", "python", less_is_better=False, unit="",
                     label=label + "computing kept", ours=ours)]
    return Bench("gil-echo", "round trips to another process beside a thread that computes, both"
                 f" under the GIL, for {ms} ms", "weft",
                 [programs.side("gil", "weft", "echo", ms), blocked, python,
                  limit("limit", kept=1)], rows, rounds=11)


def benches(programs):
    inside, outside = programs.rounds_for(INSIDE_NS), programs.rounds_for(OUTSIDE_NS)
    return [
        spawn(programs),
        uncontended(programs, "uncontended", "nobody else wants it", 0.8),
        uncontended(programs, "single", "in a process that never had a second thread", None),
        contended(programs, 2, inside, outside),
        contended(programs, 8, inside, outside),
        condition(programs),
        gil(programs),
        gil_check(programs),
        gil_echo(programs),
        queue(programs, 1, 1),
        queue(programs, 4, 4),
        shared(programs, 64, 3_000_000),
        shared(programs, 4096, 1_000_000),
        shared(programs, 1 << 20, 5000),
    ]
