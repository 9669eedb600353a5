/* SPDX-License-Identifier: MIT */
/* park/trace.c: whether anybody looks on; and waits in words. */
#include "park/trace.h"

uint32_t trace_on;

const char *trace_wait_name(unsigned flags)
{
    static const char *const names[] = {
        "something",  "lock",      "condition", "semaphore",  "event",      "barrier",
        "once",       "queue get", "queue put", "queue join", "select",     "sleep",
        "blocking",   "resolve",   "read",      "write",      "accept",     "connect",
        "descriptor", "file",      "child",     "future",     "group next", "group join",
        "pool work",  "pool room", "pool map",  "pool close", "strands",    "gil",
        "pool look",  "itself",
    };
    unsigned purpose = flags >> PARK_PURPOSE_SHIFT;
    return purpose < sizeof names / sizeof *names ? names[purpose] : names[0];
}

/* Before main(). It stands here so that whoever links the static library gets it. */
__attribute__((constructor)) static void start(void)
{
    trace_start();
}
