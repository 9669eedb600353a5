# SPDX-License-Identifier: MIT
"""`weft serve`: starting and ending, every route, and what happens many at a time."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import resource
import signal
import socket

import pytest


def repeated(line, size):
    return (line * (size // len(line) + 1))[:size]


# ---- starting and ending

@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(serve, how):
    assert serve().end(how) == (0, "")


def test_a_signal_ends_it_while_answers_wait(serve):
    site = serve("--latency", "1h")
    with contextlib.closing(site.socket()) as waiting:
        waiting.sendall(b"GET /page/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        while site.stats()["in_flight"] != 1:
            pass
        assert site.end() == (0, "")
        assert waiting.recv(1) == b""


def test_the_end_of_stdin_ends_it_when_asked(serve):
    site = serve("--until-eof")
    assert site.get("/healthz").status == 200
    site.process.stdin.close()
    assert site.process.wait(60) == 0


def test_it_outlives_stdin_by_default(serve):
    site = serve()
    site.process.stdin.close()
    site.process.stdin = None
    assert site.get("/healthz").status == 200
    assert site.end() == (0, "")


def test_the_ready_line_is_all_that_it_prints(serve):
    site = serve()
    site.get("/page/1")
    site.process.terminate()
    out, errors = site.process.communicate(timeout=60)
    assert (out, errors) == ("", "")


def test_a_port_in_use_is_named(serve, weft):
    site = serve()
    run = weft("serve", "--port", str(site.port))
    assert (run.returncode, run.stdout) == (1, "")
    assert f"'127.0.0.1' port {site.port}: Address already in use" in run.stderr


def test_an_address_that_is_none_is_named(weft):
    run = weft("serve", "--port", "0", "--bind", "not.an.address")
    assert run.returncode == 1
    assert "'not.an.address'" in run.stderr


def test_a_root_that_is_no_directory_is_named(weft, tmp_path):
    run = weft("serve", "--port", "0", "--root", str(tmp_path / "missing"))
    assert run.returncode == 1
    assert f"--root: '{tmp_path}/missing': No such file or directory" in run.stderr


def test_an_address_that_others_reach_is_announced(serve):
    site = serve("--bind", "0.0.0.0")
    assert site.url.startswith("http://0.0.0.0:")
    assert site.get("/healthz").status == 200
    code, errors = site.end()
    assert code == 0
    assert "0.0.0.0 is not a loopback address" in errors


def test_ipv6_loopback(serve):
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 loopback")
    site = serve("--bind", "::1")
    assert site.url.startswith("http://[::1]:")
    assert site.get("/healthz").body == b"ok\n"
    assert site.end() == (0, "")


# ---- pages

def test_a_page_holds_its_number_and_has_the_size_chosen(serve):
    site = serve("--latency", "0", "--size", "3k")
    assert site.get("/page/17").body == repeated(b"page 17\n", 3072)
    assert site.get("/page/17?bytes=3").body == b"pag"
    assert site.get("/page/17?bytes=0").body == b""
    assert site.get("/page/18?bytes=1M&ms=1").body == repeated(b"page 18\n", 1 << 20)


def test_a_page_can_be_made_slower_or_faster(serve):
    # The latency of an hour shows that ?ms= replaces it.
    site = serve("--latency", "1h")
    assert site.get("/page/1?ms=0").status == 200
    assert site.get("/page/1?ms=1").status == 200


def test_slow_answers_in_the_end(site):
    assert site.get("/slow/20?bytes=8").body == b"slow 20\n"


def test_big_is_of_known_or_unknown_length(site):
    size = 3_000_001
    known = site.get(f"/big/{size}")
    assert known.getheader("Content-Length") == str(size)
    assert known.body == repeated(b"big 3000001\n", size)
    unknown = site.get(f"/big/{size}?chunked=1")
    assert unknown.getheader("Content-Length") is None
    assert unknown.getheader("Transfer-Encoding") == "chunked"
    assert unknown.body == known.body
    assert site.get("/big/0").body == b""


@pytest.mark.parametrize("size, pieces, ms", [(1000, 10, 1), (7, 3, 1), (5, 100, 0), (0, 1, 1),
                                              (200_000, 2, 1), (9, 0, 1)])
def test_drip_sends_all_of_it(site, size, pieces, ms):
    response = site.get(f"/drip?bytes={size}&pieces={pieces}&ms={ms}")
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert response.body == repeated(f"drip {size}\n".encode(), size)


def test_drip_arrives_in_pieces(site):
    # The second piece is an hour away, so what arrives is the first.
    with site.connect() as connection:
        connection.request("GET", "/drip?bytes=100&pieces=4&ms=3600000")
        response = connection.getresponse()
        assert response.read(25) == repeated(b"drip 100\n", 25)
        assert site.stats()["in_flight"] == 1


def test_echo_shows_the_headers(site):
    body = site.get("/echo", headers={"X-Thread": "blue"}).body
    assert b"X-Thread: blue\n" in body
    assert b"Host: 127.0.0.1" in body


# ---- faults

@pytest.mark.parametrize("code", [200, 201, 404, 418, 429, 500, 503, 599])
def test_status_answers_with_that_status(site, code):
    response = site.get(f"/status/{code}")
    assert response.status == code
    assert response.body == f"status {code}\n".encode()
    assert response.getheader("Retry-After") is None


@pytest.mark.parametrize("code", [204, 205, 304])
def test_some_statuses_have_no_body_and_keep_the_connection(site, code):
    with site.connect() as connection:
        connection.request("GET", f"/status/{code}")
        response = connection.getresponse()
        assert (response.status, response.read()) == (code, b"")
        connection.request("GET", "/page/1?bytes=6")
        assert connection.getresponse().read() == b"page 1"


def test_retry_after_is_passed_on(site):
    assert site.get("/status/429?retry_after=3").getheader("Retry-After") == "3"
    date = "Wed,%2021%20Oct%202065%2007:28:00%20GMT"
    assert (site.get(f"/status/503?retry_after={date}").getheader("Retry-After")
            == "Wed, 21 Oct 2065 07:28:00 GMT")
    assert site.get("/status/503?retry_after=a%0d%0aX-Evil:1").status == 400


def follow(site, path, most=20):
    hops = []
    while len(hops) < most:
        response = site.get(path)
        if response.status // 100 != 3:
            return hops, path, response
        path = response.getheader("Location")
        hops.append(response.status)
    return hops, path, None


def test_redirect_takes_the_hops_that_were_asked_for(site):
    hops, path, response = follow(site, "/redirect/3")
    assert (hops, path, response.status) == ([302] * 3, "/page/0", 200)
    hops, path, response = follow(site, "/redirect/2?to=/page/5%3Fbytes%3D6%26ms%3D0&code=307")
    assert (hops, path, response.body) == ([307] * 2, "/page/5?bytes=6&ms=0", b"page 5")


def test_redirect_leads_elsewhere_or_nowhere(site):
    assert (site.get("/redirect/1?to=http://example.org/").getheader("Location")
            == "http://example.org/")
    hops, path, response = follow(site, "/redirect/loop")
    assert (len(hops), path, response) == (20, "/redirect/loop", None)


def test_flaky_fails_as_often_as_told_for_each_key(site):
    def statuses(path, n):
        return [site.get(path).status for _ in range(n)]

    assert statuses("/flaky/2?key=abc", 4) == [503, 503, 200, 200]
    assert statuses("/flaky/2?key=xyz", 3) == [503, 503, 200]
    assert statuses("/flaky/1?status=429", 2) == [429, 200]
    assert statuses("/flaky/0", 1) == [200]
    assert site.get("/stats/reset").status == 200
    assert statuses("/flaky/2?key=abc", 3) == [503, 503, 200]
    assert site.get("/flaky/1?key=r&retry_after=7").getheader("Retry-After") == "7"


def test_drop_closes_without_an_answer(site):
    with pytest.raises(http.client.RemoteDisconnected):
        site.get("/drop")
    with pytest.raises(http.client.RemoteDisconnected):
        site.get("/drop?ms=1")


def test_drop_can_reset_the_connection(site):
    with contextlib.closing(site.socket()) as client:
        client.sendall(b"GET /drop?reset=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_drop_body_closes_half_way(site):
    with pytest.raises(http.client.IncompleteRead) as cut:
        site.get("/drop/body?bytes=200001")
    assert len(cut.value.partial) == 100_000
    assert cut.value.expected == 100_001


# ---- wrong requests

@pytest.mark.parametrize("path, word", [
    ("/page/x", "'x'"), ("/page/1?bytes=big", "bytes: 'big'"), ("/page/1?bytes=17M", "bytes"),
    ("/page/1?ms=-1", "ms: '-1'"), ("/page/99999999999999999999", "99999999999999999999"),
    ("/slow/soon", "'soon'"), ("/slow/3600001", "3600001"), ("/status/99", "'99'"),
    ("/status/100", "'100'"), ("/status/600", "'600'"), ("/redirect/0", "'0'"),
    ("/redirect/1?code=200", "code"), ("/redirect/1?to=a%0d%0aX:1", "Location"),
    ("/flaky/x", "'x'"), ("/flaky/1?status=200", "status"), ("/big/-1", "'-1'"),
    ("/big/1?chunked=2", "chunked"), ("/drip?pieces=x", "pieces"), ("/drop?reset=x", "reset"),
    ("/drop/body?bytes=x", "bytes"), ("/page/1%00", "%00"),
])
def test_a_wrong_parameter_is_named(site, path, word):
    response = site.get(path)
    assert response.status == 400
    assert word in response.body.decode()


@pytest.mark.parametrize("path", ["/nope", "/page", "/page/", "/drop/", "/files/x", "/statsx"])
def test_an_unknown_path_is_named(site, path):
    response = site.get(path)
    assert response.status == 404
    assert response.body.decode().startswith(path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_and_keep_the_connection(site, method):
    with site.connect() as connection:
        connection.request(method, "/page/1", body=b"x" * 100_000)
        response = connection.getresponse()
        assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")
        response.read()
        connection.request("GET", "/page/1?bytes=6")
        assert connection.getresponse().read() == b"page 1"
        connection.request("GET", "/stats")
        assert json.loads(connection.getresponse().read())["connections"] == 1


@pytest.mark.parametrize("text", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"\x00\xff\r\n\r\n",
                                  b"GET /page/1 HTTP/1.1\r\nHost: x\r\nContent-Length: y\r\n\r\n"])
def test_it_survives_what_is_not_http(site, text):
    with contextlib.closing(site.socket()) as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4096):
            pass
    assert site.get("/healthz").status == 200
    assert site.stats()["in_flight"] == 0


@pytest.mark.parametrize("path", ["/page/1?bytes=1000", "/big/100000", "/big/9?chunked=1", "/drip",
                                  "/status/404", "/status/204", "/drop/body", "/echo"])
def test_head_has_headers_and_nothing_else(site, path):
    with contextlib.closing(site.socket()) as client:
        request = f"HEAD {path} HTTP/1.1\r\nHost: x\r\n"
        client.sendall(f"{request}Connection: close\r\n\r\n".encode())
        text = b""
        while piece := client.recv(65536):
            text += piece
    assert text.startswith(b"HTTP/1.1 ")
    assert text.index(b"\r\n\r\n") == len(text) - 4


def test_head_tells_the_length_and_keeps_the_connection(site):
    with site.connect() as connection:
        for path, size in [("/page/1?bytes=1000", 1000), ("/big/100000", 100_000)]:
            connection.request("HEAD", path)
            head = connection.getresponse()
            assert head.read() == b""
            assert head.getheader("Content-Length") == str(size)
        connection.request("GET", "/stats")
        assert json.loads(connection.getresponse().read())["connections"] == 1


def test_the_front_page_lists_the_routes(site):
    text = site.get("/").body.decode()
    for form in ["/page/N", "/status/CODE", "/drop/body", "/stats"]:
        assert form in text


# ---- many at a time

def test_200_requests_are_in_flight_at_once(serve):
    # Their answers are an hour away, so they are in flight together once the last has arrived.
    site = serve("--latency", "1h")
    with contextlib.ExitStack() as connections:
        for n in range(200):
            connections.enter_context(site.connect()).request("GET", f"/page/{n}")
        while site.stats()["in_flight"] != 200:
            pass
    site.get("/page/200?ms=0")
    stats = site.stats()
    assert stats["requests"] == stats["routes"]["page"] == 201
    assert stats["in_flight_most"] in (200, 201)  # the 200 may still be waiting for their answers
    assert stats["open_most"] >= 200


def test_the_most_in_flight_outlasts_later_requests(site):
    with contextlib.ExitStack() as connections:
        waiting = [connections.enter_context(site.connect()) for _ in range(3)]
        for connection in waiting:
            connection.request("GET", "/page/1?ms=50")
        for connection in waiting:
            connection.getresponse().read()
    most = site.stats()["in_flight_most"]
    site.get("/page/1")
    assert site.stats()["in_flight_most"] == most


def test_no_answer_waits_behind_a_later_one(serve):
    # Every third answer is about an hour away; the others must come, in whatever order they are due.
    site = serve()
    with contextlib.ExitStack() as connections:
        soon = []
        for n in range(120):
            connection = connections.enter_context(site.connect())
            ms = 3_600_000 - n if n % 3 == 0 else n * 37 % 50
            connection.request("GET", f"/page/{n}?bytes=8&ms={ms}")
            if n % 3 != 0:
                soon.append((n, connection))
        for n, connection in soon:
            assert connection.getresponse().read() == repeated(f"page {n}\n".encode(), 8)


def test_200_clients_get_their_own_answers(serve):
    site = serve()  # with the default latency, so that answers overlap

    def fetch(n):
        return site.get(f"/page/{n}?bytes=100").body == repeated(f"page {n}\n".encode(), 100)

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        assert all(pool.map(fetch, range(1000)))
    stats = site.stats()
    assert (stats["requests"], stats["in_flight"]) == (1000, 0)


def test_serial_requests_are_counted_as_such(site):
    with site.connect() as connection:
        for n in range(50):
            connection.request("GET", f"/page/{n}")
            assert connection.getresponse().read() == repeated(f"page {n}\n".encode(), 1024)
    stats = site.stats()
    assert (stats["requests"], stats["in_flight_most"]) == (50, 1)
    assert stats["connections"] == 2  # kept alive: one for all pages, one for the statistics


def test_stats_can_be_reset(site):
    site.get("/page/1")
    site.get("/nope")
    assert site.stats()["routes"]["other"] == 1
    site.get("/stats/reset")
    stats = site.stats()
    assert (stats["requests"], stats["in_flight_most"]) == (0, 0)
    assert set(stats["routes"].values()) == {0}


def test_connections_above_the_limit_wait_their_turn(serve):
    site = serve("--latency", "0", "--connections-max", "2")
    with site.connect() as first, site.connect() as second, site.connect() as third:
        for connection in (first, second):
            connection.request("GET", "/page/1")
            connection.getresponse().read()
        third.request("GET", "/page/3?bytes=6")  # accepted by the kernel, not yet by the server
        first.request("GET", "/stats")
        assert json.loads(first.getresponse().read())["connections"] == 2
        second.close()
        assert third.getresponse().read() == b"page 3"
        first.request("GET", "/stats")
        assert json.loads(first.getresponse().read())["open_most"] == 2


def test_a_limit_beyond_the_system_s_is_named(weft):
    run = weft("serve", "--port", "0", "--connections-max", "5000",
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    assert run.returncode == 1
    assert "--connections-max 5000" in run.stderr and "256" in run.stderr


def test_clients_that_leave_do_no_harm(serve):
    site = serve("--latency", "20ms")
    for path in ["/page/1", "/big/1G", "/drip?ms=5", "/drop", "/slow/10"] * 10:
        with contextlib.closing(site.socket()) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    while site.stats()["in_flight"] != 0:
        pass
    assert site.stats()["requests"] == 50


def test_requests_may_be_pipelined(site):
    with contextlib.closing(site.socket()) as client:
        client.sendall(b"".join(b"GET /page/%d?ms=%d&bytes=7 HTTP/1.1\r\nHost: x\r\n\r\n" % (n, n % 3)
                                for n in range(9)) +
                       b"GET /page/9?bytes=7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := client.recv(65536):
            text += piece
    assert [line for line in text.splitlines() if line.startswith(b"page")] == \
        [b"page %d" % n for n in range(10)]


# ---- a directory

@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    (root / "sub dir").mkdir(parents=True)
    (root / "bare").mkdir()
    (root / "index.html").write_text("<p>front")
    (root / "sub dir" / "index.html").write_text("<p>sub")
    (root / "small.txt").write_text("small")
    (root / "empty").touch()
    (root / "large.bin").write_bytes(repeated(b"0123456789abcdef\n", 1_000_003))
    (tmp_path / "secret").write_text("secret")
    (root / "inside").symlink_to("small.txt")
    (root / "out").symlink_to("../secret")
    (root / "absolute").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "fifo")
    return root


def test_a_directory_is_served(serve, tree):
    site = serve("--root", str(tree))
    for prefix in ["/", "/files/"]:
        small = site.get(prefix + "small.txt")
        assert (small.status, small.body) == (200, b"small")
        assert small.getheader("Content-Length") == "5"
        assert small.getheader("Content-Type") == "text/plain; charset=utf-8"
        large = site.get(prefix + "large.bin")
        assert large.getheader("Content-Length") == "1000003"
        assert large.body == (tree / "large.bin").read_bytes()
        assert site.get(prefix + "empty").body == b""
        assert site.get(prefix + "inside").body == b"small"
        assert site.get(prefix + "sub%20dir/").body == b"<p>sub"
        assert site.get(prefix + "sub%20dir/../small.txt").body == b"small"
    assert site.get("/").body == b"<p>front"
    assert site.get("/page/1?ms=0&bytes=6").body == b"page 1"
    head = site.get("/large.bin", method="HEAD")
    assert (head.getheader("Content-Length"), head.body) == ("1000003", b"")


def test_a_directory_without_its_slash_is_redirected(serve, tree):
    site = serve("--root", str(tree))
    response = site.get("/sub%20dir")
    assert (response.status, response.getheader("Location")) == (301, "/sub%20dir/")
    assert site.get("//sub%20dir").getheader("Location") == "/sub%20dir/"


@pytest.mark.parametrize("path", [
    "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/bare/../../secret", "/files/../secret",
    "/files/../../secret", "//../secret", "/out", "/absolute", "/up/secret", "/up/", "/loop",
    "/fifo", "/files//../secret", "/files/%2fetc/passwd", "/%2fetc%2fpasswd",
])
def test_nothing_outside_the_directory_is_served(serve, tree, path):
    response = serve("--root", str(tree)).get(path)
    assert response.status in (403, 404)
    assert response.body != b"secret"
    assert b"root:" not in response.body


@pytest.mark.parametrize("path", ["/missing", "/small.txt/x", "/bare/", "/" + "x" * 300])
def test_a_missing_file_is_named(serve, tree, path):
    response = serve("--root", str(tree)).get(path)
    assert response.status == 404
    assert response.body.decode().startswith(path)


def test_a_nul_does_not_cut_a_file_name(serve, tree):
    assert serve("--root", str(tree)).get("/small.txt%00.png").status == 400
