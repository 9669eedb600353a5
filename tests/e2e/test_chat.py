# SPDX-License-Identifier: MIT
"""examples/05_chat_server: every line reaches every other client exactly once, whatever one of them does."""

import contextlib
import selectors
import signal
import socket
import struct
import subprocess
import time

import pytest

from conftest import PATIENCE_S
from test_examples import ENVIRONMENT, example

CLIENTS = 200
RESETTING = 20


class Server:
    def __init__(self):
        self.process = subprocess.Popen([example("05_chat_server")], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                        env=ENVIRONMENT)
        line = self.process.stdout.readline()
        assert line.startswith("Listening at "), line
        host, port = line.split()[-1].rsplit(":", 1)
        self.address = host, int(port)

    def end(self):
        """Ends it by Ctrl-C. Returns what it printed since."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, errors) == (0, "")
        return output


@pytest.fixture
def server():
    running = Server()
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


class Client:
    def __init__(self, address, **options):
        self.socket = socket.socket()
        if "receive_bytes" in options:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive_bytes"])
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.received = bytearray()
        self.newlines = 0
        self.ended = False

    def read(self):
        data = self.socket.recv(1 << 16)
        self.received += data
        self.newlines += data.count(b"\n")
        self.ended = not data

    def count(self):
        return self.newlines

    def lines(self):
        """What the others said."""
        lines = bytes(self.received).split(b"\n")
        assert lines[0] == b"Welcome" and lines[-1] == b"", (lines[0], lines[-1])
        return lines[1:-1]

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def read_until(clients, done):
    """Reads from all of them until done(client) holds for each."""
    missing = {client for client in clients if not done(client)}
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for client in missing:
            selector.register(client.socket, selectors.EVENT_READ, client)
        while missing:
            assert time.monotonic() < deadline, (len(missing), next(iter(missing)).count())
            for key, _ in selector.select(1):
                key.data.read()
                if done(key.data):
                    missing.discard(key.data)
                    selector.unregister(key.data.socket)
                else:
                    assert not key.data.ended


def come(server, stack, n, **options):
    """Lets n clients in; each has been greeted, so it hears all that is said from now on."""
    clients = [Client(server.address, **options) for _ in range(n)]
    for client in clients:
        stack.enter_context(client.socket)
    read_until(clients, lambda client: client.count() == 1)
    return clients


def test_every_line_reaches_every_other_client_exactly_once(server):
    with contextlib.ExitStack() as stack:
        clients = come(server, stack, CLIENTS)
        for n, client in enumerate(clients):
            client.socket.sendall(b"first of %d, and" % n)
        for n, client in enumerate(clients):
            client.socket.sendall(b" its end\nsecond of %d\nhalf a line" % n)
        said = [[b"first of %d, and its end" % n, b"second of %d" % n] for n in range(CLIENTS)]
        read_until(clients, lambda client: client.count() >= 1 + 2 * (CLIENTS - 1))

        # Each resetting client takes with it what it has not finished.
        for client in clients[:RESETTING]:
            client.reset()
        staying = clients[RESETTING:]
        for client in staying:
            client.socket.sendall(b" is done now\n")
        read_until(staying, lambda client: client.count() >= 2 * CLIENTS - 1 + len(staying) - 1)

        output = server.end()
        read_until(staying, lambda client: client.ended)
        for n, client in enumerate(staying, RESETTING):
            expected = [line for m, lines in enumerate(said) if m != n for line in lines]
            expected += [b"half a line is done now"] * (len(staying) - 1)
            assert sorted(client.lines()) == sorted(expected)
        assert output == f"Served {CLIENTS} clients\n"


def test_the_lines_of_one_client_keep_their_order(server):
    with contextlib.ExitStack() as stack:
        speaker, *others = come(server, stack, 5)
        said = [b"line %d" % n for n in range(500)]
        speaker.socket.sendall(b"\n".join(said) + b"\n")
        read_until(others, lambda client: client.count() > len(said))
        assert [client.lines() for client in others] == [said] * len(others)
        server.end()


def test_a_client_that_does_not_read_holds_nobody_up_and_is_shown_out(server):
    batches, batch, size = 40, 500, 500
    with contextlib.ExitStack() as stack:
        slow, = come(server, stack, 1, receive_bytes=4096)
        speaker, listener = come(server, stack, 2)
        said = [b"%06d " % n + b"x" * (size - 8) for n in range(batches * batch)]
        for first in range(0, len(said), batch):
            speaker.socket.sendall(b"\n".join(said[first:first + batch]) + b"\n")
            read_until([listener], lambda client: client.count() > first + batch)
        assert listener.lines() == said
        read_until([slow], lambda client: client.ended)  # without a hole before that
        heard = bytes(slow.received).removeprefix(b"Welcome\n")
        assert len(heard) < len(said) * size
        assert (b"\n".join(said) + b"\n").startswith(heard)
        assert server.end() == "Served 3 clients\n"


def test_a_line_without_end_is_not_kept_for_ever(server):
    with contextlib.ExitStack() as stack:
        endless, other = come(server, stack, 2)
        endless.socket.sendall(b"x" * 512)
        with contextlib.suppress(ConnectionResetError):
            read_until([endless], lambda client: client.ended)
        server.end()
        read_until([other], lambda client: client.ended)
        assert other.lines() == []


def test_ctrl_c_ends_it_at_any_time(server):
    with contextlib.ExitStack() as stack:
        for _ in range(50):  # some of them have not been greeted yet
            stack.enter_context(socket.create_connection(server.address, timeout=PATIENCE_S))
        server.end()
