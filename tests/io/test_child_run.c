/* SPDX-License-Identifier: MIT */
/*
 * A program in one call: all of its input and its output, whatever the order in which it likes
 * them, within a limit and a deadline.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/child.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

enum { STRANDS = 4 };

#define MUCH ((size_t)5000000)

/* What the last run gave; of the strand that made it. */
struct result {
    int rc;
    weft_bytes output[2];
    weft_outcome outcome;
};

static struct result run(const char *const argv[], const weft_child_options *options,
                         weft_deadline deadline)
{
    struct result result;
    NEEDS_PROCESSES();
    memset(&result, 0xa5, sizeof result);
    result.rc = weft_child_run(argv, options, result.output, &result.outcome, deadline);
    return result;
}

static struct result shell(const char *script, const weft_child_options *options,
                           weft_deadline deadline)
{
    return run((const char *const[]){ "sh", "-c", script, NULL }, options, deadline);
}

static void expect_output(struct result *result, int rc, const char *out, const char *err)
{
    EXPECT_EQ(result->rc, rc);
    EXPECT_STR((const char *)result->output[0].data, out);
    EXPECT_STR((const char *)result->output[1].data, err);
    EXPECT_EQ(result->output[0].size, out ? strlen(out) : 0);
    EXPECT_EQ(result->output[1].size, err ? strlen(err) : 0);
    weft_bytes_free(result->output, 2);
}

static void expect_no_child(void)
{
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST_IN_STRAND(what_goes_in_and_what_comes_out)
{
    const char *const sort[] = { "sort", "-n", NULL };
    struct result result = run(sort, &(weft_child_options){ .input = "2\n1\n", .input_bytes = 4 },
                               weft_after(60 * WEFT_S));
    EXPECT_EQ(result.outcome.how, WEFT_DONE);
    expect_output(&result, 0, "1\n2\n", "");
    result = shell("cat; echo out; echo err >&2; exit 3", NULL, WEFT_FOREVER);
    EXPECT_EQ(result.outcome.how, WEFT_FAILED);
    EXPECT_EQ(result.outcome.exit_code, 3);
    expect_output(&result, -ECHILD, "out\n", "err\n");
    result = shell("kill -9 $$", NULL, WEFT_FOREVER);
    EXPECT_EQ(result.outcome.signal, SIGKILL);
    expect_output(&result, -ECHILD, "", "");
    expect_no_child();
}

TEST_IN_STRAND(streams_that_go_elsewhere_are_not_taken)
{
    struct result result = shell("echo out; echo err >&2",
                                 &(weft_child_options){ .err = WEFT_CHILD_STDOUT }, WEFT_FOREVER);
    expect_output(&result, 0, "out\nerr\n", NULL);
    result = shell("echo out; echo err >&2", &(weft_child_options){ .out = WEFT_CHILD_NULL },
                   WEFT_FOREVER);
    expect_output(&result, 0, NULL, "err\n");
    EXPECT_EQ(weft_child_run((const char *const[]){ "true", NULL }, NULL, NULL, NULL, WEFT_FOREVER),
              0);
}

TEST_IN_STRAND(nothing_is_left_of_what_could_not_be_started)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode makes vfork() a fork(), so that posix_spawn() does not hear of "
             "errors");
    const weft_child_options senseless[] = { { .in = WEFT_CHILD_PIPE },
                                             { .in = WEFT_CHILD_NULL, .input = "x" },
                                             { .out = 5 } };
    const char *const missing[] = { "weft-no-such-program", NULL };
    struct result result = run(missing, NULL, WEFT_FOREVER);
    EXPECT_EQ(result.outcome.how, WEFT_FAILED);
    EXPECT_EQ(result.outcome.status, -ENOENT);
    EXPECT_STR(result.outcome.text, weft_strerror(-ENOENT));
    expect_output(&result, -ENOENT, NULL, NULL);
    for (size_t i = 0; i < sizeof senseless / sizeof *senseless; i++) {
        result = shell("exit 0", &senseless[i], WEFT_FOREVER);
        expect_output(&result, -EINVAL, NULL, NULL);
    }
    EXPECT_EQ(weft_child_run(missing, &(weft_child_options){ .out = WEFT_CHILD_PIPE }, NULL, NULL,
                             WEFT_FOREVER),
              -EINVAL);
}

static char *much(void)
{
    char *data = malloc(MUCH);
    EXPECT_TRUE(data);
    for (size_t i = 0; i < MUCH; i++)
        data[i] = (char)(i % 251);
    return data;
}

