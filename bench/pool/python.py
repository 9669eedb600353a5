# SPDX-License-Identifier: MIT
"""The pool benchmarks with what Python has: multiprocessing.Pool, ProcessPoolExecutor, joblib.

python.py map PEER WORKERS CALLS BYTES TIMES    PEER: pool, pool-1, executor, executor-large, joblib
python.py one PEER WORKERS CALLS BYTES TIMES    PEER: pool, executor, joblib
python.py start METHOD WORKERS                  METHOD: fork, forkserver, spawn
python.py death PEER TIMES                      PEER: executor, joblib
"""

import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, process
from pathlib import Path


def work(item):
    """The bytes of an item, every bit of the first turned."""
    return bytes((item[0] ^ 255,)) + item[1:]


def must(ok, what):
    if not ok:
        sys.exit(f"benchmark failed: {what}")


def items_of(count, size):
    chance = random.Random(1)
    return [chance.randbytes(size) for _ in range(count)]


def check(items, results):
    must(len(items) == len(results), "every call gives a result")
    for item, result in zip(items, results):
        must(len(result) == len(item) and result[0] == item[0] ^ 255 and result[1:] == item[1:],
             "every call gives its own result")


def loky():
    """joblib's executor, which joblib.Parallel uses too."""
    from joblib.externals.loky import get_reusable_executor
    return get_reusable_executor


class Mapper:
    """A pool that is open, and how it maps: map(items) gives the list of results."""

    def __init__(self, peer, workers, count):
        if peer in ("pool", "pool-1"):
            self.pool = multiprocessing.get_context("fork").Pool(workers)
            chunk = {"chunksize": 1} if peer == "pool-1" else {}
            self.map = lambda items: self.pool.map(work, items, **chunk)
            self.close = self.pool.terminate
        elif peer in ("executor", "executor-large"):
            self.pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"))
            chunk = {"chunksize": max(1, count // (workers * 4))} if peer != "executor" else {}
            self.map = lambda items: list(self.pool.map(work, items, **chunk))
            self.close = self.pool.shutdown
        else:
            from joblib import Parallel, delayed
            self.pool = Parallel(n_jobs=workers).__enter__()
            self.map = lambda items: self.pool(delayed(work)(item) for item in items)
            self.close = lambda: self.pool.__exit__(None, None, None)


class Caller:
    """A pool that is open, and how it runs one call: call(item) gives its result."""

    def __init__(self, peer, workers):
        if peer == "pool":
            pool = multiprocessing.get_context("fork").Pool(workers)
            self.call = lambda item: pool.apply(work, (item,))
            self.close = pool.terminate
            return
        if peer == "executor":
            pool = ProcessPoolExecutor(workers, multiprocessing.get_context("fork"))
        else:
            pool = loky()(max_workers=workers)
        self.call = lambda item: pool.submit(work, item).result()
        self.close = pool.shutdown


def measure(side, run, count, size, times):
    """Runs it several times, and once before without the clock."""
    items = items_of(count, size)
    took = 0
    for i in range(times + 1):
        start = time.monotonic_ns()
        results = run(items)
        took += time.monotonic_ns() - start if i else 0
        check(items, results)
    side.close()
    calls = times * count
    return {"rate": calls * 1e9 / took, "gbs": calls * size / took}


def measure_map(peer, workers, count, size, times):
    mapper = Mapper(peer, int(workers), int(count))
    return measure(mapper, mapper.map, int(count), int(size), int(times))


def measure_one(peer, workers, count, size, times):
    caller = Caller(peer, int(workers))
    return measure(caller, lambda items: [caller.call(item) for item in items], int(count),
                   int(size), int(times))


# ---- start


def take_barrier(barrier):
    global everybody
    everybody = barrier


def meet(_):
    """Calls that wait for each other, so that each runs in a worker of its own."""
    everybody.wait()
    return os.getpid()


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file
                   if line.startswith(("Private_Clean:", "Private_Dirty:")))


def measure_start(method, workers):
    workers = int(workers)
    start = time.monotonic_ns()
    context = multiprocessing.get_context(method)
    with context.Pool(workers, take_barrier, (context.Barrier(workers),)) as pool:
        pids = pool.map(meet, range(workers), chunksize=1)
        took = time.monotonic_ns() - start
        must(len(set(pids)) == workers, "every worker has run a call")
        return {"ms": took / 1e6, "kib": statistics.mean(map(private_kib, pids))}


# ---- death


def hold_worker(place, which):
    """Says its process id by a file's name, which others see whole, and waits for another."""
    Path(place, f"{which}-{os.getpid()}").touch()
    while not Path(place, "over").exists():
        time.sleep(0.001)


def pid_of_call(place, which):
    while not (found := list(Path(place).glob(f"{which}-*"))):
        time.sleep(0.0001)
    return int(found[0].name.split("-")[1])


def kill_one(open_pool, broken):
    """Both workers are held and one is killed: until its call is told, and a new pool has run one.

    All other calls of the pool are lost with it.
    """
    with tempfile.TemporaryDirectory() as place:
        pool = open_pool()
        held = [pool.submit(hold_worker, place, which) for which in range(2)]
        pids = [pid_of_call(place, which) for which in range(2)]
        start = time.monotonic_ns()
        os.kill(pids[0], signal.SIGKILL)
        error = held[0].exception()
        outcome = time.monotonic_ns() - start
        must(isinstance(error, broken), "the call is told that the pool is broken")
        again = open_pool()
        pid = again.submit(os.getpid).result()
        end = time.monotonic_ns() - start
        must(pid not in pids, "the new pool has run a call")
        Path(place, "over").touch()
        pool.shutdown()
        again.shutdown()
    return outcome / 1e6, end / 1e6


def measure_death(peer, times):
    if peer == "executor":
        context = multiprocessing.get_context("fork")

        def open_pool():
            return ProcessPoolExecutor(2, context)
    else:
        get = loky()

        def open_pool():
            return get(max_workers=2)
    seen = [kill_one(open_pool, process.BrokenProcessPool) for _ in range(int(times))]
    return {"outcome_ms": statistics.median(a for a, _ in seen),
            "again_ms": statistics.median(b for _, b in seen)}


def main():
    mode, *arguments = sys.argv[1:]
    modes = {"map": measure_map, "one": measure_one, "start": measure_start,
             "death": measure_death}
    print(json.dumps(modes[mode](*arguments)))


if __name__ == "__main__":
    main()
