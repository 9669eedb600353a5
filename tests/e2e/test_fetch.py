# SPDX-License-Identifier: MIT
"""`weft fetch`: one suite over all kinds of concurrency. That fetches overlap is read from the
site's counters, never from the time that they took."""

import http.server
import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import PATIENCE_S
from fetching import (CONCURRENT, FAST, command, failure, fetch, kind, objects, started, until,
                      unused_port)  # noqa: F401 (kind is a fixture)


# ---- fetching

def test_every_url_has_its_line(kind, site):
    urls = [f"{site.url}page/{i}" for i in range(30)]
    run = fetch("-k", kind, "--quiet", *urls)
    assert sorted(run.stdout.splitlines()) == sorted(
        f"Fetched {url} with status 200" for url in urls)
    assert run.stderr == ""
    assert site.stats()["routes"]["page"] == 30


def test_the_summary_tells_kind_workers_and_counts(kind, site):
    run = fetch("-k", kind, "--retries", "0", f"{site.url}page/1", f"{site.url}status/404", code=1)
    workers = {"serial": ", 1 worker", "auto": ""}.get(kind, ", 20 workers")
    last = run.stderr.splitlines()[-1]
    assert re.fullmatch(rf"{kind}{workers}: 1 fetched, 1 failed in [\d.]+ s \([\d.]+ URLs/s\)",
                        last)


EXPLANATION = r"(\d+ % waiting: [\w/-]+|not measured yet); \d+ threads? on [\d.]+ CPUs?\b.*"


def test_auto_is_the_default_and_says_what_it_has_seen(site):
    run = fetch(*[f"{site.url}page/{i}?ms=20" for i in range(100)])
    explanation, summary = run.stderr.splitlines()
    assert re.fullmatch("auto: " + EXPLANATION, explanation)
    assert summary.startswith("auto: 100 fetched, 0 failed in ")


def test_auto_tells_that_fetching_is_waiting(site):
    run = fetch("-j", "8", *[f"{site.url}page/{i}?ms=100" for i in range(100)])
    waiting = re.match(r"auto: (\d+) % waiting: I/O-bound; ", run.stderr)
    assert waiting and int(waiting[1]) > 50, run.stderr
    assert "options" not in run.stderr


def test_auto_has_more_workers_than_others_where_answers_take_long(serve):
    site = serve("--latency", "1h")
    with started(*[f"{site.url}page/{i}" for i in range(100)]) as process:
        while site.stats()["in_flight"] < 40:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def test_auto_does_with_few_descriptors_what_others_refuse(site):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))

    urls = [f"{site.url}page/{i}?ms=20" for i in range(300)]
    with started("-j", "4096", "--retries", "0", *urls, preexec_fn=limit) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors


def test_serial_has_one_in_flight(site):
    fetch("-k", "serial", *[f"{site.url}page/{i}" for i in range(20)])
    stats = site.stats()
    assert (stats["in_flight_most"], stats["requests"], stats["connections"]) == (1, 20, 1 + 1)


@pytest.mark.parametrize("kind", CONCURRENT)
def test_as_many_are_in_flight_as_there_are_workers(kind, serve):
    """Each page takes so long that the workers meet; none is answered before all have asked."""
    site = serve("--latency", "1h")
    with started("-k", kind, "-j", "7", *[f"{site.url}page/{i}" for i in range(20)]) as process:
        until(site, in_flight=7)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert site.stats()["in_flight_most"] == 7


def test_two_thousand_tasks_fetch_at_once(serve):
    site = serve("--latency", "1h")
    with started("-k", "tasks", "-j", "2000", "-i", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write("".join(f"{site.url}page/{i}\n" for i in range(2500)))
        process.stdin.flush()
        until(site, in_flight=2000)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert site.stats()["in_flight_most"] == 2000


@pytest.mark.parametrize("options, needed", [
    (["-k", "tasks", "-j", "200"], 264),
    (["-k", "tasks", "-j", "100", "-o", "pages"], 264),
    (["-k", "threads", "-j", "200"], 464),
    (["-k", "processes", "-j", "400", "--processes", "2"], 264),
])
def test_too_few_descriptors_are_named(options, needed, site, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 250))

    with started(*options, f"{site.url}page/1", preexec_fn=limit, cwd=tmp_path) as process:
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output) == (2, "")
    assert re.search(rf"-j \d+: needs {needed} file descriptors at least, and the system allows 250 ",
                     errors)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("options, enough", [
    (["-k", "tasks", "-j", "100", "-o", "pages"], 264),
    (["-k", "threads", "-j", "60", "-o", "pages"], 244),
    (["-k", "processes", "-j", "200", "--processes", "2", "-o", "pages"], 264),
])
def test_no_more_descriptors_are_needed_than_that(options, enough, site, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, enough))

    urls = [f"{site.url}page/{i}?ms=20" for i in range(300)]
    with started(*options, "--retries", "0", *urls, preexec_fn=limit, cwd=tmp_path) as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, errors
    assert len(os.listdir(tmp_path / "pages")) == 300


