/* SPDX-License-Identifier: MIT */
/* Every operation of the reactor, at once and after a wait, and how it can end. Over the back end
 * that WEFT_IO names. */
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "reactors.h"

static char buffer[64];
static char hello[] = "hello";

/* Opening */

TEST(the_environment_chooses_the_back_end)
{
    const char *wanted = getenv("WEFT_IO");
    open_reactor();
    if (wanted)
        EXPECT_STR(reactor->ops->name, wanted);
    close_reactor();
    setenv("WEFT_IO", "abacus", 1);
    EXPECT_EQ(reactor_open(&reactor), -EINVAL);
    unsetenv("WEFT_IO");
    open_reactor();
    close_reactor();
}

TEST(no_identity_comes_twice)
{
    EXPECT_NE(io_identity(), 0);
    EXPECT_NE(io_identity(), io_identity());
}

/* Receiving and sending */

TEST(what_is_there_is_received)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op put = send_op(ends[0], "hello", 5), got = recv_op(ends[1], buffer, 64);
    EXPECT_EQ(run(&put), 5);
    EXPECT_EQ(run(&got), 5);
    EXPECT_MEM(buffer, "hello", 5);
    close_pair(ends);
    close_reactor();
}

static void a_receiver_waits(void (*pair)(struct end[2]), uint64_t identity)
{
    struct end ends[2];
    open_reactor();
    pair(ends);
    ends[1].identity *= identity;
    for (int i = 0; i < 20; i++) {
        struct test_op got = recv_op(ends[1], buffer, 64), put = send_op(ends[0], "hello", 5);
        start_and_wait_in_vain(&got);
        EXPECT_EQ(reactor->under_way, 1);
        EXPECT_EQ(run(&put), 5);
        until_ended(&got);
        EXPECT_EQ(got.op.result, 5);
    }
    close_pair(ends);
    close_reactor();
}

TEST(a_receiver_waits_for_tcp)
{
    a_receiver_waits(tcp_pair, 1);
}

TEST(a_receiver_waits_for_a_unix_socket)
{
    a_receiver_waits(unix_pair, 1);
}

TEST(a_receiver_waits_without_identity)
{
    a_receiver_waits(tcp_pair, 0);
}

/* More than the sockets hold; both directions of both sockets at once. */
static void a_lot_goes_both_ways(void (*pair)(struct end[2]))
{
    enum { SIZE = 1 << 22, PART = 100000 };
    static char data[SIZE], parts[2][PART];
    struct test_op put[2], got[2];
    size_t sent[2] = { 0 }, received[2] = { 0 };
    struct end ends[2];
    open_reactor();
    pair(ends);
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 % 251);
    for (int i = 0; i < 2; i++)
        put[i].ended = got[i].ended = -1;
    while (received[0] < SIZE || received[1] < SIZE) {
        for (int i = 0; i < 2; i++) {
            if (put[i].ended == 1)
                sent[i] += (size_t)put[i].op.result;
            if (put[i].ended && sent[i] < SIZE) {
                put[i] = send_op(ends[i], data + sent[i], SIZE - sent[i]);
                start(&put[i]);
            } else if (put[i].ended == 1) {
                put[i].ended = -1;
            }
            if (got[i].ended == 1) {
                EXPECT_GT(got[i].op.result, 0);
                EXPECT_MEM(parts[i], data + received[i], (size_t)got[i].op.result);
                received[i] += (size_t)got[i].op.result;
            }
            if (got[i].ended && received[i] < SIZE) {
                got[i] = recv_op(ends[i], parts[i], PART);
                start(&got[i]);
            } else if (got[i].ended == 1) {
                got[i].ended = -1;
            }
        }
        if (!put[0].ended && !put[1].ended && !got[0].ended && !got[1].ended)
            reactor->ops->wait(reactor, WEFT_FOREVER);
        else
            reactor->ops->wait(reactor, WEFT_NOW);
    }
    close_pair(ends);
    close_reactor();
}

