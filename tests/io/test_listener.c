/* SPDX-License-Identifier: MIT */
/* Listeners: accepting, ending, and running out of descriptors without losing a connection. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "streams.h"

static int accept_now(weft_stream **ret)
{
    return weft_listener_accept(listener, ret, WEFT_NOW);
}

static void meet(size_t index)
{
    weft_stream *stream;
    char byte = 0;
    if (index == 0) {
        EXPECT_EQ(weft_listener_accept(listener, &stream, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_stream_write(stream, "x", 1, WEFT_FOREVER), 1);
    } else {
        EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_stream_read(stream, &byte, 1, WEFT_FOREVER), 1);
        EXPECT_EQ(byte, 'x');
    }
    weft_stream_close(stream);
}

TEST(strands_meet)
{
    const char *at[] = { "127.0.0.1:0", "tcp:127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 3; i++) {
        listen_at(at[i], 0);
        strands_join(strands_start(2, meet));
        weft_listener_close(listener);
    }
}

static int no_delay(weft_stream *stream)
{
    int value = 0;
    socklen_t size = sizeof value;
    EXPECT_EQ(getsockopt(weft_stream_fd(stream), IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    return value;
}

TEST(both_ends_send_at_once_and_are_not_inherited)
{
    weft_stream *dialled, *accepted;
    listen_at("127.0.0.1:0", 0);
    EXPECT_EQ(weft_stream_dial(&dialled, address, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_listener_accept(listener, &accepted, WEFT_FOREVER), 0);
    EXPECT_NE(no_delay(dialled), 0);
    EXPECT_NE(no_delay(accepted), 0);
    EXPECT_EQ(fcntl(weft_stream_fd(dialled), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(weft_stream_fd(accepted), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(weft_listener_fd(listener), F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(fcntl(weft_stream_fd(accepted), F_GETFL) & O_NONBLOCK);
    weft_stream_close(dialled);
    weft_stream_close(accepted);
    weft_listener_close(listener);
}

/* ---- early ends */

static int accept_until(weft_deadline deadline)
{
    weft_stream *stream;
    return weft_listener_accept(listener, &stream, deadline);
}

