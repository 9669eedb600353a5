/* SPDX-License-Identifier: MIT */
/* debug/trace.h: how the life of a traced process (start.c) and its threads (trace.c) meet. */
#ifndef WEFT_DEBUG_TRACE_H
#define WEFT_DEBUG_TRACE_H

#include "debug/ring.h"

/* What threads record to from the moment on that trace_on is set. Once. Returns 0; -errno. */
int trace_use(struct room *room, bool elsewhere);

/* The calling thread has no ring any more. */
void trace_forget_thread(void);

/* The writer (writer.c): the whole life of its process. fd: the file, locked and empty. */
struct trace_file {
    int fd;
    uint64_t bytes_max;
};
__attribute__((noreturn)) void writer_run(struct room *room, const struct trace_file *file);

#endif
