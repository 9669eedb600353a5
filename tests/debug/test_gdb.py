#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts/gdb/weft.py shows the tasks of parked.c, live and from a core file.

Usage: test_gdb.py WEFT.PY PARKED [EMULATOR...]

With an emulator, which is QEMU's user mode, gdb-multiarch looks at the program through QEMU.
"""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

PATIENCE_S = 300  # only ends a test that hangs

script, program, *emulator = sys.argv[1:]
gdb = shutil.which("gdb-multiarch" if emulator else "gdb")

# As "weft tasks" shows them: the name, the state, the worker, when its sleep ends.
LIVE = [("event-0", "parked", "0", ""), ("sleeper-0", "parked", "0", r"in \d+\.\d\d\d s"),
        ("reader-0", "parked", "0", ""), ("observer-0", "running", "0", ""), ("later-0", "waits", "", "")]
NO_CLOCK = [(*row[:3], row[3].replace("in ", "at ")) for row in LIVE]
# The function of the program's own that each is in.
IN = {"event-0": "wait_for_the_event", "sleeper-0": "sleep_for_long", "reader-0": "wait_for_the_pipe",
      "observer-0": "everything_is_parked"}

LOOK = [f"source {script}", "echo \\n--- before\\n", "frame", "echo --- tasks\\n", "weft tasks",
        "echo --- all\\n", "weft backtrace all", "echo --- one\\n", "weft backtrace reader-0 -full",
        "echo --- after\\n", "frame", "echo --- end\\n"]


def skip(reason):
    print(f"skip    gdb: {reason}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(77)


def run_gdb(*arguments, commands, environment=()):
    # -batch would end at the first command that fails, if that came from a file; each is one of its own.
    words = [word for command in commands for word in ("-ex", command)]
    run = subprocess.run([gdb, "-nx", "-q", "-batch", "-ex", "set debuginfod enabled off",
                          "-ex", "set width 0", *words, *arguments],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, timeout=PATIENCE_S, env={**os.environ, **dict(environment)})
    return run.stdout


def sections(output):
    """What was printed between the echoes, by their names."""
    return dict(re.findall(r"^--- (\w+)\n(.*?)(?=^--- |\Z)", output, re.M | re.S))


def backtraces(text):
    return dict(re.findall(r"^Task \d+, ([\w-]+), \w+:\n(.*?)(?=^Task |\Z)", text, re.M | re.S))


def complaints_about(output, rows):
    parts = sections(output)
    table = parts.get("tasks", "").splitlines()[1:]
    if len(table) != len(rows):
        yield f"there are {len(rows)} tasks, not {len(table)}"
    for name, state, worker, until in rows:
        wanted = rf" *\d+  {state} *{worker}  {name}" + (rf" *{until}" if until else "")
        if not any(re.fullmatch(wanted, line) for line in table):
            yield f"no line of the table reads {wanted}"
    shown = backtraces(parts.get("all", ""))
    for name, _, _, _ in rows:
        got = shown.get(name, "")
        functions = [function for function in IN.values() if re.search(rf"\b{function} \(", got)]
        if functions != ([IN[name]] if name in IN else []):
            yield f"the backtrace of {name} shows {functions}"
        if name in IN and not re.search(r"^#\d+ .*\btask_main \(.*\n#\d+ .*\benter \(.*\n\n\Z", got, re.M):
            yield f"the backtrace of {name} does not end where it began"
    one = backtraces(parts.get("one", ""))
    if list(one) != ["reader-0"] or not re.search(r"^ +op = \{", one["reader-0"], re.M):
        yield "a task by its name, with its variables"
    if not parts.get("before") or parts.get("before") != parts.get("after"):
        yield "another frame is selected afterwards"


def look_live():
    output = run_gdb(program, commands=["break everything_is_parked", "run", *LOOK, "continue"])
    if "ptrace: Operation not permitted" in output:
        skip("ptrace() is forbidden here")
    yield from complaints(output, LIVE)
    if "exited normally" not in output:
        yield from complaint(output, "the program did not go on as if nothing had happened")


def look_at_a_core():
    with tempfile.TemporaryDirectory() as directory:
        core = os.path.join(directory, "core")
        # gdb cannot read a mapping with guards by MADV_GUARD_INSTALL inside as a whole.
        made = run_gdb(program, environment={"WEFT_GUARDS": "mprotect"}.items(),
                       commands=["break everything_is_parked", "run", f"generate-core-file {core}", "kill"])
        if not os.path.exists(core):
            yield from complaint(made, "there is no core file")
            return
        yield from complaints(run_gdb(program, core, commands=LOOK), NO_CLOCK)


def look_through_the_emulator():
    with tempfile.TemporaryDirectory() as directory:
        door = os.path.join(directory, "gdb")
        run = subprocess.Popen([*emulator, program], env={**os.environ, "QEMU_GDB": door})
        with ended(run):
            while not os.path.exists(door):
                if run.poll() is not None:
                    skip("this QEMU does not listen for gdb")
            output = run_gdb(program, commands=["set auto-solib-add off", f"target remote {door}",
                                                "break everything_is_parked", "continue", *LOOK, "kill"])
            yield from complaints(output, NO_CLOCK)


@contextlib.contextmanager
def ended(process):
    try:
        yield
    finally:
        process.kill()
        process.wait()


def complaint(output, text):
    print(output)
    yield text


def complaints(output, rows):
    found = list(complaints_about(output, rows))
    if found:
        print(output)
    return found


def main():
    if not gdb:
        skip("there is no " + ("gdb-multiarch" if emulator else "gdb"))
    if run_gdb(commands=["python print(1)"]) != "1\n":
        skip("this gdb knows no Python")
    failed = 0
    looks = [look_through_the_emulator] if emulator else [look_live, look_at_a_core]
    for look in looks:
        found = list(look())
        for line in found:
            print(f"{look.__name__}: {line}")
        print("FAILED " if found else "ok     ", look.__name__)
        failed += bool(found)
    print(f"{len(looks) - failed} passed, {failed} failed, 0 skipped")
    sys.exit(bool(failed))


main()
