#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Dependencies point one way: who includes whom is checked against the drawing in docs/design.md.

    base <- park <- sync <- io <- task <- strand <- process, parallel <- pool

A room of src/ includes only from itself and from rooms further left; a public header only public
headers; and what stands outside the library (bridges, cli, examples, bench) nothing of src/.

Usage: test_arrows.py SOURCE_ROOT
"""
import pathlib
import re
import sys
import tempfile

BELOW = {}
for level in [["base"], ["park"], ["sync"], ["io"], ["task"], ["strand"], ["process", "parallel"],
              ["pool"]]:
    lower = set(BELOW)
    for name in level:
        BELOW[name] = lower
# Whoever reports on everything may look at everything but is included by nobody.
BELOW["debug"] = set(BELOW)

OUTSIDE = ["bridges", "cli", "examples", "bench"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    """The includes of a file: (line number, quoted or not, what)."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1] == '"', match[2]


def sources(folder):
    return sorted(path for path in folder.rglob("*")
                  if path.suffix in (".c", ".h", ".cc", ".cpp", ".S") and path.is_file())


def complaint_in_room(src, path, quoted, what):
    room = path.relative_to(src).parts[0]
    if room not in BELOW:
        return f"src/{room} is a room that this test does not know: say what lies below it"
    target = what.split("/")[0]
    if quoted and not (src / what).is_file() and not (path.parent / what).is_file():
        return f'"{what}" is no file of src/ (write "room/file.h")'
    if "/" not in what or target not in BELOW:
        return None
    if (src / what).is_file() and target != room and target not in BELOW[room]:
        return f"{room} includes {what}, but {target} does not lie below {room}"
    return None


def complaint_outside(root, path, quoted, what):
    if (root / "src" / what).is_file() and not (path.parent / what).is_file():
        return f"includes {what} from src/; only <weft.h> and <weft/...> are public"
    if quoted and not any((folder / what).is_file() for folder in path.parents
                          if folder != root and root in folder.parents):
        return f'"{what}" is no file of its own part'
    return None


def complaint_in_header(quoted, what):
    if quoted:
        return f'a public header includes "{what}"; write <weft/...>'
    return None


def check(root):
    """All complaints about the tree, and how many files were looked at."""
    found, files = [], 0

    def each(folder, judge):
        nonlocal files
        for path in sources(folder):
            files += 1
            for line, quoted, what in includes(path):
                text = "includes across \"..\"" if ".." in pathlib.PurePath(what).parts \
                    else judge(path, quoted, what)
                if text:
                    found.append(f"{path.relative_to(root)}:{line}: {text}")

    each(root / "src", lambda path, quoted, what: complaint_in_room(root / "src", path, quoted, what))
    each(root / "include", lambda path, quoted, what: complaint_in_header(quoted, what))
    for part in OUTSIDE:
        each(root / part, lambda path, quoted, what: complaint_outside(root, path, quoted, what))
    return found, files


PLANTED = {
    "src/base/a.h": "",
    "src/base/a.c": '#include "base/a.h"\n#include "park/b.h"\n',
    "src/park/b.h": '#include "base/a.h"\n#include <weft/base.h>\n',
    "src/io/c.c": '  #  include <task/d.h>\n',
    "src/task/d.h": '#include "strand/none.h"\n#include "io/e.h"\n',
    "src/io/e.h": "",
    "src/kitchen/k.c": '#include "base/a.h"\n',
    "src/pool/p.c": '#include "task/d.h"\n#include "base/a.h"\n',
    "include/weft/base.h": '#include "base/a.h"\n',
    "cli/main.c": '#include "own.h"\n#include "base/a.h"\n#include <weft/base.h>\n#include <stdio.h>\n',
    "cli/own.h": '#include "../src/base/a.h"\n',
}
PLANTED_WRONG = ["cli/main.c:2", "cli/own.h:1", "include/weft/base.h:1", "src/base/a.c:2",
                 "src/io/c.c:1", "src/kitchen/k.c:1", "src/task/d.h:1"]


def planted_faults_are_found():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in PLANTED.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = sorted(":".join(text.split(":")[:2]) for text in check(root)[0])
    if found != PLANTED_WRONG:
        print(f"FAILED  of the planted faults {PLANTED_WRONG}\n        this found {found}")
    return found == PLANTED_WRONG


def main():
    found, files = check(pathlib.Path(sys.argv[1]).resolve())
    for text in found:
        print("FAILED ", text)
    planted = planted_faults_are_found()
    wrong_files = len({text.split(":")[0] for text in found})
    failed = wrong_files + (not planted)
    print(f"{files - wrong_files + planted} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed or not files else 0)


main()
