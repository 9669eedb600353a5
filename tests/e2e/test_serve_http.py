# SPDX-License-Identifier: MIT
"""`weft serve` as a speaker of HTTP/1.1: what a request may look like, limits, time-outs, its end."""

import contextlib
import http.client
import re

import pytest


def exchange(site, text):
    """Sends text and returns all that comes back until the server closes."""
    with contextlib.closing(site.socket()) as client:
        client.sendall(text)
        return read_all(client)


def read_all(client):
    answer = b""
    while piece := client.recv(65536):
        answer += piece
    return answer


def read_until(client, end):
    answer = b""
    while not answer.endswith(end):
        piece = client.recv(1)
        assert piece, answer
        answer += piece
    return answer


def status_of(answer):
    return int(re.match(rb"HTTP/1\.1 (\d{3}) [A-Z]", answer)[1])


# ---- requests

def test_an_address_may_name_the_host(site):
    answer = exchange(site, b"GET http://elsewhere:80/page/1?bytes=6 HTTP/1.1\r\nHost: x\r\n"
                            b"Connection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\npage 1")
    answer = exchange(site, b"GET http://elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 200 and b"/page/N" in answer


def test_the_first_of_equal_parameters_counts_and_escapes_are_decoded(site):
    assert site.get("/page/7?bytes=6&bytes=3").body == b"page 7"
    assert site.get("/p%61ge/7?b%79tes=%36").body == b"page 7"
    assert site.get("/page/7?bytes").body == site.get("/page/7").body
    assert site.get("/status/200%zz").body.startswith(b"/status/200%zz: ")
    location = site.get("/redirect/1?to=/a+b%2Bc%26d").getheader("Location")
    assert location == "/a b+c&d"


def test_a_header_may_be_folded_empty_or_in_pieces(site):
    with contextlib.closing(site.socket()) as client:
        for piece in (b"GET /ec", b"ho HT", b"TP/1.1\r\nHo", b"st: x\r", b"\nX-Folded: one\r\n",
                      b"  two \t\r\nX-Empty:\r\nX-Bl", b"anks: \t a b", b" c  \r\nConnection: close\r",
                      b"\n\r", b"\n"):
            client.sendall(piece)
        answer = read_all(client)
    body = answer.split(b"\r\n\r\n", 1)[1]
    lines = [line.split() for line in body.splitlines()]
    assert lines == [[b"Host:", b"x"], [b"X-Folded:", b"one", b"two"], [b"X-Empty:"],
                     [b"X-Blanks:", b"a", b"b", b"c"], [b"Connection:", b"close"]]
    assert b"X-Blanks: a b c\n" in body and b"X-Empty: \n" in body


def test_a_chunked_body_with_trailers_is_read_to_its_end(site):
    answer = exchange(site, b"POST /page/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"5\r\nhello\r\n1;name=value\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n"
                            b"GET /page/2?bytes=6 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 405
    assert answer.endswith(b"\r\n\r\npage 2")


def test_who_asks_whether_to_send_a_body_is_told_to(site):
    with contextlib.closing(site.socket()) as client:
        client.sendall(b"PUT /page/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                       b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert read_until(client, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        assert status_of(read_all(client)) == 405


def test_an_upgrade_is_not_taken(site):
    answer = exchange(site, b"GET /page/1?bytes=6 HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n"
                            b"Connection: Upgrade\r\n\r\n"
                            b"GET /page/2?bytes=6 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answer.endswith(b"page 2")


def test_http_1_0_is_answered_in_its_way(site):
    answer = exchange(site, b"GET /page/1?bytes=6 HTTP/1.0\r\n\r\n")
    assert b"Connection: close\r\n" in answer and answer.endswith(b"\r\n\r\npage 1")
    answer = exchange(site, b"GET /page/1?bytes=6 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                            b"GET /drip?bytes=9&ms=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert answer.count(b"Connection: keep-alive\r\n") == 1
    assert b"chunked" not in answer
    assert answer.endswith(b"\r\n\r\ndrip 9\ndr")


def test_every_answer_has_a_date(site):
    for path in ("/page/1", "/status/204", "/nope"):
        date = site.get(path).getheader("Date")
        assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", date)


# ---- refusals

@pytest.mark.parametrize("text, status", [
    (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: 1\r\n" * 100 + b"\r\n", 431),
    (b"GET /?" + b"&" * 32 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741825\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"GET /\r\n\r\n", 505),
    (b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
])
def test_what_is_refused_is_told_why_and_closed(site, text, status):
    answer = exchange(site, text)
    assert status_of(answer) == status
    assert b"\r\nConnection: close\r\n" in answer
    while site.stats()["open"] != 1:  # the one that asks
        pass


def test_what_is_just_allowed_is_served(site):
    assert site.get("/echo", headers={f"X{n}": "1" for n in range(90)}).status == 200
    assert site.get("/echo", headers={"X": "x" * 30_000}).status == 200
    assert site.get("/page/1?" + "&" * 30 + "bytes=6").body == b"page 1"


# ---- clients that keep it waiting

def test_an_idle_client_is_let_go(serve):
    site = serve("--latency", "0", "--timeout", "50ms")
    assert exchange(site, b"") == b""
    answer = exchange(site, b"GET /page/1?bytes=6 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\npage 1")


@pytest.mark.parametrize("text", [b"GET /page/1 HT", b"GET /page/1 HTTP/1.1\r\nHost: x\r\n",
                                  b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n123"])
def test_half_a_request_is_answered_in_the_end(serve, text):
    site = serve("--timeout", "50ms")
    assert status_of(exchange(site, text)) == 408
    assert site.stats()["in_flight"] == 0


def test_a_client_that_takes_nothing_is_let_go(serve):
    site = serve("--timeout", "50ms")
    with contextlib.closing(site.socket()) as client:
        client.sendall(b"GET /big/1G HTTP/1.1\r\nHost: x\r\n\r\n")
        while site.stats()["routes"]["big"] != 1:
            pass
        while site.stats()["in_flight"] != 0:
            pass


def test_the_time_does_not_run_while_an_answer_waits(serve):
    site = serve("--timeout", "20ms")
    assert site.get("/slow/100?bytes=8").body == b"slow 100"


# ---- the end

def test_what_is_being_sent_is_sent_before_it_ends(serve):
    site = serve("--latency", "0")
    with site.connect() as connection:
        connection.request("GET", "/page/1?bytes=16M")
        while site.stats()["in_flight"] != 1:
            pass
        site.process.terminate()
        body = connection.getresponse().read()
    assert len(body) == 16 << 20
    assert site.process.wait(60) == 0


def test_who_takes_nothing_does_not_keep_it_from_ending(serve):
    site = serve("--latency", "0")
    with site.connect() as connection:
        connection.request("GET", "/big/1G")
        while site.stats()["in_flight"] != 1:
            pass
        assert site.end() == (0, "")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()
