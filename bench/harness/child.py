# SPDX-License-Identifier: MIT
"""Running a side as a process of its own, so that it cannot outlive the benchmark."""

import json
import os
import signal
import subprocess

from harness.model import Failed

TIMEOUT_S = 120


def environment():
    """Ours, without what would send loopback requests to a proxy, and without user settings."""
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "LC_ALL": "C", "CURL_HOME": "/nonexistent", "WGET2_CONFIG": "/dev/null"}


def run(command, stdout=subprocess.PIPE):
    """Runs a command in a group of its own; returns what it printed."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                               stderr=subprocess.PIPE, text=True, env=environment(),
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


def figures(command):
    """The JSON object that a small program prints."""
    return json.loads(run([str(word) for word in command]))
