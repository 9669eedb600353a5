/* SPDX-License-Identifier: MIT */
/* Datagrams: whole, cut off with a word, late, and between families. */
#include <stdlib.h>

#include <weft/datagram.h>

#include "streams.h"

static weft_datagram *server, *client;
static char at_server[WEFT_ADDRESS_BYTES], at_client[WEFT_ADDRESS_BYTES];

static void open_at(weft_datagram **ret, const char *at, char text[WEFT_ADDRESS_BYTES])
{
    int rc = weft_datagram_open(ret, at);
    if (at && strchr(at, '[') && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))
        SKIP("this system has no IPv6");
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(weft_datagram_address(*ret, text, WEFT_ADDRESS_BYTES), 0);
}

static void close_both(void)
{
    weft_datagram_close(server);
    weft_datagram_close(client);
}

static ssize_t send_text(const char *text)
{
    return weft_datagram_send(client, at_server, text, strlen(text), WEFT_FOREVER);
}

static void echo(size_t index)
{
    char data[100], from[WEFT_ADDRESS_BYTES];
    ssize_t n;
    (void)index;
    do {
        n = weft_datagram_receive(server, data, sizeof data, from, sizeof from, WEFT_FOREVER);
        EXPECT_GE(n, 0);
        EXPECT_EQ(weft_datagram_send(server, from, data, (size_t)n, WEFT_FOREVER), n);
    } while (n);
}

static void expect_echo(const char *text)
{
    char data[100] = "", from[WEFT_ADDRESS_BYTES];
    ssize_t n = (ssize_t)strlen(text);
    EXPECT_EQ(send_text(text), n);
    EXPECT_EQ(weft_datagram_receive(client, data, sizeof data, from, sizeof from, WEFT_FOREVER), n);
    EXPECT_STR(data, text);
    EXPECT_STR(from, at_server);
}

static void echo_between(const char *at_one, const char *at_other)
{
    open_at(&server, at_one, at_server);
    open_at(&client, at_other, at_client);
    struct strands *strand = strands_start(1, echo);
    expect_echo("hello");
    expect_echo("hello again");
    expect_echo("");
    strands_join(strand);
    close_both();
}

TEST(it_echoes_over_ipv4)
{
    echo_between("127.0.0.1:0", "udp:127.0.0.1:0");
}

TEST(it_echoes_over_ipv6)
{
    echo_between("[::1]:0", "[::1]:0");
}

TEST(it_echoes_between_an_ipv4_and_a_dual_stack_socket)
{
    echo_between("127.0.0.1:0", NULL);
}

TEST(it_echoes_over_unix_sockets)
{
    char other[WEFT_ADDRESS_BYTES + 8];
    snprintf(other, sizeof other, "%s-other", unix_address());
    echo_between(unix_address(), other);
}

static void receive_too_long(size_t index)
{
    char data[6] = "", from[WEFT_ADDRESS_BYTES] = "";
    (void)index;
    EXPECT_EQ(weft_datagram_receive(server, data, 5, from, sizeof from, WEFT_FOREVER), -EMSGSIZE);
    EXPECT_STR(data, "trunc");
    EXPECT_STR(from, at_client);
    EXPECT_EQ(weft_datagram_receive(server, data, 5, NULL, 0, WEFT_FOREVER), 5);
    EXPECT_STR(data, "short");
    EXPECT_EQ(weft_datagram_receive(server, data, 5, NULL, 0, WEFT_NOW), -ETIMEDOUT);
}

TEST(what_is_too_long_is_told_and_cut)
{
    static char huge[70000];
    open_at(&server, "127.0.0.1:0", at_server);
    open_at(&client, "127.0.0.1:0", at_client);
    EXPECT_EQ(send_text("truncated"), 9);
    EXPECT_EQ(send_text("short"), 5);
    in_strand(receive_too_long);
    EXPECT_EQ(weft_datagram_send(client, at_server, huge, sizeof huge, WEFT_FOREVER), -EMSGSIZE);
    close_both();
}

/* ---- early ends */

static ssize_t receive_until(weft_deadline deadline)
{
    char data[10];
    return weft_datagram_receive(server, data, sizeof data, NULL, 0, deadline);
}

