# SPDX-License-Identifier: MIT
"""Visits every state of a model with Spin: check.py SPIN CC MODEL."""
import subprocess
import sys
import tempfile

# The options of a run, and whether it must find an error: a model that never does proves nothing.
RUNS = [
    ("-DN=2 -DROUNDS=3 -DTIMEOUTS=0", False),
    ("-DN=2 -DROUNDS=3 -DTIMEOUTS=1", False),
    ("-DN=2 -DROUNDS=2 -DTIMEOUTS=0 -DLIGHT=0", False),
    ("-DN=3 -DROUNDS=1 -DTIMEOUTS=0", False),
    ("-DN=3 -DROUNDS=1 -DTIMEOUTS=1", False),
    ("-DN=3 -DROUNDS=1 -DTIMEOUTS=2 -DLIGHT=0", False),
    ("-DN=2 -DROUNDS=2 -DTIMEOUTS=0 -DNO_HEAVY", True),
    ("-DN=2 -DROUNDS=2 -DTIMEOUTS=0 -DNO_LOOK", True),
]


def run(spin, cc, model, options, directory):
    """Spin's report."""
    for command in (
        [spin, "-a", *options.split(), model],
        [cc, "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c"],
        ["./pan", "-m1000000", "-n"],
    ):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def main():
    spin, cc, model = sys.argv[1:]
    failed = False
    for options, broken in RUNS:
        with tempfile.TemporaryDirectory() as directory:
            report = run(spin, cc, model, options, directory)
        found = "errors: 0" not in report
        complete = found or "Search not completed" not in report and "max search depth" not in report
        states = next((line for line in report.splitlines() if "states, stored" in line), "")
        print(options, states.strip(), "error found" if found else "no error", flush=True)
        if found != broken or not complete:
            print(report)
            failed = True
    sys.exit(failed)


main()