TEST(a_lot_goes_both_ways_over_tcp)
{
    a_lot_goes_both_ways(tcp_pair);
}

TEST(a_lot_goes_both_ways_over_unix_sockets)
{
    a_lot_goes_both_ways(unix_pair);
}

TEST(messages_carry_what_they_say)
{
    struct end ends[2];
    char more[64];
    struct iovec out[2] = { { (char[]){ "hel" }, 3 }, { (char[]){ "lo" }, 2 } },
                 in[2] = { { buffer, 2 }, { more, 64 } };
    struct msghdr sent = { .msg_iov = out, .msg_iovlen = 2 };
    struct msghdr received = { .msg_iov = in, .msg_iovlen = 2 };
    open_reactor();
    unix_pair(ends);
    struct test_op got = with_data(IO_RECVMSG, ends[0], NULL, 0);
    struct test_op put = with_data(IO_SENDMSG, ends[1], NULL, 0);
    got.op.message = &received;
    put.op.message = &sent;
    start_and_wait_in_vain(&got);
    EXPECT_EQ(run(&put), 5);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 5);
    EXPECT_MEM(buffer, "he", 2);
    EXPECT_MEM(more, "llo", 3);
    close_pair(ends);
    close_reactor();
}

TEST(flags_are_passed_on)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op put = send_op(ends[0], "ab", 2), peek = recv_op(ends[1], buffer, 64);
    struct test_op got = recv_op(ends[1], buffer, 64);
    peek.op.flags = MSG_PEEK;
    start_and_wait_in_vain(&peek);
    EXPECT_EQ(run(&put), 2);
    until_ended(&peek);
    EXPECT_EQ(peek.op.result, 2);
    EXPECT_EQ(run(&got), 2);
    close_pair(ends);
    close_reactor();
}

/* Short reads stop at the urgent mark with more behind it. */
TEST(urgent_data_holds_nothing_back)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op first = recv_op(ends[1], buffer, 64), second = first;
    start_and_wait_in_vain(&first);
    EXPECT_EQ(send(ends[0].fd, "abc!", 4, MSG_OOB), 4);
    EXPECT_EQ(send(ends[0].fd, "def", 3, 0), 3);
    until_ended(&first);
    EXPECT_EQ(first.op.result, 3);
    EXPECT_EQ(run(&second), 3);
    EXPECT_MEM(buffer, "def", 3);
    close_pair(ends);
    close_reactor();
}

TEST(the_end_of_a_connection_is_received_with_and_after_data)
{
    struct end ends[2];
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(send(ends[0].fd, "bye", 3, 0), 3);
    EXPECT_EQ(shutdown(ends[0].fd, SHUT_WR), 0);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 3);
    EXPECT_EQ(run(&got), 0);
    EXPECT_EQ(run(&got), 0);
    close_pair(ends);
    close_reactor();
}

TEST(a_reset_is_an_error_and_no_signal)
{
    struct end ends[2];
    struct linger at_once = { .l_onoff = 1 };
    open_reactor();
    tcp_pair(ends);
    struct test_op got = recv_op(ends[1], buffer, 64), put = send_op(ends[1], "x", 1);
    start_and_wait_in_vain(&got);
    EXPECT_EQ(setsockopt(ends[0].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(ends[0].fd);
    until_ended(&got);
    EXPECT_EQ(got.op.result, -ECONNRESET);
    EXPECT_EQ(run(&put), -EPIPE);
    close(ends[1].fd);
    close_reactor();
}

TEST(a_datagram_that_is_shorter_than_the_buffer_is_not_the_last)
{
    struct end ends[2];
    int fds[2];
    open_reactor();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ends[0] = owned(fds[0]);
    ends[1] = owned(fds[1]);
    struct test_op got = recv_op(ends[1], buffer, 64);
    start_and_wait_in_vain(&got);
    for (int i = 1; i <= 3; i++)
        EXPECT_EQ(send(ends[0].fd, "xyz", (size_t)i, 0), i);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 1);
    EXPECT_EQ(run(&got), 2);
    EXPECT_EQ(run(&got), 3);
    close_pair(ends);
    close_reactor();
}

/* Streams that are no sockets */

TEST(pipes_are_read_and_written)
{
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    struct test_op got = with_data(IO_READ, ends[0], buffer, 64);
    struct test_op put = with_data(IO_WRITE, ends[1], hello, 5);
    for (int i = 0; i < 3; i++) {
        start_and_wait_in_vain(&got);
        EXPECT_EQ(run(&put), 5);
        until_ended(&got);
        EXPECT_EQ(got.op.result, 5);
    }
    start_and_wait_in_vain(&got);
    close(ends[1].fd);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 0);
    close(ends[0].fd);
    close_reactor();
}

