/* SPDX-License-Identifier: MIT */
/* What the figures about a command mean, which degrees are tried, and the words of a run: all that
 * can be told without running anything. The figures are those of a quiet machine with two CPUs,
 * where a test does not say otherwise. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "lab/command_inputs.h"
#include "lab/command_round.h"
#include "lab/command_search.h"
#include "lab/command_verdict.h"

enum { CPUS = 2, DEGREES = 4 };

/* A degree at which runs take so long and compute so long; the interval is 2 % to each side. */
static struct command_degree degree(uint32_t jobs, double wall_s, double cpu_s)
{
    double rate = jobs / wall_s;

    return (struct command_degree){ .jobs = jobs,
                                    .rounds = 3,
                                    .runs = 100,
                                    .rate = rate,
                                    .low = 0.98 * rate,
                                    .high = 1.02 * rate,
                                    .wall_s = wall_s,
                                    .cpu_s = cpu_s };
}

/* 1, 2, 4 and 8 at once of a command that computes: two CPUs are all it can have. */
static void computing(struct command_degree degrees[DEGREES])
{
    for (uint32_t i = 0, jobs = 1; i < DEGREES; i++, jobs *= 2)
        degrees[i] = degree(jobs, jobs <= CPUS ? 0.1 : 0.1 * jobs / CPUS, 0.098);
}

/* The same of one that waits, whatever else runs. */
static void waiting(struct command_degree degrees[DEGREES])
{
    for (uint32_t i = 0, jobs = 1; i < DEGREES; i++, jobs *= 2)
        degrees[i] = degree(jobs, 0.1, 0.002);
}

static const char *text_of(const struct command_verdict *verdict,
                           const struct command_degree *degrees, size_t count)
{
    static char text[1024];

    command_verdict_text(verdict, degrees, count, CPUS, text, sizeof text);
    return text;
}

TEST(computing_wants_as_many_as_cpus)
{
    struct command_degree degrees[DEGREES];
    computing(degrees);
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_CPU);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_NONE);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 2);
    EXPECT_TRUE(verdict.certain);
    EXPECT_FALSE(verdict.crowded);
    const char *text = text_of(&verdict, degrees, DEGREES);
    EXPECT_HAS(text, "CPU-bound: 98 % of its time on a CPU. ");
    EXPECT_HAS(text, "-j 2 is best: 2.0 x as fast as -j 1 (20.0/s, 19.6 to 20.4); more gains "
                     "nothing on 2 CPUs.");
}

TEST(computing_with_one_cpu_is_enough_alone)
{
    struct command_degree degrees[] = { degree(1, 0.1, 0.098), degree(2, 0.2, 0.098) };
    struct command_verdict verdict = command_judge(degrees, 2, 1);
    EXPECT_EQ(verdict.best, 0);
    EXPECT_TRUE(verdict.certain);
    EXPECT_HAS(text_of(&verdict, degrees, 2), "-j 1 is enough (10.0/s");
}

TEST(waiting_gains_as_long_as_it_is_tried)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_WAITING);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_OTHER);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_GAINING);
    EXPECT_EQ(degrees[verdict.best].jobs, 8);
    const char *text = text_of(&verdict, degrees, DEGREES);
    EXPECT_HAS(text, "It waits 98 % of the time (for the network");
    EXPECT_HAS(text, "-j 8 is best: 8.0 x");
    EXPECT_HAS(text, "it still gained there");
}

TEST(waiting_for_a_full_server_is_told_from_full_cpus)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    degrees[3] = degree(8, 0.2, 0.002); /* no more than four at a time */
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 4);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_OTHER);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES), "a lock, the network or a server is the limit");
}

TEST(the_smallest_degree_within_5_percent_is_the_best)
{
    struct command_degree degrees[] = { degree(1, 0.1, 0.05), degree(2, 0.105, 0.05),
                                        degree(4, 0.2018, 0.05), degree(8, 0.39, 0.05) };
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs,
              4);                      /* 19.0, 19.8, 20.5 a second: 2 is more than 5 % off */
    degrees[3] = degree(8, 0.4, 0.05); /* 20.0: now 2 is within */
    verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 2);
    EXPECT_EQ(verdict.class, COMMAND_MIXED);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES),
               "Mixed: it computes 50 % of the time and waits 50 %");
}

