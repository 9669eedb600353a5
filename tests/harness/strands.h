/* SPDX-License-Identifier: MIT */
/*
 * Strands for the conformance tests: n of them run one function, whatever kind is under test.
 *
 *     static void waiter(size_t index)
 *     {
 *         EXPECT_EQ(weft_event_wait(&go, WEFT_FOREVER), 0);
 *         atomic_fetch_add(&woken, 1);
 *     }
 *
 *     struct strands *waiters = strands_start(4, waiter);
 *     strands_until_asleep(waiters);
 *     weft_event_set(&go);
 *     strands_join(waiters);
 *
 * The kind is taken from the environment, WEFT_TEST_STRANDS:
 *
 *   threads    calls of a group of kind threads (the default)
 *   foreign    threads that weft did not make, by pthread_create()
 *   tasks      calls of a group of kind tasks
 *   mixed      calls of a group of kind threads and of one of kind tasks, in turn
 *
 * All of these share the test's memory, so that a test's state may be what its file has as statics.
 * Tests of what works between processes, too, keep their state in memory that they get from here
 * (STRANDS_KEEP, strands_alloc()), and run over three kinds more, for which that is shared memory:
 *
 *   shared-threads, shared-tasks    as above
 *   processes                       calls of a group of kind processes
 */
#ifndef STRANDS_H
#define STRANDS_H

#include <stdbool.h>
#include <stddef.h>

struct strands;

/*
 * What the strands of a test have in common, zeroed:
 *
 *     static struct {
 *         weft_lock lock;
 *         int counter;
 *     } *shared;
 *     STRANDS_KEEP(shared)
 */
#define STRANDS_KEEP(name)                                                                         \
    __attribute__((constructor)) static void keep_##name(void)                                     \
    {                                                                                              \
        strands_keep((void **)&name, sizeof *name);                                                \
    }

void strands_keep(void **place, size_t bytes);

/* Zeroed memory that all strands of the test see, and its end. */
void *strands_alloc(size_t bytes);
void strands_free(void *memory);

/* Whether that is shared memory; whether the strands are processes. */
bool strands_share(void);
bool strands_are_processes(void);

/* Starts n strands that run fn(0) to fn(n - 1); each has begun when it returns. */
struct strands *strands_start(size_t n, void (*fn)(size_t index));

/* Waits until every one of them has ended or sleeps inside one of weft's waits. Whoever sleeps has
 * queued up already: a wake-up, a cancellation or a deadline from now on finds it waiting. Only for
 * strands that nobody else wakes: a wait with a deadline counts as sleep, too. */
void strands_until_asleep(struct strands *strands);

/* How many of them sleep inside one of weft's waits, at some moment during the call. */
size_t strands_asleep(struct strands *strands);

/* Cancels one, or all, of them; skips the test if the kind cannot be cancelled. */
void strands_cancel(struct strands *strands, size_t index);
void strands_cancel_all(struct strands *strands);

/* Skips the test unless strands of the kind under test can be cancelled. */
void strands_must_be_cancellable(void);

/* Waits until all of them have ended, and frees them. */
void strands_join(struct strands *strands);

/* Lets others run, while the caller polls for what they do. */
void strands_yield(void);

/* A test whose body runs in one strand of the kind under test. */
#define TEST_IN_STRAND(test_name)                                                                  \
    static void test_name##_in_strand(size_t index);                                               \
    TEST(test_name)                                                                                \
    {                                                                                              \
        strands_join(strands_start(1, test_name##_in_strand));                                     \
    }                                                                                              \
    static void test_name##_in_strand(__attribute__((unused)) size_t index)

/* Returns when the condition holds; the harness ends the test if that never comes. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        while (!(condition))                                                                       \
            strands_yield();                                                                       \
    } while (0)

#endif
