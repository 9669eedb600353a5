/* SPDX-License-Identifier: MIT */
/*
 * Other programs: how they are found, what they begin with, what is said to them and heard from
 * them, and that each of them ends and leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/child.h>
#include <weft/event.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

enum { STRANDS = 4 };

static weft_child *start(const char *const argv[], const weft_child_options *options)
{
    weft_child *child;
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_child_open(&child, argv, options), 0);
    return child;
}

/* A shell that runs a script. */
static weft_child *shell(const char *script, const weft_child_options *options)
{
    return start((const char *const[]){ "sh", "-c", script, NULL }, options);
}

static int refusal_of(const char *const argv[], const weft_child_options *options)
{
    weft_child *child = NULL;
    NEEDS_PROCESSES();
    int rc = weft_child_open(&child, argv, options);
    EXPECT_TRUE(child == NULL);
    return rc;
}

static weft_outcome outcome_of(weft_child *child)
{
    weft_outcome outcome;
    int rc = weft_child_wait(child, &outcome, WEFT_FOREVER);
    EXPECT_EQ(rc, outcome.how == WEFT_DONE ? 0 : -ECHILD);
    EXPECT_EQ(outcome.status, rc);
    return outcome;
}

/* Reads a line, and expects it. */
static void expect_line(weft_child *child, int fd, const char *line)
{
    char got[256];
    ssize_t n = weft_stream_read_until(weft_child_stream(child, fd), got, sizeof got - 1, '\n',
                                       WEFT_FOREVER);
    EXPECT_GT(n, 0);
    got[n] = '\0';
    EXPECT_STR(got, line);
}

static void say(weft_child *child, const char *line)
{
    EXPECT_EQ(weft_stream_write(weft_child_stream(child, 0), line, strlen(line), WEFT_FOREVER),
              strlen(line));
}

static void expect_no_child(void)
{
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

static const weft_child_options both = { .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE };
static const char *const cat[] = { "cat", NULL };
static const char *const sleeper[] = { "sleep", "1000", NULL };

/* ---- ends */

TEST_IN_STRAND(its_exit_code_is_told)
{
    weft_child *child = shell("exit 0", NULL);
    weft_outcome outcome = outcome_of(child);
    EXPECT_EQ(outcome.how, WEFT_DONE);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_STR(outcome.text, "");
    EXPECT_EQ(outcome.attempts, 1);
    EXPECT_GT(outcome.started_ns, 0);
    EXPECT_GE(outcome.ended_ns, outcome.started_ns);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_NOW), 0);
    weft_child_close(child);
    child = shell("exit 3", NULL);
    outcome = outcome_of(child);
    EXPECT_EQ(outcome.how, WEFT_FAILED);
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_EQ(outcome.signal, 0);
    EXPECT_STR(outcome.text, "exited with 3");
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_NOW), -ECHILD);
    weft_child_close(child);
    expect_no_child();
}

TEST_IN_STRAND(the_signal_that_ended_it_is_told)
{
    weft_child *child = shell("kill -9 $$", NULL);
    weft_outcome outcome = outcome_of(child);
    EXPECT_EQ(outcome.how, WEFT_CRASHED);
    EXPECT_EQ(outcome.signal, SIGKILL);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_STR(outcome.text, "ended by signal 9");
    weft_child_close(child);
}

TEST_IN_STRAND(a_signal_is_sent_until_it_has_ended)
{
    weft_child *child = start(sleeper, NULL);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_child_kill(child, 0), 0);
    EXPECT_EQ(weft_child_kill(child, 1000), -EINVAL);
    EXPECT_EQ(weft_child_kill(child, SIGUSR1), 0);
    EXPECT_EQ(outcome_of(child).signal, SIGUSR1);
    EXPECT_EQ(weft_child_kill(child, SIGTERM), -ESRCH);
    weft_child_close(child);
}

