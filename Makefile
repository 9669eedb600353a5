# SPDX-License-Identifier: MIT
#
# Thin: Meson does the building (see meson.build). This installs what is missing, and calls it.

PREFIX ?= /usr/local
prefix ?= $(PREFIX)
BUILD  ?= build
ARGS   ?=
BENCH  ?=
# Debian's Python sees Debian's packages; the first on the path may be another.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)

all:
	@scripts/setup build
	@scripts/configure $(BUILD)
	ninja -C $(BUILD)

help:
	@echo 'make             installs what is missing and builds, in build/'
	@echo 'make demo        fetches 200 pages from a site of its own: one at a time, by threads, by tasks, by processes'
	@echo 'make test        builds and runs all tests; ARGS="--suite park" runs some'
	@echo 'make install     to PREFIX=/usr/local, below DESTDIR= if given'
	@echo 'make bench       measures weft beside its peers; BENCH=lock some of it, ARGS=--quick runs only'
	@echo 'make sanitize    all tests under ASan and UBSan, then under TSan'
	@echo 'make cross       all tests on aarch64, under QEMU'
	@echo 'make musl        all tests of the library with musl'
	@echo 'make valgrind    the tests of the library under memcheck'
	@echo 'make browser     tests the page of weft lab in Chromium; screenshots in build/browser'
	@echo 'make lint        checks the formatting and runs clang-tidy; make format repairs the former'
	@echo 'make clean       removes the build directories'

demo: all
	scripts/demo $(BUILD)

test:
	@scripts/setup build test
	@scripts/configure $(BUILD) -Dtests=enabled
	meson test -C $(BUILD) --print-errorlogs $(ARGS)

# Run by "sudo make install" after "make", this builds nothing new unless the prefix differs.
install: all
	@scripts/configure $(BUILD) --prefix=$(prefix)
	meson install -C $(BUILD)
	@test -n "$(DESTDIR)" || ldconfig 2>/dev/null || true

bench:
	@scripts/setup build bench
	@scripts/configure build-bench --buildtype=release -Dbench=true -Dtests=disabled
	ninja -C build-bench
	$(PYTHON) bench/harness/run.py build-bench --json build/bench.json $(ARGS) $(BENCH)

# ThreadSanitizer needs a kernel that randomises addresses little, or setarch -R: scripts/sanitize
# uses it, and says why.
sanitize:
	@scripts/setup build test sanitize
	scripts/sanitize address $(ARGS)
	scripts/sanitize thread $(ARGS)

cross:
	@scripts/setup build test cross
	scripts/cross aarch64 $(ARGS)

musl:
	@scripts/setup build test musl
	scripts/cross musl $(ARGS)

valgrind:
	@scripts/setup build test valgrind
	scripts/valgrind $(ARGS)

browser:
	@scripts/setup build test browser
	@scripts/configure $(BUILD) -Dtests=enabled
	ninja -C $(BUILD) cli/weft tests/cli/lab_sample_page
	scripts/browser $(BUILD)

lint check-format:
	@scripts/setup build test lint
	@scripts/configure $(BUILD) -Dtests=enabled
	scripts/lint $(BUILD)

format:
	@scripts/setup lint
	git ls-files '*.[ch]' '*.cpp' | xargs clang-format -i

clean:
	rm -rf build build-*/

.PHONY: all help demo test install bench sanitize cross musl valgrind browser lint check-format format clean
