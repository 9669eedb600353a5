/* SPDX-License-Identifier: MIT */
/*
 * Tests that run once for each kind of strand.
 *
 *     TEST_EACH_KIND(every_call_runs_once)
 *     {
 *         weft_group *g;
 *         EXPECT_EQ(weft_group_open(&g, kind, NULL), 0);
 *         ...
 *     }
 *
 * makes four tests, every_call_runs_once_serial, _threads, _tasks and _processes. What does not
 * hold for serial has TEST_EACH_STRAND_KIND. Pools have one kind more: TEST_EACH_POOL_KIND.
 */
#ifndef KINDS_H
#define KINDS_H

#include <errno.h>

#include <weft/program.h>

#include "harness.h"
#include "workers.h"

#define KINDS_TEST(name, suffix, the_kind)                                                         \
    TEST(name##_##suffix)                                                                          \
    {                                                                                              \
        kinds_prepare(the_kind);                                                                   \
        name(the_kind);                                                                            \
    }

#define TEST_EACH_KIND(name)                                                                       \
    static void name(weft_kind kind);                                                              \
    KINDS_TEST(name, serial, WEFT_SERIAL)                                                          \
    KINDS_TEST(name, threads, WEFT_THREADS)                                                        \
    KINDS_TEST(name, tasks, WEFT_TASKS)                                                            \
    KINDS_TEST(name, processes, WEFT_PROCESSES)                                                    \
    static void name(weft_kind kind)

#define TEST_EACH_STRAND_KIND(name)                                                                \
    static void name(weft_kind kind);                                                              \
    KINDS_TEST(name, threads, WEFT_THREADS)                                                        \
    KINDS_TEST(name, tasks, WEFT_TASKS)                                                            \
    KINDS_TEST(name, processes, WEFT_PROCESSES)                                                    \
    static void name(weft_kind kind)

/* The same for pools, which may be of kind auto, too. */
#define TEST_EACH_POOL_KIND(name)                                                                  \
    static void name(weft_kind kind);                                                              \
    KINDS_TEST(name, serial, WEFT_SERIAL)                                                          \
    KINDS_TEST(name, threads, WEFT_THREADS)                                                        \
    KINDS_TEST(name, tasks, WEFT_TASKS)                                                            \
    KINDS_TEST(name, processes, WEFT_PROCESSES)                                                    \
    KINDS_TEST(name, auto, WEFT_AUTO)                                                              \
    static void name(weft_kind kind)

#define TEST_EACH_POOL_STRAND_KIND(name)                                                           \
    static void name(weft_kind kind);                                                              \
    KINDS_TEST(name, threads, WEFT_THREADS)                                                        \
    KINDS_TEST(name, tasks, WEFT_TASKS)                                                            \
    KINDS_TEST(name, processes, WEFT_PROCESSES)                                                    \
    KINDS_TEST(name, auto, WEFT_AUTO)                                                              \
    static void name(weft_kind kind)

#define TEST_PROCESSES(name)                                                                       \
    static void name(weft_kind kind);                                                              \
    KINDS_TEST(name, processes, WEFT_PROCESSES)                                                    \
    static void name(weft_kind kind)

/* What the kind needs before its first use. The zygote's descriptors stay. */
static inline void kinds_prepare(weft_kind kind)
{
    if (kind == WEFT_TASKS) {
        workers_make_all();
        DESCRIPTORS_COUNT_FROM_HERE();
    }
    if (kind != WEFT_PROCESSES)
        return;
    NEEDS_PROCESSES();
    int rc = weft_init();
    if (rc == -EBUSY && HARNESS_SANITIZED)
        SKIP("the sanitizer has made a thread before main");
    EXPECT_EQ(rc, 0);
    DESCRIPTORS_COUNT_FROM_HERE();
}

#endif
