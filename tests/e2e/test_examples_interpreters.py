# SPDX-License-Identifier: MIT
"""The examples with an interpreter inside: Lua under weft's GIL, Python in processes."""

import os
import re

import pytest

from test_examples import run

# ---- 13_lua_gil

SHARED = ["threads, one state under the GIL", "tasks, one state under the GIL"]
ONE_BY_ONE = ["one after the other", "the same, under the GIL"]
LUA_WAYS = [*ONE_BY_ONE, *SHARED, "threads, a state each", "processes, a state each"]
LUA_ROW = re.compile(r"(compute|wait) +(.+?) +[0-9.]+ +[0-9]+ +[0-9.]+x +(\d+)( +\d+ +[0-9.]+)?")


def lua_table(*arguments):
    """The rows of the table: script, way, how many calls slept at once, figures of the GIL."""
    ended = run("13_lua_gil", *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *rows, last = ended.stdout.splitlines()
    assert head.split() == ["script", "way", "wall", "ms", "calls/s", "speed-up", "asleep", "switches",
                            "longest", "ms"]
    assert last == "The results are the same in each way."
    return [LUA_ROW.fullmatch(row).groups() for row in rows]


def test_lua_gives_the_same_results_in_each_way():
    rows = lua_table("6", "3")
    assert [row[:2] for row in rows] == [(script, way) for script in ["compute", "wait"]
                                         for way in LUA_WAYS]
    for _, way, _, gil in rows:
        assert (gil is not None) == (way in [ONE_BY_ONE[1], *SHARED])


def test_scripts_that_wait_do_so_at_once_and_without_the_gil():
    for script, way, asleep, _ in lua_table("10", "5"):
        if script == "compute":
            assert asleep == "0"
        elif way in ONE_BY_ONE:
            assert asleep == "1"
        else:
            assert 2 <= int(asleep) <= 5, way


def test_one_worker_has_nobody_to_share_the_state_with():
    for script, _, asleep, gil in lua_table("3", "1"):
        assert asleep == ("0" if script == "compute" else "1")
        assert gil is None or gil.split()[0] == "0"  # switches


@pytest.mark.parametrize("arguments", [["0"], ["x"], ["4", "0"], ["4", "2", "1"]])
def test_lua_that_is_called_wrongly_says_how(arguments):
    ended = run("13_lua_gil", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: ")


# ---- 14_python_pool

PYTHON_WAYS = ["one thread", "threads, one interpreter", "processes, an interpreter each"]


@pytest.fixture
def python_pool(tmp_path):
    """Runs the example. CPython keeps some of what it has allocated for ever."""
    suppressions = tmp_path / "lsan.supp"
    suppressions.write_text("leak:libpython\n")
    options = f"{os.environ.get('LSAN_OPTIONS', '')}:suppressions={suppressions}:print_suppressions=0"

    def start(*arguments, source=None):
        if source is not None:
            (tmp_path / "given.py").write_text(source)
            arguments = [*arguments, str(tmp_path / "given.py")]
        return run("14_python_pool", *arguments, LSAN_OPTIONS=options)

    return start


def last_line(ended):
    """After the table, whose rows are the ways."""
    head, *rows, last = ended.stdout.splitlines()
    assert head.split() == ["way", "wall", "ms", "calls/s", "speed-up"]
    assert [re.fullmatch(r"(.+?) +[0-9.]+ +[0-9]+ +[0-9.]+x", row)[1] for row in rows] == PYTHON_WAYS
    return last


def primes(first, end):
    return sum(all(n % d for d in range(2, int(n ** 0.5) + 1)) for n in range(max(first, 2), end))


def test_python_counts_the_primes_in_each_way(python_pool):
    ended = python_pool("4", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert last_line(ended) == ("4 of 4 calls gave a result, the same in each way; the last: "
                                f"{primes(12000, 16000)} primes from 12000 to 15999")


def test_an_exception_is_its_calls_words_and_no_others(python_pool):
    ended = python_pool("6", "2", source="""
import json

def work(n):
    if n == 2:
        raise ValueError(f"no work for {n}: \N{SNOWMAN}")
    return n if n == 4 else json.dumps([n]).encode()
""")
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "work(2), one thread: failed: ValueError: no work for 2: \N{SNOWMAN}",
        "work(4), one thread: failed: TypeError: expected bytes, int found"]
    assert last_line(ended) == "4 of 6 calls gave a result, the same in each way"


def test_results_that_differ_between_interpreters_are_found(python_pool):
    ended = python_pool("3", "3", source="""
calls = 0

def work(n):
    global calls
    calls += 1
    return b"%d" % calls
""")
    assert ended.returncode == 1
    assert "work(2) is not the same in each way\n" in ended.stderr
    assert last_line(ended).startswith("0 of 3 calls ")


def test_results_may_be_any_bytes(python_pool):
    ended = python_pool("9", "2", source="def work(n): return bytes(n % 3) + b'x' * (n * 10000)")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert last_line(ended).startswith("9 of 9 calls gave a result, the same in each way; the last: ")


@pytest.mark.parametrize("source, words", [
    ("def work(n:", "SyntaxError: "),
    ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ("def works(n): pass", "AttributeError: module 'work' has no attribute 'work'"),
])
def test_python_that_does_not_load_is_told_with_its_file(python_pool, source, words):
    ended = python_pool("2", "2", source=source)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.match(r"\S+/given\.py: " + re.escape(words), ended.stderr)


def test_interpreters_that_do_not_start_in_the_workers_fail_the_calls(python_pool, tmp_path):
    ended = python_pool("2", "2", source=f"""
import os
if os.path.exists("{tmp_path}/loaded"):
    raise RuntimeError("there is one of me already")
open("{tmp_path}/loaded", "w").close()

def work(n):
    return b""
""")
    assert ended.returncode == 1
    assert ("work(1), processes, an interpreter each: failed: a worker could not enter: "
            "RuntimeError: there is one of me already\n") in ended.stderr
    assert last_line(ended) == "0 of 2 calls gave a result, the same in each way"


@pytest.mark.parametrize("arguments", [["0"], ["x"], ["4", "0"], ["4", "2", "a", "b"]])
def test_python_that_is_called_wrongly_says_how(arguments):
    ended = run("14_python_pool", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: ")


def test_a_file_that_cannot_be_read_is_named(python_pool):
    ended = python_pool("2", "2", "/no/such/file.py")
    assert ended.returncode == 2
    assert ended.stderr == "/no/such/file.py: No such file or directory\n"
