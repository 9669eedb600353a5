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

from conftest import PATIENCE_S, not_emulated, tool_path
from fetching import (CONCURRENT, ENVIRONMENT, KINDS, command, failure, fetch, objects,
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


# ---- answers

@pytest.mark.parametrize("answer", [b"SSH-2.0-server\r\n", b"<html>hello</html>",
                                    b"HTTP/1.1 0 Nothing\r\n\r\n"])
def test_an_answer_that_is_not_http_is_not_the_fault_of_the_url(kind, answering, answer):
    ending = failure(kind, answering(answer))
    assert (ending["error"], ending["attempts"]) == ("other", 1)
    assert ending["reason"].startswith("the answer is not HTTP: ")


def test_a_redirect_to_what_does_not_speak_http(kind, answering):
    ending = failure(kind, answering(redirect_to(answering(b"SSH-2.0-server\r\n"))))
    assert ending["error"] == "other"
    assert ending["reason"].startswith("the answer is not HTTP: ")


@pytest.mark.parametrize("location, reason", [
    ("http://", "redirected to what is not a URL: "),
    ("ftp://example.com/", "redirected to what is not http or https: "),
])
def test_a_bad_redirect_is_not_a_bad_url(kind, answering, location, reason):
    ending = failure(kind, answering(redirect_to(location)))
    assert ending["error"] == "redirect"
    assert ending["reason"].startswith(reason)


def test_a_failure_does_not_borrow_the_reason_of_the_one_before(kind, answering):
    broken = answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    run = fetch("-k", kind, "-j", "1", "-q", "--retries", "0",
                f"http://127.0.0.1:{unused_port()}/", broken, code=1)
    assert f"Failed {broken}: the connection was lost: " in run.stderr
    assert run.stderr.count("Connection refused") == 1


def test_a_connection_is_kept_after_one_that_was_refused(kind, site):
    urls = [f"{site.url}page/1", f"http://127.0.0.1:{unused_port()}/", f"{site.url}page/2"]
    endings = objects(fetch("-k", kind, "-j", "1", "--json", "--retries", "0", *urls, code=1))
    assert [(o["error"], o["reused"]) for o in endings] == [(None, False), ("connect", False),
                                                            (None, True)]


def test_a_host_that_is_not_ascii(kind):
    """The name that is asked for is the one of the DNS, as curl does it in a UTF-8 locale."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        environment = {**ENVIRONMENT, "LC_ALL": "C.UTF-8",
                       "http_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        with subprocess.Popen(command("-k", kind, "-q", "http://b\u00fccher.example/"),
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            proxy.settimeout(PATIENCE_S)
            connection, _ = proxy.accept()
            with connection:
                request = connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            out, errors = process.communicate(timeout=PATIENCE_S)
    assert request.startswith(b"GET http://xn--bcher-kva.example/ ")
    assert (out, errors) == ("Fetched http://b\u00fccher.example/ with status 204\n", "")


# ---- ending early

@pytest.mark.parametrize("running", [1, 2, 3])
def test_ctrl_c_with_serial_starts_no_other(serve, running):
    """The one that runs is finished. Its end and Ctrl-C are there together when the next could
    begin."""
    site = serve("--latency", "400ms")
    with started("-k", "serial", *[f"{site.url}page/{i}" for i in range(30)]) as process:
        until(site, in_flight=1, requests=running)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert errors == f"Interrupted: {running} fetched, 0 failed, {30 - running} not started\n"
    assert site.stats()["requests"] == running


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM]])
def test_a_fifo_that_nobody_writes_to_can_be_interrupted(kind, tmp_path, signals):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with started("-k", kind, "-i", str(fifo)) as process:
        wait_for_reader(process, fifo)
        for number in signals:
            process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert errors == ("Interrupted: 0 fetched, 0 failed, 0 not started "
                      "(the input was not read to its end)\n")


def wait_for_reader(process, fifo):
    """Until the program has opened the FIFO."""
    give_up = time.monotonic() + PATIENCE_S
    while not is_open(process, fifo):
        assert process.poll() is None and time.monotonic() < give_up, "the FIFO is not opened"


def is_open(process, path):
    with contextlib.suppress(FileNotFoundError):
        for fd in os.listdir(f"/proc/{process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(f"/proc/{process.pid}/fd/{fd}") == str(path):
                    return True
    return False


def test_a_fifo_whose_writer_comes_late(kind, site, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with started("-k", kind, "-q", "-i", str(fifo)) as process:
        with open(fifo, "w", encoding="ascii") as writer:
            writer.write(f"{site.url}page/1\n")
            writer.flush()
            assert process.stdout.readline() == f"Fetched {site.url}page/1 with status 200\n"
            writer.write(f"{site.url}page/2\n")
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out, errors) == (0, f"Fetched {site.url}page/2 with status 200\n", "")


@pytest.mark.parametrize("kind", CONCURRENT)
def test_a_second_ctrl_c_ends_the_counting_of_a_huge_file(kind, serve, tmp_path):
    """A sparse TiB takes minutes to read; the message says that it was not."""
    site = serve("--latency", "1h")
    urls = tmp_path / "urls"
    urls.write_text("".join(f"{site.url}page/{i}\n" for i in range(5000)))
    os.truncate(urls, 1 << 40)
    with started("-k", kind, "-j", "2", "-i", str(urls)) as process:
        until(site, in_flight=2)
        process.send_signal(signal.SIGINT)
        wait_until_read_beyond(process, urls, 1 << 27)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert re.fullmatch(r"Interrupted: 0 fetched, 0 failed, 2 stopped, \d+ not started "
                        r"\(the input was not read to its end\)\n", errors)


def wait_until_read_beyond(process, path, offset):
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            for fd in os.listdir(f"/proc/{process.pid}/fd"):
                if os.readlink(f"/proc/{process.pid}/fd/{fd}") == str(path):
                    with open(f"/proc/{process.pid}/fdinfo/{fd}", encoding="ascii") as file:
                        if int(re.search(r"pos:\s*(\d+)", file.read())[1]) > offset:
                            return


def test_a_full_disk_under_stdout_loses_count_of_nothing(kind, site):
    with open("/dev/full", "w", encoding="ascii") as full:
        with started("-k", kind, *[f"{site.url}page/{i}" for i in range(300)],
                     stdout=full) as process:
            assert process.wait(PATIENCE_S) == 1
            last = process.stderr.read().splitlines()[-1]
    numbers = re.findall(r"(\d+) (?:fetched|failed|stopped|not started)", last)
    assert sum(map(int, numbers)) == 300, last


def test_what_waited_to_be_tried_again_says_who_tried(serve):
    """Workers 0 and 1 are held for an hour, or one of them has failed: all have their own number."""
    site = serve("--latency", "1h")
    url = f"{site.url}status/503?ms=0"
    with started("-k", "threads", "-j", "2", "--json", "--backoff", "1h",
                 *[f"{url}&n={i}" for i in range(40)]) as process:
        until(site, requests=40, in_flight=0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert len(out.splitlines()) == 40
    assert {'"worker":0', '"worker":1'} >= set(re.findall(r'"worker":\w+', out)) != {'"worker":0'}


# ---- input

def test_a_line_that_begins_with_too_many_blanks_is_not_lost(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"{' ' * 100000}{site.url}page/1\n{site.url}page/2\n")
    run = fetch("-k", kind, "-i", str(urls), code=1)
    assert f"({urls}, line 1)" in run.stderr
    assert "1 fetched, 1 failed" in run.stderr


def test_the_message_about_a_url_that_is_too_long_is_not():
    run = fetch("http://" + "x" * 20000, code=2)
    assert "it is longer than 16384 bytes" in run.stderr
    assert len(run.stderr) < 300


# ---- closed descriptors

def closed(*fds):
    return lambda: [os.close(fd) for fd in fds]


AFTER_A_SCRIPT = not_emulated("is started by a script, which may open something in their place")


@pytest.mark.parametrize("fds", [[1], pytest.param([2], marks=AFTER_A_SCRIPT), [0, 1, 2]])
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


def test_closed_standard_input_is_named(kind):
    with started("-k", kind, "-i", "-", stdin=None, preexec_fn=closed(0)) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "weft fetch: standard input: Bad file descriptor\n" in errors


# ---- the terminal

@pytest.mark.parametrize("columns", [20, 200])
def test_the_progress_line_fits_its_terminal(kind, site, columns):
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with started("-k", kind, *[f"{site.url}page/{i}?ms=150" for i in range(3)],
                 stderr=end) as process:
        os.close(end)
        shown = read_terminal(terminal)
        assert process.wait(PATIENCE_S) == 0
    os.close(terminal)
    lines = [line for line in re.findall(r"\r\x1b\[K([^\r\n]*)", shown) if " done" in line]
    assert lines and max(map(len, lines)) < columns
    assert columns == 20 or any(re.search(r"of 3 done, 0 failed, [\d.]+/s", line) for line in lines)


def test_control_characters_of_utf8_reach_no_terminal(tmp_path):
    urls = tmp_path / "urls"
    urls.write_text("ftp://x/\u009b2J\u00e9\n", encoding="utf-8")
    run = fetch("-i", str(urls), code=1)
    assert "Failed ftp://x/?2J\u00e9: not a URL" in run.stderr


# ---- the demo

def test_the_demo_names_a_wrong_latency():
    run = subprocess.run([tool_path(), "demo", "-l", "soon"], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("weft demo: -l: 'soon' is not a duration")
