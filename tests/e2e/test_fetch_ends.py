# SPDX-License-Identifier: MIT
"""`weft fetch` that ends early, fetches many, or shows its progress on a terminal; and `weft demo`."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading

import pytest

from conftest import PATIENCE_S, not_emulated, sanitized, tool_path
from fetching import (ENVIRONMENT, FAST, KINDS, command, fetch, kind, processes_of, read_terminal,
                      started, until, unused_port)  # noqa: F401 (kind is a fixture)


# ---- ending early

def test_ctrl_c_finishes_what_runs_and_counts_the_rest(kind, serve):
    site = serve("--latency", "0")
    workers = 1 if kind == "serial" else 5
    urls = [f"{site.url}slow/500?n={i}" for i in range(200)]
    with started("-k", kind, "-j", str(workers), *urls) as process:
        until(site, in_flight=workers)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    fetched = len(out.splitlines())
    assert workers <= fetched < 200
    assert f"Interrupted: {fetched} fetched, 0 failed, {200 - fetched} not started\n" in errors
    assert site.stats()["requests"] == fetched


def test_ctrl_c_counts_what_is_left_of_a_file(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text("".join(f"{site.url}slow/300?n={i}\n" for i in range(50000)))
    with started("-k", kind, "-j", "1", "-i", str(urls)) as process:
        until(site, in_flight=1)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=PATIENCE_S)
    fetched = len(out.splitlines())
    assert process.returncode == 130
    assert f"Interrupted: {fetched} fetched, 0 failed, {50000 - fetched} not started\n" in errors


def test_ctrl_c_does_not_wait_for_a_pipe(kind, site):
    with started("-k", kind, "-j", "1", "-i", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{site.url}page/1\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert ("Interrupted: 1 fetched, 0 failed, 0 not started "
                "(the input was not read to its end)\n") in process.stderr.read()


@pytest.mark.parametrize("signals", [[signal.SIGINT, signal.SIGINT], [signal.SIGTERM]])
def test_ctrl_c_twice_stops_at_once(kind, serve, tmp_path, signals):
    """The answers would take an hour; nothing half-written remains."""
    site = serve("--latency", "1h")
    workers = 1 if kind == "serial" else 4
    urls = [f"{site.url}drip?bytes=1000&pieces=2&ms=3600000&n={i}" for i in range(50)]
    with started("-k", kind, "-j", str(workers), "-o", str(tmp_path), "--timeout", "0",
                 *urls) as process:
        until(site, in_flight=workers)
        for number in signals:
            process.send_signal(number)
            if number == signal.SIGINT and len(os.listdir(tmp_path)) >= 0:
                wait_until_seen(process.pid, number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert f"Interrupted: 0 fetched, 0 failed, {workers} stopped, {50 - workers} not started" in errors
    assert os.listdir(tmp_path) == []


def wait_until_seen(pid, number):
    """Until the signal is no longer pending, so that the next one is another."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while True:
            with open(f"/proc/{pid}/status", encoding="ascii") as file:
                pending = re.search(r"^ShdPnd:\s*(\w+)", file.read(), re.MULTILINE)[1]
            if not int(pending, 16) & 1 << (number - 1):
                return


def test_a_reader_that_goes_away_ends_it_quietly(kind, site):
    urls = "".join(f"{site.url}page/{i}\n" for i in range(5000))
    with started("-k", kind, "-i", "-", stdin=subprocess.PIPE) as process:
        feeder = threading.Thread(target=feed, args=(process.stdin, urls))
        feeder.start()
        assert process.stdout.readline().startswith("Fetched ")
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 1
        feeder.join()
        process.stdout = process.stdin = None
        assert process.stderr.read() == ""
    assert site.stats()["requests"] < 5000


def feed(pipe, text):
    with contextlib.suppress(BrokenPipeError):
        pipe.write(text)
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def test_a_full_disk_under_stdout_is_named(kind, site):
    with open("/dev/full", "w", encoding="ascii") as full:
        with started("-k", kind, f"{site.url}page/1", stdout=full) as process:
            assert process.wait(PATIENCE_S) == 1
            assert ("weft fetch: standard output: No space left on device"
                    in process.stderr.read())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_is_killed_loses_no_url(site, tmp_path, number):
    urls = [f"{site.url}slow/1000?n={i}" for i in range(3)] + [f"{site.url}page/{i}"
                                                              for i in range(50)]
    with started("-k", "processes", "-j", "3", "--processes", "3", "-o", str(tmp_path), "--json",
                 *FAST, *urls) as process:
        until(site, in_flight=3)
        os.kill(processes_of(process)[1][0], number)
        out, errors = process.communicate(timeout=PATIENCE_S)
    endings = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert sorted(o["url"] for o in endings) == sorted(urls)
    assert sorted(o["attempts"] for o in endings)[-2:] == [1, 2]
    assert "53 fetched, 0 failed" in errors
    died = r"(was killed by signal \d+|died)" if sanitized() else f"was killed by signal {number:d}"
    assert re.search(f"; 1 worker process {died}; 1 URL was tried again\n$", errors)
    assert len(os.listdir(tmp_path)) == 53


