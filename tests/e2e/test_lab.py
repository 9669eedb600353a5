# SPDX-License-Identifier: MIT
"""weft lab from end to end, with a short budget: what is there, and not how fast it is."""

import contextlib
import errno
import json
import os
import pathlib
import pty
import re
import signal
import subprocess

import pytest

from conftest import EMULATED, PATIENCE_S, sanitized, tool_path
from fetching import ENVIRONMENT, processes_of, read_terminal, started

KINDS = ["serial", "threads", "tasks", "processes", "auto"]
LOADS = ["io", "cpu", "mixed", "changing"]
SHORT = ["--time", "1s", "--workers", "1,2"]
QUICK = [*SHORT, "--loads", "cpu", "--kinds", "serial"]
SLOW = 20 if sanitized() else 4  # times PATIENCE_S, which is for a single fetch

pytestmark = pytest.mark.skipif(EMULATED,
                                reason="QEMU's user mode starts no program of its machine by execve()")


def lab(*arguments, code=0, **options):
    run = subprocess.run([tool_path(), "lab", *arguments], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=SLOW * PATIENCE_S,
                         env=ENVIRONMENT, **options)
    assert run.returncode == code, run
    return run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One run of everything, and its JSON."""
    file = tmp_path_factory.mktemp("lab") / "lab.json"
    run = lab(*SHORT, "--json", str(file))
    assert run.stderr == ""  # no progress: it is no terminal
    found = json.loads(file.read_text(encoding="utf-8"))
    found["stdout"] = run.stdout
    return found


def combinations():
    for load in LOADS:
        for gil in [False, True]:
            yield load, gil, "serial", 1
            for kind in ["threads", "tasks", "processes"]:
                yield from ((load, gil, kind, workers) for workers in [1, 2])
            yield load, gil, "auto", None


def test_every_combination_has_a_row(results):
    rows = [(row["load"], row["gil"], row["kind"], row["workers"] if row["kind"] != "auto" else None)
            for row in results["rows"]]
    assert rows == list(combinations())


def test_rows_are_plausible(results):
    for row in results["rows"]:
        assert row["runs"] >= 1
        assert row["rate"] > 0
        if row["runs"] > 1:
            assert 0 <= row["low"] <= row["rate"] <= row["high"]
        else:
            assert row["low"] is row["high"] is None
        assert row["cpus"] >= 0
        assert 0 <= row["waiting"] <= 1
        assert row["workers"] in (1, 2)
        if row["workers"] > 1:
            assert row["call_waits"] is None
        elif row["load"] == "cpu":
            assert row["call_waits"] == 0
        else:
            assert 0 < row["call_waits"] < 1
        assert (row["explain"] is not None) == (row["kind"] == "auto")


def test_a_page_after_50_ms_comes_20_times_a_second_at_most(results):
    """This much is certain however slow the machine is."""
    for row in results["rows"]:
        if row["load"] == "io":
            assert row["rate"] <= 20 * row["workers"]


def test_each_load_has_a_verdict_about_its_rows(results):
    assert [verdict["load"] for verdict in results["verdicts"]] == LOADS
    for verdict in results["verdicts"]:
        best = results["rows"][verdict["best"]]
        assert best["load"] == verdict["load"]
        assert " win" in verdict["text"] and "calls/s" in verdict["text"]
        assert " ".join(verdict["text"].split()) in " ".join(results["stdout"].split())


def test_the_table_has_a_line_for_each_kind_and_size(results):
    for kind, workers in [("serial", 1), ("threads", 1), ("threads", 2), ("tasks", 1), ("tasks", 2),
                          ("processes", 1), ("processes", 2)]:
        assert len(re.findall(rf"^[ *] {kind} +{workers} ", results["stdout"], re.M)) == len(LOADS)
    used = {load: [row["workers"] for row in results["rows"]
                   if (row["load"], row["kind"]) == (load, "auto")] for load in LOADS}
    shown = re.findall(r"^[ *] auto +([12](?:/[12])?) ", results["stdout"], re.M)
    assert shown == [str(free) if free == gil else f"{free}/{gil}" for free, gil in used.values()]
    assert len(re.findall(r"^\* ", results["stdout"], re.M)) == len(LOADS)


def test_timelines_are_of_pieces_that_do_not_overlap(results):
    assert results["timelines"]
    for timeline in results["timelines"]:
        assert timeline["spans"], timeline["title"]
        last = {}
        for span in timeline["spans"]:
            assert 0 <= span["worker"] < timeline["workers"]
            assert last.get(span["worker"], 0) <= span["begin_ns"] < span["end_ns"]
            assert span["end_ns"] <= timeline["wall_ns"]
            last[span["worker"]] = span["end_ns"]


def computing_at_once(timeline):
    """The most workers that computed at one moment."""
    edges = []
    for span in timeline["spans"]:
        if not span["waiting"]:
            edges += [(span["begin_ns"], 1), (span["end_ns"], -1)]
    now = most = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


def waiting_at_once(timeline):
    return computing_at_once({"spans": [{**span, "waiting": not span["waiting"]}
                                        for span in timeline["spans"]]})


def test_timelines_on_one_cpu_are_on_one_cpu(results):
    for timeline in results["timelines"]:
        if timeline["cpus"] == 1:
            assert len({span["cpu"] for span in timeline["spans"]}) == 1


def test_pages_are_waited_for_at_the_same_time(results):
    timelines = [timeline for timeline in results["timelines"] if timeline["load"] == "io"]
    assert {timeline["kind"] for timeline in timelines} == {"threads", "tasks", "processes"}
    for timeline in timelines:
        assert waiting_at_once(timeline) > 1, timeline["title"]


def test_the_race_loses_nothing_under_the_lock(results):
    race = results["race"]
    assert race["threads"] >= 2
    assert race["locked"] == race["expected"]
    assert race["unlocked"] <= race["expected"]
    assert race["unlocked"] < race["expected"] or race["tries"] > 1
    assert race["locked_ns"] > 0


def test_the_machine_is_told(results):
    machine = results["machine"]
    assert machine["cpus"] == len(os.sched_getaffinity(0))
    assert machine["kernel"].startswith("Linux ")
    assert machine["memory_bytes"] > 0
    assert results["interrupted"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", results["date"])


def remove(group):
    """The last of its processes may still be about to end."""
    while True:
        try:
            return group.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise


@contextlib.contextmanager
def cgroup(*choices):
    """A cgroup with the limits of the first choice that can be made here: the file that takes its
    processes. A choice is a directory, of a controller or of all of them, and what is written."""
    for top, limits in choices:
        group = pathlib.Path(top, f"weft-test-lab-{os.getpid()}")
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            try:
                for name, limit in limits.items():
                    (group / name).write_text(limit)
            except OSError:
                continue
            yield group / "cgroup.procs"
            return
        finally:
            remove(group)
    pytest.skip("no such cgroup can be made here")


def enter(processes):
    return lambda: processes.write_text(str(os.getpid()))


def test_a_quota_is_seen_and_named():
    with cgroup(("/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}),
                ("/sys/fs/cgroup", {"cpu.max": "50000 100000"})) as processes:
        run = lab(*QUICK, "--json", "-", preexec_fn=enter(processes))
    found = json.loads(run.stdout)
    assert found["machine"]["quota"] == 0.5
    assert "the quota's 0.5 CPUs" in found["verdicts"][0]["text"]


def test_what_the_system_has_no_room_for_is_left_out_and_named():
    with cgroup(("/sys/fs/cgroup/pids", {"pids.max": "50"}),
                ("/sys/fs/cgroup", {"pids.max": "50"})) as processes:
        run = lab("--time", "1ms", "--loads", "io,cpu", "--kinds", "serial,threads", "--gil",
                  "without", "--workers", "2,64", "--json", "-", code=1,
                  preexec_fn=enter(processes))
    assert run.stderr == ("weft lab: I/O-bound, threads, 64 workers: Resource temporarily "
                          "unavailable\n")
    found = json.loads(run.stdout)
    assert [(row["load"], row["kind"], row["workers"]) for row in found["rows"]] == [
        (load, kind, workers) for load in ["io", "cpu"]
        for kind, workers in [("serial", 1), ("threads", 2)]]


def test_json_on_stdout_is_all_that_is_there():
    run = lab(*QUICK, "--json", "-")
    found = json.loads(run.stdout)
    assert [(row["load"], row["kind"], row["gil"]) for row in found["rows"]] == [
        ("cpu", "serial", False), ("cpu", "serial", True)]


def test_json_may_go_to_who_reads_a_fifo(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with started(words=[tool_path(), "lab", *QUICK, "--json", str(fifo)]) as process:
        found = json.loads(fifo.read_text(encoding="utf-8"))
        process.communicate(timeout=SLOW * PATIENCE_S)
    assert process.returncode == 0
    assert [row["load"] for row in found["rows"]] == ["cpu", "cpu"]


def test_only_what_was_asked_for_is_measured():
    run = lab("--time", "1s", "--workers", "3", "--loads", "cpu,io", "--kinds", "tasks", "--gil",
              "with", "--json", "-")
    found = json.loads(run.stdout)
    assert [(row["load"], row["kind"], row["workers"], row["gil"]) for row in found["rows"]] == [
        ("io", "tasks", 3, True), ("cpu", "tasks", 3, True)]
    assert [verdict["load"] for verdict in found["verdicts"]] == ["io", "cpu"]


@pytest.mark.parametrize("arguments, message", [
    (["--loads", "io,disk"], "weft lab: --loads: 'disk' is none of io, cpu, mixed, changing"),
    (["--loads", ""], "weft lab: --loads: '' is none of io"),
    (["--kinds", "threads,fibers"], "weft lab: --kinds: 'fibers' is none of serial, threads"),
    (["--workers", "1,two"], "weft lab: --workers: 'two' is not a number (1 to 1024)"),
    (["--workers", "0"], "weft lab: --workers: '0' is not a number (1 to 1024)"),
    (["--workers", "1025"], "weft lab: --workers: '1025' is not a number (1 to 1024)"),
    (["--workers", "1,"], "weft lab: --workers: '' is not a number (1 to 1024)"),
    (["--workers", ",".join(map(str, range(1, 34)))], "weft lab: --workers: more than 32 numbers"),
    (["--gil", "maybe"], "weft lab: --gil: 'maybe' is not one of both, with, without"),
    (["--time", "0"], "weft lab: --time 0: must be at least 1ms"),
    (["--time", "soon"], "weft lab: --time: 'soon' is not a duration"),
    (["--json", "/nowhere/lab.json"], "weft lab: --json /nowhere/lab.json: No such file or directory"),
    (["--html", "/nowhere/lab.html"], "weft lab: --html /nowhere/lab.html: No such file or directory"),
    (["--html", "-"], "weft lab: --html -: the table is on standard output; name a file"),
    (["ls"], "weft lab: unexpected argument 'ls'; a command comes after --"),
    (["--"], "weft lab: no command after --"),
    (["-i", "names"], "weft lab: -i names: needs a command, after --"),
    (["--frobnicate"], "weft lab: unknown or ambiguous option '--frobnicate'"),
])
def test_a_wrong_argument_is_named(arguments, message):
    run = lab(*arguments, code=2)
    assert run.stdout == ""
    assert run.stderr.startswith(message)
    assert run.stderr.count("\n") == 1


COMMAND = ["--time", "500ms", "-j", "1", "--", "true"]


@pytest.mark.parametrize("arguments", [QUICK, [*QUICK, "--json", "-"], COMMAND,
                                       ["--json", "-", *COMMAND], ["--json", "-", *COMMAND[:-1],
                                                                   "false"]])
def test_a_full_disk_is_told(arguments):
    with open("/dev/full", "w", encoding="ascii") as full:
        run = subprocess.run([tool_path(), "lab", *arguments], stdin=subprocess.DEVNULL,
                             stdout=full, stderr=subprocess.PIPE, text=True,
                             timeout=SLOW * PATIENCE_S)
    assert (run.returncode, run.stderr) == (
        1, "weft lab: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments, name", [(QUICK, "--json"), (COMMAND, "--json"),
                                             (QUICK, "--html")])
def test_a_file_that_is_full_is_told(arguments, name):
    run = lab(name, "/dev/full", *arguments, code=1)
    assert run.stderr == f"weft lab: {name} /dev/full: No space left on device\n"
    assert run.stdout != ""


@pytest.mark.parametrize("arguments", [QUICK, [*QUICK, "--json", "-"], COMMAND,
                                       ["--json", "-", *COMMAND]])
def test_a_table_that_nobody_reads_ends_quietly(arguments):
    with started(words=[tool_path(), "lab", *arguments]) as process:
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate(timeout=SLOW * PATIENCE_S)
    assert (process.returncode, errors) == (1, "")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def started_processes(process):
    """The site, the zygote and the workers of a lab that runs."""
    return [pid for pids in processes_of(process) for pid in pids]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_lab_that_is_ended_leaves_nothing_running(number):
    with started(words=[tool_path(), "lab", "--time", "1h", "--workers", "4"]) as process:
        while len(started_processes(process)) < 4:  # the site, the zygote, and workers
            pass
        others = started_processes(process)
        process.send_signal(number)
        out, errors = process.communicate(timeout=SLOW * PATIENCE_S)
        while any(map(alive, others)):
            pass
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert (process.returncode, errors) == (130, "Interrupted\n")
        assert "interrupted" in out


def test_what_was_not_measured_is_not_known():
    with started(words=[tool_path(), "lab", "--time", "1h", "--json", "-"]) as process:
        while len(started_processes(process)) < 2:  # the zygote, the site: no figure yet
            pass
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SLOW * PATIENCE_S)
    found = json.loads(out)
    assert found["interrupted"] is True
    assert found["rows"] == found["verdicts"] == []
    assert found["others"] is None


@pytest.mark.parametrize("arguments", [QUICK, COMMAND])
def test_one_that_waits_for_somebody_to_read_can_be_ended(arguments, tmp_path):
    reader, writer = os.pipe2(os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.set_blocking(writer, True)
    file = tmp_path / "lab.json"
    with started(words=[tool_path(), "lab", "--json", str(file), *arguments],
                 stdout=writer) as process:
        os.close(writer)
        while not file.exists() or not file.read_text().endswith("}\n"):
            pass  # it is the first to be written
        process.terminate()
        process.wait(timeout=SLOW * PATIENCE_S)
    os.close(reader)
    assert process.returncode == -signal.SIGTERM


def test_ctrl_c_at_a_terminal_shows_what_there_is():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(tool_path(), ["weft", "lab", "--time", "1h", "--loads", "io", "--workers", "2",
                                "--kinds", "serial,threads"], ENVIRONMENT)
    seen = b""
    while b"again); at most " not in seen:  # everything has been visited once
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    shown = read_terminal(terminal)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert re.search(r"I/O-bound: \d thread.* win|I/O-bound: serial wins", shown)
    assert "Interrupted" in shown
    assert re.search(rb"\(\d of 4\)", seen)  # the first round: how long it takes is not known