TEST(a_command_with_threads_of_its_own_is_parallel_by_itself)
{
    struct command_degree degrees[] = { degree(1, 0.1, 0.18), degree(2, 0.2, 0.18) };
    struct command_verdict verdict = command_judge(degrees, 2, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_PARALLEL);
    EXPECT_EQ(verdict.best, 0);
    const char *text = text_of(&verdict, degrees, 2);
    EXPECT_HAS(text, "Parallel by itself: one run uses 1.8 CPUs.");
    EXPECT_HAS(text, "-j 1 is enough");
}

TEST(a_crowded_machine_does_not_make_a_computing_command_wait)
{
    struct command_degree degrees[] = { degree(1, 0.4, 0.098), degree(2, 0.7, 0.098) };
    degrees[0].queued_s = 0.3;
    degrees[1].queued_s = 0.6;
    degrees[0].cpu_pressure = degrees[1].cpu_pressure = 1;
    struct command_verdict verdict = command_judge(degrees, 2, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_CPU);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_CPU);
    EXPECT_TRUE(verdict.crowded);
    const char *text = text_of(&verdict, degrees, 2);
    EXPECT_HAS(text, "and 75 % waiting for one");
    EXPECT_HAS(text, "Other programs, or a quota,");
}

TEST(gains_on_a_crowded_machine_are_no_advice_for_a_quiet_one)
{
    struct command_degree degrees[] = { degree(1, 1, 0.1), degree(2, 1.5, 0.1), degree(4, 2, 0.1) };
    for (size_t i = 0; i < 3; i++) {
        degrees[i].queued_s = 0.88 * degrees[i].wall_s;
        degrees[i].cpu_pressure = 1;
    }
    struct command_verdict verdict = command_judge(degrees, 3, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_CPU);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 4);
    const char *text = text_of(&verdict, degrees, 3);
    EXPECT_HAS(text, "-j 4 is best: 2.0 x as fast as -j 1");
    EXPECT_HAS(text,
               "on a quiet machine the figures are higher, and -j 2 can be expected to be enough.");
}

TEST(a_crowded_machine_does_not_make_a_waiting_command_compute)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    for (size_t i = 0; i < DEGREES; i++)
        degrees[i].cpu_pressure = 1;
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_WAITING);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_OTHER);
    EXPECT_TRUE(verdict.crowded);
}

TEST(the_disk_is_told_by_its_pressure_if_runs_use_it)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    degrees[0].io_pressure = 0.9;
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_OTHER); /* somebody else's */
    degrees[0].disk_bytes = 3 << 20;
    degrees[0].major_faults = 12;
    verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_DISK);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES),
               "(for the disk: 3.00 MiB and 12.0 major faults a run)");
    degrees[0].io_pressure = 0.1; /* of 98 %: not what it waits for */
    verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_OTHER);
}

TEST(the_disk_is_told_without_accounting_of_pressure)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    for (size_t i = 0; i < DEGREES; i++)
        degrees[i].queued_s = degrees[i].cpu_pressure = degrees[i].io_pressure = NAN;
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(verdict.class, COMMAND_WAITING);
    EXPECT_EQ(verdict.wait, COMMAND_WAIT_OTHER);
    EXPECT_FALSE(verdict.crowded);
    degrees[0].major_faults = 20; /* in 0.1 s */
    EXPECT_EQ(command_judge(degrees, DEGREES, CPUS).wait, COMMAND_WAIT_DISK);
    degrees[0].major_faults = 0;
    degrees[0].disk_bytes = 1 << 20;
    EXPECT_EQ(command_judge(degrees, DEGREES, CPUS).wait, COMMAND_WAIT_DISK);
}

TEST(a_disk_that_is_full_of_work_is_the_limit)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    degrees[2] = degree(4, 0.2, 0.002);
    degrees[3] = degree(8, 0.4, 0.002);
    for (size_t i = 0; i < DEGREES; i++) {
        degrees[i].disk_bytes = 1 << 20;
        degrees[i].io_pressure = 0.9;
    }
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 2);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_DISK);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES), "the disk is the limit");
}

TEST(a_degree_at_which_runs_fail_is_not_the_best)
{
    struct command_degree degrees[DEGREES];
    waiting(degrees);
    degrees[0].failed = 2;
    degrees[3].failed = 40;
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 4);
    EXPECT_EQ(verdict.broken, 1);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES),
               "From -j 8 on runs fail that do not at -j 1: 40 % of them.");
    for (size_t i = 0; i < DEGREES; i++)
        degrees[i].failed = 40; /* as everywhere: then it means nothing (grep without a match) */
    verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_EQ(degrees[verdict.best].jobs, 8);
    EXPECT_EQ(verdict.broken, 0);
}