static void be_late(size_t index)
{
    weft_scope scope;
    (void)index;
    EXPECT_EQ(receive_until(WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(receive_until(weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(receive_until(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

static void be_cancelled(size_t index)
{
    (void)index;
    about_to_wait();
    EXPECT_EQ(receive_until(WEFT_FOREVER), -ECANCELED);
}

TEST(receiving_ends_at_its_deadline)
{
    open_at(&server, "127.0.0.1:0", at_server);
    in_strand(be_late);
    weft_datagram_close(server);
}

TEST(receiving_is_cancelled_and_loses_nothing)
{
    strands_must_be_cancellable();
    open_at(&server, "127.0.0.1:0", at_server);
    open_at(&client, NULL, at_client);
    struct strands *strand = strands_start(1, be_cancelled);
    until_it_waits();
    strands_cancel_all(strand);
    strands_join(strand);
    EXPECT_EQ(send_text("hello"), 5);
    EXPECT_EQ(receive_until(WEFT_FOREVER), 5);
    close_both();
}

static atomic_uint sent;

static void send_until_full(size_t index)
{
    ssize_t n;
    (void)index;
    atomic_store(&sent, 0);
    while ((n = weft_datagram_send(client, at_server, "x", 1, weft_after(WEFT_MS))) == 1)
        atomic_fetch_add(&sent, 1);
    EXPECT_EQ(n, -ETIMEDOUT);
    EXPECT_EQ(weft_datagram_send(client, at_server, "x", 1, WEFT_NOW), -ETIMEDOUT);
    about_to_wait();
    EXPECT_EQ(weft_datagram_send(client, at_server, "x", 1, WEFT_FOREVER), 1);
    atomic_fetch_add(&sent, 1);
}

TEST(a_unix_receiver_without_room_makes_the_sender_wait)
{
    open_at(&server, unix_address(), at_server);
    char other[WEFT_ADDRESS_BYTES + 8];
    snprintf(other, sizeof other, "%s-other", unix_address());
    open_at(&client, other, at_client);
    struct strands *strand = strands_start(1, send_until_full);
    until_it_waits();
    EXPECT_EQ(receive_until(WEFT_FOREVER), 1);
    strands_join(strand);
    for (unsigned got = 1; got < atomic_load(&sent); got++)
        EXPECT_EQ(receive_until(WEFT_NOW), 1);
    EXPECT_EQ(receive_until(WEFT_NOW), -ETIMEDOUT);
    close_both();
}

/* ---- addresses */

TEST(what_cannot_be_sent_is_told)
{
    char from[WEFT_ADDRESS_BYTES];
    open_at(&client, "127.0.0.1:0", at_client);
    const struct {
        const char *to;
        int error;
    } cases[] = {
        { "[::1]:9", -EAFNOSUPPORT },   { "unix:@nobody", -EAFNOSUPPORT },
        { "tcp:127.0.0.1:9", -EINVAL }, { "127.0.0.1:0", -EDESTADDRREQ },
        { "*:9", -EDESTADDRREQ },       { "127.0.0.1", -EINVAL },
        { "127.0.0.1:99999", -ERANGE }, { NULL, -EINVAL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EXPECT_EQ(weft_datagram_send(client, cases[i].to, "x", 1, WEFT_FOREVER), cases[i].error);
    EXPECT_EQ(weft_datagram_receive(client, from, 1, from, 10, WEFT_FOREVER), -ENOSPC);
    weft_datagram_close(client);
    weft_datagram_close(NULL);
}

TEST(nobody_there_is_told_for_unix)
{
    char nobody[WEFT_ADDRESS_BYTES + 8];
    open_at(&client, unix_address(), at_client);
    snprintf(nobody, sizeof nobody, "%s-nobody", unix_address());
    EXPECT_EQ(weft_datagram_send(client, nobody, "x", 1, WEFT_FOREVER), -ECONNREFUSED);
    EXPECT_EQ(weft_datagram_send(client, "unix:/nowhere/at/all", "x", 1, WEFT_FOREVER), -ENOENT);
    weft_datagram_close(client);
}
