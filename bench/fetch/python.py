# SPDX-License-Identifier: MIT
"""The fetch benchmark as Python's users write it: requests in an executor of concurrent.futures.

python.py threads|processes WORKERS URLS

Each worker keeps one Session, so connections are reused as everywhere else.
"""

import concurrent.futures
import sys
import threading

import requests

local = threading.local()


def fetch(url):
    if not hasattr(local, "session"):
        local.session = requests.Session()
    return local.session.get(url).status_code


def main():
    kind, workers, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path, encoding="ascii") as file:
        urls = file.read().split()
    if kind == "threads":
        executor, chunk = concurrent.futures.ThreadPoolExecutor(workers), 1
    else:
        executor, chunk = concurrent.futures.ProcessPoolExecutor(workers), 16
    with executor:
        fetched = sum(status == 200 for status in executor.map(fetch, urls, chunksize=chunk))
    print(fetched)
    return 0 if fetched == len(urls) else 1


if __name__ == "__main__":
    sys.exit(main())