@pytest.mark.parametrize("kind", CONCURRENT)
def test_connections_are_used_again(kind, site):
    fetch("-k", kind, "-j", "4", *[f"{site.url}page/{i}" for i in range(200)])
    stats = site.stats()
    assert stats["requests"] == 200
    assert stats["connections"] <= 4 + 1


def test_input_from_a_file_skips_blanks_and_comments(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"# pages\n\n  {site.url}page/1  \r\n\t\n{site.url}page/2")
    run = fetch("-k", kind, "--quiet", "-i", str(urls))
    assert sorted(run.stdout.split()[1::5]) == [f"{site.url}page/1", f"{site.url}page/2"]


def test_input_from_operands_a_file_and_standard_input(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"{site.url}page/2\n")
    run = fetch("-k", kind, "--json", "-i", str(urls), "-i", "-", f"{site.url}page/1",
                stdin=f"{site.url}page/3\n")
    assert sorted(o["url"][-1] for o in objects(run)) == ["1", "2", "3"]


def test_lines_come_while_the_input_goes_on(kind, site):
    """A URL typed is fetched at once, not when the next block is full."""
    with started("-k", kind, "-i", "-", stdin=subprocess.PIPE) as process:
        for i in range(3):
            process.stdin.write(f"{site.url}page/{i}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"Fetched {site.url}page/{i} with status 200\n"
        process.stdin.close()
        process.stdin = None
        assert process.wait(PATIENCE_S) == 0


def test_redirects_are_followed(kind, site):
    (ending,) = objects(fetch("-k", kind, "--json", f"{site.url}redirect/3"))
    assert ending["url"] == f"{site.url}redirect/3"
    assert ending["final_url"] == f"{site.url}page/0"
    assert (ending["status"], ending["attempts"]) == (200, 1)


def test_json_has_the_same_keys_for_success_and_failure(kind, site):
    run = fetch("-k", kind, "--json", "--quiet", f"{site.url}page/1?bytes=321",
                f"{site.url}status/404", code=1)
    good, bad = sorted(objects(run), key=lambda o: o["status"])
    assert run.stderr == ""
    assert good.keys() == bad.keys() == {"url", "final_url", "status", "bytes", "error", "reason",
                                         "file", "attempts", "worker", "reused", "ms"}
    assert good["ms"].keys() == {"dns", "connect", "tls", "first_byte", "total"}
    assert (good["bytes"], good["error"], good["reason"]) == (321, None, None)
    assert (bad["error"], bad["reason"]) == ("http", "status 404")
    assert good["ms"]["total"] >= good["ms"]["first_byte"] > 0
    assert 0 <= good["worker"] < 20


def test_json_survives_bytes_that_are_not_utf8(site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_bytes(f"{site.url}page/1?".encode() + b"\xff\n")
    (ending,) = objects(fetch("--json", "-i", str(urls)))
    assert ending["url"] == f"{site.url}page/1?%FF"


# ---- failures

def test_refused(kind):
    port = unused_port()
    run = fetch("-k", kind, "--quiet", *FAST, f"http://127.0.0.1:{port}/", code=1)
    assert run.stdout == ""
    assert run.stderr == (f"Failed http://127.0.0.1:{port}/: could not connect: "
                          "Connection refused (after 3 attempts)\n")


def test_no_such_host(kind):
    ending = failure(kind, "--retries", "0", "http://no-such-host.invalid/")
    assert ending["error"] == "dns"


@pytest.mark.parametrize("path, reason", [
    ("drop", "the connection was closed without an answer"),
    ("drop?reset=1", "the connection was (lost: Connection reset by peer|closed without an answer)"),
    ("drop/body?bytes=1000", "the connection was closed after 500 of 1000 bytes"),
])
def test_dropped(kind, site, path, reason):
    ending = failure(kind, "--retries", "1", site.url + path)
    assert (ending["error"], ending["attempts"]) == ("dropped", 2)
    assert re.fullmatch(reason, ending["reason"])


def test_a_status_of_400_or_more_is_a_failure_and_404_is_not_tried_again(kind, site):
    run = fetch("-k", kind, "--quiet", f"{site.url}status/404", code=1)
    assert run.stderr == f"Failed {site.url}status/404: status 404\n"
    assert site.stats()["requests"] == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_flaky_is_tried_again(kind, site, status):
    (ending,) = objects(fetch("-k", kind, "--json", *FAST, f"{site.url}flaky/2?status={status}"))
    assert (ending["status"], ending["attempts"]) == (200, 3)


def test_retries_end(kind, site):
    ending = failure(kind, "--retries", "4", f"{site.url}status/503")
    assert (ending["status"], ending["attempts"], site.stats()["requests"]) == (503, 5, 5)


@pytest.mark.parametrize("retry_after", ["3600", "Fri, 31 Dec 2099 23:59:59 GMT"])
def test_retry_after_is_honoured_up_to_its_limit(kind, site, retry_after):
    """Without its limit this would take an hour; with one of a second it takes a second at least."""
    path = f"flaky/1?status=429&retry_after={retry_after.replace(' ', '%20')}"
    (ending,) = objects(fetch("-k", kind, "--json", *FAST, "--retry-after-max", "1s",
                              site.url + path))
    assert (ending["status"], ending["attempts"]) == (200, 2)


def test_retry_after_is_waited_for(kind, site):
    """The URL that has to wait an hour is still waiting when all others are done and Ctrl-C comes."""
    urls = [f"{site.url}status/429?retry_after=3600"] + [f"{site.url}page/{i}" for i in range(9)]
    with started("-k", kind, "-j", "1", "--retry-after-max", "2h", *FAST, *urls) as process:
        for _ in range(9):
            assert process.stdout.readline().startswith("Fetched ")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert f"Failed {urls[0]}: status 429\n" in errors
    assert "Interrupted: 9 fetched, 1 failed, 0 not started\n" in errors
    assert site.stats()["requests"] == 10


def test_a_backoff_holds_no_worker(kind, site):
    """One worker: pages are fetched while a URL waits an hour to be tried again."""
    with started("-k", kind, "-j", "1", "--backoff", "1h", f"{site.url}status/500",
                 *[f"{site.url}page/{i}" for i in range(5)]) as process:
        for _ in range(5):
            assert process.stdout.readline().startswith("Fetched ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 130


def test_time_out(kind, site):
    ending = failure(kind, "--timeout", "100ms", "--retries", "1", f"{site.url}slow/3600000")
    assert (ending["error"], ending["reason"]) == ("timeout", "not finished within 100ms")
    assert ending["attempts"] == 2


def test_time_out_within_a_body(kind, site):
    ending = failure(kind, "--timeout", "200ms", "--retries", "0",
                     f"{site.url}drip?bytes=1000&pieces=2&ms=3600000")
    assert (ending["error"], ending["status"], ending["bytes"]) == ("timeout", 200, 500)


def test_time_out_of_the_connection(kind):
    """A listening socket whose backlog is full answers no SYN."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for s in fill:
            s.setblocking(False)
            s.connect_ex(listening.getsockname())
        port = listening.getsockname()[1]
        ending = failure(kind, "--connect-timeout", "100ms", "--retries", "0",
                         f"http://127.0.0.1:{port}/")
        for s in fill:
            s.close()
    assert (ending["error"], ending["reason"]) == ("timeout", "no connection within 100ms")


@pytest.mark.parametrize("chunked", [0, 1])
def test_too_large(kind, site, tmp_path, chunked):
    url = f"{site.url}big/100000?chunked={chunked}"
    ending = failure(kind, "--max-bytes", "64k", "-o", str(tmp_path), url)
    assert (ending["error"], ending["attempts"]) == ("size", 1)
    assert ending["reason"] == "the body is larger than 64k bytes"
    assert os.listdir(tmp_path) == []
    fetch("-k", kind, "--max-bytes", "100000", url)


def test_redirect_loop(kind, site):
    ending = failure(kind, "--max-redirects", "5", f"{site.url}redirect/loop")
    assert (ending["error"], ending["reason"]) == ("redirect", "more than 5 redirects")
    assert site.stats()["requests"] == 6


def test_redirect_away_from_http(kind, site):
    ending = failure(kind, f"{site.url}redirect/1?to=file:///etc/passwd")
    assert ending["error"] == "redirect"


def test_redirects_can_be_left_alone(kind, site):
    (ending,) = objects(fetch("-k", kind, "--json", "--max-redirects", "0",
                              f"{site.url}redirect/1"))
    assert (ending["status"], ending["final_url"]) == (302, f"{site.url}redirect/1")


def test_a_bad_line_fails_alone_and_is_named(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"{site.url}page/1\nftp://example.com/\n\nhttp://\nhttp://a b/\n"
                    f"http://127.0.0.1:99999/\n{site.url}page/2\n")
    run = fetch("-k", kind, "-i", str(urls), code=1)
    assert run.stdout.count("Fetched ") == 2
    for url, line in [("ftp://example.com/", 2), ("http://", 4), ("http://a b/", 5),
                      ("http://127.0.0.1:99999/", 6)]:
        assert re.search(rf"^Failed {re.escape(url)}: not a URL: .* \({urls}, line {line}\)$",
                         run.stderr, re.MULTILINE), run.stderr
    assert "2 fetched, 4 failed" in run.stderr


def test_a_line_that_is_too_long_fails_alone(kind, site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_text(f"{site.url}page/1\n{site.url}{'x' * 300000}\n{site.url}page/2\n"
                    f"{site.url}{'y' * 20000}\n{site.url}page/3\nftp://x\n")
    run = fetch("-k", kind, "-i", str(urls), code=1)
    assert run.stdout.count("Fetched ") == 3
    assert f"not a URL: it is longer than 16384 bytes ({urls}, line 2)" in run.stderr
    assert f"not a URL: it is longer than 16384 bytes ({urls}, line 4)" in run.stderr
    assert f"({urls}, line 6)" in run.stderr
    assert "3 fetched, 3 failed" in run.stderr


def test_control_characters_reach_no_terminal(site, tmp_path):
    urls = tmp_path / "urls"
    urls.write_bytes(b"http://x/\x1b[2J\x00\n")
    run = fetch("-i", str(urls), code=1)
    assert "Failed http://x/?[2J: not a URL" in run.stderr


# ---- saving

def saved(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_bodies_are_saved_whole(kind, site, tmp_path):
    directory = tmp_path / "made"
    run = fetch("-k", kind, "--json", "-o", str(directory),
                *[f"{site.url}page/{i}?bytes={i * 1000}" for i in range(20)])
    files = saved(directory)
    assert len(files) == 20
    for ending in objects(run):
        i = int(re.search(r"page/(\d+)", ending["url"])[1])
        assert files[ending["file"]] == (f"page {i}\n" * (i * 1000))[:i * 1000].encode()


def test_names_are_safe_and_differ(kind, serve, tmp_path):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b.html").write_text("1")
    (root / "a_b.html").write_text("2")
    site = serve("--root", str(root))
    urls = [f"{site.url}a/b.html", f"{site.url}a_b.html", f"{site.url}a/b.html?x=1",
            f"{site.url}a/b.html?x=2", f"{site.url}page/1?../../../../etc/passwd",
            f"{site.url}page/1?%2e%2e%2f", f"{site.url}page/1?{'long' * 1000}",
            f"{site.url}page/1?;rm%20-rf|$HOME&`id`", f"{site.url}", f"{site.url}page/1"]
    directory = tmp_path / "out"
    run = fetch("-k", kind, "--json", "-o", str(directory), *urls, code=1)
    names = [o["file"] for o in objects(run) if o["error"] is None]
    assert len(set(names)) == len(names) >= 9
    assert sorted(os.listdir(directory)) == sorted(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name) and len(name) < 200
    assert sum(name.endswith(".html") for name in names) == 4
    assert sorted(os.listdir(tmp_path)) == ["out", "root"]


def test_the_same_url_has_the_same_name(kind, site, tmp_path):
    for size in [10, 20]:
        fetch("-k", kind, "-o", str(tmp_path), f"{site.url}page/1")
    assert len(os.listdir(tmp_path)) == 1


def test_an_empty_body_is_an_empty_file(kind, site, tmp_path):
    fetch("-k", kind, "-o", str(tmp_path), f"{site.url}page/1?bytes=0")
    assert list(saved(tmp_path).values()) == [b""]


def test_what_fails_leaves_no_file(kind, site, tmp_path):
    fetch("-k", kind, "-o", str(tmp_path), *FAST, f"{site.url}status/404",
          f"{site.url}drop/body?bytes=100000", f"{site.url}flaky/9", code=1)
    assert os.listdir(tmp_path) == []


def test_a_body_that_cannot_be_written_fails(kind, site, tmp_path):
    directory = tmp_path / "out"
    (directory / "sub").mkdir(parents=True)
    with started("-k", kind, "--json", "-o", str(directory), "-i", "-",
                 stdin=subprocess.PIPE) as process:
        process.stdin.write(f"{site.url}page/1\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["error"] is None
        for path in list(directory.iterdir()):
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()
        process.stdin.write(f"{site.url}page/2\n")
        process.stdin.close()
        process.stdin = None
        ending = json.loads(process.stdout.readline())
        assert process.wait(PATIENCE_S) == 1
    assert ending["error"] in ("save", "other")
    assert "No such file or directory" in ending["reason"]


# ---- HTTPS

class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture
def tls_site(tmp_path):
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
         "key.pem", "-out", "cert.pem"], cwd=tmp_path, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/", tmp_path / "cert.pem"
    server.shutdown()
    thread.join()
    server.server_close()


def test_https(kind, tls_site):
    url, certificate = tls_site
    endings = objects(fetch("-k", kind, "-j", "1", "--json", "--cacert", str(certificate),
                            *[f"{url}{i}" for i in range(5)]))
    assert [o["status"] for o in endings] == [200] * 5
    assert [o["reused"] for o in endings] == [False] + [True] * 4
    assert endings[0]["ms"]["tls"] > 0


def test_a_certificate_that_is_not_trusted(kind, tls_site):
    ending = failure(kind, tls_site[0])
    assert (ending["error"], ending["attempts"]) == ("tls", 1)
    assert "certificate" in ending["reason"]


# ---- the command line

URL = "http://127.0.0.1:9/"


@pytest.mark.parametrize("arguments, message", [
    ([], "no URLs: give some, or -i FILE"),
    (["-j", "0", URL], "-j 0: must be at least 1"),
    (["-j", "4097", URL], "-j 4097: must be at most 4096"),
    (["-j", "x", URL], "-j: 'x' is not a number"),
    (["-k", "fibres", URL], "-k: 'fibres' is not one of auto, serial, threads, tasks, processes"),
    (["-k", "serial", "-j", "2", URL], "-j 2: -k serial fetches one at a time"),
    (["-k", "tasks", "--processes", "2", URL], "--processes 2: only with -k processes"),
    (["-k", "processes", "--processes", "0", URL], "--processes 0: must be at least 1"),
    (["-k", "processes", "--processes", "257", URL], "--processes 257: must be at most 256"),
    (["example.com"], "'example.com' is not a URL: it does not begin with http:// or https://"),
    (["ftp://example.com/"], "'ftp://example.com/' is not a URL"),
    (["http:///x"], "'http:///x' is not a URL: it names no host"),
    (["http://a b/"], "it contains a blank or a control character"),
    (["-i", "/no/such/file"], "-i /no/such/file: No such file or directory"),
    (["-i", "/"], "-i /: Is a directory"),
    (["-i", "-", "-i", "-"], "standard input can be read only once"),
    (["-o", "/no/such/dir", URL], "-o /no/such/dir: cannot be made: No such file or directory"),
    (["-o", "/dev/null", URL], "-o /dev/null: Not a directory"),
    (["-o", "/proc", URL], "-o /proc: "),
    (["--cacert", "/no/such/file", URL], "--cacert /no/such/file: No such file or directory"),
    (["--timeout", "soon", URL], "--timeout: 'soon' is not a duration"),
    (["--max-bytes", "much", URL], "--max-bytes: 'much' is not a size"),
    (["--max-redirects", "101", URL], "--max-redirects 101: must be at most 100"),
    (["--frobnicate", URL], "--frobnicate"),
    (["-i"], "-i needs a value"),
])
def test_wrong_usage_is_named(arguments, message):
    run = fetch(*arguments, code=2)
    assert run.stdout == ""
    assert run.stderr.startswith("weft fetch: ") and message in run.stderr
    assert run.stderr.count("\n") == 1


def test_help_has_examples_and_exit_codes():
    run = fetch("--help")
    assert run.stderr == ""
    for text in ["Usage: weft fetch [OPTION]... [URL]...", "-k, --kind", "(default: auto)",
                 "--retry-after-max", "Examples:", "Exit codes: 0 all fetched, 1 some failed"]:
        assert text in run.stdout
    assert all(len(line) <= 80 for line in run.stdout.splitlines())
