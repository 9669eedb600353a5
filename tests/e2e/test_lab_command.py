# SPDX-License-Identifier: MIT
"""weft lab -- COMMAND: how many of a command to run at once.

No test looks at a rate: what the figures mean is tested on figures (tests/cli/test_lab_command.c).
Here commands run, mostly on so few inputs that it is over when they are used up, long before the
time is.
"""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import PATIENCE_S, not_emulated, tool_path

ENOUGH = ["--time", "1m"]
LITTLE = ["--time", "2s"]  # for a first run to begin, and to end


@pytest.fixture
def lab(weft, tmp_path):
    """Runs `weft lab` in a directory of its own."""

    def run(*arguments, time_options=ENOUGH, **options):
        return weft("lab", *time_options, *arguments, cwd=tmp_path, **options)

    return run


@pytest.fixture
def inputs(tmp_path):
    """Writes inputs.txt: names, or so many numbers."""

    def write(what, end="\n"):
        names = map(str, range(1, what + 1)) if isinstance(what, int) else what
        (tmp_path / "inputs.txt").write_text("".join(name + end for name in names))
        return "inputs.txt"

    return write


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def append_to(path):
    """A script that appends its first argument to a file. One write(): several do it at once."""
    return ["sh", "-c", f'echo "$1" >> {path}', "sh", "{}"]


def shell(script):
    return ["sh", "-c", script, "sh", "{}"]


def report_of(run):
    return json.loads(run.stdout)


def test_it_measures_each_degree_and_says_which_to_use(lab, inputs):
    run = lab("-i", inputs(60), "-j", "1,2", "--", "true", "{}")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("true {}\n")
    assert re.search(r"^ +-j +runs +failed +runs/s +95 % interval +speed-up", run.stdout, re.M)
    assert re.search(r"^ +1 +\d+ +0 +[0-9.]+ ", run.stdout, re.M)
    assert re.search(r"^ +2 +\d+ +0 +[0-9.]+ ", run.stdout, re.M)
    assert re.search(r"-j [12] is\s(best|enough)", run.stdout)
    assert "each on another one of 60 inputs" in run.stdout


def test_the_report_as_json_has_what_the_table_has(lab, inputs):
    run = lab("-i", inputs(60), "-j", "2,1", "--json", "-", "--", "true", "{}")
    assert (run.returncode, run.stderr) == (0, "")
    report = report_of(run)
    assert report["command"] == ["true", "{}"]
    assert report["inputs"]["total"] == 60
    assert report["failure"] is None and report["not_tried"] is None
    assert not (report["failing"] or report["interrupted"] or report["unrepeatable"])
    assert [degree["jobs"] for degree in report["degrees"]] == [1, 2]
    for degree in report["degrees"]:
        assert degree["failed"] == 0 and degree["runs"] >= degree["jobs"]
        assert degree["rate"] > 0 and degree["wall_s"] > 0 and degree["cpu_s"] >= 0
        assert (degree["low"] is None) == (degree["rounds"] < 3)
    assert report["runs"] >= sum(degree["runs"] for degree in report["degrees"])
    verdict = report["verdict"]
    assert verdict["class"] in ["cpu", "parallel", "mixed", "waiting"]
    assert verdict["jobs"] in [1, 2] and f"-j {verdict['jobs']}" in verdict["text"]


def test_json_goes_to_a_file_beside_the_table(lab, inputs, tmp_path):
    run = lab("-i", inputs(20), "-j", "1", "--json", "report.json", "--", "true")
    assert run.returncode == 0
    assert "runs/s" in run.stdout
    assert json.loads((tmp_path / "report.json").read_text())["command"] == ["true"]


def test_no_input_is_used_twice_while_there_are_enough(lab, inputs, tmp_path):
    run = lab("-i", inputs(60), "-j", "1,2", "--json", "-", "--", *append_to("log"))
    report = report_of(run)
    used = lines(tmp_path / "log")
    assert run.returncode == 0
    assert len(used) == len(set(used)) == report["runs"] == report["inputs"]["used"]
    assert report["inputs"]["times_most"] == 1
    assert set(used) <= set(map(str, range(1, 61)))


