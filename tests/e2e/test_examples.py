# SPDX-License-Identifier: MIT
"""The examples do what they say. WEFT_EXAMPLES in the environment is where they were built."""

import os
import re
import signal
import subprocess

import pytest

from conftest import PATIENCE_S

DIRECTORY = os.environ.get("WEFT_EXAMPLES", "")
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.lower().endswith("_proxy")}


def example(name):
    path = os.path.join(DIRECTORY, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} was not built")
    return path


def run(name, *arguments):
    return subprocess.run([example(name), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_S, env=ENVIRONMENT)


# The site answers after a second: long enough for every worker to be waiting at the same time.
@pytest.mark.parametrize("name, at_once", [("01_threads", 10), ("02_processes", 5)])
def test_ten_urls_are_fetched_at_the_same_time(name, at_once, serve):
    site = serve("--latency", "1s")
    urls = [f"{site.url}page/{n}" for n in range(10)]
    ended = run(name, *urls)
    assert ended.returncode == 0, ended
    assert sorted(ended.stdout.splitlines()) == sorted(f"Fetched {url} with status 200" for url in urls)
    assert ended.stderr == ""
    assert site.stats()["in_flight_most"] == at_once


@pytest.mark.parametrize("name", ["01_threads", "02_processes"])
def test_one_that_fails_leaves_the_others(name, serve):
    site = serve("--latency", "0ms")
    dropped = f"{site.url}drop"
    ended = run(name, f"{site.url}page/1", dropped, f"{site.url}page/2")
    assert ended.returncode == 1, ended
    assert len(ended.stdout.splitlines()) == 2
    assert ended.stderr.startswith(f"Failed {dropped}: ")


def test_the_pair_differs_in_little():
    source = os.path.join(os.path.dirname(__file__), "..", "..", "examples")
    lines = [open(os.path.join(source, name), encoding="utf-8").read().splitlines()
             for name in ("01_threads.c", "02_processes.c")]
    changed = set(lines[0]) ^ set(lines[1])
    assert len(changed) <= 8, changed


def test_producers_and_consumers_lose_nothing():
    ended = run("03_sync", "10000")
    assert ended.returncode == 0, ended
    assert ended.stdout == "produced 10000, consumed 10000, nothing lost\n"


def test_ctrl_c_ends_producers_and_consumers_cleanly():
    process = subprocess.Popen([example("03_sync")], stdout=subprocess.PIPE, text=True,
                               stdin=subprocess.DEVNULL)
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        pass
    while int(re.search(r"Threads:\s*(\d+)", open(status.name, encoding="ascii").read())[1]) < 6:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    produced, consumed = re.fullmatch(r"produced (\d+), consumed (\d+), nothing lost\n", output).groups()
    assert produced == consumed