TEST(overlapping_intervals_are_uncertain)
{
    struct command_degree degrees[] = { degree(1, 0.1, 0.05), degree(2, 0.18, 0.05) };
    degrees[1].low = 9.9;
    struct command_verdict verdict = command_judge(degrees, 2, CPUS);
    EXPECT_EQ(verdict.best, 1);
    EXPECT_FALSE(verdict.certain);
    EXPECT_HAS(text_of(&verdict, degrees, 2), "That is uncertain: the intervals overlap.");
    degrees[1].low = degrees[1].high = NAN;
    verdict = command_judge(degrees, 2, CPUS);
    EXPECT_FALSE(verdict.certain);
    EXPECT_HAS(text_of(&verdict, degrees, 2), "Too few rounds to say how certain that is.");
}

TEST(a_single_degree_promises_nothing)
{
    struct command_degree only = degree(4, 0.1, 0.05);
    struct command_verdict verdict = command_judge(&only, 1, CPUS);
    EXPECT_EQ(verdict.best, 0);
    EXPECT_EQ(verdict.limit, COMMAND_LIMIT_CPUS); /* 4 of 0.5 CPUs are the two that there are */
    EXPECT_HAS(text_of(&verdict, &only, 1), "Only -j 4 was measured (40.0/s");
}

TEST(a_degree_that_is_slower_than_the_best_is_warned_of)
{
    struct command_degree degrees[DEGREES];
    computing(degrees);
    degrees[3].rate = 12;
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    EXPECT_HAS(text_of(&verdict, degrees, DEGREES), "-j 8 is slower: 12.0/s.");
}

TEST(words_are_cut_to_the_room_there_is)
{
    struct command_degree degrees[DEGREES];
    char text[16];
    computing(degrees);
    struct command_verdict verdict = command_judge(degrees, DEGREES, CPUS);
    command_verdict_text(&verdict, degrees, DEGREES, CPUS, text, sizeof text);
    EXPECT_STR(text, "CPU-bound: 98 %");
}

TEST(figures_have_three_digits)
{
    EXPECT_STR(command_figure(0).text, "0");
    EXPECT_STR(command_figure(0.00123).text, "0.00123");
    EXPECT_STR(command_figure(0.0123).text, "0.0123");
    EXPECT_STR(command_figure(0.123).text, "0.123");
    EXPECT_STR(command_figure(0.9996).text, "1.00");
    EXPECT_STR(command_figure(1.234).text, "1.23");
    EXPECT_STR(command_figure(9.996).text, "10.0");
    EXPECT_STR(command_figure(99.96).text, "100");
    EXPECT_STR(command_figure(12345).text, "12345");
}

/* ---- degrees, rates */

static void expect_degrees(double cpus, const uint32_t *expected, size_t count)
{
    uint32_t jobs = 0;

    for (size_t i = 0; i < count; i++) {
        jobs = command_degree_after(jobs, cpus);
        EXPECT_EQ(jobs, expected[i]);
    }
}

TEST(degrees_are_powers_of_two_and_all_cpus)
{
    expect_degrees(1, (uint32_t[]){ 1, 2, 4, 8 }, 4);
    expect_degrees(6, (uint32_t[]){ 1, 2, 4, 6, 8, 16 }, 6);
    expect_degrees(2.5, (uint32_t[]){ 1, 2, 3, 4, 8 }, 5);
}

TEST(of_a_run_that_lies_partly_in_the_window_that_part_counts)
{
    const struct command_span spans[] = { { 0, 100 }, { 50, 150 }, { 100, 200 }, { 300, 400 } };
    EXPECT_EQ(command_work_within(spans, 4, 50, 150), 2); /* a half, one, a half */
    EXPECT_EQ(command_work_within(spans, 4, 0, 1000), 4);
    EXPECT_EQ(command_work_within(spans, 4, 210, 290), 0);
    EXPECT_EQ(command_work_within(spans, 0, 0, 100), 0);
}

/* ---- a round */

static struct command_round round_of(struct command_work *work, uint32_t jobs, uint64_t most)
{
    char trouble[COMMAND_TROUBLE_BYTES];
    struct command_round round;
    EXPECT_EQ(command_round_run(work, jobs, 60 * WEFT_S, most, WEFT_FOREVER, &round, trouble), 0);
    EXPECT_STR(trouble, "");
    EXPECT_EQ(round.jobs, jobs);
    EXPECT_GT(round.work, 0);
    EXPECT_GT(round.window_s, 0);
    return round;
}