def test_few_inputs_are_used_again_and_that_is_said(lab, inputs, tmp_path):
    run = lab("-i", inputs(3), "-j", "1,2", "--", *append_to("log"))
    assert run.returncode == 0
    used = lines(tmp_path / "log")
    assert set(used) == {"1", "2", "3"} and len(used) > 3
    most = max(used.count(name) for name in set(used))
    assert f"there were only 3 inputs for them, each was used up to {most} times" in run.stdout


def test_a_sample_is_all_that_is_used(lab, inputs, tmp_path):
    run = lab("-i", inputs(1000), "-n", "5", "-j", "1", "--json", "-", "--", *append_to("log"))
    assert run.returncode == 0
    assert len(set(lines(tmp_path / "log"))) == 5
    assert report_of(run)["inputs"]["total"] == 1000


def test_a_command_that_cannot_be_repeated_ends_with_its_inputs(lab, inputs):
    names = inputs(8)
    run = lab("-i", names, "-j", "1,2,4", "--json", "-", "--",
              *shell('test ! -e "done.$1" && : > "done.$1"'))
    assert run.returncode == 0
    report = report_of(run)
    assert report["unrepeatable"]
    assert report["failure"]["reason"] == "exited with 1"
    assert all(degree["failed"] == 0 for degree in report["degrees"])
    assert report["inputs"]["used"] == 8


def test_more_at_once_than_inputs_is_not_tried(lab, inputs):
    report = report_of(lab("-i", inputs(3), "-j", "1,2,4,8", "--json", "-", "--", "true"))
    assert [degree["jobs"] for degree in report["degrees"]] == [1, 2]
    assert report["not_tried"] == {"jobs": 4, "reason": "there are only 3 inputs"}


# ---- words and inputs


def given_words(lab, tmp_path, source, *words, kinds=1, **options):
    """All the argument lists with which the command was run, as tuples without repetitions. On a busy
    machine some inputs may not have their turn: then once more, until there are so many kinds."""
    script = 'for word; do printf "%s\\1" "$word"; done > "words.$$"'
    for _ in range(10):
        run = lab(*source, "-j", "1", "--", "sh", "-c", script, "sh", *words, **options)
        assert (run.returncode, run.stderr) == (0, "")
        given = {tuple(path.read_text().split("\1")[:-1]) for path in tmp_path.glob("words.*")}
        if len(given) >= kinds:
            break
    return given


ODD = ["two words", "  blanks ", "'quotes\"", "$HOME", "back\\slash", "{}", "-n", "ü"]


def test_an_input_replaces_all_braces_as_it_is(lab, inputs, tmp_path):
    got = given_words(lab, tmp_path, ["-i", inputs(ODD)], "{}", "<{}|{}>", "{", "x",
                      kinds=len(ODD))
    assert got == {(name, f"<{name}|{name}>", "{", "x") for name in ODD}


def test_an_input_comes_last_without_braces(lab, inputs, tmp_path):
    got = given_words(lab, tmp_path, ["-i", inputs(ODD)], "a", kinds=len(ODD))
    assert got == {("a", name) for name in ODD}


def test_inputs_that_end_with_nul_may_have_newlines(lab, inputs, tmp_path):
    names = ["one\ntwo", "\n", "three"]
    got = given_words(lab, tmp_path, ["-0", "-i", inputs(names, "\0")], "{}", kinds=len(names))
    assert got == {(name,) for name in names}


def test_inputs_come_from_standard_input(weft, tmp_path):
    for source in ([], ["-i", "-"]):
        run = subprocess.run(
            [tool_path(), "lab", *source, "-j", "1", "--json", "-", "--", "true", "{}"],
            input="a\nb\n\nc\n", capture_output=True, text=True, timeout=PATIENCE_S, cwd=tmp_path)
        assert (run.returncode, run.stderr) == (0, "")
        assert report_of(run)["inputs"]["total"] == 3


def test_without_inputs_the_command_is_run_as_it_is(lab, tmp_path):
    run = lab("-j", "1", "--", "sh", "-c", 'echo $# "$0" >> log', "a",
              time_options=LITTLE)
    assert run.returncode == 0
    assert set(lines(tmp_path / "log")) == {"0 a"}
    assert "without inputs" in run.stdout


# ---- what a run reads and writes


def test_a_run_reads_nothing_and_writes_to_pipes(lab, inputs):
    """grep and tar do less when they see that they write to /dev/null."""
    run = lab("-i", inputs(4), "-j", "1", "--",
              *shell("test -p /dev/fd/1 && test -p /dev/fd/2 && ! read line"))
    assert run.returncode == 0, run.stdout


