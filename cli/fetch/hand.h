/* SPDX-License-Identifier: MIT */
/* A hand of the crew: a worker process, and its successor when it dies, as their parent sees them;
 * and the errands that it has. */
#ifndef FETCH_HAND_H
#define FETCH_HAND_H

#include "crew.h"
#include "crew_work.h"
#include "verdict.h"

/* Of one URL; on the stack of its task. How it ended is written before `over` is set. */
struct errand {
    struct task *task; /* in shared memory */
    weft_event over;
    struct result *result; /* owned, in shared memory; NULL: the verdict, or the error */
    size_t bytes;
    int error;
    struct hand *with;     /* the hand that has it; NULL: none */
    struct hand *reserved; /* the hand that it has for itself; NULL: none */
    bool untaken;          /* the hand died before it took the order: to be placed again */
    union verdict verdict; /* must be last */
};

struct hand {
    struct crew *crew; /* constant */
    struct post post;
    weft_future *life;       /* of the call that the process runs; NULL: there is none */
    bool ready;              /* for orders */
    bool hung;               /* its life was cancelled, as it did not answer */
    bool given_up;           /* there will be no other process */
    struct errand *alone;    /* nobody else's orders are wanted; NULL: everybody's */
    struct errand **errands; /* by slot; NULL: none */
    uint32_t *vacant;        /* the slots that have none */
    uint32_t vacant_count;
};

struct crew {
    const struct settings *settings; /* constant, as are the next four */
    uint32_t hands_count;
    uint32_t orders_max; /* that a hand may have */
    weft_pool *pool;
    weft_group *keepers;
    weft_lock lock;      /* guards what follows, and the hands */
    weft_condition room; /* a hand has room, or never will */
    bool ending;         /* nothing begins any more */
    uint32_t hands_left; /* not given up */
    char text[160];      /* why the last one was */
    struct deaths deaths;
    struct hand hands[];
};

/* Makes a hand of the crew; hand_keep() gives it its processes. Returns 0 or -ENOMEM. */
int hand_open(struct hand *hand, struct crew *crew, uint32_t number);
void hand_close(struct hand *hand); /* also one that was never opened */

/* Looks after it, as long as there can be another process: a call in a thread, whose argument is a
 * struct hand *. */
int hand_keep(weft_call *call);

/* Gives the errand to a hand that is ready and has room. Returns 0 or -errno. Under the lock. */
int hand_order(struct hand *hand, struct errand *errand);

/* Kills the process that has the errand, as if it had died by itself; nothing if none has it. */
void hand_kill(struct crew *crew, struct errand *errand);

#endif
