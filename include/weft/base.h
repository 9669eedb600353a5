/* SPDX-License-Identifier: MIT */
/* weft/base.h: what every other header needs: linkage, errors, the kinds of strand. */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define WEFT_BEGIN                                                                                 \
    _Pragma("GCC visibility push(default)") extern "C"                                             \
    {
#define WEFT_END                                                                                   \
    }                                                                                              \
    _Pragma("GCC visibility pop")
#define WEFT_LITERAL(type) type
#else
#define WEFT_BEGIN         _Pragma("GCC visibility push(default)")
#define WEFT_END           _Pragma("GCC visibility pop")
#define WEFT_LITERAL(type) (type)
#endif
#define WEFT_USE __attribute__((warn_unused_result))

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

WEFT_BEGIN

/* The version of the library that is loaded, such as "0.1.0": a constant string. */
const char *weft_version(void);

/*
 * Explains what weft returned.
 * Shape    error: a negative errno value as weft returns it, or a positive one, or 0.
 * Returns  a constant string, never NULL, in weft's own words where weft gives an error a meaning
 *          of its own (-ECHILD: a call of yours failed). Signal-safe.
 */
const char *weft_strerror(int error);

/*
 * The kind of concurrency: what a strand is. Change this word, and nothing else changes.
 *
 *   WEFT_SERIAL     no strand at all: each call runs at once, in the strand that starts it
 *   WEFT_THREADS    an operating-system thread each: waiting overlaps, memory is shared
 *   WEFT_TASKS      a coroutine each, run by a few worker threads: many thousands of waits at once,
 *                   memory is shared; what blocks the thread goes through weft_blocking()
 *   WEFT_PROCESSES  an operating-system process each: survives crashes, can be killed; needs
 *                   weft_init() at the top of main
 *   WEFT_AUTO       threads or processes, and as many as the calls turn out to need: for pools
 *                   (pool.h says how they choose)
 *
 * Numbers that are left out belong to kinds that later versions add.
 */
typedef enum weft_kind {
    WEFT_SERIAL = 1,
    WEFT_THREADS = 2,
    WEFT_TASKS = 3,
    WEFT_PROCESSES = 4,
    WEFT_AUTO = 5,
} weft_kind;

/*
 * Reads a kind from its name: "serial", "threads", "tasks", "processes" or "auto".
 * Returns  0 and *ret_kind; -EINVAL: no such kind (or NULL).
 */
int weft_kind_parse(const char *name, weft_kind *ret_kind) WEFT_USE;

/* The name of a kind, a constant string; "unknown" for what is not one. */
const char *weft_kind_name(weft_kind kind);

WEFT_END
#endif
