# SPDX-License-Identifier: MIT
"""The queue benchmark with Python's queue.Queue: python.py PRODUCERS CONSUMERS ITEMS."""

import json
import queue
import sys
import threading
import time

QUEUE_ITEMS_MAX = 128


def produce(items, begin, end):
    for number in range(begin, end):
        items.put((number, ~number))


def consume(items, sums):
    total = 0
    while (item := items.get()) is not None:
        total += item[0]
    sums.append(total)


def main():
    producers, consumers, count = map(int, sys.argv[1:4])
    items, sums = queue.Queue(QUEUE_ITEMS_MAX), []
    getters = [threading.Thread(target=consume, args=(items, sums)) for _ in range(consumers)]
    bounds = [count * i // producers for i in range(producers + 1)]
    putters = [threading.Thread(target=produce, args=(items, *pair))
               for pair in zip(bounds, bounds[1:])]
    start = time.monotonic_ns()
    for thread in getters + putters:
        thread.start()
    for thread in putters:
        thread.join()
    for _ in getters:
        items.put(None)
    for thread in getters:
        thread.join()
    took = time.monotonic_ns() - start
    if sum(sums) != count * (count - 1) // 2:
        sys.exit("benchmark failed: every item comes out once")
    print(json.dumps({"ns": took / count}))


main()
