# SPDX-License-Identifier: MIT
"""The tool's frame: commands, help, version and options."""

import json
import os
import re
import subprocess

import pytest


def test_version_is_printed(weft):
    run = weft("--version")
    assert run.returncode == 0
    assert re.fullmatch(r"weft \d+\.\d+\.\d+\n", run.stdout)
    assert run.stderr == ""


def test_help_lists_the_commands(weft):
    run = weft("--help")
    assert run.returncode == 0
    assert re.search(r"^  serve +\S", run.stdout, re.M)
    assert weft("help").stdout == run.stdout


def test_no_command_is_a_usage_error(weft):
    run = weft()
    assert (run.returncode, run.stdout) == (2, "")
    assert "Usage: weft COMMAND" in run.stderr


@pytest.mark.parametrize("arguments", [["frobnicate"], ["help", "frobnicate"]])
def test_an_unknown_command_is_named(weft, arguments):
    run = weft(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert "unknown command 'frobnicate'" in run.stderr


def test_an_unknown_option_of_the_tool_is_named(weft):
    run = weft("--frobnicate")
    assert run.returncode == 2
    assert "unknown option '--frobnicate'" in run.stderr


def test_help_for_a_command_is_its_help_option(weft):
    run = weft("help", "serve")
    assert run.returncode == 0
    assert run.stdout == weft("serve", "--help").stdout == weft("serve", "-h").stdout


def test_help_names_every_option_and_route_within_80_columns(weft):
    text = weft("serve", "--help").stdout
    for word in ["--port", "--bind", "--latency", "--size", "--root", "--connections-max",
                 "--until-eof", "--help", "/page/N", "/drop/body", "Exit codes"]:
        assert word in text
    assert "(default: 50ms)" in text and "(default: 1k)" in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_shows_defaults_whatever_else_is_given(weft):
    changed = weft("serve", "--latency", "3s", "--port", "abc", "--help")
    assert changed.returncode == 0
    assert changed.stdout == weft("serve", "--help").stdout


def test_a_failed_write_of_the_help_is_a_failure(weft):
    with open("/dev/full", "w") as full:
        for arguments in (["--version"], ["--help"], ["serve", "--help"]):
            run = subprocess.run([os.environ["WEFT_TOOL"], *arguments], stdout=full,
                                 stderr=subprocess.PIPE, text=True)
            assert run.returncode == 1
            assert "No space left" in run.stderr


@pytest.mark.parametrize("arguments, message", [
    (["--port", "abc"], "weft serve: --port: 'abc' is not a number (0 to 65535)"),
    (["-p", "-1"], "weft serve: -p: '-1' is not a number (0 to 65535)"),
    (["-p", "65536"], "weft serve: -p 65536: must be at most 65535"),
    (["--port=99999999999999999999999"],
     "weft serve: --port 99999999999999999999999: must be at most 65535"),
    (["--port="], "weft serve: --port: '' is not a number (0 to 65535)"),
    (["--connections-max", "0"], "weft serve: --connections-max 0: must be at least 1"),
    (["--latency", "50"], "weft serve: --latency: '50' is not a duration"),
    (["--latency", "1.s"], "weft serve: --latency: '1.s' is not a duration"),
    (["--latency", "2h"], "weft serve: --latency 2h: must be at most 1h"),
    (["--latency", "9999999999999h"], "weft serve: --latency 9999999999999h: must be at most 1h"),
    (["--size", "1kb"], "weft serve: --size: '1kb' is not a size"),
    (["--size", "1G"], "weft serve: --size 1G: must be at most 16M"),
    (["--port"], "weft serve: --port needs a value, PORT"),
    (["-l"], "weft serve: -l needs a value, TIME"),
    (["--until-eof=3"], "weft serve: --until-eof takes no value"),
    (["--frobnicate"], "weft serve: unknown or ambiguous option '--frobnicate'"),
    (["-z"], "weft serve: unknown option '-z'"),
    (["extra"], "weft serve: unexpected argument 'extra'"),
])
def test_a_bad_option_is_named_with_its_value(weft, arguments, message):
    run = weft("serve", *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(message)
    assert run.stderr.count("\n") == 1


def test_a_trace_that_cannot_be_written_is_wrong_usage(weft, tmp_path):
    for path in [tmp_path / "none" / "trace.json", tmp_path]:
        run = weft("--version", env={**os.environ, "WEFT_TRACE": str(path)})
        assert (run.returncode, run.stdout) == (2, "")
        assert f"WEFT_TRACE={path}: " in run.stderr


def test_a_trace_of_the_tool_is_written(weft, tmp_path):
    run = weft("--version", env={**os.environ, "WEFT_TRACE": str(tmp_path / "trace.json")})
    assert run.returncode == 0
    assert json.loads((tmp_path / "trace.json").read_text())[-1]["name"] == "end of the trace"
