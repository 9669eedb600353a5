/* SPDX-License-Identifier: MIT */
/*
 * io/reactor.c: which back end.
 *
 * io_uring comes first: where it is allowed, it is faster under load and does files. Containers
 * often forbid it, and old kernels count its memory against a small limit; then epoll it is. That
 * is decided for each reactor anew, so of a program's reactors some may differ.
 *
 * Valgrind (3.19) lets one thread run at a time, and takes io_uring_enter() for a call that does
 * not wait: while one thread waits in it, all others stand still. Under valgrind it is epoll.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/valgrind.h"
#include "io/fault.h"
#include "io/reactor.h"

int (*io_fault)(enum io_fault_point point, struct io_op *op);

static const struct reactor_ops *const back_ends[] = { &uring_reactor, &epoll_reactor };

enum { BACK_ENDS = sizeof back_ends / sizeof *back_ends };

static int open_named(struct reactor **ret, const char *name)
{
    for (size_t i = 0; i < BACK_ENDS; i++)
        if (strcmp(name, back_ends[i]->name) == 0)
            return back_ends[i]->open(ret);
    return -EINVAL;
}

int reactor_open(struct reactor **ret)
{
    const char *name = getenv("WEFT_IO");
    if (name && *name)
        return open_named(ret, name);
    if (UNDER_VALGRIND)
        return epoll_reactor.open(ret);
    int rc = -ENOSYS;
    for (size_t i = 0; i < BACK_ENDS && rc < 0; i++)
        rc = back_ends[i]->open(ret);
    return rc;
}

uint64_t io_identity(void)
{
    static uint64_t last;
    return add_relaxed(&last, 1) + 1; /* only has to differ from all others */
}
