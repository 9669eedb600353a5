/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_decide.h: how many workers a pool of kind auto is to have, as a function of what was
 * measured and nothing else (auto_decide.c).
 */
#ifndef WEFT_POOL_AUTO_DECIDE_H
#define WEFT_POOL_AUTO_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

/* What keeps a pool from having more workers. */
enum auto_limit {
    AUTO_LIMIT_OPTION,      /* options.workers */
    AUTO_LIMIT_PRESET,      /* the same, if the program has not set it */
    AUTO_LIMIT_PROCESSES,   /* RLIMIT_NPROC */
    AUTO_LIMIT_ADDRESSES,   /* RLIMIT_AS */
    AUTO_LIMIT_MEMORY,      /* of the machine, or of a cgroup */
    AUTO_LIMIT_DESCRIPTORS, /* RLIMIT_NOFILE */
    AUTO_LIMIT_SYSTEM,      /* it has refused a thread */
    AUTO_LIMIT_ENTER,       /* a worker could not be entered */
};

/* A window of time. Sums are over the workers that were looked at, which stand for all. */
struct auto_sample {
    int64_t wall_ns;       /* how long it was */
    int64_t busy_ns;       /* they were inside of calls; of that: */
    int64_t cpu_ns;        /*   on a CPU */
    int64_t delay_ns;      /*   wanted to run and had no CPU; -1: not known */
    int64_t gil_ns;        /*   waited for a weft_gil */
    int64_t lock_ns;       /*   waited for a weft_lock */
    uint32_t looked_at;    /* how many workers these are */
    uint32_t workers;      /* how many there are. What follows is of the window's end */
    uint32_t running;      /* calls that run */
    uint32_t asked;        /* workers in calls that were asked for their state just now */
    uint32_t runnable;     /* of these, those that ran, or would with a CPU */
    uint32_t queued;       /* calls that wait for a worker */
    uint32_t cpus;         /* that may be used, in thousandths */
    bool quota;            /* which a cgroup's quota says */
    uint32_t most;         /* workers that there may be, at least 1 */
    enum auto_limit limit; /* which says so */
    bool movable;          /* processes could run these calls */
};

/* What it goes by. Zeroed, but for the size: nothing is known. */
struct auto_state {
    uint32_t size;  /* how many workers there are to be; 0, before anything is known: the base */
    bool processes; /* calls are to run in processes from now on */
    bool measured;  /* what follows means something */
    bool fights;    /* calls that compute wait for a GIL */
    bool limited;   /* there would be more workers, if `limit` allowed them */
    enum auto_limit limit;
    uint32_t waiting;  /* per cent of their time that calls would wait with a CPU each */
    int64_t window_ns; /* how long the next window is to be */

    /* Its own. Times are sums of windows. */
    double wall, busy, cpu, delay, gil, lock, asked, runnable; /* smoothed */
    int64_t now_ns;
    int64_t changed_ns;  /* when the size changed last */
    int64_t turned_ns;   /* when it last changed to the other direction */
    int64_t patience_ns; /* how long fewer must be wanted before there are fewer */
    int64_t wanted_ns;   /* since when another size is wanted, all in one direction; -1: none is */
    int64_t fought_ns;   /* since when calls fight; -1: they do not */
    int direction;       /* of the last change; 0: none yet */
    int wanted;          /* direction */
    uint32_t peaks[2];   /* the most calls at once: of this second, and of the one before */
    int64_t peak_ns;     /* when this second began */
};

/* What a pool begins with, and never has fewer of: a worker per CPU. */
uint32_t auto_base(uint32_t cpus, uint32_t most);

/* What was measured is long ago: goes by what comes from now on. */
void auto_forget(struct auto_state *state);

/* Goes by one sample more. */
void auto_decide(struct auto_state *state, const struct auto_sample *sample);

#endif
