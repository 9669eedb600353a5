#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The harness fails what must fail: the sample's tests end as their names say.

Usage: test_harness.py SAMPLE
"""
import os
import re
import subprocess
import sys

sample = sys.argv[1]
# A stray that is not killed holds the pipe open, and this would never return.
run = subprocess.run([sample], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
names = subprocess.run([sample, "--list"], stdout=subprocess.PIPE, text=True).stdout.split()
verdicts = {name: verdict.lower()
            for verdict, name in re.findall(r"^(ok|FAILED|skip) +(\w+)", run.stdout, re.M)}
wrong = [f"{name}: {verdicts.get(name, 'did not run')}" for name in names
         if verdicts.get(name) != name.split("_")[0]]

expected = [
    ("a failure prints both values, an error by name",
     "the left is -110 (-ETIMEDOUT), the right is 0" if "-ETIMEDOUT)" in run.stdout else
     "the left is -110 (Operation timed out), the right is 0"),  # musl knows no names
    ("a skip prints its reason", "this kernel has no wheels"),
    ("a leaked descriptor is named", "was left open: /dev/null"),
    ("a closed descriptor is named", "descriptor 0 was closed"),
    ("the last line counts", "{} passed, {} failed, {} skipped".format(
        *(sum(name.startswith(kind) for name in names) for kind in ("ok", "failed", "skip")))),
]
wrong += [what for what, text in expected if text not in run.stdout]
if run.returncode != 1:
    wrong.append(f"a failed test makes the program fail: exit code {run.returncode}")

one = subprocess.run([sample, "skip_says_*"], stdout=subprocess.PIPE, text=True)
if one.returncode != 77 or not one.stdout.endswith("0 passed, 0 failed, 1 skipped\n"):
    wrong.append(f"nothing but skipped tests exits with 77: {one.returncode} {one.stdout}")
none = subprocess.run([sample, "no_such_test"], stdout=subprocess.PIPE, text=True)
if none.returncode != 1:
    wrong.append(f"a filter that matches nothing is an error: {none.returncode}")
hanging = subprocess.run([sample, "skip_or_hang_*"], stdout=subprocess.PIPE, text=True,
                         env=dict(os.environ, SAMPLE_HANGS="1", CK_TIMEOUT_MULTIPLIER="0.01"))
said = [hanging.stdout.count(text) for text in ("Test timeout expired", "not run, as 2 before it hung")]
if said != [2, 1]:
    wrong.append(f"after two tests that hang the rest is not run: {hanging.stdout}")
if hanging.returncode != 1 or not hanging.stdout.endswith("0 passed, 3 failed, 0 skipped\n"):
    wrong.append(f"tests that hang have failed: {hanging.returncode} {hanging.stdout}")

checks = len(names) + len(expected) + 5
if wrong:
    print(run.stdout)
for line in wrong:
    print("FAILED ", line)
print(f"{checks - len(wrong)} passed, {len(wrong)} failed, 0 skipped")
sys.exit(bool(wrong))