def test_a_worker_killed_within_a_body_leaves_nothing_half_written(site, tmp_path):
    url = f"{site.url}drip?bytes=1000&pieces=2&ms=3600000"
    with started("-k", "processes", "-j", "1", "-o", str(tmp_path), "--retries", "0", "--timeout",
                 "0", url) as process:
        until(site, in_flight=1)
        while not os.listdir(tmp_path):
            pass
        os.kill(processes_of(process)[1][0], signal.SIGKILL)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert f"Failed {url}: its worker process was killed by signal 9 (Killed)\n" in errors
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_running(site):
    with started("-k", "processes", "--processes", "3", f"{site.url}slow/300?n=1") as process:
        until(site, in_flight=1)
        zygotes, workers = processes_of(process)
        while len(workers) < 3:
            zygotes, workers = processes_of(process)
        assert (len(zygotes), len(workers)) == (1, 3)
        process.kill()
        process.wait(PATIENCE_S)
        pids = zygotes + workers
        while any(alive(pid) for pid in pids):
            pass


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# ---- many

def peak_kib(kind, count, port):
    """The peak of the program's own memory while it fetches so many URLs, all of which fail."""
    fixed = ["-j", "2"] if kind == "auto" else []  # its threads take memory, too
    with started("-k", kind, *fixed, "-q", "--retries", "0", "-i", "-", stdin=subprocess.PIPE,
                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        errors = []
        reader = threading.Thread(target=lambda: errors.extend(process.stderr))
        reader.start()
        for i in range(count):
            process.stdin.write(f"http://127.0.0.1:{port}/some/page/{i}\n")
        process.stdin.flush()
        while len(errors) < count:
            if process.poll() is not None:
                break
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            peak = int(re.search(r"VmHWM:\s*(\d+)", file.read())[1])
        process.stdin.close()
        process.stdin = None
        process.wait(PATIENCE_S)
        reader.join()
        process.stderr = None
    assert len(errors) == count
    return peak


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_thousand_urls_take_no_more_memory_than_two_thousand(kind):
    if sanitized():
        pytest.skip("a sanitizer keeps freed memory for a while")
    port = unused_port()
    few, many = peak_kib(kind, 2000, port), peak_kib(kind, 20000, port)
    assert many < few + 2048


# ---- the terminal

def test_progress_is_shown_on_a_terminal_only(kind, site):
    urls = [f"{site.url}page/1", f"{site.url}status/404", f"{site.url}page/2?ms=300"]
    terminal, end = pty.openpty()
    with started("-k", kind, *urls, stderr=end) as process:
        os.close(end)
        shown = read_terminal(terminal)
        assert process.wait(PATIENCE_S) == 1
    os.close(terminal)
    assert re.search(r"\d+ of 3 done, \d failed, [\d.]+/s", shown)
    assert re.search(r"\r\x1b\[KFailed .*status/404", shown)
    assert "\r" not in fetch("-k", kind, *urls, code=1).stderr


def test_quiet_shows_no_progress(kind, site):
    terminal, end = pty.openpty()
    with started("-k", kind, "-q", f"{site.url}page/1", stderr=end) as process:
        os.close(end)
        shown = read_terminal(terminal)
        process.wait(PATIENCE_S)
    os.close(terminal)
    assert shown == ""


def test_ctrl_c_typed_at_a_terminal(kind, site):
    """The terminal sends it to all processes of the foreground, workers included."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(tool_path(), command("-k", kind, "-j", "1", "-q",
                                        *[f"{site.url}slow/700?n={i}" for i in range(10)]),
                   ENVIRONMENT)
    until(site, in_flight=1)
    os.write(terminal, b"\x03")
    shown = read_terminal(terminal)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert "Fetched " in shown and "Failed" not in shown
    assert re.search(r"Interrupted: \d fetched, 0 failed, \d not started", shown)


# ---- the demo

@not_emulated("starts no program of its machine by execve()")
def test_the_demo_compares_the_kinds_and_leaves_nothing_running():
    run = subprocess.run([tool_path(), "demo", "-n", "10", "-j", "5", "-l", "1ms"],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=PATIENCE_S, env=ENVIRONMENT)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.search(r"^Fetched http://127.0.0.1:\d+/page/\d+ with status 200$", run.stdout,
                     re.MULTILINE)
    for kind, workers in [("serial", 1), ("threads", 5), ("tasks", 10), ("processes", 5)]:
        assert re.search(rf"^{kind} +{workers} +10 +0 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+x$",
                         run.stdout, re.MULTILINE)
    port = re.search(r"127\.0\.0\.1:(\d+)", run.stdout)[1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0


@not_emulated("starts no program of its machine by execve()")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_ended_leaves_nothing_running(number):
    with started(words=[tool_path(), "demo", "-l", "1h"]) as process:
        assert process.stdout.readline().startswith("$ weft fetch -k serial")
        while sum(map(len, processes_of(process))) < 2:  # the site and the fetch
            pass
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number
        while any(map(any, [map(alive, pids) for pids in processes_of(process)])):
            pass
