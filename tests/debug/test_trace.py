#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""WEFT_TRACE: what traced.c does is in a file that loads as JSON, in which spans are nested on each
track and begin before they end, however the program ends.

Usage: test_trace.py TRACED [EMULATOR...]
"""
import collections
import ctypes
import json
import os
import pathlib
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 300  # only ends a test that hangs

program, *emulator = sys.argv[1:]
program = os.path.abspath(program)  # it runs in folders of its own
checks = []


class Wrong(Exception):
    pass


class Skip(Exception):
    pass


def check(fn):
    checks.append(fn)
    return fn


def expect(condition, *what):
    if not condition:
        raise Wrong(" ".join(str(part) for part in what))


def run(folder, *arguments, file="trace.json", environment=(), code=0, **options):
    """Runs traced. Its standard output."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("WEFT_TRACE")}
    run = subprocess.run([*emulator, program, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, timeout=PATIENCE_S,
                         env={**own, "WEFT_TRACE": str(file), **dict(environment)}, **options)
    if code is not None:
        expect(run.returncode == code, arguments, "ended with", run.returncode, "not", code, run.stderr)
    return run.stdout


def load(path):
    """A trace that is complete, once it is: the writer needs a moment after a crash."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            events = json.loads(path.read_bytes().decode())
            if events and events[-1]["name"] == "end of the trace":
                return events
        except (OSError, ValueError):
            pass
        expect(time.monotonic() < end, path, "does not become complete")
        time.sleep(0.01)


def spans(events, name=None, cat=None):
    return [event for event in events if event["ph"] == "X" and name in (None, event["name"])
            and cat in (None, event["cat"])]


def check_nesting(events):
    tracks = collections.defaultdict(list)
    for span in spans(events):
        expect(span["dur"] >= 0 and span["ts"] >= 0, "goes backwards:", span)
        # Integers, as floating point would find overlaps of less than a nanosecond.
        began, took = round(span["ts"] * 1000), round(span["dur"] * 1000)
        tracks[span["pid"], span["tid"]].append((began, -took, span))
    for track in tracks.values():
        around = []
        for began, took, span in sorted(track, key=lambda entry: entry[:2]):
            while around and around[-1][0] <= began and around[-1][0] < began - took:
                around.pop()
            expect(not around or began - took <= around[-1][0], "not nested:", span, "in", around[-1:])
            around.append((began - took, span))


def check_names(events):
    """Each process and each track has a name."""
    named = {(event["name"], event["pid"], event["tid"] if event["name"] == "thread_name" else 0)
             for event in events if event["ph"] == "M"}
    for span in spans(events):
        expect(("thread_name", span["pid"], span["tid"]) in named, "no name of the track:", span)
        expect(("process_name", span["pid"], 0) in named, "no name of the process:", span)


def traced(folder, *arguments, lost=0, **options):
    run(folder, *arguments, **options)
    events = load(folder / "trace.json")
    check_nesting(events)
    check_names(events)
    end = events[-1]["args"]
    if lost is not None:
        expect(end["lost"] == lost, "lost:", end)
    if not end["cut"]:
        expect(end["spans"] == len(spans(events)), "not as many spans as it says:", end)
    return events


def names_of_tracks(events):
    return {event["args"]["name"] for event in events if event["name"] == "thread_name"}


# ---- what is in it

def calls_are_in_it(folder, kind, what="map"):
    events = traced(folder, what, kind)
    calls = spans(events, "take_a_nap")
    expect(sorted(call["args"]["index"] for call in calls) == list(range(12)), "calls:", calls)
    for call in calls:
        expect(call["args"]["how"] == "done" and call["args"]["cpu"] < os.cpu_count() * 8, call)
        inside = [wait for wait in spans(events, "wait sleep")
                  if (wait["pid"], wait["tid"]) == (call["pid"], call["tid"])
                  and call["ts"] <= wait["ts"] <= call["ts"] + call["dur"]]
        expect(inside, "no sleep in", call)
    return events, calls


@check
def threads_have_tracks_and_workers(folder):
    events, calls = calls_are_in_it(folder, "threads")
    expect({"napper-0", "napper-1", "main"} <= names_of_tracks(events), names_of_tracks(events))
    expect({call["args"]["worker"] for call in calls} == {0, 1}, calls)
    expect(len({call["tid"] for call in calls}) == 2, "tracks of calls")
    expect(spans(events, "wait pool map"), "main waits for the map")


@check
def tasks_have_tracks(folder):
    events, calls = calls_are_in_it(folder, "tasks")
    expect({"napper-0", "napper-1"} <= names_of_tracks(events), names_of_tracks(events))


@check
def serial_calls_are_the_callers(folder):
    events, calls = calls_are_in_it(folder, "serial")
    expect(names_of_tracks(events) == {"main"}, names_of_tracks(events))


@check
def a_call_inside_of_a_workers_is_no_workers(folder):
    events = traced(folder, "nested", "threads")
    expect({call["args"]["worker"] for call in spans(events, "nap_and_call")} == {0, 1}, "of the pool")
    expect(not [call for call in spans(events, "do_nothing") if "worker" in call["args"]], "of the group")


@check
def processes_have_tracks_of_their_own(folder):
    events, calls = calls_are_in_it(folder, "processes")
    processes = {call["pid"] for call in calls}
    expect(1 <= len(processes) <= 2 and not processes & {spans(events, "wait pool map")[0]["pid"]}, processes)
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    expect(any(name.startswith("napper") for name in names), names)
    expect(spans(events, "wait pool work"), "workers wait for work")
    expect({call["args"].get("worker") for call in calls} <= {0, 1}, calls)


@check
def a_process_has_one_name_whoever_tells_it(folder):
    events = traced(folder, "inside", "processes")
    [inner] = spans(events, "do_nothing")
    names = [event["args"]["name"] for event in events
             if event["name"] == "process_name" and event["pid"] == inner["pid"]]
    expect(len(names) == 2 and set(names) == {"inside-0"}, names)


@check
def processes_that_run_the_program_again_are_in_it(folder):
    if emulator:
        raise Skip("the emulator would be run again instead")
    calls_are_in_it(folder, "processes", "again")


@check
def each_wait_has_a_name(folder):
    for kind in ["threads", "tasks"]:
        for io in ["uring", "epoll"] if kind == "tasks" and not emulator else [""]:
            environment = {"WEFT_IO": io} if io else {}
            # Who serves the waiter looks often whether it waits yet.
            events = traced(folder, "waits", kind, environment={**environment, "WEFT_TRACE_KEEP": "all"})
            expect('the "waiter"' in names_of_tracks(events), names_of_tracks(events))
            names = {span["name"] for span in spans(events, cat="wait")}
            wanted = {"wait " + name for name in ["event", "lock", "condition", "semaphore", "queue get",
                                                  "future", "read", "barrier", "child", "sleep",
                                                  "group join"]}
            expect(wanted <= names, kind, io, "lacks", wanted - names)
            if kind == "tasks":
                expect("wait blocking" in names and spans(events, "nap_in_the_kernel"), "blocking call")
            late = [wait for wait in spans(events, "wait event") if wait["args"]["how"] == "timed out"]
            expect(len(late) == 1, "one wait for an event timed out:", late)


@check
def a_failure_is_told(folder):
    events = traced(folder, "fail", "threads")
    [call] = spans(events, "fail_on_purpose")
    expect(call["args"]["how"] == "failed" and call["args"]["status"] == -2 and call["args"]["error"], call)


# ---- how it ends

@check
def a_killed_worker_leaves_what_it_did(folder):
    events = traced(folder, "die", "processes")
    calls = spans(events, "die_at_five")
    cut = [call for call in calls if call["args"]["how"] == "unfinished"]
    expect(len(cut) == 1 and cut[0]["args"]["index"] == 5, "the one that was killed:", cut)
    done = {call["args"]["index"] for call in calls if call["args"]["how"] == "done"}
    expect(done == set(range(12)), "done:", done)


def ends_within_a_call(folder, what, function, kind, code):
    events = traced(folder, what, kind, code=code)
    calls = spans(events, function)
    expect(len(calls) == 1 and calls[0]["args"]["how"] == "unfinished", what, kind, calls)
    return events


@check
def a_crash_of_the_program_leaves_a_whole_file(folder):
    for kind in ["threads", "tasks", "serial"]:
        # A sanitizer ends the program in a way of its own.
        events = ends_within_a_call(folder, "crash", "crash", kind, None)
        expect(spans(events, "wait sleep"), "what it did before")


@check
def abort_leaves_a_whole_file(folder):
    ends_within_a_call(folder, "abort", "call_abort", "threads", None)
    ends_within_a_call(folder, "abort", "call_abort", "tasks", None)


@check
def exit_in_a_call_closes_the_file(folder):
    ends_within_a_call(folder, "exit", "call_exit", "threads", 7)
    ends_within_a_call(folder, "exit", "call_exit", "tasks", 7)


@check
def an_exit_without_handlers_leaves_a_whole_file(folder):
    ends_within_a_call(folder, "_exit", "call_underscore_exit", "threads", 8)
    ends_within_a_call(folder, "_exit", "call_underscore_exit", "tasks", 8)


@check
def a_killed_program_leaves_a_whole_file(folder):
    ends_within_a_call(folder, "kill", "kill_the_program", "tasks", None)
    ends_within_a_call(folder, "kill", "kill_the_program", "threads", None)


@check
def what_a_busy_program_hangs_in_is_told(folder):
    for kind in ["serial", "tasks"]:
        events = traced(folder, "hang", kind, code=-signal.SIGALRM, lost=None)
        for name in ["wait_for_nothing", "wait event"]:
            found = spans(events, name)
            expect(len(found) == 1 and found[0]["args"]["how"] == "unfinished", kind, name, found)


def writer_of(path):
    """The process that has the file open."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if path in [fd.resolve() for fd in (folder / "fd").iterdir()]:
                return int(folder.name)
        except OSError:
            continue
    raise Wrong("nobody has the file open")


@check
def a_killed_writer_holds_nobody_up(folder):
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: the writer becomes a zombie of ours
    own = {**os.environ, "WEFT_TRACE": "trace.json", "WEFT_TRACE_KEEP": "all"}
    run = subprocess.Popen([*emulator, program, "when told"], cwd=folder, env=own, stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    try:
        run.stdout.readline()  # it has begun
        writer = writer_of(folder.resolve() / "trace.json")
        os.kill(writer, signal.SIGKILL)
        run.communicate(b"\n", timeout=25)
        expect(run.returncode == 0, "ended with", run.returncode)
        os.waitpid(writer, 0)
    finally:
        run.kill()
        run.wait()
        libc.prctl(36, 0, 0, 0, 0)


@check
def a_normal_exit_waits_for_the_file(folder):
    run(folder, "map", "threads")
    events = json.loads((folder / "trace.json").read_text())
    expect(events[-1]["name"] == "end of the trace", events[-1])


# ---- how much

@check
def what_is_too_much_is_counted(folder):
    for kind in ["threads", "processes", "tasks"]:
        events = traced(folder, "flood", kind)
        end = events[-1]["args"]
        calls = spans(events, "do_nothing")
        expect(len(calls) + end["counted_calls"] == 300000, kind, len(calls), end)
        expect(end["counted_calls"] > len(calls) > 0, kind, len(calls), end)
        told = sum(event["args"]["calls"] for event in events if event["ph"] == "C")
        expect(told == end["counted_calls"], kind, "counted by the tracks:", told, end)


@check
def all_is_kept_if_wanted(folder):
    events = traced(folder, "thousands", environment={"WEFT_TRACE_KEEP": "all"})
    end = events[-1]["args"]
    calls = spans(events, "do_nothing")
    expect(len(calls) == 3000 and end["counted_calls"] == end["counted_waits"] == 0, len(calls), end)
    expect(len({call["tid"] for call in calls}) == 3000, "each task has a track")


@check
def threads_that_come_and_go_are_all_in_it(folder):
    events = traced(folder, "threads", environment={"WEFT_TRACE_KEEP": "all"})
    expect(len(spans(events, "do_nothing")) == 3000, len(spans(events, "do_nothing")))


@check
def the_file_has_a_limit(folder):
    most = 65536
    events = traced(folder, "thousands",
                    environment={"WEFT_TRACE_KEEP": "all", "WEFT_TRACE_MAX": "64K"})
    end = events[-1]["args"]
    expect((folder / "trace.json").stat().st_size <= most, (folder / "trace.json").stat())
    expect(end["cut"] > 0 and len(spans(events)) > 100, end)


# ---- who

@check
def a_child_that_the_program_forks_is_not_in_it(folder):
    events = traced(folder, "fork")
    expect(len(spans(events, "do_nothing")) == 1, spans(events))


@check
def a_program_that_it_starts_has_a_file_of_its_own(folder):
    if emulator:
        raise Skip("the program's path means nothing to the host")
    traced(folder, "another")
    others = sorted(path for path in folder.iterdir() if path.name.startswith("trace.json."))
    expect(len(others) == 1, others)
    expect(len(spans(load(others[0]), "take_a_nap")) == 12, "the calls of the other")


@check
def a_daemon_is_in_it(folder):
    events = traced(folder, "daemon", file=folder / "trace.json")
    expect(len(spans(events, "fail_on_purpose")) == 1, "the program before it became a daemon")
    expect(len(spans(events, "take_a_nap")) == 12, "the daemon's processes")


def ignore_children():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


@check
def a_program_that_was_started_with_oddities_is_in_it(folder):
    if emulator:
        raise Skip("the emulator would have the oddities")
    for oddity in [ignore_children, limit_files]:
        expect(run(folder, "state", preexec_fn=oddity).strip() == "on", oddity.__name__)
        calls = spans(traced(folder, "map", "processes", preexec_fn=oddity), "take_a_nap")
        expect(len(calls) == 12, oddity.__name__, len(calls))


@check
def the_zygote_keeps_none_of_the_programs_descriptors(folder):
    if emulator:
        raise Skip("the emulator has descriptors of its own")
    traced(folder, "descriptors")


# ---- the file

@check
def the_file_is_the_users_alone(folder):
    traced(folder, "map")
    expect(stat.S_IMODE((folder / "trace.json").stat().st_mode) == 0o600, "its mode")


@check
def an_old_file_is_overwritten(folder):
    (folder / "trace.json").write_text("x" * 1000000)
    traced(folder, "map")


@check
def what_cannot_be_written_is_told(folder):
    os.symlink("elsewhere", folder / "link")
    os.mkfifo(folder / "fifo")
    said = {file: run(folder, "state", file=file).strip()
            for file in ["none/trace.json", "link", "fifo", "/dev/null", ".", "good", ""]}
    expect(said["good"] == "on" and said[""] == "off", said)
    wrong = {text for file, text in said.items() if file not in ("good", "")}
    expect(not wrong & {"on", "off"}, said)
    expect(not (folder / "elsewhere").exists(), "a link was followed")
    expect(sorted(path.name for path in folder.iterdir()) == ["fifo", "good", "link"], "files are left")


@check
def nonsense_in_the_environment_is_told(folder):
    for environment in [{"WEFT_TRACE_MAX": "much"}, {"WEFT_TRACE_MAX": "1"}, {"WEFT_TRACE_MAX": "10Mx"},
                        {"WEFT_TRACE_MAX": "99999999999999999999"}, {"WEFT_TRACE_KEEP": "some"}]:
        said = run(folder, "state", environment=environment).strip()
        expect(said not in ("on", "off") and not (folder / "trace.json").exists(), environment, said)
    for good in ["64K", "100000", "3G", ""]:
        expect(run(folder, "state", environment={"WEFT_TRACE_MAX": good}).strip() == "on", good)


def main():
    passed = failed = skipped = 0
    for fn in checks:
        with tempfile.TemporaryDirectory() as name:
            try:
                fn(pathlib.Path(name))
            except Skip as reason:
                print(f"skip    {fn.__name__}: {reason}")
                skipped += 1
            except (Wrong, subprocess.TimeoutExpired) as wrong:
                print(f"FAILED  {fn.__name__}: {str(wrong)[:2000]}")
                failed += 1
            else:
                print(f"ok      {fn.__name__}")
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(bool(failed))


main()
