# SPDX-License-Identifier: MIT
"""A pool of kind auto beside pools whose kind and size somebody has chosen for the load.

By hand is the best of all that were tried, and so it has an advantage that nobody has: in each round
the three that did best in the warm-up run again, and the best of them counts.
"""

import sys

from harness import child
from harness.model import Bench, Row, Side, limit

ROUNDS = 9
COMPUTE_NS = 5_000_000
BY_HAND = ([("threads", n) for n in (1, 2, 4, 8, 16, 32, 64, 128)]
           + [("tasks", 256), ("processes", 0)])
KEPT = 3

# How many calls last 2 to 3 s with the best pool on two CPUs, and what auto may take to the best.
LOADS = {"io": (12_000, 1.1), "cpu": (1_000, 1.1), "mixed": (2_000, 1.1), "changing": (7_800, 1.2)}


class ByHand:
    """The best of many sides."""

    def __init__(self, sides):
        self.sides = sides

    def run(self, warm_up):
        figures = {side: self.sides[side]() for side in self.sides}
        best = sorted(figures, key=lambda side: figures[side]["s"])
        if warm_up:
            self.sides = {side: self.sides[side] for side in best[:KEPT]}
        kind, workers = best[0]
        print(f"  by hand: {kind} {workers or 'as many as CPUs'}, {figures[best[0]]['s']:.2f} s",
              flush=True)
        return {"s": figures[best[0]]["s"]}


def bench(programs, load, rounds):
    calls, target = LOADS[load]
    calls = programs.size(calls, calls // 20)
    limit_ms = programs.size(8_000, 1_000)
    command = [programs.path("auto-weft"), load]
    rest = [calls, rounds, limit_ms]
    weft = Side("auto", lambda warm_up: child.figures([*command, "auto", 0, *rest]))
    tried = ByHand({(kind, workers): lambda kind=kind, workers=workers: child.figures(
        [*command, kind, workers, *rest], child.workers(2)) for kind, workers in BY_HAND})
    python = Side("python", lambda warm_up: child.figures(
        [sys.executable, programs.bench_source / "auto" / "python.py",
         programs.path("libauto-compute.so"), load, *rest]))
    sides = [weft, Side("by-hand", tried.run), python, limit("limit", settled_ms=500)]
    return Bench(f"auto-{load}", f"{calls} calls, {load}: the total time of a pool of kind auto",
                 "auto", sides,
                 [Row("s", "by-hand", target, unit="s"), Row("s", "python", unit="s"),
                  Row("settled_ms", "limit", 1.0, unit="ms", label="settled")], rounds=ROUNDS)


def benches(programs):
    rounds = programs.rounds_for(COMPUTE_NS)
    return [bench(programs, load, rounds) for load in LOADS]