TEST(a_round_has_the_runs_that_were_asked_for_and_no_more)
{
    char name[] = "true";
    char *words[] = { name, NULL };
    const struct command_inputs none = { 0 };
    struct command_work work = { .words = words, .inputs = &none, .directory_fd = -1 };
    for (uint64_t i = 1; i <= 20; i++) {
        EXPECT_EQ(round_of(&work, 4, 4).runs, 4);
        EXPECT_EQ(work.given, 4 * i);
    }
    EXPECT_EQ(round_of(&work, 2, 7).runs, 7);
    EXPECT_FALSE(work.failure.happened);
}

TEST(a_round_counts_what_failed_and_what_was_repeated)
{
    char program[] = "test";
    char wrong[] = "("; /* test ( INPUT: an error whatever the input */
    char *words[] = { program, wrong, NULL };
    char one[] = "one";
    char two[] = "two";
    struct command_input items[] = { { one, 7 }, { two, 8 } };
    const struct command_inputs inputs = { .items = items, .count = 2, .total = 2 };
    struct command_work work = { .words = words, .inputs = &inputs, .directory_fd = -1 };
    struct command_round round = round_of(&work, 2, 4);
    EXPECT_EQ(round.runs, 4);
    EXPECT_EQ(round.failed, 4);
    EXPECT_EQ(round.repeats, 2);
    EXPECT_EQ(round.failed_repeats, 2);
    EXPECT_TRUE(work.failure.happened);
    EXPECT_STR(work.failure.text, "exited with 2");
    EXPECT_GE(work.failure.line, 7);
}

TEST(a_round_that_cannot_start_its_command_says_why)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode makes vfork() a fork(), so that posix_spawn() does not hear of "
             "errors");
    char name[] = "/nonexistent/program";
    char *words[] = { name, NULL };
    const struct command_inputs none = { 0 };
    struct command_work work = { .words = words, .inputs = &none, .directory_fd = -1 };
    char trouble[COMMAND_TROUBLE_BYTES];
    struct command_round round;
    EXPECT_EQ(command_round_run(&work, 1, WEFT_S, 1, WEFT_FOREVER, &round, trouble), -ENOENT);
    EXPECT_STR(trouble, "/nonexistent/program: No such file or directory");
    EXPECT_TRUE(work.wrong);
}

