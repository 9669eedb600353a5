/* SPDX-License-Identifier: MIT */
/*
 * weft/call.h: the one function type. Whatever weft starts, in whatever kind, is an int fn(call):
 *
 *     static int square(weft_call *call)
 *     {
 *         int n = *(const int *)call->arg;
 *         if (n > 46340)
 *             return weft_call_fail(call, -ERANGE, "%d is too large", n);
 *         n *= n;
 *         return weft_call_return(call, &n, sizeof n);
 *     }
 *
 * The argument and the result are bytes, passed by value with a length, so that the same function
 * runs in this thread, in another, or in a process that shares no memory with the caller. It
 * returns 0 or more for success and a negative errno value for failure.
 */
#ifndef WEFT_CALL_H
#define WEFT_CALL_H

#include <weft/base.h>

WEFT_BEGIN

typedef struct weft_call {
    const void *arg;  /* the bytes, 16-aligned and followed by a NUL; read only. In a map with
                         kind serial or threads it may be the caller's own array, as it lies */
    size_t arg_bytes; /* without that NUL; of a WEFT_STRING: with it */
    void *pointer;    /* instead of arg, when started with WEFT_POINTER */
    void *ret;        /* a map with results of fixed size: where the result goes; else NULL */
    size_t ret_bytes; /* size of ret */
    void *context;    /* options.context: the same bytes for every call; read only */
    size_t context_bytes;
    void *worker;     /* what enter() of a pool's worker gave it; else NULL */
    uint64_t index;   /* the how-manieth call of the group, pool or map it is, from 0 */
    uint32_t attempt; /* 1, or more when earlier attempts crashed and attempts_max allows */
} weft_call;

typedef int weft_fn(weft_call *call);

/*
 * Sizes that say what an argument is, instead of a number of bytes.
 *
 *   WEFT_STRING   a NUL-terminated string, copied; an array's items are const char *
 *   WEFT_BYTES    an array's items are weft_bytes; as a size of a single argument: a weft_bytes *
 *   WEFT_POINTER  lends the pointer itself: refused with -EFAULT where the strand could not see
 * what it points to, everywhere when the environment has WEFT_STRICT=1
 */
#define WEFT_STRING  SIZE_MAX
#define WEFT_POINTER (SIZE_MAX - 1)
#define WEFT_BYTES   (SIZE_MAX - 2)

typedef struct weft_bytes {
    void *data;
    size_t size;
} weft_bytes;

/* Frees the data of n results that a map allocated, and clears them. NULL is allowed. */
void weft_bytes_free(weft_bytes *bytes, size_t n);

/*
 * Gives the call its result: copied; a second one replaces the first.
 * Shape    n bytes, at most 1 GiB; in a map with results of fixed size at most call->ret_bytes, and
 *          what is missing stays zero.
 * Returns  0, so that a function can end with it; -ENOMEM; -EMSGSIZE: too large.
 */
int weft_call_return(weft_call *call, const void *bytes, size_t n);

/*
 * Says why the call fails, in words (cut to 159 bytes) that end up in its outcome.
 * Returns  error as given (0 and positive values count as -EINVAL), so that a function can end
 *          with it.
 */
int weft_call_fail(weft_call *call, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How a call stands or ended. */
typedef enum weft_how {
    WEFT_PENDING, /* not started yet */
    WEFT_RUNNING,
    WEFT_DONE,      /* returned 0 or more */
    WEFT_FAILED,    /* returned a negative value */
    WEFT_CANCELLED, /* never started, or returned -ECANCELED after being cancelled */
    WEFT_CRASHED,   /* its process died of it: signal or exit_code says how */
    WEFT_OVERDUE,   /* its process was killed because call_timeout_ns had passed */
} weft_how;

/* What happened to a call. */
typedef struct weft_outcome {
    weft_how how;
    int status;        /* what it returned; -ECANCELED, -ECHILD, -ETIMEDOUT when it returned nothing
                          because it was cancelled, crashed or was overdue */
    int signal;        /* crashed or overdue: the signal that ended its process, or 0 */
    int exit_code;     /* crashed: what the process exited with, if no signal ended it */
    uint32_t attempts; /* how often it was started */
    uint32_t worker;   /* which worker of the pool ran it, from 0 */
    int64_t started_ns; /* on CLOCK_MONOTONIC; 0 if it never started */
    int64_t ended_ns;
    char text[160]; /* weft_call_fail's words, or weft's own; "" for success */
} weft_outcome;

/* The name of a weft_how, such as "crashed": a constant string. */
const char *weft_how_name(weft_how how);

WEFT_END
#endif
