# SPDX-License-Identifier: MIT
"""A PostgreSQL server for tests: on a Unix socket, in a temporary directory, gone afterwards."""

import contextlib
import glob
import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import PATIENCE_S


def programs():
    """The directory of the newest server that is installed, which Debian keeps off the path."""
    found = [os.path.dirname(path) for path in glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("no PostgreSQL server here (Debian: postgresql)")
    return max(found, key=lambda path: int(path.split("/")[4])) if found else os.path.dirname(on_path)


def unprivileged():
    """PostgreSQL refuses to run as root. Options of subprocess for a user that may."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is nobody else")


def wait_until_ready(server):
    """It says so, after whatever else it has to say."""
    said = b""
    while b"ready to accept connections" not in said:
        readable, _, _ = select.select([server.stderr], [], [], PATIENCE_S)
        piece = os.read(server.stderr.fileno(), 4096) if readable else b""
        if not piece:
            raise AssertionError(f"PostgreSQL did not get ready: {said.decode(errors='replace')}")
        said += piece


def stop(server):
    if server.poll() is None:
        server.send_signal(signal.SIGINT)  # its "fast shutdown"
    try:
        assert server.wait(timeout=PATIENCE_S) == 0
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # which its children obey, too
        server.wait(timeout=PATIENCE_S)
        raise


@contextlib.contextmanager
def running():
    """Gives how libpq connects to it. It allows 40 connections at a time."""
    who = unprivileged()
    with tempfile.TemporaryDirectory(prefix="weft-pg-", dir="/tmp") as directory:
        if who:
            os.chown(directory, who["user"], who["group"])
        data = f"{directory}/data"
        initialised = subprocess.run(
            [f"{programs()}/initdb", "-D", data, "-A", "trust", "-U", "weft", "--no-sync",
             "--encoding=UTF8", "--locale=C"],
            capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL, cwd="/", **who)
        assert initialised.returncode == 0, initialised.stderr
        settings = {"listen_addresses": "", "unix_socket_directories": directory, "fsync": "off",
                    "max_connections": "40", "dynamic_shared_memory_type": "mmap",
                    "shared_buffers": "4MB", "port": "5432"}
        server = subprocess.Popen(
            [f"{programs()}/postgres", "-D", data,
             *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd="/", **who)
        try:
            wait_until_ready(server)
            yield f"host={directory} port=5432 user=weft dbname=postgres"
        finally:
            stop(server)
            server.stderr.close()
