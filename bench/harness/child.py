# SPDX-License-Identifier: MIT
"""Running a side as a process of its own, so that it cannot outlive the benchmark."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess

from harness.model import Failed

TIMEOUT_S = 120


def environment(settings=None):
    """Ours, without what would send loopback requests to a proxy, and without user settings."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "LC_ALL": "C", "CURL_HOME": "/nonexistent", "WGET2_CONFIG": "/dev/null",
            **(settings or {})}


def die_with_parent():
    """In the child: the kernel ends it even if the benchmark is killed (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def workers(n):
    """The settings with which each runtime runs its tasks on n threads."""
    return {"WEFT_WORKERS": str(n), "GOMAXPROCS": str(n), "TOKIO_WORKERS": str(n)}


def run(command, stdout=subprocess.PIPE, settings=None):
    """Runs a command in a group of its own; returns what it printed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                               stderr=subprocess.PIPE, text=True, env=environment(settings),
                               start_new_session=True)
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not end within {TIMEOUT_S} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        said = (err or "").strip()[-300:]
        raise Failed(f"{' '.join(command)[:200]} exited with {process.returncode}: {said}")
    return out


def figures(command, settings=None):
    """The JSON object that a small program prints."""
    return json.loads(run([str(word) for word in command], settings=settings))


@contextlib.contextmanager
def started(command, settings=None, cpu=None):
    """A program that runs until the end of the with: by then it is ended, whatever happened.

    With cpu it may use only that CPU.
    """

    def prepare():
        die_with_parent()
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    with subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, env=environment(settings), text=True,
                          start_new_session=True, preexec_fn=prepare) as process:
        try:
            yield process
        finally:
            process.kill()
