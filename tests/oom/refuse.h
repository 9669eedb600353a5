/* SPDX-License-Identifier: MIT */
/*
 * Every allocation, thread and descriptor that the library asks for is refused in turn.
 *
 * The linker leads the calls of the library (and of these files) through functions of refuse.c. An
 * operation is done again and again: first its first request fails, then its second, until it asks
 * for no more. Each time it must say so with the right error, or do without; give back all that it
 * had got; and work the next time.
 */
#ifndef TESTS_OOM_REFUSE_H
#define TESTS_OOM_REFUSE_H

#include <pthread.h>

#include <weft/base.h>

enum resource { MEMORY, THREADS, DESCRIPTORS };

/* Does an operation with each of its requests refused once, which must give that error or none.
 * Returns how many it made. */
long refuse_each(int (*operation)(weft_kind kind), weft_kind kind, enum resource resource,
                 int error);

/* Refuses the nth request from now on, 1 the next. */
void refuse_nth(enum resource resource, long nth);

/* How many were refused since. */
long refused_since(void);

/* Never refuses. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *arg);

#endif
