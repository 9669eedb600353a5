/* SPDX-License-Identifier: MIT */
/* The calls that the lab's pools run, the same for every kind. */
#ifndef LAB_LOADS_H
#define LAB_LOADS_H

#include <weft.h>

/* What every call of a pool finds in its context. */
struct lab_place {
    char site[WEFT_ADDRESS_BYTES]; /* where pages are */
};

/* A call's argument: first the page, then the computing. */
struct lab_job {
    bool page;        /* fetch one */
    bool gil;         /* hold the GIL, but for the time in which it waits */
    uint32_t page_ms; /* after which it is answered */
    uint64_t rounds;  /* of computing; 0: none */
};

/* A call's result. */
struct lab_done {
    int64_t cpu_ns;   /* CPU time of its thread meanwhile: its own, unless the thread runs tasks */
    int64_t page_ns;  /* time that it took to get the page */
    int64_t pid;      /* of the process it ran in */
    uint64_t product; /* of the computing, so that it cannot be left out */
};

/* Of a pool: the state of a worker is its connection to the site. */
int lab_worker_enter(weft_call *call, void **ret_worker);
void lab_worker_leave(void *worker);

/* Runs the struct lab_job in arg and gives a struct lab_done. */
int lab_call(weft_call *call);

/* Runs it as well, and gives a struct lab_span for each piece of its time, at most
 * LAB_CALL_SPANS_MAX of them, in nanoseconds of CLOCK_MONOTONIC; worker is left to the caller. */
int lab_call_recorded(weft_call *call);
#define LAB_CALL_SPANS_MAX 256

/* Prepares the GIL. Before weft_init(), so that each process has one, and nobody holds it. */
void lab_loads_init(void);

/* How many rounds of computing take a millisecond on this machine. */
uint64_t lab_calibrate(void);

#endif
