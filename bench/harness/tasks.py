# SPDX-License-Identifier: MIT
"""The benchmarks of tasks: weft's beside goroutines, tokio's tasks and what they stand on.

Every runtime is told by its own means how many threads it may run tasks on (child.workers).
"""

import sys
import time
from pathlib import Path

from harness import child
from harness.model import Bench, Failed, Row, Side, limit

IDLE_S = 2
SETTLE_S = 0.3  # after all said that they wait: the runtimes' own threads come to rest
ROUNDS_OF_LONG = 9  # the fewest whose interval leaves out the extremes


def switch(programs):
    n = programs.size(3_000_000, 10_000)
    return Bench("switch", "two tasks yield to each other on one worker; a switch", "weft",
                 [programs.side("switch", peer, n, workers=1)
                  for peer in ("weft", "swap", "go", "tokio")],
                 [Row("ns", "swap", 1.5), Row("ns", "go"), Row("ns", "tokio")])


def spawn_task(programs):
    n = programs.size(1_000_000, 1000)
    sides = [programs.side("spawn_task", peer, n, workers=1) for peer in ("weft", "go", "tokio")]
    rows = []
    for figure, label in (("yield_ns", "yield"), ("join_ns", "join")):
        rows += [Row(figure, peer, target, label=label)
                 for peer, target in (("limit", 1.0), ("go", None), ("tokio", None))]
    return Bench("spawn_task", f"start and finish a task, {n} times, one alive at a time; a task",
                 "weft", sides + [limit("limit", yield_ns=40, join_ns=40)], rows)


def park_task(programs):
    n = programs.size(1_000_000, 2000)
    sides = [programs.side("park_task", peer, n, workers=1)
             for peer in ("weft", "raw", "go", "tokio")]
    rows = [Row("start_ns", "raw", 1.2, label="until all wait"),
            Row("ns", "raw", 1.2), Row("ns", "go"), Row("ns", "tokio"),
            Row("bytes", "limit", 1.0, unit="B", label="memory"),
            Row("bytes", "raw", unit="B", label="memory"),
            Row("bytes", "go", unit="B", label="memory"),
            Row("bytes", "tokio", unit="B", label="memory")]
    return Bench("park_task", f"start {n} tasks that all wait, then end; a task", "weft",
                 sides + [limit("limit", bytes=4700)], rows, rounds=ROUNDS_OF_LONG)


def ping_together(programs, workers, target):
    n = programs.size(300_000, 500)
    few = programs.size(30_000, 500)
    script = programs.bench_source / "ping_task" / "python.py"
    sides = [programs.side("ping_task", peer, "tasks", n, workers=workers)
             for peer in ("weft", "go", "tokio")]
    sides.append(Side("asyncio", lambda warm_up: child.figures([sys.executable, script, few])))
    return Bench(f"ping_task-{workers}", "two tasks and two queues of one item, on "
                 + ("one worker" if workers == 1 else f"{workers} workers, placed by the runtime")
                 + "; a round trip", "weft", sides,
                 [Row("ns", "tokio", target), Row("ns", "go"), Row("ns", "asyncio")])


def ping_apart(programs):
    n = programs.size(10_000, 500)
    sides = [programs.side("ping_task", peer, "apart", n, workers=2)
             for peer in ("weft", "go", "tokio")] + [programs.side("ping_task", "uring", n)]
    return Bench("ping_task-apart", "two tasks and two queues of one item, each task on a worker"
                 " of its own; a round trip", "weft", sides,
                 [Row("ns", "uring", 1.2), Row("ns", "go"), Row("ns", "tokio")])


def ping_threads(programs):
    n = programs.size(10_000, 500)
    return Bench("ping_task-threads", "two threads and two queues of one item; a round trip",
                 "weft", [programs.side("ping_task", "weft", "threads", n),
                          programs.side("ping_task", "futex", n)], [Row("ns", "futex", 1.1)])


def skynet(programs, workers):
    leaves = programs.size(1_000_000, 1000)
    return Bench(f"skynet-{workers}", f"a tree of tasks with {leaves} leaves, {workers} worker"
                 + "s" * (workers > 1), "weft",
                 [programs.side("skynet", peer, leaves, workers=workers)
                  for peer in ("weft", "go", "tokio")],
                 [Row("ms", "tokio", 1.0, unit="ms"), Row("ms", "go", unit="ms")])


def timers(programs):
    n, span = programs.size(100_000, 1000), programs.size(1000, 50)
    rows = []
    for peer, target in (("go", 1.0), ("tokio", None), ("libuv", None)):
        rows += [Row(f"{p}_ms", peer, target, unit="ms", label=f"{p} late")
                 for p in ("p50", "p99")]
    return Bench("timers", f"{n} tasks sleep until moments between {span} and {5 * span} ms from"
                 " the start; how late they wake", "weft",
                 [programs.side("timers", peer, n, span, workers=1)
                  for peer in ("weft", "go", "tokio", "libuv")], rows, rounds=ROUNDS_OF_LONG)


def switches(pid):
    """How often the process's threads have stopped running, of themselves or not."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for line in (thread / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def cpu_us(pid):
    """The CPU time of a process, by its clock (clock_getcpuclockid)."""
    return time.clock_gettime_ns((~pid << 3) | 2) / 1000


def idle_side(programs, peer, n):
    if reason := programs.missing("idle", peer):
        return Side(peer, None, reason)
    seconds = programs.size(IDLE_S, 0.2)

    def run(warm_up):
        with child.started([programs.path(f"idle-{peer}"), n], child.workers(2)) as process:
            if process.stdout.readline() != "ready\n":
                raise Failed(f"idle-{peer} did not get ready")
            time.sleep(SETTLE_S)
            before = cpu_us(process.pid), switches(process.pid)
            time.sleep(seconds)
            after = cpu_us(process.pid), switches(process.pid)
            process.stdin.close()
            if process.wait(child.TIMEOUT_S) != 0:
                raise Failed(f"idle-{peer} exited with {process.returncode}")
        return {"cpu_us": after[0] - before[0], "switches": after[1] - before[1]}

    return Side(peer, run)


def idle(programs):
    n = programs.size(10_000, 100)
    rows = []
    for figure, unit, label in (("switches", "", "switches"), ("cpu_us", "us", "CPU time")):
        rows += [Row(figure, "limit", 1.0, unit=unit, label=label),
                 Row(figure, "go", unit=unit, label=label),
                 Row(figure, "tokio", unit=unit, label=label)]
    return Bench("idle", f"{n} parked tasks on 2 workers, {IDLE_S} s in which nothing happens",
                 "weft", [idle_side(programs, peer, n) for peer in ("weft", "go", "tokio")]
                 + [limit("limit", switches=0, cpu_us=0)], rows, rounds=ROUNDS_OF_LONG)


def benches(programs):
    return [
        switch(programs),
        spawn_task(programs),
        park_task(programs),
        ping_together(programs, 1, 0.7),
        ping_together(programs, 2, None),
        ping_apart(programs),
        ping_threads(programs),
        skynet(programs, 1),
        skynet(programs, 2),
        timers(programs),
        idle(programs),
    ]