TEST_IN_STRAND(much_goes_through_without_a_deadlock)
{
    char *data = much();
    struct result result =
        run((const char *const[]){ "cat", NULL },
            &(weft_child_options){ .input = data, .input_bytes = MUCH }, WEFT_FOREVER);
    EXPECT_EQ(result.rc, 0);
    EXPECT_EQ(result.output[0].size, MUCH);
    EXPECT_TRUE(memcmp(result.output[0].data, data, MUCH) == 0);
    weft_bytes_free(result.output, 2);
    free(data);
    result = shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero", NULL, WEFT_FOREVER);
    EXPECT_EQ(result.rc, 0);
    EXPECT_EQ(result.output[0].size, 300000);
    EXPECT_EQ(result.output[1].size, 300000);
    weft_bytes_free(result.output, 2);
}

TEST_IN_STRAND(a_program_need_not_read_what_it_is_given)
{
    char *data = much();
    struct result result =
        shell("exec <&-; echo done", &(weft_child_options){ .input = data, .input_bytes = MUCH },
              WEFT_FOREVER);
    expect_output(&result, 0, "done\n", "");
    result = shell("head -c 2", &(weft_child_options){ .input = "x\nyz", .input_bytes = 4 },
                   WEFT_FOREVER);
    expect_output(&result, 0, "x\n", "");
    result = shell("cat", &(weft_child_options){ .input = "", .input_bytes = 0 }, WEFT_FOREVER);
    expect_output(&result, 0, "", "");
    free(data);
}

TEST_IN_STRAND(it_may_close_its_outputs_before_it_ends)
{
    struct result result =
        shell("echo out; exec >&- 2>&-; cat; exit 4",
              &(weft_child_options){ .input = "x", .input_bytes = 1 }, WEFT_FOREVER);
    EXPECT_NE(result.outcome.exit_code, 0);
    expect_output(&result, -ECHILD, "out\n", "");
}

TEST_IN_STRAND(output_up_to_the_limit_is_taken_and_more_is_not)
{
    const size_t limits[] = { 1, 4095, 4096, 4097, 100000 };
    char script[64];
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        weft_child_options options = { .output_bytes_max = limits[i] };
        snprintf(script, sizeof script, "head -c %zu /dev/zero", limits[i]);
        struct result result = shell(script, &options, WEFT_FOREVER);
        EXPECT_EQ(result.rc, 0);
        EXPECT_EQ(result.output[0].size, limits[i]);
        weft_bytes_free(result.output, 2);
        snprintf(script, sizeof script, "head -c %zu /dev/zero; exec sleep 1000", limits[i] + 1);
        result = shell(script, &options, WEFT_FOREVER);
        EXPECT_EQ(result.rc, -EOVERFLOW);
        EXPECT_EQ(result.output[0].size, limits[i]);
        EXPECT_EQ(result.outcome.how, WEFT_CRASHED);
        weft_bytes_free(result.output, 2);
    }
    struct result result = run((const char *const[]){ "yes", NULL }, NULL, WEFT_FOREVER);
    EXPECT_EQ(result.rc, -EOVERFLOW);
    EXPECT_EQ(result.output[0].size, (size_t)16 << 20);
    weft_bytes_free(result.output, 2);
    expect_no_child();
}

static const char *const sleeper[] = { "sleep", "1000", NULL };

/* A run that its deadline ends after the start, however long that takes. */
static struct result run_late(const char *const argv[], const weft_child_options *options)
{
    for (int64_t ns = WEFT_MS;; ns *= 2) {
        struct result result = run(argv, options, weft_after(ns));
        if (result.outcome.started_ns)
            return result;
        expect_output(&result, -ETIMEDOUT, NULL, NULL);
    }
}

TEST_IN_STRAND(a_deadline_ends_it)
{
    struct result result = run_late(sleeper, NULL);
    EXPECT_EQ(result.outcome.how, WEFT_OVERDUE);
    EXPECT_EQ(result.outcome.status, -ETIMEDOUT);
    EXPECT_EQ(result.outcome.signal, SIGTERM);
    expect_output(&result, -ETIMEDOUT, "", "");
    result = run_late(sleeper, &(weft_child_options){ .grace_ns = -1 });
    EXPECT_EQ(result.outcome.signal, SIGKILL);
    expect_output(&result, -ETIMEDOUT, "", "");
    expect_no_child();
}

TEST_IN_STRAND(a_deadline_ends_also_one_that_always_has_something_to_say)
{
    const char *const yes[] = { "yes", NULL };
    struct result result = run_late(yes, &(weft_child_options){ .output_bytes_max = SIZE_MAX / 4 });
    EXPECT_EQ(result.rc, -ETIMEDOUT);
    EXPECT_EQ(result.outcome.how, WEFT_OVERDUE);
    weft_bytes_free(result.output, 2);
    expect_no_child();
}

