# SPDX-License-Identifier: MIT
"""`weft fetch -k processes`: worker processes with many connections each, and their deaths. A gate
holds the answers back, so that what is in flight when a process dies is known exactly."""

import collections
import contextlib
import http.server
import json
import os
import random
import re
import signal
import subprocess
import threading

import pytest

from conftest import PATIENCE_S, sanitized
from fetching import CONCURRENT, FAST, fetch, objects, processes_of, started, until


class Gate(http.server.ThreadingHTTPServer):
    """A site that sends half of each page, and the rest when its gate is open."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, visitor):
        super().__init__(("127.0.0.1", 0), visitor)
        self.opened = threading.Event()
        self.changed = threading.Condition()
        self.requests = collections.Counter()
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def come(self, path):
        with self.changed:
            self.requests[path] += 1
            self.changed.notify_all()

    def wait_for(self, requests):
        """Until so many have come in all."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.requests.total() >= requests, PATIENCE_S), \
                self.requests.total()
            assert self.requests.total() == requests

    def handle_error(self, *_):
        """A visitor that was killed is no error."""


class Visitor(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with self.server.changed:
            self.server.connections += 1

    def do_GET(self):
        page = self.path.encode() * 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page[:len(self.path)])
        self.server.come(self.path)
        self.server.opened.wait(PATIENCE_S)
        self.wfile.write(page[len(self.path):])

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def running(server):
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.opened.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def gate():
    with running(Gate(Visitor)) as server:
        yield server


def crew(processes, workers, *arguments, **options):
    return started("-k", "processes", "--processes", str(processes), "-j", str(workers), "--json",
                   *FAST, *arguments, **options)


def kill_workers(process, count, but=()):
    """Kills so many of them, which must be there. Returns their ids."""
    workers = []
    while len(workers) < count:
        workers = [pid for pid in processes_of(process)[1] if pid not in but]
        assert process.poll() is None
    for pid in workers[:count]:
        os.kill(pid, signal.SIGKILL)
    return workers[:count]


def endings_of(out, urls):
    """What was printed: each URL exactly once."""
    endings = [json.loads(line) for line in out.splitlines()]
    assert sorted(o["url"] for o in endings) == sorted(urls)
    return endings


# ---- without a death

def test_two_hundred_connections_in_two_processes(gate):
    urls = [f"{gate.url}{i}" for i in range(500)]
    with crew(2, 200, *urls) as process:
        gate.wait_for(200)
        assert len(processes_of(process)[1]) == 2
        gate.opened.set()
        out, errors = process.communicate(timeout=PATIENCE_S)
    endings = endings_of(out, urls)
    assert (process.returncode, {o["error"] for o in endings}) == (0, {None})
    assert {o["worker"] for o in endings} == {0, 1}
    assert errors.startswith("processes, 200 workers: 500 fetched, 0 failed in ")
    assert gate.connections <= 200
    assert set(gate.requests.values()) == {1}


@pytest.mark.parametrize("workers, processes, made", [(200, 16, 3), (1, 16, 1), (3, 2, 2)])
def test_there_are_no_more_processes_than_workers_nor_connections_than_urls(gate, workers,
                                                                             processes, made):
    urls = [f"{gate.url}{i}" for i in range(3)]
    if workers > len(urls):
        made = processes
    with crew(processes, workers, *urls) as process:
        gate.wait_for(min(workers, len(urls)))
        while len(processes_of(process)[1]) < made:
            assert process.poll() is None
        assert len(processes_of(process)[1]) == made
        gate.opened.set()
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert len(endings_of(out, urls)) == 3
    assert gate.connections <= min(workers, len(urls))


def test_connections_are_used_again_inside_each_process(site):
    urls = [f"{site.url}page/{i}" for i in range(300)]
    endings = objects(fetch("-k", "processes", "--processes", "3", "-j", "12", "--json", *urls))
    assert site.stats()["connections"] <= 12 + 1
    assert sum(o["reused"] for o in endings) >= 300 - 12


# ---- deaths

def test_a_process_killed_with_a_hundred_in_flight_loses_none(gate, tmp_path):
    urls = [f"{gate.url}{i}" for i in range(250)]
    with crew(2, 200, "-o", str(tmp_path), *urls) as process:
        gate.wait_for(200)
        kill_workers(process, 1)
        gate.wait_for(300)
        gate.opened.set()
        out, errors = process.communicate(timeout=PATIENCE_S)
    endings = endings_of(out, urls)
    assert process.returncode == 0
    assert collections.Counter(o["attempts"] for o in endings) == {1: 150, 2: 100}
    assert errors.startswith("processes, 200 workers: 250 fetched, 0 failed in ")
    assert errors.endswith("; 1 worker process was killed by signal 9; 100 URLs were tried again\n")
    for ending in endings:
        path = "/" + ending["url"].rsplit("/", 1)[1]
        assert (tmp_path / ending["file"]).read_text() == path * 2
    assert len(os.listdir(tmp_path)) == 250