TEST(a_round_ends_at_its_deadline_with_all_that_it_runs)
{
    char name[] = "sleep";
    char seconds[] = "1000";
    char *words[] = { name, seconds, NULL };
    const struct command_inputs none = { 0 };
    struct command_work work = { .words = words, .inputs = &none, .directory_fd = -1 };
    char trouble[COMMAND_TROUBLE_BYTES];
    struct command_round round;
    EXPECT_EQ(command_round_run(&work, 3, WEFT_S, 3, weft_after(100 * WEFT_MS), &round, trouble),
              -ETIMEDOUT);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

/* ---- words, inputs */

/* The words with one space between them. */
static void expect_words(const char *const *words, const char *input, const char *expected)
{
    char joined[256] = "";
    char **made = command_words_make((char *const *)(uintptr_t)words, input);

    EXPECT_TRUE(made != NULL);
    for (size_t i = 0; made[i] != NULL; i++) {
        strcat(joined, i > 0 ? " " : "");
        strcat(joined, made[i]);
    }
    free(made);
    EXPECT_STR(joined, expected);
}

TEST(an_input_goes_where_the_braces_are_and_else_behind_the_words)
{
    const char *const places[] = { "cp", "{}", "{}.{}", "{", "}{", NULL };
    const char *const none[] = { "gzip", "-k", NULL };
    expect_words(places, "a b", "cp a b a b.a b { }{");
    expect_words(places, "{}", "cp {} {}.{} { }{"); /* not replaced again */
    expect_words(places, NULL, "cp {} {}.{} { }{");
    expect_words(none, "x", "gzip -k x");
    expect_words(none, "", "gzip -k ");
    expect_words(none, NULL, "gzip -k");
    EXPECT_TRUE(command_words_have_place((char *const *)(uintptr_t)places));
    EXPECT_FALSE(command_words_have_place((char *const *)(uintptr_t)none));
}

static char path[] = "/tmp/weft-inputs-XXXXXX";

static void write_file(const char *bytes, size_t size)
{
    int fd = mkstemp(path);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static int read_file(struct command_inputs *inputs, bool nul_separated, size_t most,
                     char *complaint)
{
    *inputs = (struct command_inputs){ 0 };
    return command_inputs_read(inputs, path, nul_separated, most, complaint);
}

static const struct command_input *input_of_line(const struct command_inputs *inputs, uint64_t line)
{
    for (size_t i = 0; i < inputs->count; i++)
        if (inputs->items[i].line == line)
            return &inputs->items[i];
    return NULL;
}

TEST(inputs_are_lines_as_they_are_but_empty_ones)
{
    char complaint[COMMAND_COMPLAINT_BYTES];
    struct command_inputs inputs;
    write_file("  one  \n\n'two\n# three", 21);
    EXPECT_EQ(read_file(&inputs, false, 10, complaint), 0);
    EXPECT_EQ(inputs.count, 3);
    EXPECT_EQ(inputs.total, 3);
    EXPECT_STR(input_of_line(&inputs, 1)->text, "  one  ");
    EXPECT_STR(input_of_line(&inputs, 3)->text, "'two");
    EXPECT_STR(input_of_line(&inputs, 4)->text, "# three");
    command_inputs_release(&inputs);
    unlink(path);
}

TEST(inputs_that_end_with_nul_may_have_newlines)
{
    char complaint[COMMAND_COMPLAINT_BYTES];
    struct command_inputs inputs;
    write_file("a\nb\0c", 5);
    EXPECT_EQ(read_file(&inputs, true, 10, complaint), 0);
    EXPECT_EQ(inputs.count, 2);
    EXPECT_STR(input_of_line(&inputs, 1)->text, "a\nb");
    command_inputs_release(&inputs);
    EXPECT_EQ(read_file(&inputs, false, 10, complaint), -EINVAL);
    EXPECT_HAS(complaint, "line 2 has a NUL byte");
    command_inputs_release(&inputs);
    unlink(path);
}

TEST(a_sample_has_different_inputs_and_knows_how_many_there_are)
{
    char complaint[COMMAND_COMPLAINT_BYTES];
    char text[4096] = "";
    struct command_inputs inputs;
    size_t used = 0;
    for (int i = 1; i <= 500; i++)
        used += (size_t)sprintf(text + used, "%d\n", i);
    write_file(text, used);
    EXPECT_EQ(read_file(&inputs, false, 20, complaint), 0);
    EXPECT_EQ(inputs.count, 20);
    EXPECT_EQ(inputs.total, 500);
    for (size_t i = 0; i < inputs.count; i++) {
        EXPECT_EQ((uint64_t)atoi(inputs.items[i].text), inputs.items[i].line);
        EXPECT_TRUE(input_of_line(&inputs, inputs.items[i].line) == &inputs.items[i]);
    }
    command_inputs_release(&inputs);
    unlink(path);
}

TEST(an_input_that_no_program_can_take_is_named)
{
    char complaint[COMMAND_COMPLAINT_BYTES];
    struct command_inputs inputs;
    char *text = malloc(COMMAND_INPUT_MAX + 3);
    EXPECT_TRUE(text != NULL);
    memset(text, 'x', COMMAND_INPUT_MAX + 3);
    text[1] = '\n';
    write_file(text, COMMAND_INPUT_MAX + 3);
    EXPECT_EQ(read_file(&inputs, false, 10, complaint), -E2BIG);
    EXPECT_HAS(complaint, "input 2 is longer than 131071 bytes");
    command_inputs_release(&inputs);
    unlink(path);
    strcpy(path, "/tmp/weft-inputs-XXXXXX");
    write_file(text, COMMAND_INPUT_MAX + 2);
    EXPECT_EQ(read_file(&inputs, false, 10, complaint), 0);
    EXPECT_EQ(inputs.count, 2);
    command_inputs_release(&inputs);
    unlink(path);
    free(text);
}

TEST(a_file_that_cannot_be_read_is_named)
{
    char complaint[COMMAND_COMPLAINT_BYTES];
    struct command_inputs inputs = { 0 };
    EXPECT_EQ(command_inputs_read(&inputs, "/nonexistent/x", false, 10, complaint), -ENOENT);
    EXPECT_STR(complaint, "/nonexistent/x: No such file or directory");
    EXPECT_EQ(command_inputs_read(&inputs, "/tmp", false, 10, complaint), -EISDIR);
    EXPECT_STR(complaint, "/tmp: Is a directory");
    command_inputs_release(&inputs);
}
