# SPDX-License-Identifier: MIT
"""The sites that the fetch benchmarks fetch from, each on a free loopback port.

nginx runs from a configuration and a directory of its own, as a child of the benchmark, and is
ended by its process id; the system's own nginx service, if any, is not touched. Pages that come
late are `weft serve`'s, which waits without a thread for each.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from harness import child
from harness.model import Failed

CONFIG = """\
daemon off;
worker_processes 2;
worker_rlimit_nofile {descriptors};
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max={cached} inactive=600s;
    open_file_cache_valid 600s;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root}/www;
        location = /status {{ stub_status; }}
    }}
}}
"""


DESCRIPTORS_MAX = 131072  # of each of nginx's workers; the system may allow fewer


def nginx_limits():
    """How each of nginx's workers shares out its descriptors: half of them to files kept open, the
    rest to connections, each of which may have a file of its own besides.

    nginx would start with our soft limit, usually 1024, and answer 500 beyond it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = DESCRIPTORS_MAX if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS_MAX)
    return {"descriptors": most, "cached": most // 2, "connections": min(most // 5, 8192)}


def find_nginx():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_page(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return answer.read().decode()


class Site:
    """with Site(files, file_bytes) as site: site.urls, site.requests(), site.root, site.pid"""

    def __init__(self, files, file_bytes):
        self.files = files
        self.file_bytes = file_bytes

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="weft-bench-"))
        self.process, self.asked = None, 0
        try:
            self.root.chmod(0o755)  # nginx's workers drop to another user
            self.write_files()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def write_files(self):
        www = self.root / "www"
        www.mkdir()
        body = (b"weft " * self.file_bytes)[:self.file_bytes]
        for i in range(self.files):
            (www / f"{i}.txt").write_bytes(body)

    def start(self):
        self.port = free_port()
        config = self.root / "nginx.conf"
        config.write_text(CONFIG.format(root=self.root, port=self.port, **nginx_limits()))
        self.process = subprocess.Popen(
            [find_nginx(), "-p", str(self.root), "-c", str(config)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=child.die_with_parent)
        self.pid = self.process.pid
        self.urls = [f"http://127.0.0.1:{self.port}/{i}.txt" for i in range(self.files)]
        self.await_answer()

    def await_answer(self):
        for _ in range(200):
            try:
                self.requests()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
        log = self.root / "error.log"
        raise Failed("nginx did not start: " + (log.read_text()[-300:] if log.exists() else ""))

    def requests(self):
        """How many requests it has answered, those of this method not counted."""
        text = read_page(f"http://127.0.0.1:{self.port}/status")
        self.asked += 1
        return int(re.search(r"^ \d+ \d+ (\d+)", text, re.MULTILINE).group(1)) - self.asked


class LateSite:
    """The same for pages of 1 KiB that come only after so many milliseconds."""

    def __init__(self, weft, pages, late_ms):
        self.command = [weft, "serve", "--port", "0", "--latency", f"{late_ms}ms", "--until-eof"]
        self.pages = pages

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-bench-")))
            process = stack.enter_context(child.started(self.command))
            ready = re.match(r"Serving (\S+)", process.stdout.readline())
            if ready is None:
                raise Failed("weft serve did not start")
            self.pid, self.address = process.pid, ready.group(1)
            self.urls = [f"{self.address}page/{i}" for i in range(self.pages)]
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def requests(self):
        return json.loads(read_page(f"{self.address}stats"))["requests"]