TEST_IN_STRAND(one_that_never_ends_is_waited_for_until_the_deadline)
{
    weft_child *child = start(sleeper, NULL);
    pid_t pid = weft_child_pid(child);
    EXPECT_EQ(weft_child_wait(child, NULL, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_child_wait(child, NULL, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(kill(pid, 0), 0);
    weft_child_close(child);
    EXPECT_EQ(kill(pid, 0), -1);
    expect_no_child();
}

TEST_IN_STRAND(one_that_does_not_want_to_end_is_killed_after_its_grace)
{
    weft_child *child = shell(
        "trap '' TERM; echo ready; while :; do sleep 1000; done",
        &(weft_child_options){ .out = WEFT_CHILD_PIPE, .own_group = true, .grace_ns = WEFT_MS });
    expect_line(child, 1, "ready\n");
    weft_child_close(child);
    expect_no_child();
}

TEST_IN_STRAND(one_that_tidies_up_gets_its_grace)
{
    int ends[2];
    char got[8];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    weft_child *child =
        shell("trap 'kill $!; echo tidy >&2; exit' TERM; sleep 1000 & echo ready; wait",
              &(weft_child_options){ .out = WEFT_CHILD_PIPE, .err = WEFT_CHILD_FD(ends[1]) });
    close(ends[1]);
    expect_line(child, 1, "ready\n");
    weft_child_close(child);
    EXPECT_EQ(read(ends[0], got, sizeof got), 5);
    EXPECT_MEM(got, "tidy\n", 5);
    close(ends[0]);
    expect_no_child();
}

TEST_IN_STRAND(a_group_of_its_own_ends_with_it)
{
    char line[32] = "";
    weft_child *child = shell(
        "sleep 1000 & echo $!; read x; exit 0",
        &(weft_child_options){ .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE, .own_group = true });
    EXPECT_GT(weft_stream_read_until(weft_child_stream(child, 1), line, sizeof line - 1, '\n',
                                     WEFT_FOREVER),
              0);
    pid_t grandchild = (pid_t)atoi(line);
    EXPECT_GT(grandchild, 1);
    EXPECT_EQ(getpgid(weft_child_pid(child)), weft_child_pid(child));
    EXPECT_EQ(getpgid(grandchild), weft_child_pid(child));
    EXPECT_EQ(kill(grandchild, 0), 0);
    weft_child_close(child);
    UNTIL(kill(grandchild, 0) < 0); /* the harness reaps it */
}

TEST_IN_STRAND(one_that_somebody_else_waited_for_has_ended_in_an_unknown_way)
{
    weft_child *child = shell("exit 3", NULL);
    EXPECT_EQ(waitpid(weft_child_pid(child), NULL, 0), weft_child_pid(child));
    weft_outcome outcome = outcome_of(child);
    EXPECT_EQ(outcome.how, WEFT_CRASHED);
    EXPECT_EQ(outcome.signal, 0);
    EXPECT_EQ(outcome.exit_code, -1);
    EXPECT_EQ(weft_child_kill(child, SIGTERM), -ESRCH);
    weft_child_close(child);
    child = shell("exit 0", NULL);
    EXPECT_EQ(waitpid(weft_child_pid(child), NULL, 0), weft_child_pid(child));
    weft_child_close(child);
}

TEST_IN_STRAND(two_hundred_one_after_the_other_leave_nothing)
{
    int lowest = dup(0);
    close(lowest);
    for (int i = 0; i < (HARNESS_SANITIZED ? 50 : 200); i++) {
        weft_child *child = start((const char *const[]){ "true", NULL }, &both);
        if (i % 2)
            EXPECT_EQ(outcome_of(child).how, WEFT_DONE);
        weft_child_close(child);
        expect_no_child();
    }
    int now = dup(0);
    close(now);
    EXPECT_EQ(now, lowest);
}

/* ---- starts */

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
    EXPECT_EQ(fchmod(fd, mode), 0);
    close(fd);
}

TEST_IN_STRAND(what_cannot_be_started_says_why)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode makes vfork() a fork(), so that posix_spawn() does not hear of "
             "errors");
    char directory[] = "/tmp/weft-child-XXXXXX", path[64];
    EXPECT_TRUE(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/program", directory);
    const char *const program[] = { path, NULL };
    EXPECT_EQ(refusal_of((const char *const[]){ "weft-no-such-program", NULL }, NULL), -ENOENT);
    EXPECT_EQ(refusal_of(program, &both), -ENOENT);
    EXPECT_EQ(refusal_of((const char *const[]){ "/dev/null/x", NULL }, NULL), -ENOTDIR);
    EXPECT_EQ(refusal_of((const char *const[]){ directory, NULL }, NULL), -EACCES);
    write_file(path, "no program at all", 0600);
    EXPECT_EQ(refusal_of(program, &both), -EACCES);
    write_file(path, "no program at all", 0700);
    EXPECT_EQ(refusal_of(program, &both), -ENOEXEC);
    write_file(path, "#!/no/such/interpreter\n", 0700);
    EXPECT_EQ(refusal_of(program, &both), -ENOENT);
    EXPECT_EQ(refusal_of(cat, &(weft_child_options){ .directory = path }), -ENOTDIR);
    EXPECT_EQ(refusal_of(cat, &(weft_child_options){ .directory = "/no/such" }), -ENOENT);
    EXPECT_EQ(refusal_of(cat, &(weft_child_options){ .out = WEFT_CHILD_FD(4000) }), -EBADF);
    unlink(path);
    rmdir(directory);
    expect_no_child();
}

TEST_IN_STRAND(options_that_make_no_sense_are_refused)
{
    const weft_child_options senseless[] = { { .in = -1 },
                                             { .in = 5 },
                                             { .out = 15 },
                                             { .in = WEFT_CHILD_STDOUT },
                                             { .out = WEFT_CHILD_STDOUT },
                                             { .input = "x", .input_bytes = 1 } };
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++)
        EXPECT_EQ(refusal_of(cat, &senseless[i]), -EINVAL);
    EXPECT_EQ(refusal_of(NULL, NULL), -EINVAL);
    EXPECT_EQ(refusal_of((const char *const[]){ NULL }, NULL), -EINVAL);
    weft_child_close(NULL);
}

