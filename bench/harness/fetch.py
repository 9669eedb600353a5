# SPDX-License-Identifier: MIT
"""The fetch benchmarks: weft fetch and its peers download the same files and discard them.

Every side's cost is that of the whole tree of its processes (measure.c). A run counts only if the
side says that every answer was 200, as far as it can say so, and the site has answered exactly as
many requests as there are URLs.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from harness import child
from harness.model import Bench, Failed, Row, Side, limit
from harness.site import LateSite, Site, find_nginx

THREADS = 20  # what the threads' benchmark has at once
TASKS = 100  # what the tasks' benchmarks have at once; curl also in the threads' one
LATE_MS = 50


def python_with(module):
    """Debian's Python has Debian's packages; the first one on PATH may be another."""
    for python in ("/usr/bin/python3", sys.executable, shutil.which("python3")):
        if python and subprocess.run([python, "-c", f"import {module}"], check=False,
                                     stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


class Fetcher:
    """Runs commands against a site and turns what they cost into figures."""

    def __init__(self, site, build, source):
        self.site = site
        self.build = build
        self.source = source
        self.measure = build / "bench" / "bench-measure"
        self.out = site.root / "out"
        self.peak = {}

    def url_file(self, count, form="{url}\n"):
        name = "".join(c for c in form if c.isalpha())[:20]
        path = self.site.root / f"urls-{count}-{name}"
        if not path.exists():
            path.write_text("".join(form.format(url=url) for url in self.site.urls[:count]))
        return path

    def cost(self, command, memory):
        """Runs it once; wall and CPU time, and with memory the peak instead of usable times."""
        report = self.site.root / "report.json"
        before = self.site.requests()
        with open(self.out, "w", encoding="ascii") as out:
            child.run([str(self.measure), str(report)] + (["-m"] if memory else [])
                      + [str(word) for word in command], stdout=out)
        answered = self.site.requests() - before
        return json.loads(report.read_text()), answered

    def side(self, name, command, count, said_ok=None):
        """said_ok: from the lines that the command printed, how many answers were 200."""

        def run(warm_up):
            cost, answered = self.cost(command, memory=warm_up)
            if answered != count:
                raise Failed(f"{name}: {answered} requests were answered instead of {count}")
            if said_ok is not None and (ok := said_ok(self.out.read_text())) != count:
                raise Failed(f"{name}: {ok} of {count} answers were 200")
            if warm_up:
                self.peak[name] = cost["peak_kib"] / 1024
            return {"urls_per_s": count / cost["wall_s"],
                    "cpu_us": (cost["user_s"] + cost["system_s"]) / count * 1e6,
                    "user_us": cost["user_s"] / count * 1e6,
                    "system_us": cost["system_s"] / count * 1e6,
                    "peak_mib": self.peak.get(name, 0.0)}

        return Side(name, run)


def only_number(text):
    return int(text)


def curl_side(fetcher, count):
    form = 'url = "{url}"\noutput = "/dev/null"\n'
    command = ["curl", "-q", "--silent", "--show-error", "--fail", "--parallel", "--parallel-max",
               TASKS, "--write-out", "%{http_code}\\n", "--config",
               fetcher.url_file(count, form)]
    return fetcher.side("curl", command, count, lambda text: text.count("200\n"))


def weft_side(fetcher, kind, jobs, count):
    name = f"weft-{kind}"
    weft = fetcher.build / "cli" / "weft"
    if not weft.exists():
        return Side(name, None, f"{weft} has not been built")
    command = [weft, "fetch", "-k", kind, "-j", jobs, "-i", fetcher.url_file(count)]
    return fetcher.side(name, command, count, lambda text: text.count(" with status 200\n"))


def wget2_side(fetcher, jobs, count):
    if not shutil.which("wget2"):
        return Side("wget2", None, "wget2 is not installed")
    command = ["wget2", "--no-config", "--quiet", f"--max-threads={jobs}",
               "--output-document=/dev/null", f"--input-file={fetcher.url_file(count)}"]
    return fetcher.side("wget2", command, count)  # anything but 200 makes it exit with 8


def requests_side(fetcher, kind, count):
    name = f"python-{kind}"
    python = python_with("requests")
    if python is None:
        return Side(name, None, "Python's requests is not installed")
    command = [python, fetcher.source / "fetch" / "python.py", kind, THREADS,
               fetcher.url_file(count)]
    return fetcher.side(name, command, count, only_number)


def aiohttp_side(fetcher, count):
    python = python_with("aiohttp")
    if python is None:
        return Side("aiohttp", None, "Python's aiohttp is not installed")
    command = [python, fetcher.source / "fetch" / "aiohttp_fetch.py", fetcher.url_file(count),
               TASKS]
    return fetcher.side("aiohttp", command, count, only_number)


def program_side(fetcher, peer, jobs, count, missing):
    program = fetcher.build / "bench" / f"fetch-{peer}"
    if not program.exists():
        return Side(peer, None, missing)
    return fetcher.side(peer, [program, fetcher.url_file(count), jobs], count, only_number)


NO_CURL = "libcurl's headers were not found when it was built"


def rows(targets):
    """Peak memory has no row: it is measured once, in the warm-up, and printed with the sides."""
    both = []
    for peer, rate, cpu in targets:
        both.append(Row("urls_per_s", peer, rate, less_is_better=False, unit="/s", label="URLs/s"))
        if peer != "ideal":
            both.append(Row("cpu_us", peer, cpu, unit="us", label="CPU/URL"))
    return both


def threads_bench(fetcher, quick):
    count = len(fetcher.site.urls)
    slow = count if quick else count // 10
    sides = [weft_side(fetcher, "threads", THREADS, count),
             weft_side(fetcher, "processes", THREADS, count),
             curl_side(fetcher, count), program_side(fetcher, "bare", THREADS, count, NO_CURL),
             wget2_side(fetcher, THREADS, count),
             requests_side(fetcher, "threads", slow), requests_side(fetcher, "processes", slow)]
    targets = (("curl", 1.5, 0.8), ("bare", 0.95, None), ("python-threads", 10, None),
               ("python-processes", None, None), ("wget2", None, None),
               ("weft-processes", None, None))
    return Bench("fetch", f"{count} files of 1 KiB from nginx on loopback, {THREADS} at once"
                 f" (curl: {TASKS}; Python: {slow} files)", "weft-threads", sides, rows(targets))


def tasks_sides(fetcher):
    count = len(fetcher.site.urls)
    return [weft_side(fetcher, "tasks", TASKS, count),
            program_side(fetcher, "multi", TASKS, count, NO_CURL), curl_side(fetcher, count),
            wget2_side(fetcher, TASKS, count), aiohttp_side(fetcher, count),
            program_side(fetcher, "go", TASKS, count, "go is not installed")]


TASKS_TARGETS = (("multi", 0.95, None), ("curl", 1.5, 0.6), ("go", 1.0, None),
                 ("wget2", None, None), ("aiohttp", None, None))


def small_bench(fetcher):
    return Bench("fetch_task-small", f"{len(fetcher.site.urls)} files of 1 KiB from nginx on"
                 f" loopback, {TASKS} at once", "weft-tasks", tasks_sides(fetcher),
                 rows(TASKS_TARGETS), rounds=11)


def large_bench(fetcher):
    return Bench("fetch_task-large", f"{len(fetcher.site.urls)} files of 1 MiB from nginx on"
                 f" loopback, {TASKS} at once", "weft-tasks", tasks_sides(fetcher),
                 rows(TASKS_TARGETS), rounds=11)


def late_bench(fetcher):
    """The wait is the same for all, so there is an ideal rate, and CPU time is what differs."""
    ideal = limit("ideal", urls_per_s=TASKS * 1000 / LATE_MS)
    targets = (("ideal", 0.97, None), *((peer, None, cpu) for peer, _, cpu in TASKS_TARGETS))
    return Bench("fetch_task-late", f"{len(fetcher.site.urls)} pages of 1 KiB that come after"
                 f" {LATE_MS} ms, {TASKS} at once", "weft-tasks",
                 tasks_sides(fetcher) + [ideal], rows(targets), rounds=11)


@dataclass
class Plan:
    """A benchmark that needs a site, which is opened only if it is to run."""

    name: str
    open_site: Callable  # -> a site to enter
    bench: Callable  # fetcher -> Bench
    missing: str = ""  # why it cannot run here


def plans(build, quick):
    weft = Path(build) / "cli" / "weft"
    no_nginx = "" if find_nginx() else "nginx is not installed"
    no_weft = "" if weft.exists() else f"{weft} has not been built"

    def size(full, small):
        return small if quick else full

    return [
        Plan("fetch", lambda: Site(size(10_000, 100), 1024),
             lambda fetcher: threads_bench(fetcher, quick), no_nginx),
        Plan("fetch_task-small", lambda: Site(size(10_000, 100), 1024), small_bench, no_nginx),
        Plan("fetch_task-large", lambda: Site(size(200, 5), 1 << 20), large_bench, no_nginx),
        Plan("fetch_task-late", lambda: LateSite(weft, size(2000, 100), LATE_MS), late_bench,
             no_weft),
    ]
