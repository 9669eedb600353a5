/* SPDX-License-Identifier: MIT */
/* What the tests of options about processes share: one call in a group or a pool of such. */
#ifndef TESTS_PROCESS_ASKING_H
#define TESTS_PROCESS_ASKING_H

#include <errno.h>
#include <stdio.h>

#include "base/sanitizer.h"
#include "common.h"

enum place { IN_GROUP, IN_POOL, PLACES };

#define EACH_PLACE(place) for (enum place place = IN_GROUP; place < PLACES; place++)

/* Threads that look like the program's: of QEMU's user mode, and of ThreadSanitizer once there has
 * been another. */
#define FOREIGN_THREADS (HARNESS_EMULATED || THREAD_SANITIZER)

/* Each start method that can be had here. */
#define EACH_START(start)                                                                          \
    for (weft_start start = WEFT_START_ZYGOTE; start <= (HARNESS_EMULATED  ? WEFT_START_ZYGOTE     \
                                                         : FOREIGN_THREADS ? WEFT_START_EXEC       \
                                                                           : WEFT_START_FORK);     \
         start++)

/*
 * Registers functions and, in a process that runs this program again, becomes it: what the
 * beginning of a main() does elsewhere. Before the library's own constructor.
 */
#define REGISTER(...)                                                                              \
    __attribute__((constructor(200))) static void register_functions(void)                         \
    {                                                                                              \
        static weft_fn *const all[] = { __VA_ARGS__ };                                             \
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {                                    \
            char name[20];                                                                         \
            snprintf(name, sizeof name, "function %zu", i);                                        \
            if (weft_register(name, all[i]) < 0)                                                   \
                abort();                                                                           \
        }                                                                                          \
        if (getenv("WEFT_PROCESS") && weft_init() <= 0)                                            \
            abort();                                                                               \
    }

/* Runs fn in a process with these options and gives its future, which has ended. */
static inline weft_future *ask(enum place place, const weft_options *options, weft_fn *fn,
                               const char *arg)
{
    weft_future *f;
    weft_group *group = NULL;
    weft_pool *pool = NULL;
    weft_options all = *options;
    if (place == IN_GROUP) {
        EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, &all), 0);
        EXPECT_EQ(weft_group_submit(group, fn, arg, WEFT_STRING, &f, WEFT_FOREVER), 0);
    } else {
        all.workers = 1;
        EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &all), 0);
        EXPECT_EQ(weft_pool_submit(pool, fn, arg, WEFT_STRING, &f, WEFT_FOREVER), 0);
    }
    int rc = weft_future_wait(f, WEFT_FOREVER);
    EXPECT_EQ(rc, weft_future_outcome(f)->how == WEFT_DONE ? 0 : -ECHILD);
    weft_group_close(group);
    weft_pool_close(pool);
    return f;
}

/* The same, for a call that gives a text. */
static inline void expect_answer(enum place place, const weft_options *options, weft_fn *fn,
                                 const char *arg, const char *answer)
{
    weft_future *f = ask(place, options, fn, arg);
    EXPECT_STR(weft_future_outcome(f)->text, "");
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_DONE);
    EXPECT_STR((const char *)weft_future_result(f, NULL), answer);
    weft_future_close(f);
}

/* The same, for a call that is not run, as what it needs cannot be had. */
static inline void expect_failure(enum place place, const weft_options *options, weft_fn *fn,
                                  int error, const char *words)
{
    weft_future *f = ask(place, options, fn, "");
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(f)->status, error);
    EXPECT_HAS(weft_future_outcome(f)->text, words);
    weft_future_close(f);
}

static inline int answer(weft_call *call, const char *text)
{
    return text ? weft_call_return(call, text, strlen(text) + 1) : 0;
}

#endif