TEST(where_children_are_forgotten_none_is_started)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, no_wait = { .sa_flags = SA_NOCLDWAIT };
    EXPECT_EQ(sigaction(SIGCHLD, &ignore, NULL), 0);
    EXPECT_EQ(refusal_of(cat, &both), -ENOTSUP);
    EXPECT_EQ(sigaction(SIGCHLD, &no_wait, NULL), 0);
    EXPECT_EQ(refusal_of(cat, &both), -ENOTSUP);
    signal(SIGCHLD, SIG_DFL);
}

TEST(without_descriptors_none_is_started)
{
    NEEDS_PROCESSES();
    struct rlimit before, limit;
    weft_child *child = NULL;
    int rc, refused = 0, lowest = dup(0);
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    for (rlim_t room = 0; !child; room++) {
        limit.rlim_cur = (rlim_t)lowest + room;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        rc = weft_child_open(&child, cat, &both);
        EXPECT_EQ(rc, child ? 0 : -EMFILE);
        refused += rc < 0;
        if (rc < 0) {
            expect_no_child();
            int now = dup(0);
            close(now);
            EXPECT_EQ(now, room ? lowest : -1);
        }
    }
    EXPECT_GE(refused, 4); /* the pipes; a pidfd finds the place of their other ends */
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    weft_child_close(child);
}

/* The signals of a line of /proc/self/status, but those that the C library keeps for itself. QEMU's
   user mode gives a program its two under other numbers, as it needs them. */
static unsigned long long next_signals(weft_child *child)
{
    char line[64] = "";
    unsigned long long signals = ~0ULL, kept = (HARNESS_EMULATED ? 15ULL : 3ULL) << 31;
    EXPECT_GT(weft_stream_read_until(weft_child_stream(child, 1), line, sizeof line - 1, '\n',
                                     WEFT_FOREVER),
              0);
    EXPECT_EQ(sscanf(line, "%*s %llx", &signals), 1);
    return signals & ~kept;
}

