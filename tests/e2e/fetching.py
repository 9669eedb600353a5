# SPDX-License-Identifier: MIT
"""What the tests of `weft fetch` share: running it, and looking at it while it runs."""

import contextlib
import json
import os
import socket
import subprocess
import uuid

import pytest

from conftest import PATIENCE_S, tool_path


KINDS = ["serial", "threads", "tasks", "processes", "auto"]
CONCURRENT = ["threads", "tasks", "processes", "auto"]
FAST = ["--backoff", "1ms"]

MARK = "WEFT_TEST_FETCH"
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.lower().endswith("_proxy")}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def command(*arguments):
    return [tool_path(), "fetch", *arguments]


def fetch(*arguments, stdin=None, code=0):
    """Runs it to its end, which must be with that exit code."""
    run = subprocess.run(command(*arguments), input=stdin if stdin is not None else "",
                         capture_output=True, text=True, timeout=PATIENCE_S, env=ENVIRONMENT)
    assert run.returncode == code, run
    return run


@contextlib.contextmanager
def started(*arguments, **options):
    """Starts it; what still runs at the end is killed."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "text": True, **options}
    mark = uuid.uuid4().hex
    words = options.pop("words", command(*arguments))
    process = subprocess.Popen(words, env={**ENVIRONMENT, MARK: mark}, **options)
    process.mark = mark
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def objects(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def failure(kind, *arguments, code=1):
    """Fetches one URL, which must fail: its JSON object."""
    (ending,) = objects(fetch("-k", kind, "--json", *FAST, *arguments, code=code))
    return ending


def until(site, **counters):
    """Waits until the site's counters are as told."""
    while True:
        stats = site.stats()
        if all(stats[name] == value for name, value in counters.items()):
            return stats


def processes_of(process):
    """The zygote and the workers of a running fetch: whoever has its mark in the environment."""
    mark = f"{MARK}={process.mark}".encode()
    zygotes, workers = [], []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/environ", "rb") as file:
                marked = mark in file.read().split(b"\0")
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                zygote = "zygote" in file.read()
            if marked and int(pid) != process.pid:
                (zygotes if zygote else workers).append(int(pid))
    return zygotes, workers


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_terminal(fd):
    text = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            return text.decode()
        if not piece:
            return text.decode()
        text += piece
