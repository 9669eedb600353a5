# SPDX-License-Identifier: MIT
"""Starts and ends the tool for the end-to-end tests.

WEFT_TOOL in the environment is the path of the tool. Each server listens on a free loopback port, is
ended by its process id, and must end cleanly, which is also when a sanitizer reports leaks.
"""

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess

import pytest

PATIENCE_S = 120  # only ends a test that hangs, however loaded the machine is; nothing is measured by it


EMULATED = bool(os.environ.get("WEFT_EMULATED"))  # QEMU's user mode runs the tool


def not_emulated(reason):
    """Marks a test of what the emulator cannot do."""
    return pytest.mark.skipif(EMULATED, reason=f"QEMU's user mode {reason}")


class Site:
    """A running `weft serve`."""

    def __init__(self, process, url):
        self.process = process
        self.url = url
        self.host, port = url.removeprefix("http://").rstrip("/").rsplit(":", 1)
        self.port = int(port)

    def connect(self):
        return contextlib.closing(
            http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=PATIENCE_S))

    def socket(self):
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_S)

    def get(self, path, method="GET", body=None, headers=None):
        """One request on a connection of its own: the response, with its body in .body"""
        with self.connect() as connection:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            response.body = response.read()
            return response

    def stats(self):
        return json.loads(self.get("/stats").body)

    def end(self, with_signal=signal.SIGTERM):
        """Returns the exit code and what was printed on stderr."""
        self.process.send_signal(with_signal)
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


def tool_path():
    path = os.environ.get("WEFT_TOOL")
    if not path:
        pytest.exit("WEFT_TOOL must name the tool to test", returncode=2)
    return path


def sanitized(kinds="atm"):
    """Whether the programs were built with one of these sanitizers, told by their first letters."""
    with open(tool_path(), "rb") as file:
        return re.search(rb"__[%s]san_init" % kinds.encode(), file.read()) is not None


@pytest.fixture
def weft():
    """Runs the tool to its end."""

    def run(*arguments, **options):
        return subprocess.run([tool_path(), *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, **options)

    return run


def read_ready_line(process):
    readable, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
    assert readable, "weft serve did not get ready"
    line = process.stdout.readline()
    if not line.startswith("Serving http://"):
        _, errors = process.communicate(timeout=PATIENCE_S)
        if EMULATED and "does not allow openat2" in errors:
            pytest.skip("QEMU's user mode does not know openat2()")
        raise AssertionError(f"not ready: {line!r} {errors!r}")
    return line.removeprefix("Serving ").rstrip("\n")


@pytest.fixture
def serve():
    """Starts servers, which are ended with the test; one that ends badly fails it."""
    sites = []

    def start(*options):
        process = subprocess.Popen([tool_path(), "serve", "--port", "0", *options],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        sites.append(process)
        return Site(process, read_ready_line(process))

    try:
        yield start
    finally:
        bad = []
        for process in sites:
            if process.returncode is None:
                process.terminate()
                try:
                    _, errors = process.communicate(timeout=PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    _, errors = process.communicate()
                if process.returncode != 0:
                    bad.append((process.returncode, errors))
        assert not bad


@pytest.fixture
def site(serve):
    return serve("--latency", "0")
