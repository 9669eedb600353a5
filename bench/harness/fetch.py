# SPDX-License-Identifier: MIT
"""The fetch benchmark: weft fetch and its peers download the same files and discard them.

Every side's cost is that of the whole tree of its processes (measure.c). A run counts only if the
side says that every answer was 200, as far as it can say so, and nginx has answered exactly as many
requests as there are URLs.
"""

import json
import shutil
import subprocess
import sys

from harness import child
from harness.model import Bench, Failed, Row, Side
from harness.site import Site, find_nginx

JOBS = 20
CURL_JOBS = 100


def python_with_requests():
    """Debian's Python has Debian's packages; the first one on PATH may be another."""
    for python in ("/usr/bin/python3", sys.executable, shutil.which("python3")):
        if python and subprocess.run([python, "-c", "import requests"], check=False,
                                     stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


class Fetcher:
    """Runs commands against a site and turns what they cost into figures."""

    def __init__(self, site, build):
        self.site = site
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
        answered = self.site.requests() - before - 1
        return json.loads(report.read_text()), answered

    def side(self, name, command, count, said_ok=None):
        """said_ok: from the lines that the command printed, how many answers were 200."""

        def run(warm_up):
            cost, answered = self.cost(command, memory=warm_up)
            if answered != count:
                raise Failed(f"{name}: nginx answered {answered} requests instead of {count}")
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
               CURL_JOBS, "--write-out", "%{http_code}\\n", "--config",
               fetcher.url_file(count, form)]
    return fetcher.side("curl", command, count, lambda text: text.count("200\n"))


def weft_side(fetcher, weft, kind, count):
    name = f"weft-{kind}"
    if not weft.exists():
        return Side(name, None, f"{weft} has not been built")
    command = [weft, "fetch", "-k", kind, "-j", JOBS, "-i", fetcher.url_file(count)]
    return fetcher.side(name, command, count, lambda text: text.count(" with status 200\n"))


def wget2_side(fetcher, count):
    if not shutil.which("wget2"):
        return Side("wget2", None, "wget2 is not installed")
    command = ["wget2", "--no-config", "--quiet", f"--max-threads={JOBS}",
               "--output-document=/dev/null", f"--input-file={fetcher.url_file(count)}"]
    return fetcher.side("wget2", command, count)  # anything but 200 makes it exit with 8


def python_side(fetcher, source, kind, count):
    name = f"python-{kind}"
    python = python_with_requests()
    if python is None:
        return Side(name, None, "Python's requests is not installed")
    command = [python, source / "fetch" / "python.py", kind, JOBS, fetcher.url_file(count)]
    return fetcher.side(name, command, count, only_number)


def bare_side(fetcher, build, count):
    program = build / "bench" / "fetch-bare"
    if not program.exists():
        return Side("bare", None, "libcurl's headers were not found when it was built")
    return fetcher.side("bare", [program, fetcher.url_file(count), JOBS], count, only_number)


def rows():
    """Peak memory has no row: it is measured once, in the warm-up, and printed with the sides."""
    both = []
    for peer, rate, cpu in (("curl", 1.5, 0.8), ("bare", 0.95, None), ("python-threads", 10, None),
                            ("python-processes", None, None), ("wget2", None, None),
                            ("weft-processes", None, None)):
        both.append(Row("urls_per_s", peer, rate, less_is_better=False, unit="/s", label="URLs/s"))
        both.append(Row("cpu_us", peer, cpu, unit="us", label="CPU/URL"))
    return both


def fetch(fetcher, build, source, quick):
    count = len(fetcher.site.urls)
    slow = count if quick else count // 10
    weft = build / "cli" / "weft"
    sides = [weft_side(fetcher, weft, "threads", count),
             weft_side(fetcher, weft, "processes", count),
             curl_side(fetcher, count), bare_side(fetcher, build, count),
             wget2_side(fetcher, count),
             python_side(fetcher, source, "threads", slow),
             python_side(fetcher, source, "processes", slow)]
    return Bench("fetch", f"{count} files of 1 KiB from nginx on loopback, 20 at once (curl: 100;"
                 f" Python: {slow} files)", "weft-threads", sides, rows(), rounds=21)


def open_site(quick):
    """The site, or None with the reason on the terminal."""
    if find_nginx() is None:
        print("fetch: skipped, nginx is not installed")
        return None
    return Site(100 if quick else 10_000)
