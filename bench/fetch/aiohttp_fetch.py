# SPDX-License-Identifier: MIT
"""The fetch benchmark as asyncio's users write it: aiohttp, JOBS tasks that share a session.

aiohttp_fetch.py URLS JOBS
"""

import asyncio
import sys

import aiohttp


async def fetch(session, url):
    async with session.get(url) as answer:
        async for _ in answer.content.iter_any():
            pass
        return answer.status == 200


async def fetch_some(session, urls):
    """The tasks share the iterator: each takes the next URL when it is done with one."""
    return sum([await fetch(session, url) for url in urls])


async def main():
    path, jobs = sys.argv[1], int(sys.argv[2])
    with open(path, encoding="ascii") as file:
        urls = file.read().split()
    shared = iter(urls)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=jobs)) as session:
        fetched = sum(await asyncio.gather(*(fetch_some(session, shared) for _ in range(jobs))))
    print(fetched)
    return 0 if fetched == len(urls) else 1


sys.exit(asyncio.run(main()))