TEST(pipes_are_written_in_parts)
{
    struct end ends[2];
    struct iovec parts[3] = { { (char[]){ "he" }, 2 }, { NULL, 0 }, { (char[]){ "llo" }, 3 } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
    open_reactor();
    pipe_pair(ends);
    struct test_op got = with_data(IO_READ, ends[0], buffer, 64);
    struct test_op put = with_data(IO_WRITEV, ends[1], NULL, 0);
    put.op.message = &message;
    start_and_wait_in_vain(&got);
    EXPECT_EQ(run(&put), 5);
    until_ended(&got);
    EXPECT_EQ(got.op.result, 5);
    EXPECT_MEM(buffer, hello, 5);
    close_pair(ends);
    close_reactor();
}

TEST(a_full_pipe_is_waited_for)
{
    static char much[1 << 17];
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    struct test_op put = with_data(IO_WRITE, ends[1], much, sizeof much), more = put;
    struct test_op got = with_data(IO_READ, ends[0], much, sizeof much);
    ssize_t first = run(&put);
    EXPECT_GT(first, 0);
    EXPECT_LT(first, (ssize_t)sizeof much);
    start_and_wait_in_vain(&more);
    EXPECT_EQ(run(&got), first);
    until_ended(&more);
    EXPECT_GT(more.op.result, 0);
    close_pair(ends);
    close_reactor();
}

/* Files */

TEST(files_are_done_or_left_to_threads)
{
    char path[] = "/tmp/weft-reactor-XXXXXX";
    open_reactor();
    struct end file = owned(mkstemp(path));
    unlink(path);
    struct test_op put = with_data(IO_WRITE, file, hello, 5), sync = put, got = put;
    put.op.offset = 10;
    sync.op.code = IO_SYNC;
    got = with_data(IO_READ, file, buffer, 64);
    got.op.offset = 11;
    EXPECT_EQ(run(&put), reactor->ops->files ? 5 : -EOPNOTSUPP);
    EXPECT_EQ(run(&sync), reactor->ops->files ? 0 : -EOPNOTSUPP);
    EXPECT_EQ(run(&got), reactor->ops->files ? 4 : -EOPNOTSUPP);
    if (reactor->ops->files)
        EXPECT_MEM(buffer, "ello", 4);
    close(file.fd);
    close_reactor();
}

TEST(a_file_is_read_as_a_stream)
{
    char path[] = "/tmp/weft-reactor-XXXXXX";
    open_reactor();
    struct end file = owned(mkstemp(path));
    unlink(path);
    struct test_op put = with_data(IO_WRITE, file, hello, 5);
    struct test_op got = with_data(IO_READ, file, buffer, 64);
    EXPECT_EQ(run(&put), 5);
    EXPECT_EQ(lseek(file.fd, 0, SEEK_SET), 0);
    EXPECT_EQ(run(&got), 5);
    EXPECT_EQ(run(&got), 0);
    close(file.fd);
    close_reactor();
}

/* Connecting */

TEST(connections_are_accepted_at_once_and_after_a_wait)
{
    struct sockaddr_in where, who;
    socklen_t size = sizeof where, who_size = sizeof who;
    open_reactor();
    struct end listener = listen_tcp(&where);
    struct test_op accepts = accept_op(listener);
    accepts.op.address = (struct sockaddr *)&who;
    accepts.op.address_size = &who_size;
    for (int i = 0; i < 3; i++) {
        struct end client = owned(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        struct test_op connects = connect_op(client, &where, &size);
        if (i)
            start_and_wait_in_vain(&accepts);
        EXPECT_EQ(run(&connects), 0);
        if (!i)
            start(&accepts);
        until_ended(&accepts);
        int accepted = (int)accepts.op.result;
        EXPECT_GE(accepted, 0);
        EXPECT_EQ(who.sin_family, AF_INET);
        EXPECT_EQ(who_size, sizeof who);
        EXPECT_TRUE(fcntl(accepted, F_GETFL) & O_NONBLOCK);
        EXPECT_TRUE(fcntl(accepted, F_GETFD) & FD_CLOEXEC);
        EXPECT_EQ(write(accepted, "x", 1), 1);
        close(accepted);
        close(client.fd);
    }
    close(listener.fd);
    close_reactor();
}

TEST(nobody_listens)
{
    struct sockaddr_in where;
    socklen_t size = sizeof where;
    open_reactor();
    close(listen_tcp(&where).fd);
    struct end client = owned(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    struct test_op connects = connect_op(client, &where, &size);
    EXPECT_EQ(run(&connects), -ECONNREFUSED);
    close(client.fd);
    close_reactor();
}

/* Not to a network that may or may not be there: to a listener whose backlog is full, which makes
 * Linux drop the SYN. */
TEST(a_connection_that_takes_its_time_is_cancelled)
{
    enum { CLIENTS = 8 };
    struct sockaddr_in where;
    socklen_t size = sizeof where;
    struct end clients[CLIENTS];
    struct test_op connects[CLIENTS];
    open_reactor();
    struct end listener = listen_tcp(&where);
    EXPECT_EQ(listen(listener.fd, 0), 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = owned(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        connects[i] = connect_op(clients[i], &where, &size);
        start(&connects[i]);
    }
    settle();
    EXPECT_EQ(connects[CLIENTS - 1].ended, 0);
    for (int i = 0; i < CLIENTS; i++) {
        if (!connects[i].ended)
            EXPECT_EQ(cancel_and_wait(&connects[i]), -ECANCELED);
        close(clients[i].fd);
    }
    close(listener.fd);
    close_reactor();
}

static struct sockaddr_un unix_address(socklen_t *size)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    /* in the abstract name space: no file */
    snprintf(where.sun_path + 1, sizeof where.sun_path - 1, "weft-reactor-%d", (int)getpid());
    *size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(where.sun_path + 1));
    return where;
}

TEST(a_busy_unix_listener_is_waited_for)
{
    socklen_t size;
    struct sockaddr_un where = unix_address(&size);
    struct end listener = owned(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    struct end clients[4];
    struct test_op connects[4], accepts = accept_op(listener);
    open_reactor();
    EXPECT_EQ(bind(listener.fd, (struct sockaddr *)&where, size), 0);
    EXPECT_EQ(listen(listener.fd, 0), 0); /* one may wait */
    for (int i = 0; i < 4; i++) {
        clients[i] = owned(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        connects[i] = connect_op(clients[i], &where, &size);
    }
    EXPECT_EQ(run(&connects[0]), 0);
    for (int i = 1; i < 4; i++)
        start_and_wait_in_vain(&connects[i]);
    EXPECT_EQ(cancel_and_wait(&connects[3]), -ECANCELED);
    for (int i = 0; i < 3; i++) {
        EXPECT_GE(run(&accepts), 0);
        close((int)accepts.op.result);
    }
    for (int i = 1; i < 3; i++) {
        until_ended(&connects[i]);
        EXPECT_EQ(connects[i].op.result, 0);
    }
    for (int i = 0; i < 4; i++)
        close(clients[i].fd);
    close(listener.fd);
    close_reactor();
}

TEST(no_descriptor_for_a_connection_is_told)
{
    struct sockaddr_in where;
    struct rlimit limit;
    open_reactor();
    struct end listener = listen_tcp(&where);
    struct end client = owned(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(client.fd, (struct sockaddr *)&where, sizeof where), 0);
    int lowest = dup(0);
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)lowest;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct test_op accepts = accept_op(listener);
    EXPECT_EQ(run(&accepts), -EMFILE);
    limit.rlim_cur = before;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_GE(run(&accepts), 0);
    close((int)accepts.op.result);
    close(client.fd);
    close(listener.fd);
    close_reactor();
}

/* Polling */

static void poll_finds(uint64_t identity)
{
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    ends[0].identity *= identity;
    ends[1].identity *= identity;
    struct test_op out = poll_op(ends[1], POLLOUT), in = poll_op(ends[0], POLLIN);
    EXPECT_EQ(run(&out), POLLOUT);
    for (int i = 0; i < 3; i++) {
        start_and_wait_in_vain(&in);
        EXPECT_EQ(write(ends[1].fd, "x", 1), 1);
        until_ended(&in);
        EXPECT_EQ(in.op.result, POLLIN);
        EXPECT_EQ(run(&in), POLLIN); /* still */
        EXPECT_EQ(read(ends[0].fd, buffer, 64), 1);
    }
    start_and_wait_in_vain(&in);
    close(ends[1].fd);
    until_ended(&in);
    EXPECT_EQ(in.op.result, POLLHUP);
    close(ends[0].fd);
    close_reactor();
}

TEST(poll_finds_what_happens_to_owned_descriptors)
{
    poll_finds(1);
}

TEST(poll_finds_what_happens_to_others)
{
    poll_finds(0);
}

TEST(poll_waits_on_an_eventfd)
{
    open_reactor();
    struct end event = { eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 0 };
    struct test_op in = poll_op(event, POLLIN);
    start_and_wait_in_vain(&in);
    EXPECT_EQ(eventfd_write(event.fd, 1), 0);
    until_ended(&in);
    EXPECT_EQ(in.op.result, POLLIN);
    close(event.fd);
    close_reactor();
}

TEST(files_are_always_ready)
{
    open_reactor();
    struct end file = { open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0 };
    struct test_op both = poll_op(file, POLLIN | POLLOUT), errors = poll_op(file, 0);
    EXPECT_EQ(run(&both), POLLIN | POLLOUT);
    start_and_wait_in_vain(&errors);
    EXPECT_EQ(cancel_and_wait(&errors), -ECANCELED);
    close(file.fd);
    close_reactor();
}

TEST(what_is_no_descriptor_is_told)
{
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    close_pair(ends);
    for (int i = 0; i < 4; i++) {
        struct end none = { i < 2 ? -1 : ends[0].fd, i % 2 ? ends[0].identity : 0 };
        struct test_op polls = poll_op(none, POLLIN), got = recv_op(none, buffer, 64);
        struct test_op reads = with_data(IO_READ, none, buffer, 64), accepts = accept_op(none);
        EXPECT_EQ(run(&polls), -EBADF);
        EXPECT_EQ(run(&got), -EBADF);
        EXPECT_EQ(run(&reads), -EBADF);
        EXPECT_EQ(run(&accepts), -EBADF);
    }
    close_reactor();
}

TEST(what_is_no_socket_is_told)
{
    struct end ends[2];
    open_reactor();
    pipe_pair(ends);
    struct test_op got = recv_op(ends[0], buffer, 64);
    EXPECT_EQ(run(&got), -ENOTSOCK);
    close_pair(ends);
    close_reactor();
}
