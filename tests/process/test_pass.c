/* SPDX-License-Identifier: MIT */
/* Descriptors that are passed from process to process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "asking.h"

static void make_pipe(int ends[2])
{
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
}

static uint64_t pass(int fd)
{
    uint64_t ticket = 0;
    EXPECT_EQ(weft_fd_pass(fd, &ticket), 0);
    EXPECT_NE(ticket, 0);
    return ticket;
}

static int take(uint64_t ticket)
{
    int fd = -1;
    EXPECT_EQ(weft_fd_take(ticket, &fd), 0);
    EXPECT_GT(fd, 2);
    return fd;
}

static void expect_void(uint64_t ticket)
{
    int fd = -7;
    EXPECT_EQ(weft_fd_take(ticket, &fd), -ENOENT);
    EXPECT_EQ(fd, -7);
}

TEST(a_ticket_gives_a_duplicate_once)
{
    int ends[2];
    begin();
    make_pipe(ends);
    uint64_t ticket = pass(ends[1]);
    close(ends[1]);
    int fd = take(ticket);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    expect_void(ticket);
    EXPECT_EQ(write(fd, "once", 4), 4);
    close(fd);
    expect_read(ends[0], "once"); /* the zygote has kept none */
    close(ends[0]);
}

TEST(what_is_no_ticket_is_refused)
{
    int ends[2];
    begin();
    make_pipe(ends);
    expect_void(0);
    expect_void(UINT64_MAX);
    uint64_t ticket = pass(ends[0]);
    expect_void(ticket + 1);
    expect_void((uint32_t)ticket);
    expect_void(ticket ^ UINT64_C(1) << 32);
    close(take(ticket));
    close(ends[0]);
    close(ends[1]);
}

TEST(many_tickets_may_be_open_at_once)
{
    enum { N = 300 };
    uint64_t tickets[N];
    int ends[2];
    begin();
    make_pipe(ends);
    for (int i = 0; i < N; i++)
        tickets[i] = pass(ends[i % 2]);
    for (int i = 0; i < N; i++) {
        int fd = take(tickets[(i * 7) % N]);
        EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, (i * 7) % N % 2 ? O_WRONLY : O_RDONLY);
        close(fd);
        uint64_t ticket = pass(ends[0]); /* into the place that is free now */
        close(take(ticket));
    }
    for (int i = 0; i < N; i++)
        expect_void(tickets[i]);
    close(ends[0]);
    close(ends[1]);
}

/* ---- between processes */

static int write_to(weft_call *call)
{
    int fd, rc = weft_fd_take(strtoull(call->arg, NULL, 10), &fd);
    if (rc < 0)
        return weft_call_fail(call, rc, "no descriptor");
    if (write(fd, "from a process", 14) != 14)
        rc = -errno;
    close(fd);
    return rc < 0 ? rc : answer(call, "written");
}

TEST(a_process_takes_what_the_program_passes)
{
    begin();
    EACH_START (start)
        EACH_PLACE (place) {
            int ends[2];
            char number[24];
            make_pipe(ends);
            snprintf(number, sizeof number, "%llu", (unsigned long long)pass(ends[1]));
            close(ends[1]);
            expect_answer(place, &(weft_options){ .start = start }, write_to, number, "written");
            expect_read(ends[0], "from a process");
            close(ends[0]);
        }
}

/* Opens a pipe with something in it, and gives the ticket of its reading end. */
static int give_pipe(weft_call *call)
{
    int ends[2], rc = pipe2(ends, O_CLOEXEC);
    uint64_t ticket;
    if (rc < 0)
        return -errno;
    if (write(ends[1], "in a pipe", 9) != 9)
        return -errno;
    rc = weft_fd_pass(ends[0], &ticket);
    close(ends[0]);
    close(ends[1]);
    return rc < 0 ? rc : weft_call_return(call, &ticket, sizeof ticket);
}

TEST(a_result_may_be_a_ticket_although_the_process_has_ended)
{
    begin();
    EACH_START (start)
        EACH_PLACE (place) {
            weft_future *f = ask(place, &(weft_options){ .start = start }, give_pipe, "");
            EXPECT_EQ(weft_future_outcome(f)->how, WEFT_DONE);
            int fd = take(*(const uint64_t *)weft_future_result(f, NULL));
            expect_read(fd, "in a pipe");
            close(fd);
            weft_future_close(f);
        }
}

TEST(a_process_takes_what_another_passes)
{
    begin();
    struct worker *one = open_worker(), *two = open_worker();
    uint64_t ticket;
    char number[24];
    run_value(one, give_pipe, NULL, 0, &ticket, sizeof ticket);
    snprintf(number, sizeof number, "%llu", (unsigned long long)ticket);
    EXPECT_EQ(run_plain(two, write_to, number, strlen(number) + 1), -EBADF); /* it is for reading */
    EXPECT_EQ(run_plain(two, write_to, number, strlen(number) + 1), -ENOENT);
    worker_close(one);
    worker_close(two);
}

REGISTER(write_to, give_pipe)

/* ---- deaths in the middle */

static uint64_t *passed; /* in shared memory */

static int pass_and_crash(weft_call *call)
{
    uint64_t *tickets = call->pointer;
    for (int i = 0; i < 3; i++)
        if (weft_fd_pass(0, &tickets[i]) < 0)
            return -ECHILD;
    if (call->index)
        _exit(3);
    kill(getpid(), SIGKILL);
    return 0;
}

