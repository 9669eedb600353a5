# SPDX-License-Identifier: MIT
"""What a benchmark consists of.

A benchmark has sides, which do the same work, and rows, each of which compares one figure of two
sides. Every round runs every side once, in random order, so each round is a pair for every row.
"""

from dataclasses import dataclass, field
from typing import Callable, Optional


class Failed(Exception):
    """A side did not do its work; there must be no figure then."""


@dataclass
class Side:
    name: str
    run: Optional[Callable[[bool], dict]]  # warm-up or not -> figures
    missing: str = ""  # why it cannot run here


def limit(name, **figures):
    """A side that always has these figures: for what must hold whatever the peers do."""
    return Side(name, lambda warm_up: figures)


@dataclass
class Row:
    figure: str  # a key of the figures
    peer: str  # the side that ours is compared with
    target: Optional[float] = None
    less_is_better: bool = True
    unit: str = "ns"
    label: str = ""  # what the figure is called in the table
    ours: str = ""  # the side of ours that is compared, if not the benchmark's


@dataclass
class Bench:
    name: str
    work: str  # one line: what every side does
    ours: str
    sides: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    rounds: int = 21