static void be_late(size_t index)
{
    weft_scope scope;
    (void)index;
    EXPECT_EQ(accept_until(WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(accept_until(weft_after(WEFT_MS)), -ETIMEDOUT);
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    EXPECT_EQ(accept_until(WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

static void be_cancelled(size_t index)
{
    (void)index;
    about_to_wait();
    EXPECT_EQ(accept_until(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(accept_until(weft_after(1000 * WEFT_S)), -ECANCELED);
}

static void be_shut_down(size_t index)
{
    (void)index;
    about_to_wait();
    EXPECT_EQ(accept_until(WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(accept_until(WEFT_FOREVER), -EPIPE);
}

TEST(an_accept_ends_at_its_deadline)
{
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        listen_at(at[i], 0);
        in_strand(be_late);
        weft_listener_close(listener);
    }
}

TEST(an_accept_is_cancelled_and_loses_no_connection)
{
    strands_must_be_cancellable();
    weft_stream *dialled, *accepted;
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        listen_at(at[i], 0);
        struct strands *strand = strands_start(1, be_cancelled);
        until_it_waits();
        strands_cancel_all(strand);
        strands_join(strand);
        EXPECT_EQ(weft_stream_dial(&dialled, address, WEFT_FOREVER), 0);
        EXPECT_EQ(accept_now(&accepted), 0);
        weft_stream_close(dialled);
        weft_stream_close(accepted);
        weft_listener_close(listener);
    }
}

TEST(a_shut_down_listener_ends_its_accepts_and_refuses)
{
    weft_stream *stream;
    const char *at[] = { "127.0.0.1:0", unix_address() };
    for (size_t i = 0; i < 2; i++) {
        listen_at(at[i], 0);
        struct strands *strand = strands_start(1, be_shut_down);
        until_it_waits();
        weft_listener_shutdown(listener);
        strands_join(strand);
        EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), -ECONNREFUSED);
        weft_listener_close(listener);
    }
}

/* ---- running out of descriptors */

static void accept_after_shortage(size_t index)
{
    weft_stream *stream;
    (void)index;
    rlim_t before = use_up_descriptors();
    EXPECT_EQ(accept_until(WEFT_FOREVER), -EMFILE);
    int64_t failed_ns = weft_now();
    EXPECT_EQ(accept_until(WEFT_NOW), -EMFILE); /* does not wait, not even for that */
    give_descriptors_back(before);
    EXPECT_EQ(weft_listener_accept(listener, &stream, WEFT_FOREVER), 0);
    EXPECT_GE(weft_now(), failed_ns + 9 * WEFT_MS); /* waited: a loop does not spin */
    weft_stream_close(stream);
}

TEST(without_descriptors_a_connection_waits_for_better_times)
{
    weft_stream *stream;
    if (HARNESS_VALGRIND)
        SKIP("valgrind accepts beyond the limit, and closes what it has accepted");
    listen_at("127.0.0.1:0", 0);
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), 0);
    in_strand(accept_after_shortage);
    weft_stream_close(stream);
    weft_listener_close(listener);
}

TEST(without_descriptors_nothing_is_opened)
{
    weft_stream *stream;
    weft_listener *other;
    listen_at("127.0.0.1:0", 0);
    rlim_t before = use_up_descriptors();
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), -EMFILE);
    EXPECT_EQ(weft_listener_open(&other, "127.0.0.1:0", 0), -EMFILE);
    give_descriptors_back(before);
    weft_listener_close(listener);
}

/* ---- addresses */

TEST(a_port_in_use_is_told)
{
    weft_listener *other;
    listen_at("127.0.0.1:0", 0);
    EXPECT_EQ(weft_listener_open(&other, address, 0), -EADDRINUSE);
    EXPECT_EQ(weft_listener_open(&other, "192.0.2.1:0", 0), -EADDRNOTAVAIL);
    weft_listener_close(listener);
    listen_at(address, 0); /* at once: what is left of it does not count */
    weft_listener_close(listener);
}

static void dial_port(const char *host, weft_stream **ret)
{
    char text[WEFT_ADDRESS_BYTES];
    snprintf(text, sizeof text, "%s%s", host, strrchr(address, ':'));
    EXPECT_EQ(weft_stream_dial(ret, text, WEFT_FOREVER), 0);
}

TEST(every_address_means_ipv4_too)
{
    weft_stream *dialled, *accepted;
    char peer[WEFT_ADDRESS_BYTES], mine[WEFT_ADDRESS_BYTES];
    const char *at[] = { "*:0", ":0" };
    for (size_t i = 0; i < 2; i++) {
        listen_at(at[i], 0);
        dial_port("127.0.0.1", &dialled);
        EXPECT_EQ(weft_listener_accept(listener, &accepted, WEFT_FOREVER), 0);
        EXPECT_EQ(weft_stream_peer(accepted, peer, sizeof peer), 0);
        EXPECT_EQ(weft_stream_address(dialled, mine, sizeof mine), 0);
        EXPECT_STR(peer, mine);
        weft_stream_close(dialled);
        weft_stream_close(accepted);
        weft_listener_close(listener);
    }
}

static char folder[] = "/tmp/weft-test-XXXXXX";
static char path[200], at_path[210];

static void make_folder(void)
{
    EXPECT_TRUE(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(at_path, sizeof at_path, "unix:%s", path);
}

TEST(a_unix_path_goes_with_its_listener)
{
    weft_listener *other;
    weft_stream *stream;
    struct stat stat;
    make_folder();
    EXPECT_EQ(weft_stream_dial(&stream, at_path, WEFT_FOREVER), -ENOENT);
    listen_at(at_path, 0);
    EXPECT_STR(address, at_path);
    EXPECT_EQ(weft_listener_open(&other, at_path, 0), -EADDRINUSE);
    EXPECT_EQ(weft_stream_dial(&stream, at_path, WEFT_FOREVER), 0);
    weft_stream_close(stream);
    weft_listener_close(listener);
    EXPECT_EQ(lstat(path, &stat), -1);
    EXPECT_EQ(rmdir(folder), 0);
}

TEST(a_path_that_is_another_s_by_now_stays)
{
    weft_stream *stream;
    make_folder();
    listen_at(at_path, 0);
    EXPECT_EQ(unlink(path), 0);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
    weft_listener_close(listener);
    EXPECT_EQ(weft_stream_dial(&stream, at_path, WEFT_FOREVER), -ECONNREFUSED);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(rmdir(folder), 0);
    close(fd);
}

TEST(a_socket_that_listens_can_be_adopted)
{
    weft_stream *dialled, *accepted;
    weft_listener *other = NULL;
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    EXPECT_EQ(weft_listener_adopt(&other, fd), -EINVAL);
    EXPECT_EQ(weft_listener_adopt(&other, 1), -ENOTSOCK);
    EXPECT_EQ(weft_listener_adopt(&other, -1), -EBADF);
    EXPECT_TRUE(other == NULL);
    EXPECT_EQ(listen(fd, 1), 0);
    EXPECT_EQ(weft_listener_adopt(&listener, fd), 0);
    EXPECT_EQ(weft_listener_fd(listener), fd);
    EXPECT_EQ(weft_listener_address(listener, address, sizeof address), 0);
    EXPECT_EQ(weft_stream_dial(&dialled, address, WEFT_FOREVER), 0);
    EXPECT_EQ(accept_now(&accepted), 0);
    weft_stream_close(dialled);
    weft_stream_close(accepted);
    weft_listener_close(listener);
    weft_listener_close(NULL);
}

TEST(nobody_there_is_told)
{
    weft_stream *stream;
    listen_at("127.0.0.1:0", 0);
    weft_listener_close(listener);
    EXPECT_EQ(weft_stream_dial(&stream, address, WEFT_FOREVER), -ECONNREFUSED);
    EXPECT_EQ(weft_stream_dial(&stream, unix_address(), WEFT_FOREVER), -ECONNREFUSED);
}
