/* SPDX-License-Identifier: MIT */
/* Connections that are answered later, ordered by time. */
#ifndef SERVE_LATER_H
#define SERVE_LATER_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

struct later_entry {
    int64_t at_ns;
    struct MHD_Connection *connection;
};

struct later {
    struct later_entry *heap; /* a binary heap, the soonest first */
    size_t count, capacity;
};

/* Room for `capacity` connections; a connection waits for one thing at a time, so as many as there
 * can be connections. Returns 0 or -ENOMEM. */
int later_init(struct later *later, size_t capacity);
void later_deinit(struct later *later);

/* Suspends the connection and resumes it after delay_ns. Call from one of its callbacks. */
void later_add(struct later *later, struct MHD_Connection *connection, int64_t delay_ns);

/* Nanoseconds until the soonest is due; 0: one is due; -1: none waits. */
int64_t later_left(const struct later *later);

/* Resumes those that are due. */
void later_resume(struct later *later);

/* Resumes all, due or not: libmicrohttpd must not be stopped while a connection is suspended. */
void later_resume_all(struct later *later);

#endif
