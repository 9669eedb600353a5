#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shared library exports exactly what the public headers declare, under the name of its version.

Usage: test_symbols.py SOURCE_ROOT LIBRARY
A declared function that is not exported is a promise not kept; an exported one that no header
declares is an interface that nobody meant to give.
"""
import pathlib
import re
import subprocess
import sys


def declared(root):
    headers = sorted((root / "include").rglob("*.h"))
    source = "".join(f"#include <{path.relative_to(root / 'include')}>\n" for path in headers)
    text = subprocess.run(["cc", "-E", "-P", "-I", root / "include", "-x", "c", "-"], input=source,
                          text=True, stdout=subprocess.PIPE, check=True).stdout
    text = re.sub(r"\btypedef\b[^;{]*(\{[^}]*\}[^;]*)?;", "", text)
    return set(re.findall(r"\b(weft_\w+)\s*\(", text))


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], text=True,
                           stdout=subprocess.PIPE, check=True).stdout.splitlines()
    symbols = [line.split()[-1] for line in lines if line.split()[-2] != "A"]
    return {name.split("@")[0] for name in symbols}, [name for name in symbols if "@@WEFT_" not in name]


def main():
    root, library = pathlib.Path(sys.argv[1]), sys.argv[2]
    promised = declared(root)
    given, unversioned = exported(library)
    wrong = [f"{name} is declared but not exported" for name in sorted(promised - given)]
    wrong += [f"{name} is exported but not declared" for name in sorted(given - promised)]
    wrong += [f"{name} is exported without a version" for name in unversioned]
    for line in wrong:
        print("FAILED ", line)
    print(f"{len(promised & given)} passed, {len(wrong)} failed, 0 skipped")
    sys.exit(1 if wrong or not promised else 0)


main()