def test_all_processes_killed_again_and_again(gate):
    urls = [f"{gate.url}{i}" for i in range(30)]
    dead = []
    with crew(3, 30, "--retries", "5", *urls) as process:
        for times in range(1, 5):
            gate.wait_for(30 * times)
            dead += kill_workers(process, 3, but=dead)
        gate.wait_for(150)
        gate.opened.set()
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert {o["attempts"] for o in endings_of(out, urls)} == {5}
    assert errors.endswith("; 12 worker processes were killed by signal 9; "
                           "120 URLs were tried again\n")


def test_a_url_whose_processes_all_die_fails_and_says_so(gate, tmp_path):
    urls = [f"{gate.url}{i}" for i in range(4)]
    dead = []
    with crew(1, 4, "--retries", "2", "-o", str(tmp_path), *urls) as process:
        for requests in [4, 8, 9, 10, 11, 12]:  # the last attempts are made one by one
            gate.wait_for(requests)
            dead += kill_workers(process, 1, but=dead)
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    for ending in endings_of(out, urls):
        assert (ending["error"], ending["attempts"], ending["status"]) == ("worker", 3, None)
        assert ending["reason"] == "its worker process was killed by signal 9 (Killed)"
    assert errors.startswith("processes, 4 workers: 0 fetched, 4 failed in ")
    assert errors.endswith("; 6 worker processes were killed by signal 9; 8 URLs were tried again\n")
    assert os.listdir(tmp_path) == []


class Poison(Gate):
    """A site that answers what is asked for the third time, but for the page /poison."""

    def __init__(self):
        super().__init__(Victim)
        self.life = 0                              # of the one process that asks
        self.there = collections.defaultdict(set)  # by life, what it has asked for and not got
        self.company = []                          # how many were there at each third time

    def asked(self, path):
        with self.changed:
            life = self.life
            self.there[life].add(path)
            self.requests[path] += 1
            times = self.requests[path]
            if times == 3:
                self.company.append(len(self.there[life]))
            self.changed.notify_all()
        if path == "/poison" or times < 3:
            self.opened.wait(PATIENCE_S)
        with self.changed:
            self.there[life].remove(path)

    def wait_for_third(self, path):
        with self.changed:
            assert self.changed.wait_for(lambda: self.requests[path] == 3, PATIENCE_S)


class Victim(Visitor):
    def do_GET(self):
        self.server.asked(self.path)
        self.send_response(204)
        self.end_headers()


def test_a_url_that_kills_its_processes_is_found_and_no_other_is_blamed():
    """Twice the process dies with all ten. The third time each is alone, and the poison kills."""
    dead = []
    with running(Poison()) as site:
        urls = [f"{site.url}poison"] + [f"{site.url}{i}" for i in range(9)]
        with crew(1, 10, "--retries", "2", *urls) as process:
            for times in [1, 2]:
                site.wait_for(10 * times)
                site.life += 1
                dead += kill_workers(process, 1, but=dead)
            site.wait_for_third("/poison")
            site.life += 1
            kill_workers(process, 1, but=dead)
            out, errors = process.communicate(timeout=PATIENCE_S)
        assert site.company == [1] * 10
    assert process.returncode == 1
    endings = {o["url"]: o for o in endings_of(out, urls)}
    assert {o["attempts"] for o in endings.values()} == {3}
    poison = endings.pop(urls[0])
    assert poison["error"] == "worker"
    assert poison["reason"] == "its worker process was killed by signal 9 (Killed)"
    assert {o["error"] for o in endings.values()} == {None}
    assert "; 3 worker processes were killed by signal 9; 20 URLs were tried again" in errors


def halt(pid):
    """Stops it, and waits until it has."""
    os.kill(pid, signal.SIGSTOP)
    threads = os.listdir(f"/proc/{pid}/task")
    for thread in threads:
        while True:
            with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as file:
                if file.read().rsplit(")", 1)[1].split()[0] == "T":
                    break


def test_a_process_that_is_hung_holds_up_no_end(gate):
    """All is fetched when one is stopped; it is not waited for."""
    with crew(2, 2, "-i", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{gate.url}1\n{gate.url}2\n")
        process.stdin.flush()
        gate.wait_for(2)
        gate.opened.set()
        for _ in range(2):
            assert json.loads(process.stdout.readline())["error"] is None
        halt(processes_of(process)[1][0])
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "")
    assert "2 fetched, 0 failed" in errors and "died" not in errors


