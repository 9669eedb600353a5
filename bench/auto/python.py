# SPDX-License-Identifier: MIT
"""The auto benchmark with Python's ThreadPoolExecutor and the number of threads that it thinks best.

python.py LIBRARY LOAD CALLS ROUNDS LIMIT_MS

Waiting is time.sleep, computing the same C function as weft's, which runs without the GIL. A pool
that has not done by LIMIT_MS is not waited for: then it is the time that it would take at the rate
of the calls that have ended.
"""

import ctypes
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

WAIT_S = 0.05


def loads(load, calls):
    """How many rounds each call computes, in units of ROUNDS: 0 or 1."""
    if load == "mixed":
        return [i % 2 for i in range(calls)]
    waiting = {"io": calls, "cpu": 0, "changing": calls - calls // 13}[load]
    return [0] * waiting + [1] * (calls - waiting)


def main():
    library, load, calls, rounds, limit_ms = sys.argv[1:]
    compute, calls, rounds = ctypes.CDLL(library).auto_compute, int(calls), int(rounds)
    ended, done, lock = 0, threading.Event(), threading.Lock()

    def call(units):
        nonlocal ended
        if units:
            compute(rounds)
        else:
            time.sleep(WAIT_S)
        with lock:
            ended += 1
            if ended == calls:
                done.set()

    with ThreadPoolExecutor() as pool:
        pool.submit(int).result()
        start = time.monotonic()
        for units in loads(load, calls):
            pool.submit(call, units)
        done.wait(int(limit_ms) / 1e3)
        with lock:
            took, n = time.monotonic() - start, ended
        pool.shutdown(wait=False, cancel_futures=True)
    print(json.dumps({"s": took * calls / max(n, 1)}), flush=True)
    os._exit(0)


main()