def test_much_output_is_read_to_its_end(lab, inputs):
    run = lab("-i", inputs(4), "-j", "1,2", "--",
              *shell("head -c 1000000 /dev/zero && head -c 1000000 /dev/zero >&2"))
    assert run.returncode == 0, run.stdout


def test_outputs_are_saved_by_the_number_of_the_line(lab, inputs, tmp_path):
    names = ["a", "", "b", "c"]
    run = lab("-i", inputs(names), "-j", "1", "-o", "kept", "--",
              *shell('echo "out $1"; echo "err $1" >&2'))
    assert run.returncode == 0
    kept = {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()}
    assert kept == {f"{line}.{kind}": f"{kind} {name}\n" for line, name in enumerate(names, 1) if name
                    for kind in ["out", "err"]}


def test_what_a_run_leaves_in_the_background_is_not_waited_for(lab, inputs, tmp_path):
    run = lab("-i", inputs(2), "-j", "1", "--", *shell("sleep 1000 & echo $! >> pids"))
    for pid in lines(tmp_path / "pids"):
        os.kill(int(pid), signal.SIGKILL)
    assert (run.returncode, run.stderr) == (0, "")
    assert "runs/s" in run.stdout


# ---- failures


def test_runs_that_fail_are_counted_and_the_first_is_shown(lab, inputs):
    run = lab("-i", inputs(60), "-j", "1", "--",
              *shell('if [ "${1#?}" = 5 ]; then echo "no $1!" >&2; exit 3; fi'))
    assert run.returncode == 1
    failed = re.search(r"The first that failed exited with 3, on input (\d+), (\d+)\n"
                       r"and ended with these words:\nno (\d+)!\n", run.stdout)
    assert failed[1] == failed[2] == failed[3] and failed[1].endswith("5")
    counted = re.search(r"^ +1 +\d+ +(\d) +[0-9.]+ ", run.stdout, re.M)
    assert f"\n{counted[1]} runs in the table failed. The first" in run.stdout


def test_when_all_runs_fail_nothing_is_said_about_the_command(lab, inputs):
    run = lab("-i", inputs(60), "--json", "report.json", "--", *shell("kill -9 $$"))
    assert run.returncode == 1
    assert "All of them failed" in run.stdout
    assert "The first that failed ended by signal 9" in run.stdout
    assert "is best" not in run.stdout and "-bound" not in run.stdout


def test_control_characters_of_a_failure_are_not_printed(lab, inputs):
    run = lab("-i", inputs(["\033[31mred \u009b31mü"]), "-j", "1", "--",
              *shell('printf "\\033[2J%s\\n" "$1" >&2; exit 1'))
    assert run.returncode == 1
    assert "?[2J?[31mred ??31mü" in run.stdout
    assert "\033" not in run.stdout and "\u009b" not in run.stdout


def test_bytes_that_are_no_text_are_questions_in_the_json_and_the_others_stay(lab, tmp_path):
    """Of the two bytes of a letter, the end of what was said has only the second."""
    (tmp_path / "inputs.txt").write_bytes(b"M\xc3\xbcller\xff\n")
    run = lab("-i", "inputs.txt", "-j", "1", "--json", "-", "--",
              *shell('for i in $(seq 300); do printf ü >&2; done; echo >&2; exit 1'))
    failure = report_of(run)["failure"]
    assert failure["input"] == "Müller?"
    assert failure["stderr"] == "?" + 255 * "ü" + "\n"


@not_emulated("makes vfork() a fork(), so that posix_spawn() does not hear of errors")
@pytest.mark.parametrize("command, message", [
    (["./missing"], "weft lab: ./missing: No such file or directory\n"),
    (["no-such-program-anywhere"], "weft lab: no-such-program-anywhere: No such file or directory\n"),
    (["/"], "weft lab: /: Permission denied\n"),
])
def test_a_command_that_cannot_be_started_is_named(lab, command, message):
    run = lab("--", *command)
    assert (run.returncode, run.stdout, run.stderr) == (2, "", message)


