# SPDX-License-Identifier: MIT
"""The site that the fetch benchmark fetches from: nginx on a free loopback port.

It runs from a configuration and a directory of its own, as a child of the benchmark, and is ended
by its process id; the system's own nginx service, if any, is not touched.
"""

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from harness.model import Failed

FILE_BYTES = 1024

CONFIG = """\
daemon off;
worker_processes 2;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=20000 inactive=600s;
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


def find_nginx():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent():
    """In the child: the kernel ends nginx even if the benchmark is killed (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Site:
    """with Site(files) as site: site.urls, site.requests()"""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.root = Path(tempfile.mkdtemp(prefix="weft-bench-"))
        self.process = None
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
        body = (b"weft " * FILE_BYTES)[:FILE_BYTES]
        for i in range(self.files):
            (www / f"{i}.txt").write_bytes(body)

    def start(self):
        self.port = free_port()
        config = self.root / "nginx.conf"
        config.write_text(CONFIG.format(root=self.root, port=self.port))
        self.process = subprocess.Popen(
            [find_nginx(), "-p", str(self.root), "-c", str(config)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
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
        """How many requests it has answered, this one included."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/status", timeout=5) as answer:
            text = answer.read().decode()
        return int(re.search(r"^ \d+ \d+ (\d+)", text, re.MULTILINE).group(1))
