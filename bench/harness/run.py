# SPDX-License-Identifier: MIT
"""Runs weft and its peers on the same work and judges the ratios; docs/benchmarks.md explains.

run.py BUILD [--quick] [--rounds N] [--json FILE] [--base BUILD] [WORD...]

A WORD selects the benchmarks whose names contain it; none selects all.
"""

import argparse
import json
import os
import platform
import random
import signal
import statistics
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SOURCE))

from harness import auto, echo, fetch, micro, pool, stats, tasks, trace  # noqa: E402
from harness.model import Failed  # noqa: E402


def rounds_of(bench, options):
    return options.rounds or (2 if options.quick else bench.rounds)


def run_rounds(bench, options):
    """figures[side] is a list of one dictionary a round; sides that cannot run have none."""
    sides = [side for side in bench.sides if side.run is not None]
    for side in bench.sides:
        if side.run is None:
            print(f"  {side.name}: skipped, {side.missing}")
    for side in sides:
        side.run(True)
    figures = {side.name: [] for side in sides}
    for _ in range(rounds_of(bench, options)):
        for side in random.sample(sides, len(sides)):
            figures[side.name].append(side.run(False))
    return figures


def judge(bench, row, figures):
    ours = [run[row.figure] for run in figures[row.ours or bench.ours]]
    theirs = [run[row.figure] for run in figures[row.peer]]
    middle, low, high = stats.ratio(ours, theirs)
    return {"bench": bench.name, "figure": row.figure, "label": row.label or "time",
            "unit": row.unit, "peer": row.peer, "ours": statistics.median(ours),
            "theirs": statistics.median(theirs), "ratio": middle, "low": low, "high": high,
            "target": row.target, "less_is_better": row.less_is_better, "pairs": len(ours),
            "verdict": stats.verdict(low, high, row.target, row.less_is_better)}


def print_sides(bench, figures):
    for name, runs in figures.items():
        middles = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        text = "  ".join(f"{key} {value:,.4g}" if abs(value) < 1000 else f"{key} {value:,.0f}"
                         for key, value in middles.items())
        print(f"  {name:17}{text}")


class OtherPrograms:
    """How much of all CPUs went to programs that are not ours while it ran.

    They widen every interval, and keep two threads from running at the same time, without which
    contended locks show nothing; so the reader should know. The site's server counts among ours.
    """

    def __init__(self, site_pid=None):
        self.site_pid = site_pid

    def ours_s(self):
        used = os.times()
        mine = used.user + used.system + used.children_user + used.children_system
        return mine + (tree_cpu_s(self.site_pid) if self.site_pid else 0)

    def __enter__(self):
        self.start = time.monotonic(), busy_s(), self.ours_s()
        return self

    def __exit__(self, *_):
        wall, busy, ours = (now - then for now, then in
                            zip((time.monotonic(), busy_s(), self.ours_s()), self.start))
        self.share = max(0.0, (busy - ours) / (wall * os.cpu_count()))


def busy_s():
    """CPU seconds that this machine's CPUs were busy, time stolen by its host included."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def tree_cpu_s(pid):
    """CPU seconds of a process and its children, as long as they live."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        pids = [pid, *map(int, file.read().split())]
    ticks = 0
    for each in pids:
        with open(f"/proc/{each}/stat", encoding="utf-8") as stat:
            ticks += sum(map(int, stat.read().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def run_bench(bench, options, site_pid=None):
    print(f"{bench.name}: {bench.work}; {rounds_of(bench, options)} rounds", flush=True)
    start = time.monotonic()
    with OtherPrograms(site_pid) as others:
        figures = run_rounds(bench, options)
    print_sides(bench, figures)
    judged = [judge(bench, row, figures) for row in bench.rows
              if row.peer in figures and (row.ours or bench.ours) in figures]
    print(f"  took {time.monotonic() - start:.0f} s; other programs had {others.share:.0%} of the CPUs",
          flush=True)
    return {"name": bench.name, "work": bench.work, "others_share": others.share,
            "figures": figures, "rows": judged}


def number(value, unit):
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def between(row):
    if row["low"] < 0:
        return "too few pairs"
    return f"{row['low']:.2f} to {row['high']:.2f}"


def print_table(rows):
    head = ("benchmark", "figure", "weft", "peer", "", "ratio", "95 % interval", "target",
            "verdict")
    lines = [head]
    for row in rows:
        sign = "<=" if row["less_is_better"] else ">="
        target = f"{sign} {row['target']:g}" if row["target"] is not None else "-"
        lines.append((row["bench"], row["label"], number(row["ours"], row["unit"]), row["peer"],
                      number(row["theirs"], row["unit"]), f"{row['ratio']:.2f}",
                      between(row), target, row["verdict"]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print()
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(),
            "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()), "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "load_before": os.getloadavg()[0]}


def selected(benches, words):
    return [bench for bench in benches
            if not words or any(word in bench.name for word in words)]


def run_all(options, done):
    """Runs what was selected, and returns whether all of it worked."""
    programs = micro.Programs(options.build, SOURCE, options.quick, options.base)
    benches = (micro.benches(programs) + tasks.benches(programs) + echo.benches(programs)
               + pool.benches(programs) + trace.benches(programs) + auto.benches(programs))
    wanted = selected(benches, options.words)
    plans = selected(fetch.plans(options.build, options.quick), options.words)
    if not wanted and not plans:
        raise Failed(f"no benchmark is called {' or '.join(options.words)}")
    worked = True
    for each in wanted + plans:
        try:
            done += run_one(each, options)
        except Failed as failure:  # the others are still worth a table
            print(f"bench: {each.name}: {failure}", file=sys.stderr)
            worked = False
    return worked


def run_one(each, options):
    """Runs a benchmark, or the one that a plan makes; returns a list of what was measured."""
    if not isinstance(each, fetch.Plan):
        return [run_bench(each, options)]
    if each.missing:
        print(f"{each.name}: skipped, {each.missing}")
        return []
    with each.open_site() as site:
        fetcher = fetch.Fetcher(site, options.build, SOURCE)
        return [run_bench(each.bench(fetcher), options, site.pid)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=Path, help="meson's build directory")
    parser.add_argument("words", nargs="*", help="parts of names of benchmarks")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--rounds", type=int, default=0, help="instead of each one's own number")
    parser.add_argument("--base", type=Path, help="a build of another commit, for trace-*")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_intermixed_args()
    if options.rounds < 0:
        parser.error("--rounds must not be negative")
    return options


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nginx and sides are ended
    options = arguments()
    about, done = machine(), []
    print("{cpu}, {cpus} CPUs, Linux {kernel}, {libc}, load {load_before:.1f}".format(**about))
    try:
        status = 0 if run_all(options, done) else 1
    except Failed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        return 130
    if not done:
        return status
    print_table([row for bench in done for row in bench["rows"]])
    disturbed = [bench["name"] for bench in done if bench["others_share"] > 0.1]
    if disturbed:
        print("\nOther programs had more than 10 % of the CPUs during: " + ", ".join(disturbed))
    if options.quick:
        print("\nA quick run: the figures mean nothing.")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": about, "benches": done}, indent=1) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