TEST_IN_STRAND(a_deadline_that_has_passed_starts_nothing)
{
    struct result result = run(sleeper, NULL, WEFT_NOW);
    EXPECT_EQ(result.outcome.how, WEFT_OVERDUE);
    EXPECT_EQ(result.outcome.started_ns, 0);
    expect_output(&result, -ETIMEDOUT, NULL, NULL);
}

TEST_IN_STRAND(a_scope_ends_it_and_knows_it)
{
    int64_t started_ns = 0;
    for (int64_t ns = WEFT_MS; !started_ns; ns *= 2) {
        weft_scope scope;
        weft_scope_enter(&scope, weft_after(ns), 0);
        struct result result = run(sleeper, NULL, WEFT_FOREVER);
        EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
        started_ns = result.outcome.started_ns;
        expect_output(&result, -ETIMEDOUT, started_ns ? "" : NULL, started_ns ? "" : NULL);
    }
}

static int words[2]; /* a pipe by which the program says that it is so far */

static void run_until_cancelled(size_t index)
{
    (void)index;
    struct result result =
        shell("echo ready >&2; exec sleep 1000",
              &(weft_child_options){ .err = WEFT_CHILD_FD(words[1]) }, WEFT_FOREVER);
    EXPECT_EQ(result.outcome.how, WEFT_CANCELLED);
    EXPECT_EQ(result.outcome.status, -ECANCELED);
    EXPECT_EQ(result.outcome.signal, SIGTERM);
    expect_output(&result, -ECANCELED, "", NULL);
    result = run(sleeper, NULL, WEFT_FOREVER); /* still cancelled */
    EXPECT_EQ(result.outcome.how, WEFT_CANCELLED);
    EXPECT_EQ(result.outcome.started_ns, 0);
    expect_output(&result, -ECANCELED, NULL, NULL);
    expect_no_child();
}

TEST(a_cancellation_ends_it)
{
    char line[8];
    strands_must_be_cancellable();
    EXPECT_EQ(pipe2(words, O_CLOEXEC), 0);
    struct strands *strands = strands_start(1, run_until_cancelled);
    EXPECT_EQ(read(words[0], line, sizeof line), 6);
    strands_cancel_all(strands);
    strands_join(strands);
    close(words[0]);
    close(words[1]);
}

static void run_one_that_leaves_another(size_t index)
{
    (void)index;
    struct result result = shell(
        "sleep 1000 & echo $! >&2",
        &(weft_child_options){ .err = WEFT_CHILD_FD(words[1]), .own_group = true }, WEFT_FOREVER);
    expect_output(&result, -ECANCELED, "", NULL);
}

TEST(a_group_of_its_own_ends_with_it)
{
    char line[32] = "";
    strands_must_be_cancellable();
    EXPECT_EQ(pipe2(words, O_CLOEXEC), 0);
    struct strands *strands = strands_start(1, run_one_that_leaves_another);
    EXPECT_GT(read(words[0], line, sizeof line - 1), 0);
    pid_t left = (pid_t)atoi(line);
    EXPECT_GT(left, 1);
    strands_cancel_all(strands);
    strands_join(strands);
    UNTIL(kill(left, 0) < 0); /* the harness reaps it */
    close(words[0]);
    close(words[1]);
}

static void run_some(size_t index)
{
    char input[32], expected[32];
    for (int i = 0; i < 10; i++) {
        snprintf(input, sizeof input, "%zu %d", index, i);
        snprintf(expected, sizeof expected, "%zu %d!\n", index, i);
        struct result result = shell(
            "echo $(cat)!", &(weft_child_options){ .input = input, .input_bytes = strlen(input) },
            WEFT_FOREVER);
        expect_output(&result, 0, expected, "");
    }
}

TEST(strands_run_programs_at_the_same_time)
{
    strands_join(strands_start(STRANDS, run_some));
    expect_no_child();
}

TEST(without_descriptors_it_is_refused)
{
    struct rlimit before, limit;
    struct result result = { .rc = -EMFILE };
    int lowest = dup(0);
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    for (rlim_t room = 0; result.rc == -EMFILE; room++) {
        limit.rlim_cur = (rlim_t)lowest + room;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        result =
            shell("cat", &(weft_child_options){ .input = "x", .input_bytes = 1 }, WEFT_FOREVER);
        expect_no_child();
        if (result.rc == -EMFILE)
            EXPECT_TRUE(result.output[0].data == NULL);
    }
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_output(&result, 0, "x", "");
}