static void expect_signals(unsigned long long blocked, unsigned long long ignored)
{
    const char *const show[] = { "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL };
    weft_child *child = start(show, &both);
    EXPECT_EQ(next_signals(child), blocked);
    EXPECT_EQ(next_signals(child), ignored);
    EXPECT_EQ(outcome_of(child).how, WEFT_DONE);
    weft_child_close(child);
}

TEST_IN_STRAND(it_begins_with_the_signals_at_their_defaults)
{
    sigset_t all, before;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_DFL);
    sigfillset(&all);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
    expect_signals(0, 0);
    signal(SIGHUP, SIG_IGN);
    expect_signals(0, 1);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

TEST_IN_STRAND(it_has_the_environment_and_the_directory_it_is_given)
{
    weft_child *child =
        shell("echo $A; pwd",
              &(weft_child_options){ .out = WEFT_CHILD_PIPE,
                                     .directory = "/",
                                     .environment = (const char *const[]){ "A=one", NULL } });
    expect_line(child, 1, "one\n");
    expect_line(child, 1, "/\n");
    weft_child_close(child);
    EXPECT_EQ(setenv("WEFT_TEST_A", "two", 1), 0);
    child = shell("echo $WEFT_TEST_A", &both);
    expect_line(child, 1, "two\n");
    weft_child_close(child);
}

/* ---- streams */

TEST_IN_STRAND(it_is_talked_to_until_its_input_ends)
{
    char byte;
    weft_child *child = start(cat, &both);
    EXPECT_TRUE(weft_child_stream(child, 2) == NULL);
    EXPECT_TRUE(weft_child_stream(child, 3) == NULL);
    EXPECT_TRUE(weft_child_stream(child, -1) == NULL);
    say(child, "one\n");
    expect_line(child, 1, "one\n");
    say(child, "two\n");
    expect_line(child, 1, "two\n");
    weft_child_close_stream(child, 0);
    EXPECT_TRUE(weft_child_stream(child, 0) == NULL);
    weft_child_close_stream(child, 0);
    weft_child_close_stream(child, 7);
    EXPECT_EQ(weft_stream_read(weft_child_stream(child, 1), &byte, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(outcome_of(child).how, WEFT_DONE);
    weft_child_close(child);
}

TEST_IN_STRAND(each_stream_is_where_it_shall_be)
{
    const char *const script = "cat; echo out; echo err >&2";
    weft_child *child =
        shell(script, &(weft_child_options){
                          .in = WEFT_CHILD_NULL, .out = WEFT_CHILD_PIPE, .err = WEFT_CHILD_PIPE });
    expect_line(child, 1, "out\n");
    expect_line(child, 2, "err\n");
    weft_child_close(child);
    child = shell(script, &(weft_child_options){ .in = WEFT_CHILD_NULL,
                                                 .out = WEFT_CHILD_PIPE,
                                                 .err = WEFT_CHILD_STDOUT });
    expect_line(child, 1, "out\n");
    expect_line(child, 1, "err\n");
    weft_child_close(child);
    child =
        shell(script, &(weft_child_options){
                          .in = WEFT_CHILD_NULL, .out = WEFT_CHILD_NULL, .err = WEFT_CHILD_PIPE });
    expect_line(child, 2, "err\n");
    weft_child_close(child);
}

TEST(descriptors_of_the_caller_may_change_their_places)
{
    int out[2], err[2], kept[2] = { dup(1), dup(2) };
    char got[8];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    weft_child *child =
        shell("echo out; echo err >&2",
              &(weft_child_options){ .out = WEFT_CHILD_FD(2), .err = WEFT_CHILD_FD(1) });
    dup2(kept[0], 1);
    dup2(kept[1], 2);
    EXPECT_EQ(outcome_of(child).how, WEFT_DONE);
    EXPECT_EQ(read(out[0], got, sizeof got), 4);
    EXPECT_MEM(got, "err\n", 4);
    EXPECT_EQ(read(err[0], got, sizeof got), 4);
    EXPECT_MEM(got, "out\n", 4);
    weft_child_close(child);
    const int all[] = { out[0], out[1], err[0], err[1], kept[0], kept[1] };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        close(all[i]);
}

TEST(a_program_without_standard_streams_can_start_another)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        weft_child *child =
            start(cat, &(weft_child_options){
                           .in = WEFT_CHILD_PIPE, .out = WEFT_CHILD_PIPE, .err = WEFT_CHILD_NULL });
        say(child, "one\n");
        expect_line(child, 1, "one\n");
        weft_child_close(child);
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

TEST_IN_STRAND(writing_to_one_that_does_not_read_any_more_is_an_error_without_a_signal)
{
    weft_child *child = shell("exec <&-; echo closed; exec sleep 1000", &both);
    expect_line(child, 1, "closed\n");
    EXPECT_EQ(weft_stream_write(weft_child_stream(child, 0), "x", 1, WEFT_FOREVER), -EPIPE);
    weft_child_close(child);
}

TEST_IN_STRAND(one_that_dies_in_the_middle_is_told_from_one_that_has_ended)
{
    char record[8];
    weft_child *child = shell("printf 'recordrec'; kill -9 $$", &both);
    weft_stream *out = weft_child_stream(child, 1);
    EXPECT_EQ(weft_stream_read_exactly(out, record, 6, WEFT_FOREVER), 6);
    EXPECT_EQ(weft_stream_read_exactly(out, record, 6, WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_stream_read_until(out, record, 6, '\n', WEFT_FOREVER), -ENODATA);
    EXPECT_EQ(weft_stream_read(out, record, sizeof record, WEFT_FOREVER), 3);
    EXPECT_MEM(record, "rec", 3);
    EXPECT_EQ(weft_stream_read_exactly(out, record, 6, WEFT_FOREVER), 0);
    EXPECT_EQ(outcome_of(child).signal, SIGKILL);
    weft_child_close(child);
}

TEST_IN_STRAND(one_that_dies_ends_a_write_that_waits_for_it)
{
    static const char zeros[1 << 20];
    weft_child *child = shell("read -r line; kill -9 $$", &both);
    weft_stream *in = weft_child_stream(child, 0);
    EXPECT_EQ(weft_stream_write(in, "line\n", 5, WEFT_FOREVER), 5);
    EXPECT_EQ(weft_stream_write(in, zeros, sizeof zeros, WEFT_FOREVER), -EPIPE);
    EXPECT_LT(weft_stream_written(in), sizeof zeros);
    EXPECT_EQ(outcome_of(child).signal, SIGKILL);
    weft_child_close(child);
}

TEST_IN_STRAND(a_full_pipe_ends_a_write_at_its_deadline)
{
    static const char zeros[1 << 20];
    weft_child *child = start(sleeper, &both);
    weft_stream *in = weft_child_stream(child, 0);
    EXPECT_EQ(weft_stream_write(in, zeros, sizeof zeros, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_stream_write(in, zeros, sizeof zeros, WEFT_NOW), -ETIMEDOUT);
    weft_child_close(child);
}

TEST_IN_STRAND(the_pipes_of_one_are_not_held_open_by_another)
{
    char byte;
    weft_child *first = start(cat, &both), *second = start(cat, &both);
    weft_child_close_stream(first, 0);
    EXPECT_EQ(weft_stream_read(weft_child_stream(first, 1), &byte, 1, WEFT_FOREVER), 0);
    EXPECT_EQ(outcome_of(first).how, WEFT_DONE);
    weft_child_close(first);
    say(second, "one\n");
    expect_line(second, 1, "one\n");
    weft_child_close(second);
}

TEST(a_process_that_was_forked_closes_without_ending_it)
{
    int status;
    weft_child *child = start(cat, &both);
    pid_t pid = fork();
    if (pid == 0) {
        weft_child_close(child);
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    say(child, "one\n");
    expect_line(child, 1, "one\n");
    weft_child_close(child);
}

/* ---- several strands */

static void talk(size_t index)
{
    char byte;
    (void)index;
    for (int i = 0; i < 10; i++) {
        weft_child *child = start(cat, &both);
        say(child, "one\n");
        expect_line(child, 1, "one\n");
        weft_child_close_stream(child, 0);
        EXPECT_EQ(weft_stream_read(weft_child_stream(child, 1), &byte, 1, WEFT_FOREVER), 0);
        EXPECT_EQ(outcome_of(child).how, WEFT_DONE);
        weft_child_close(child);
    }
}

TEST(strands_start_programs_at_the_same_time)
{
    strands_join(strands_start(STRANDS, talk));
    expect_no_child();
}

static weft_child *shared;
static atomic_int waiting;

static void wait_for_shared(size_t index)
{
    (void)index;
    atomic_fetch_add(&waiting, 1);
    weft_outcome outcome = outcome_of(shared);
    EXPECT_EQ(outcome.signal, SIGUSR2);
}

TEST(several_strands_wait_for_one)
{
    shared = start(sleeper, NULL);
    struct strands *strands = strands_start(STRANDS, wait_for_shared);
    UNTIL(atomic_load(&waiting) == STRANDS);
    EXPECT_EQ(weft_child_kill(shared, SIGUSR2), 0);
    strands_join(strands);
    weft_child_close(shared);
}

static void wait_until_cancelled(size_t index)
{
    char byte;
    (void)index;
    atomic_fetch_add(&waiting, 1);
    EXPECT_EQ(weft_child_wait(shared, NULL, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_stream_read(weft_child_stream(shared, 1), &byte, 1, WEFT_FOREVER), -ECANCELED);
    weft_child *own = start(cat, &both); /* starting and closing need no wait that could end */
    weft_child_close(own);
}

TEST(a_cancellation_ends_the_wait_and_not_the_program)
{
    strands_must_be_cancellable();
    shared = start(sleeper, &both);
    struct strands *strands = strands_start(1, wait_until_cancelled);
    UNTIL(atomic_load(&waiting) == 1);
    strands_cancel_all(strands);
    strands_join(strands);
    EXPECT_EQ(weft_child_wait(shared, NULL, WEFT_NOW), -ETIMEDOUT);
    weft_child_close(shared);
    expect_no_child();
}
