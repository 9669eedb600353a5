# SPDX-License-Identifier: MIT
"""The examples do what they say. WEFT_EXAMPLES in the environment is where they were built."""

import contextlib
import http.server
import os
import re
import signal
import subprocess
import threading

import pytest

import postgres
from conftest import PATIENCE_S, not_emulated

DIRECTORY = os.environ.get("WEFT_EXAMPLES", "")
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.lower().endswith("_proxy")}


def example(name):
    path = os.path.join(DIRECTORY, name)
    if not os.path.exists(path):
        pytest.skip(f"{name} was not built")
    return path


def run(name, *arguments, **environment):
    return subprocess.run([example(name), *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_S,
                          env={**ENVIRONMENT, **environment})


# The site answers after a second: long enough for every worker to be waiting at the same time.
@pytest.mark.parametrize("name, at_once", [("01_threads", 10), ("02_processes", 5), ("04_tasks", 10)])
def test_ten_urls_are_fetched_at_the_same_time(name, at_once, serve):
    site = serve("--latency", "1s")
    urls = [f"{site.url}page/{n}" for n in range(10)]
    ended = run(name, *urls)
    assert ended.returncode == 0, ended
    assert sorted(ended.stdout.splitlines()) == sorted(f"Fetched {url} with status 200" for url in urls)
    assert ended.stderr == ""
    assert site.stats()["in_flight_most"] == at_once


@pytest.mark.parametrize("name", ["01_threads", "02_processes", "04_tasks"])
def test_one_that_fails_leaves_the_others(name, serve):
    site = serve("--latency", "0ms")
    dropped = f"{site.url}drop"
    ended = run(name, f"{site.url}page/1", dropped, f"{site.url}page/2")
    assert ended.returncode == 1, ended
    assert len(ended.stdout.splitlines()) == 2
    assert ended.stderr.startswith(f"Failed {dropped}: ")


def lines_of(name):
    source = os.path.join(os.path.dirname(__file__), "..", "..", "examples", name)
    with open(source, encoding="utf-8") as file:
        return file.read().splitlines()


def test_the_pair_differs_in_little():
    changed = set(lines_of("01_threads.c")) ^ set(lines_of("02_processes.c"))
    assert len(changed) <= 8, changed


def test_from_threads_to_tasks_one_word_changes():
    threads, tasks = lines_of("01_threads.c"), lines_of("04_tasks.c")
    assert "Introduces" in threads[1] and "Introduces" in tasks[1]
    del threads[1], tasks[1]
    assert threads != tasks
    assert [line.replace("WEFT_THREADS", "WEFT_TASKS") for line in threads] == tasks


def test_producers_and_consumers_lose_nothing():
    ended = run("03_sync", "10000")
    assert ended.returncode == 0, ended
    assert ended.stdout == "produced 10000, consumed 10000, nothing lost\n"


def test_ctrl_c_ends_producers_and_consumers_cleanly():
    process = subprocess.Popen([example("03_sync")], stdout=subprocess.PIPE, text=True,
                               stdin=subprocess.DEVNULL)
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        pass
    while int(re.search(r"Threads:\s*(\d+)", open(status.name, encoding="ascii").read())[1]) < 6:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    produced, consumed = re.fullmatch(r"produced (\d+), consumed (\d+), nothing lost\n", output).groups()
    assert produced == consumed


@pytest.fixture(scope="module")
def database():
    example("06_postgres")
    with postgres.running() as conninfo:
        yield conninfo


@not_emulated("is too slow for a database")
def test_a_thousand_queries_share_twenty_connections(database):
    ended = run("06_postgres", database)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == ("1000 queries over 20 connections, 0 failed, "
                            f"sum of the answers {sum(2 * n for n in range(1000))}\n")


@not_emulated("is too slow for a database")
def test_a_query_that_is_late_fails_alone_and_its_connection_is_made_anew(database):
    ended = run("06_postgres", database, "40", "4", "1")  # each sleeps for longer than 1 ms
    assert ended.returncode == 1
    assert ended.stdout == "40 queries over 4 connections, 40 failed, sum of the answers 0\n"
    assert ended.stderr.startswith("First failure: query ")
    again = run("06_postgres", database, "40", "4")
    assert again.returncode == 0, again


@not_emulated("is too slow for a database")
def test_connections_that_the_server_refuses_fail_their_queries(database):
    ended = run("06_postgres", database.replace("dbname=postgres", "dbname=nothing"), "10", "2")
    assert ended.returncode == 1
    assert ended.stdout == "10 queries over 2 connections, 10 failed, sum of the answers 0\n"
    assert 'database "nothing" does not exist' in ended.stderr


@contextlib.contextmanager
def gated_page():
    """A page whose answer comes when the event is set, which this gives with the URL."""
    may_answer = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            may_answer.wait(PATIENCE_S)
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"first")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", may_answer
        finally:
            may_answer.set()
            server.shutdown()
            thread.join()


def test_the_first_mirror_wins_and_the_losers_are_cancelled(serve):
    broken = serve("--latency", "0ms").url + "status/500"
    slow = serve("--latency", "60s").url + "page/1"
    with gated_page() as (fast, may_answer):
        with subprocess.Popen([example("07_mirrors"), slow, fast, broken], stdout=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, text=True, env=ENVIRONMENT) as process:
            lines = [process.stdout.readline()]  # one failure does not end the race
            may_answer.set()
            lines += process.communicate(timeout=PATIENCE_S)[0].splitlines(keepends=True)
    assert process.returncode == 0
    assert len(lines) == 3
    assert lines[0].startswith(f"{broken}: failed: ")
    assert lines[1:] == [f"{fast}: won with 5 bytes\n", f"{slow}: cancelled\n"]


def test_without_a_working_mirror_nobody_wins(serve):
    site = serve("--latency", "0ms")
    ended = run("07_mirrors", f"{site.url}status/500", f"{site.url}drop", f"{site.url}status/404")
    assert ended.returncode == 1, ended
    assert ended.stdout.count(": failed: ") == 3


def test_a_libuv_loop_and_tasks_take_turns_in_one_thread():
    ended = run("15_libuv_loop", "20")
    assert (ended.returncode, ended.stderr) == (0, "")
    turns = [line for n in range(1, 21) for line in (f"loop: tick {n}", f"task: took {n}")]
    assert ended.stdout.splitlines() == [*turns, "20 ticks, and naps in between: yes"]
