# SPDX-License-Identifier: MIT
"""The examples that compute in processes, and outlive what other people's libraries do to them."""

import os
import re
import shutil
import struct
import subprocess
import zlib

import pytest

from test_examples import run
from conftest import PATIENCE_S, sanitized


# ---- PNG, as little of it as the tests need

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, rgb):
    rows = (b"\0" + bytes(rgb) * width) * height
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def paeth(a, b, c):
    return min((a, b, c), key=lambda value: abs(a + b - c - value))


def unfiltered(method, row, above):
    for i, byte in enumerate(row):
        a, b, c = row[i - 3] if i > 2 else 0, above[i], above[i - 3] if i > 2 else 0
        row[i] = (byte + [0, a, b, (a + b) // 2, paeth(a, b, c)][method]) % 256
    return row


def read_png(path):
    """Width, height and a function that gives the three bytes of a pixel."""
    data, compressed, at = path.read_bytes(), b"", 8
    width, height = struct.unpack(">II", data[16:24])
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        compressed += data[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += 12 + size
    lines, rows, size = zlib.decompress(compressed), [bytearray(3 * width)], 1 + 3 * width
    for y in range(height):
        line = bytearray(lines[y * size:(y + 1) * size])
        rows.append(unfiltered(line[0], line[1:], rows[-1]))
    return width, height, lambda x, y: tuple(rows[y + 1][3 * x:3 * x + 3])


# ---- 08_pool

KINDS = ["serial", "threads", "processes"]


def escape(point):
    z = 0
    for step in range(1, 10):
        z = z * z + point
        if z.real * z.real + z.imag * z.imag > 4:
            return step
    return None


def test_every_kind_paints_the_same_picture(tmp_path):
    pictures = set()
    for kind in KINDS:
        path = tmp_path / f"{kind}.png"
        ended = run("08_pool", kind, str(path), "64")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"{path}: painted by kind {kind}\n"
        pictures.add(path.read_bytes())
    assert len(pictures) == 1


def test_the_picture_is_the_set(tmp_path):
    run("08_pool", "processes", str(tmp_path / "set.png"), "64")
    width, height, pixel = read_png(tmp_path / "set.png")
    assert (width, height) == (64, 48)
    outside = 0
    for y in range(height):
        for x in range(width):
            steps = escape(complex(-2.2 + x * 0.05, 1.2 - y * 0.05))
            if steps:
                assert pixel(x, y) == (steps * 5, steps * 9, steps * 17), (x, y)
                outside += 1
    assert outside > width * height / 2
    assert pixel(44, 24) == pixel(24, 24) == (0, 0, 0)  # 0 and -1


@pytest.mark.parametrize("arguments", [[], ["serial"], ["fibres", "x.png"], ["serial", "x.png", "0"]])
def test_a_painter_that_is_called_wrongly_says_how(arguments):
    ended = run("08_pool", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: ")


def test_a_picture_that_cannot_be_written_is_named():
    ended = run("08_pool", "processes", "/no/such/directory/x.png", "16")
    assert ended.returncode == 1
    assert ended.stderr.startswith("/no/such/directory/x.png: ")


# ---- 09_thumbnails

SIDE = 96


def jpeg(width, height, rgb):
    tool = shutil.which("cjpeg")
    if not tool:
        pytest.skip("no cjpeg (Debian: libjpeg-turbo-progs) to make a JPEG file with")
    return subprocess.run([tool, "-quality", "100"], input=b"P6 %d %d 255\n" % (width, height)
                          + bytes(rgb) * (width * height), capture_output=True, check=True,
                          timeout=PATIENCE_S).stdout


# A decoder that a sanitizer finds leaks in when it calls exit() has another exit code.
DIED_OF_JPEG = r"its decoder ended with exit code " + (r"\d+" if sanitized() else "1")


def close_to(pixel, rgb):
    return all(abs(a - b) < 4 for a, b in zip(pixel, rgb))


def test_files_that_kill_their_decoder_cost_no_other_its_thumbnail(tmp_path):
    files = {
        "red.png": png(300, 200, (255, 0, 0)),
        "cut.png": png(300, 200, (255, 0, 0))[:60],
        "blue.jpg": jpeg(100, 400, (0, 0, 255)),
        "bad.jpg": b"\xff\xd8" + bytes(500),
        "text.png": b"not a picture at all\n",
        "small.png": png(2, 3, (1, 2, 3)),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in files] + [str(tmp_path / "missing.png")]
    strip = tmp_path / "strip.png"
    ended = run("09_thumbnails", str(strip), *paths)
    assert ended.returncode == 1, ended
    *lines, last = ended.stdout.splitlines()
    assert last == f"3 of 7 files are on {strip}"
    texts = ["shrunk", r"its decoder was killed by signal 6 \(Aborted\)", "shrunk", DIED_OF_JPEG,
             "neither JPEG nor PNG", "shrunk", "No such file or directory"]
    for line, path, text in zip(lines, paths, texts, strict=True):
        assert re.fullmatch(f"{re.escape(path)}: {text}", line)

    width, height, pixel = read_png(strip)
    assert (width, height) == (SIDE, 7 * SIDE)
    assert pixel(SIDE - 1, 63) == (255, 0, 0) and pixel(0, 64) == (0, 0, 0)  # 96 x 64
    assert close_to(pixel(23, 2 * SIDE), (0, 0, 255)) and pixel(24, 2 * SIDE) == (0, 0, 0)  # 24 x 96
    assert pixel(1, 5 * SIDE + 2) == (1, 2, 3) and pixel(2, 5 * SIDE + 2) == (0, 0, 0)
    for dead in (1, 3, 4, 6):
        assert {pixel(i, dead * SIDE + i) for i in range(SIDE)} == {(0, 0, 0)}


def test_many_deaths_in_a_row_are_told_one_by_one(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png(10, 10, (9, 9, 9)))
    bad.write_bytes(good.read_bytes()[:45])
    ended = run("09_thumbnails", str(tmp_path / "strip.png"), *[str(bad)] * 30, str(good))
    assert ended.returncode == 1
    *lines, last = ended.stdout.splitlines()
    assert lines == [f"{bad}: its decoder was killed by signal 6 (Aborted)"] * 30 + [f"{good}: shrunk"]
    assert last.startswith("1 of 31 files ")


def test_pictures_that_are_no_trouble_all_get_onto_the_strip(tmp_path):
    paths = []
    for i in range(8):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(png(200 + i, 100, (i, i, i)))
    ended = run("09_thumbnails", str(tmp_path / "strip.png"), *map(str, paths))
    assert (ended.returncode, ended.stderr) == (0, "")
    _, _, pixel = read_png(tmp_path / "strip.png")
    assert [pixel(0, i * SIDE) for i in range(8)] == [(i, i, i) for i in range(8)]


def test_without_a_strip_there_is_another_exit_code(tmp_path):
    (tmp_path / "a.png").write_bytes(png(1, 1, (1, 1, 1)))
    assert run("09_thumbnails").returncode == 2
    assert run("09_thumbnails", "/no/such/strip.png", str(tmp_path / "a.png")).returncode == 2


# ---- 10_scrape

@pytest.fixture
def pages(serve, tmp_path):
    (tmp_path / "a.html").write_text("<title> A\nb</title><body><a href='/x'>1</a>"
                                     "<p><a href=y?1&amp;2>2</a><a name=z>3</a>")
    (tmp_path / "b.html").write_text("nothing that has a name")
    (tmp_path / "deep.html").write_text("<title>deep</title>" + "<span>" * 500000)
    return serve("--latency", "0", "--root", str(tmp_path)).url


# Sanitizers would rather report it, which they cannot when a stack has overflowed.
LETS_SIGNALS_KILL = {name: os.environ.get(name, "") + ":handle_segv=0"
                     for name in ["ASAN_OPTIONS", "TSAN_OPTIONS"]}

A = ["a.html: A b", "    /x", "    y?1&2"]


def blocks(text, site):
    """The lines of each page, the first without the site's address; pages come in any order."""
    found = text.replace(site, "\n\n").strip("\n").split("\n\n\n")
    return sorted(block.splitlines() for block in found)


def test_titles_and_links_are_told(pages):
    ended = run("10_scrape", f"{pages}a.html", f"{pages}b.html")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert blocks(ended.stdout, pages) == [A, ["b.html: (no title)"]]


def test_a_page_that_kills_its_parser_is_told_and_costs_no_other(pages):
    names = ["a.html", "deep.html", "b.html", "deep.html", "missing", "drop", "a.html"]
    ended = run("10_scrape", *[pages + name for name in names], **LETS_SIGNALS_KILL)
    assert ended.returncode == 1, ended
    told = blocks(ended.stdout, pages)
    death = r"deep.html: parse crashed: process \d+ killed by signal 11 \(Segmentation fault\)"
    assert told[:3] == [A, A, ["b.html: (no title)"]]
    assert len(told) == 7
    for (line,), pattern in zip(told[3:], [death, death, "drop: fetch failed: .*",
                                           "missing: fetch failed: .*"], strict=True):
        assert re.fullmatch(pattern, line)


def test_two_thousand_pages_go_through_a_queue_of_sixteen(pages):
    urls = [f"{pages}page/{i}" for i in range(2000)]
    ended = run("10_scrape", *urls)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.splitlines()) == sorted(f"{url}: (no title)" for url in urls)