TEST(tickets_of_a_process_that_crashes_are_void)
{
    begin();
    passed = weft_shared_alloc(3 * sizeof *passed);
    for (uint64_t index = 0; index < 2; index++) {
        struct worker *process = open_worker();
        start_call(process, pass_and_crash, &(weft_call){ .pointer = passed, .index = index });
        struct process_end end = worker_end(process);
        EXPECT_EQ(end.signal, index ? 0 : SIGKILL);
        for (int i = 0; i < 3; i++)
            expect_void(passed[i]);
        worker_close(process);
    }
    weft_shared_free(passed);
}

/* Takes a socket, reads a line, writes one and a half records, and dies. */
static int serve_and_crash(weft_call *call)
{
    char line[16];
    int fd;
    if (weft_fd_take(*(const uint64_t *)call->arg, &fd) < 0)
        return -ENOENT;
    if (read(fd, line, sizeof line) > 0 && write(fd, "recordrec", 9) == 9)
        kill(getpid(), SIGKILL);
    return 0;
}

TEST(who_dies_with_a_descriptor_leaves_nobody_waiting)
{
    static const char zeros[1 << 20];
    int ends[2];
    char record[6];
    weft_stream *stream;
    begin();
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    uint64_t ticket = pass(ends[1]);
    close(ends[1]);
    EXPECT_EQ(weft_stream_adopt(&stream, ends[0]), 0);
    struct worker *process = open_worker();
    start(process, serve_and_crash, &ticket, sizeof ticket);
    EXPECT_EQ(weft_stream_write(stream, "line", 4, WEFT_FOREVER), 4);
    EXPECT_EQ(weft_stream_read_exactly(stream, record, 6, WEFT_FOREVER), 6);
    EXPECT_EQ(weft_stream_read_exactly(stream, record, 6, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_stream_write(stream, zeros, sizeof zeros, WEFT_FOREVER), -EPIPE);
    struct process_end end = worker_end(process);
    EXPECT_EQ(end.signal, SIGKILL);
    worker_close(process);
    weft_stream_close(stream);
}

TEST(a_dead_zygote_is_said_to_be_dead)
{
    uint64_t ticket;
    int fd;
    begin();
    int pidfd = descriptors_of_process(zygote_id());
    EXPECT_EQ(kill(zygote_id(), SIGKILL), 0);
    await_end(pidfd);
    EXPECT_EQ(weft_fd_pass(0, &ticket), -EPIPE);
    EXPECT_EQ(weft_fd_take(1, &fd), -EPIPE);
}

static void *pass_until_the_end(void *result)
{
    uint64_t ticket;
    do
        *(int *)result = weft_fd_pass(0, &ticket);
    while (*(int *)result == 0);
    return NULL;
}

TEST(a_zygote_that_dies_in_the_middle_leaves_nobody_waiting)
{
    pthread_t threads[4];
    int results[4];
    begin();
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, pass_until_the_end, &results[i]), 0);
    EXPECT_EQ(kill(zygote_id(), SIGKILL), 0);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
        EXPECT_TRUE(results[i] == -EPIPE || results[i] == -EMFILE); /* the second: of tickets */
    }
}

/* ---- who may not */

static void try_in_fork(int fd)
{
    uint64_t ticket;
    EXPECT_EQ(weft_fd_pass(fd, &ticket), -ECHILD);
    EXPECT_EQ(weft_fd_take(1, &fd), -ECHILD);
}

TEST(strangers_have_no_tickets)
{
    uint64_t ticket;
    int fd;
    EXPECT_EQ(weft_fd_pass(0, &ticket), -ENOTCONN);
    EXPECT_EQ(weft_fd_take(1, &fd), -ENOTCONN);
    begin();
    expect_success(run_program(try_in_fork, 0));
    EXPECT_EQ(weft_fd_pass(-1, &ticket), -EBADF);
    EXPECT_EQ(weft_fd_pass(1000, &ticket), -EBADF);
    if (getuid() != 0)
        return;
    EXPECT_EQ(seteuid(65534), 0);
    EXPECT_EQ(weft_fd_pass(0, &ticket), -EPERM);
    EXPECT_EQ(seteuid(0), 0);
    EXPECT_EQ(weft_fd_pass(0, &ticket), 0);
    EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    EXPECT_EQ(weft_fd_take(ticket, &fd), -EPERM);
}

/* ---- no room */

TEST(a_program_without_descriptors_keeps_its_ticket)
{
    struct rlimit limit, few;
    int fd = -1, rc;
    begin();
    uint64_t ticket = pass(0), another;
    getrlimit(RLIMIT_NOFILE, &limit);
    few = limit;
    few.rlim_cur = 0;
    do { /* one descriptor more each time, until there are enough */
        few.rlim_cur++;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        rc = weft_fd_take(ticket, &fd);
        EXPECT_TRUE(rc == 0 || rc == -EMFILE);
        EXPECT_TRUE(rc == 0 || weft_fd_pass(0, &another) == -EMFILE);
    } while (rc < 0);
    close(fd);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(a_zygote_without_descriptors_says_so_and_goes_on)
{
    if (HARNESS_VALGRIND)
        SKIP("valgrind keeps limits and descriptors of its own");
    uint64_t tickets[64];
    int n = 0, rc;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 40, 40 }), 0);
    begin();
    while ((rc = weft_fd_pass(0, &tickets[n])) == 0)
        EXPECT_LT(++n, 40);
    EXPECT_EQ(rc, -EMFILE);
    EXPECT_GT(n, 20);
    struct process *process;
    EXPECT_EQ(process_open(&process, &(struct process_options){ 0 }), -EMFILE);
    for (int i = 0; i < n; i++)
        close(take(tickets[i]));
    worker_close(open_worker());
}
