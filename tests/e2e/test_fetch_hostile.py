# SPDX-License-Identifier: MIT
"""`weft fetch` among servers that lie, input that never ends or never begins, descriptors that are
closed, and terminals that are narrow. Whatever happens, each URL has a result or is counted."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from conftest import PATIENCE_S, tool_path
from test_fetch import (CONCURRENT, ENVIRONMENT, KINDS, command, failure, fetch, objects,
                        read_terminal, started, unused_port, until)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def answering():
    """Starts servers that give one answer, byte by byte what they are told, and close."""
    listening = []

    def serve_one(server, answer):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    def start(answer):
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)
        threading.Thread(target=serve_one, args=(server, answer), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield start
    for server in listening:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def redirect_to(location):
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


# ---- closed descriptors

def closed(*fds):
    return lambda: [os.close(fd) for fd in fds]


@pytest.mark.parametrize("fds", [[1], [2], [0, 1, 2]])
def test_closed_descriptors_are_nobody_elses(kind, site, tmp_path, fds):
    """No line goes into a saved file or over a connection that took the place of stdout."""
    with started("-k", kind, "-o", str(tmp_path), *[f"{site.url}page/{i}" for i in range(5)],
                 f"{site.url}status/404", preexec_fn=closed(*fds)) as process:
        process.wait(PATIENCE_S)
        seen = descriptors_of_a_run(kind, site, fds)
    assert process.returncode == 1
    assert seen == {fd: "/dev/null" for fd in fds}
    for path in tmp_path.iterdir():
        assert re.fullmatch(rb"(page \d\n)*(page \d|page |page|pag|pa|p)?", path.read_bytes())


def descriptors_of_a_run(kind, site, fds):
    with started("-k", kind, f"{site.url}slow/3600000", preexec_fn=closed(*fds)) as process:
        until(site, in_flight=1)
        seen = {fd: os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in fds}
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    return seen