def test_a_process_that_is_hung_is_killed(gate):
    """It has 10 s beyond the attempt's own time-out, which it should have kept."""
    urls = [f"{gate.url}{i}" for i in range(2)]
    with crew(1, 2, "--timeout", "1s", *urls) as process:
        gate.wait_for(2)
        halt(processes_of(process)[1][0])
        gate.opened.set()
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert {(o["error"], o["attempts"]) for o in endings_of(out, urls)} == {(None, 2)}
    assert errors.endswith("; 1 worker process died; 2 URLs were tried again\n")


def test_what_a_dead_process_left_half_written_is_removed(gate, tmp_path):
    """While the others' files stay: one process of two dies with five bodies begun."""
    urls = [f"{gate.url}{i}" for i in range(10)]
    with crew(2, 10, "--retries", "0", "-o", str(tmp_path), *urls) as process:
        gate.wait_for(10)
        while len(os.listdir(tmp_path)) < 10:
            assert process.poll() is None
        kill_workers(process, 1)
        while len(os.listdir(tmp_path)) > 5:
            assert process.poll() is None
        gate.opened.set()
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    endings = endings_of(out, urls)
    assert sorted(o["file"] for o in endings if o["error"] is None) == sorted(os.listdir(tmp_path))
    assert collections.Counter(o["error"] for o in endings) == {None: 5, "worker": 5}


def test_different_deaths_are_counted_together(gate):
    with crew(2, 2, *[f"{gate.url}{i}" for i in range(2)]) as process:
        gate.wait_for(2)
        first, second = processes_of(process)[1]
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGABRT)
        gate.wait_for(4)
        gate.opened.set()
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert errors.endswith("; 2 worker processes died; 2 URLs were tried again\n")


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM]])
def test_ctrl_c_after_a_death_counts_each_url_once(gate, tmp_path, signals):
    """Of 30 URLs, 10 are in flight, 5 of them with a process that dies; these are not tried again."""
    urls = [f"{gate.url}{i}" for i in range(30)]
    with crew(2, 10, "--backoff", "1h", "-o", str(tmp_path), *urls) as process:
        gate.wait_for(10)
        kill_workers(process, 1)
        gate.wait_for(15)
        for number in signals:
            process.send_signal(number)
        if signals == [signal.SIGINT]:
            gate.opened.set()
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    endings = [json.loads(line) for line in out.splitlines()]
    errors_of = collections.Counter(o["error"] for o in endings)
    assert errors_of["worker"] == 5
    if signals == [signal.SIGINT]:
        fetched = errors_of[None]  # a few more may have begun before the signal was seen
        assert fetched >= 10, errors
        assert len(endings) == 5 + fetched == len({o["url"] for o in endings})
        assert f"Interrupted: {fetched} fetched, 5 failed, {25 - fetched} not started\n" in errors
    else:
        assert "Interrupted: 0 fetched, 5 failed, 10 stopped, 15 not started\n" in errors
        assert os.listdir(tmp_path) == []


def test_processes_that_are_killed_at_random_lose_nothing(site, tmp_path):
    """As many kills as the run lets happen, at most 60, each of whatever process there is."""
    if sanitized("t"):
        pytest.skip("TSan does not see that another process had a block between two threads of this")
    urls = [f"{site.url}page/{i}?bytes={i}" for i in range(3000)]
    (tmp_path / "urls").write_text("\n".join(urls))
    kills = 0
    with crew(3, 60, "--retries", "100", "-i", str(tmp_path / "urls")) as process:
        while site.stats()["requests"] == 0:  # what runs before is not all workers
            assert process.poll() is None
        while process.poll() is None and kills < 60:
            workers = processes_of(process)[1]
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(random.choice(workers), signal.SIGKILL)
                kills += 1
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    endings = endings_of(out, urls)
    assert all(o["bytes"] == int(o["url"].rsplit("=", 1)[1]) for o in endings)
    assert "3000 fetched, 0 failed" in errors


def test_without_the_zygote_nothing_hangs(gate):
    """No process can be started any more, and those that there were died with it."""
    urls = [f"{gate.url}{i}" for i in range(8)]
    with crew(2, 4, *urls) as process:
        gate.wait_for(4)
        os.kill(processes_of(process)[0][0], signal.SIGKILL)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert {o["error"] for o in endings_of(out, urls)} <= {"worker", "other"}


# ---- the site

@pytest.mark.parametrize("kind", CONCURRENT)
def test_a_site_that_dies(kind, serve):
    site = serve("--latency", "1h")
    urls = [f"{site.url}page/{i}" for i in range(60)]
    with started("-k", kind, "-j", "20", "--json", *FAST, *urls) as process:
        until(site, in_flight=20)
        site.process.kill()
        site.process.communicate()
        out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    endings = endings_of(out, urls)
    assert {o["error"] for o in endings} <= {"connect", "dropped"}
    assert {o["attempts"] for o in endings} == {3}
    assert re.search(r"0 fetched, 60 failed .*; 120 tried again\n$", errors)
