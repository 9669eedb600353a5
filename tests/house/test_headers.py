#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every public header compiles alone, and twice: as strict C17 and as C++17, by gcc and by clang.

Usage: test_headers.py SOURCE_ROOT
The headers are found when the test runs, so that none can be forgotten.
"""
import pathlib
import shutil
import subprocess
import sys

COMPILERS = [
    ("gcc", "c", "c17"),
    ("clang", "c", "c17"),
    ("g++", "c++", "c++17"),
    ("clang++", "c++", "c++17"),
]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def compile_alone(compiler, language, standard, directories, header):
    source = f"#include <{header}>\n#include <{header}>\nextern int an_empty_file_is_not_iso_c;\n"
    command = [compiler, "-x", language, f"-std={standard}", *WARNINGS, "-fsyntax-only",
               *(f"-I{directory}" for directory in directories), "-"]
    return subprocess.run(command, input=source, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def main():
    root = pathlib.Path(sys.argv[1])
    directories = [root / "include", *sorted(root.glob("bridges/*/include"))]
    headers = [path.relative_to(directory) for directory in directories
               for path in sorted(directory.rglob("*.h"))]
    passed = failed = skipped = 0
    for compiler, language, standard in COMPILERS:
        if not shutil.which(compiler):
            print(f"skip    {compiler} is not installed")
            skipped += len(headers)
            continue
        for header in headers:
            result = compile_alone(compiler, language, standard, directories, header)
            if result.returncode == 0:
                passed += 1
            else:
                failed += 1
                print(f"FAILED  <{header}> by {compiler} as {standard}\n{result.stdout}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed or not passed else 0)


main()