@pytest.mark.parametrize("arguments, message", [
    (["-i", "missing.txt", "--", "true"], "weft lab: missing.txt: No such file or directory\n"),
    (["-i", ".", "--", "true"], "weft lab: .: Is a directory\n"),
    (["-i", "/dev/null", "--", "true"], "weft lab: -i /dev/null: it has no inputs\n"),
    (["--", "true", "{}"], "weft lab: {}: there are no inputs to put there"),
    (["-o", "/dev/null/x", "--", "true"], "weft lab: -o /dev/null/x: Not a directory\n"),
    (["-o", "/dev/null", "--", "true"], "weft lab: -o /dev/null: Not a directory\n"),
    (["--json", "/dev/null/x", "--", "true"], "weft lab: --json /dev/null/x: Not a directory"),
    (["-j", "0", "--", "true"], "weft lab: --workers: '0' is not a number (1 to 1024)"),
    (["-j", "1,two", "--", "true"], "weft lab: --workers: 'two' is not a number (1 to 1024)"),
    (["-n", "0", "--", "true"], "weft lab: -n 0: must be at least 1"),
    (["--loads", "cpu", "--", "true"], "weft lab: --loads: not with a command"),
    (["--html", "x.html", "--", "true"], "weft lab: --html: not with a command"),
    (["cpu", "--", "true"], "weft lab: unexpected argument 'cpu'; a command comes after --"),
    (["-j", "1", "cpu", "--", "true"], "weft lab: unexpected argument 'cpu'; a command comes after"),
    (["-i", "--", "true"], "weft lab: unexpected argument 'true'; a command comes after --"),
    (["-0"], "weft lab: -0: needs a command, after --"),
    (["-o", "x"], "weft lab: -o: needs a command, after --"),
])
def test_wrong_arguments_are_named(lab, tmp_path, arguments, message):
    run = lab(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(message)
    assert run.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_saved_ends_it(lab, inputs, tmp_path):
    (tmp_path / "kept" / "1.out").mkdir(parents=True)
    run = lab("-i", inputs(1), "-o", "kept", "--", "true")
    assert run.returncode == 1
    assert run.stderr == "weft lab: the output of run 1 cannot be saved: Is a directory\n"


# ---- the end before the end

# Writes down its process id and that of a child, and stays.
STAYS = ["sh", "-c", 'sleep 1000 & echo $! >> pids; echo $$ >> pids; wait']


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition):
    give_up = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def all_gone(path):
    pids = lines(path)
    wait_until(lambda: not any(map(runs, pids)))  # orphans' signals may still be on their way
    return len(pids)


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_that_runs(tmp_path, with_signal):
    process = subprocess.Popen([tool_path(), "lab", "--time", "10m", "-j", "1", "--", *STAYS],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    wait_until(lambda: len(lines(tmp_path / "pids")) == 2)
    process.send_signal(with_signal)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output, errors) == (130, "", "weft lab: interrupted\n")
    assert all_gone(tmp_path / "pids") == 2


def test_an_interrupt_shows_what_was_measured(tmp_path, inputs):
    """The first runs end at once; the others stay."""
    inputs(100)
    process = subprocess.Popen(
        [tool_path(), "lab", "--time", "10m", "-j", "1,2,4", "-i", "inputs.txt", "--", "sh", "-c",
         "echo >> count; [ $(wc -l < count) -gt 30 ] || exit 0; echo $$ >> pids; exec sleep 1000"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path)
    wait_until(lambda: lines(tmp_path / "pids"))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (130, "weft lab: interrupted\n")
    assert re.search(r"^ +1 +\d+ +0 +[0-9.]+ ", output, re.M)
    assert all_gone(tmp_path / "pids") > 0


def test_a_run_that_is_long_for_the_time_counts_from_the_first(lab):
    report = report_of(lab("-j", "1", "--json", "-", "--", "sleep", "0.5", time_options=LITTLE))
    assert report["cold"]
    assert report["runs"] >= report["degrees"][0]["runs"] > 0


def test_the_end_of_the_time_ends_all_that_runs(lab, tmp_path):
    run = lab("--json", "-", "--", *STAYS, time_options=LITTLE)
    assert run.returncode == 1
    assert run.stderr == "weft lab: no run ended within the time: give it more with --time\n"
    report = report_of(run)
    assert report["cut"] and report["degrees"] == [] and report["verdict"] is None
    all_gone(tmp_path / "pids")
