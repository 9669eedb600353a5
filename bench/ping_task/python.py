# SPDX-License-Identifier: MIT
"""Two asyncio tasks hand a number to and fro through two queues: python.py N. A round trip."""

import asyncio
import json
import sys
import time


async def give_back(trips, there, back):
    for _ in range(trips):
        await back.put(await there.get())


async def main():
    trips = int(sys.argv[1])
    there, back = asyncio.Queue(1), asyncio.Queue(1)
    other = asyncio.create_task(give_back(trips, there, back))
    start = time.monotonic_ns()
    for i in range(trips):
        await there.put(i)
        if await back.get() != i:
            sys.exit("benchmark failed: what comes back is what was sent")
    took = time.monotonic_ns() - start
    await other
    print(json.dumps({"ns": took / trips}))


asyncio.run(main())
