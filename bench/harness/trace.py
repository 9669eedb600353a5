# SPDX-License-Identifier: MIT
"""What WEFT_TRACE costs: the programs of other benchmarks, traced and not.

With --base, which is a build of another commit, they are also run from there: what a library that
can trace costs when it does not.
"""

import os
import tempfile

from harness import child
from harness.model import Bench, Failed, Row, Side

ROUNDS = 15
WORKERS = 2
ON, OFF = 1.05, 1.0


def traced(command, settings):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trace.json")
        figures = child.figures(command, {**settings, "WEFT_TRACE": path})
        if os.path.getsize(path) < 100:
            raise Failed(f"{command[0]} has left no trace")
    return figures


def one(programs, subject, work, figure, unit, *arguments, label="time", fast=False, workers=None):
    """fast: more of the figure is better. The name of the benchmark ends like the program's."""
    name = "trace-" + "-".join([subject, *[word for word in arguments[:1] if isinstance(word, str)]])
    settings = {"WEFT_TRACE": "", **(child.workers(workers) if workers else {})}
    command = [programs.path(f"{subject}-weft"), *arguments]
    missing = programs.missing(subject, "weft")
    sides = [Side("on", None if missing else lambda _: traced(command, settings), missing or ""),
             Side("off", None if missing else lambda _: child.figures(command, settings),
                  missing or "")]
    rows = [Row(figure, "off", 1 / ON if fast else ON, not fast, unit, f"{label}, on")]
    if programs.base:
        before = [programs.base / "bench" / f"{subject}-weft", *arguments]
        sides.append(Side("base", lambda _: child.figures(before, settings)))
        rows.append(Row(figure, "base", OFF, not fast, unit, f"{label}, off", ours="off"))
    return Bench(name, f"{work}; traced and not", "on", sides, rows, rounds=ROUNDS)


def benches(programs):
    size = programs.size
    return [
        one(programs, "pool", "a map of calls over two processes", "rate", "/s", "map", WORKERS,
            size(20_000, 500), 64, size(20, 1), label="calls/s", fast=True),
        one(programs, "pool", "one call at a time of a process", "rate", "/s", "one", WORKERS,
            size(20_000, 200), 64, 1, label="calls/s", fast=True),
        one(programs, "spawn", "start and join of a thread", "ns", "ns", size(3000, 50)),
        one(programs, "spawn_task", "start and end of a task", "join_ns", "ns", size(1_000_000, 1000),
            workers=1),
        one(programs, "skynet", "a tree of tasks on two workers", "ms", "ms",
            size(1_000_000, 1000), workers=2),
        one(programs, "ping_task", "a round trip of two tasks by two queues", "ns", "ns", "tasks",
            size(300_000, 500), workers=1),
        one(programs, "ping_task", "a round trip of two threads by two queues", "ns", "ns",
            "threads", size(10_000, 500)),
        one(programs, "condition", "a round trip of two threads by a condition", "ns", "ns",
            size(5000, 100)),
    ]
