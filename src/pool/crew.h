/* SPDX-License-Identifier: MIT */
/*
 * pool/crew.h: the worker processes of a pool, and how calls get to them and their results back.
 *
 * Each member of a crew is a process and its lane (process/lane.h). What is to be run comes from
 * sources: the queue of what was submitted, and maps. Whoever holds the crew's lock may
 *
 *   collect    take from the lanes what is done, and give it to its source
 *   dispatch   fill lanes that have too little to do from the sources that have something
 *
 * and everybody who touches the crew does both. A thread that waits for something of the crew's
 * leads: it does this itself, and sleeps on the hub's bell in between (lead.c), so that a result
 * takes one wake-up. One leads at a time. While nobody leads, the supervisor does (supervisor.c):
 * a thread that also opens the processes, buries them, and keeps the times.
 *
 * Ending a future runs the code of others, so it is done without the lock: what is to be told is
 * kept in a struct harvest and told when the lock was released (crew_settle()).
 *
 * Lock order: the crew's lock is taken under none but a map's caller's; under it are taken park's
 * guards, and a future's.
 */
#ifndef WEFT_POOL_CREW_H
#define WEFT_POOL_CREW_H

#include <weft/lock.h>

#include "park/park.h"
#include "process/lane.h"
#include "process/process.h"
#include "strand/future.h"
#include "strand/thread.h"
#include "sync/signal.h"

struct crew;
struct member;
struct source;

enum { HARVEST_FAILURES = 8 };

/* What is to be told when the lock is released. */
struct harvest {
    struct list ended; /* futures, by queue_link: outcome.how and status are set, call.text */
    uint32_t failed;
    struct failure {
        struct source *source;
        weft_outcome outcome;
    } failures[HARVEST_FAILURES];
};

/* A batch in a lane, as the crew knows it. */
struct assignment {
    struct source *source;
    weft_future *future; /* the queue's, with the runner's reference */
    uint64_t first;      /* index of the first item */
    uint32_t count;      /* items, less those taken back */
    uint32_t seen;       /* items collected */
    uint32_t logged;     /* entries collected */
    uint32_t attempt;
    int64_t item_ns;  /* what an item was thought to take */
    int64_t given_ns; /* when, about */
    void *block;      /* memory of its own; NULL: what it needs lies in the batch, or elsewhere */
    size_t block_bytes;
    char *rets; /* NULL: results are in the log */
    struct entry *log;
};

enum member_state {
    MEMBER_NONE,     /* there is no process */
    MEMBER_STARTING, /* it is on its way: forked, or inside enter */
    MEMBER_READY,
    MEMBER_QUITTING, /* told to end after what it has */
    MEMBER_STOPPING, /* asked to end, or killed, because of the call that it runs */
    MEMBER_GIVEN_UP,
};

/* Why a member is stopping. */
enum member_fate { FATE_NONE, FATE_CANCELLED, FATE_OVERDUE, FATE_FAULTY };

/* All guarded by the crew's lock; process is changed by the supervisor alone. */
struct member {
    struct crew *crew;
    uint32_t number;
    enum member_state state;
    enum member_fate fate;
    struct lane *lane;
    struct process *process;
    uint32_t head, tail; /* assignments in flight, as in the lane */
    struct assignment assignments[LANE_BATCHES];
    int64_t load_ns;    /* what is in flight is thought to take */
    size_t block_bytes; /* of its assignments' blocks */
    uint32_t calls;     /* given to this process, less those taken back */
    uint32_t failures;  /* to open, in a row */
    bool to_wake;       /* something was published */
    uint32_t heard;     /* failures heard of that it pauses for; told it when they were settled */
    int64_t look_ns;  /* when the supervisor is to look: to open again, to kill. INT64_MAX: never */
    int64_t moved_ns; /* when progress was seen last */
    bool ran;         /* its process died of an item */
    const char *last[2];           /* blocks of the entry that was collected last */
    struct process_result refusal; /* of enter, or of the system, if `unstarted` */
    bool unstarted;
    weft_future *parked;  /* crew->once: its call has ended, and is told of when the process has */
    weft_future *unbegun; /* the same: its call will not begin */
};

/* The assignment that it gets next, which is free if its lane is not full. */
static inline struct assignment *member_next(struct member *member)
{
    return &member->assignments[member->tail % LANE_BATCHES];
}

/* Why no member can be opened. */
struct crew_failure {
    int error;
    char text[160];
};

/* What gives calls. All functions are called under the lock. */
struct source_ops {
    /*
     * Fills a member's next assignment and its batch with the next items, at most `most` of them.
     * False: there are none, or there is no memory for more now, and over() will offer the rest.
     */
    bool (*give)(struct source *source, struct member *member, struct batch *batch, uint32_t most,
                 struct harvest *harvest);

    /* The items from `from` to before `to` are done; rets has their results. */
    void (*done)(struct source *source, struct assignment *from_what, uint32_t from, uint32_t to);

    /* An entry of the log, after done(). What it points to was checked, and is the source's. */
    void (*logged)(struct source *source, struct assignment *what, const struct entry *entry,
                   struct member *member, struct harvest *harvest);

    /*
     * An assignment is over: all its items were done, died or taken back. An entry that is missing
     * never comes: the process is faulty. Its block goes after this.
     */
    void (*over)(struct source *source, struct assignment *what, struct harvest *harvest);

    /* Items have not begun, and are to be given again. */
    void (*take_back)(struct source *source, struct assignment *what, uint32_t from, uint32_t to,
                      struct member *member);

    /* An item died with its process, or was killed. */
    void (*died)(struct source *source, struct assignment *what, uint32_t item,
                 struct member *member, const struct process_end *end, struct harvest *harvest);

    /*
     * Nothing more will run: ends all that has not begun, as failed for that reason; NULL: as
     * cancelled. False: the harvest is full, there is more.
     */
    bool (*fail)(struct source *source, const struct crew_failure *failure,
                 struct harvest *harvest);

    /* A failure that it harvested has been told. */
    void (*told)(struct source *source);
};

struct source {
    const struct source_ops *ops;
    struct list link; /* among crew->sources while it has something to give */
    int64_t item_ns;  /* what an item takes, about; 0: not known */
    int64_t stop_ns;  /* from then on its running calls are asked to end; 0: they are not */
    void (*on_error)(const weft_outcome *outcome, void *ctx);
    void *on_error_ctx;
};

/* What was submitted, call by call (submitted.c). */
struct submitted {
    struct source source;
    struct list futures; /* by queue_link, each with the runner's reference */
    uint32_t count;
    struct signal room; /* raised when it may have become shorter, or closing */
};

struct crew {
    const weft_options *options; /* constant after open, as what is above the lock */
    struct process_origin *origin;
    uint32_t participant; /* the process that opened it */
    struct hub *hub;
    bool once;       /* a member is for one call, and gone after it: a group's crew */
    int epoll, poke; /* what the supervisor waits for, and an eventfd in it */
    struct thread_set supervisor;
    char supervisor_name[32];
    weft_lock lock; /* guards what follows, and the members */
    struct member **members;
    uint32_t members_count, members_room;
    struct list sources;
    struct submitted submitted;
    uint32_t in_flight;      /* assignments */
    uint32_t usable;         /* members that have not been given up */
    struct strand *overseer; /* the supervisor */
    struct strand *leader;   /* NULL: nobody leads */
    bool supervised;         /* there is a supervisor. A group's goes when there are no members */
    struct signal quiet;     /* raised under the lock: closing, and nobody visits */
    uint32_t visitors;       /* atomic: inside calls on the crew */
    uint32_t pause, waits;   /* the leader's: how it spins (lead.c) */
    int64_t look_ns;         /* when the supervisor is to look at the latest */
    int64_t asleep_ns;       /* until when it sleeps; INT64_MIN: it is awake */
    bool pausing;            /* a member pauses after a failure that has been heard of */
    bool closing, terminated;
    struct crew_failure failure; /* when usable is 0 */
};

/* ---- crew.c */

/* A crew of so many members; 0: of members that come one by one, for one call each.
 * Returns 0; -ENOMEM, -EAGAIN, -EMFILE; -EFAULT: its processes could not see enter or leave; and
 * what process_origin_open() returns. */
int crew_open(struct crew **ret, const weft_options *options, uint32_t members);

/* A member without a process, that the crew does not know yet; NULL: no memory. */
struct member *member_new(struct crew *crew);
void member_free(struct member *member);

/* Makes sure that there is a supervisor. Under the lock. 0; -EAGAIN, -ENOMEM. */
int crew_supervise(struct crew *crew);

/* The crew knows it from now on. Under the lock. False: no memory. */
bool crew_add(struct crew *crew, struct member *member);

/* And no longer. Under the lock. */
void crew_remove(struct crew *crew, struct member *member);

/* Whether this is the process that opened it, and not a copy of it, which shares lanes with it. */
bool crew_is_own(const struct crew *crew);

/* Nothing new will come: ends the processes when what is there has ended. Blocks. */
void crew_close(struct crew *crew);

/* It was closed, and all its futures have ended: one that is cancelled in the queue still looks
 * there. */
void crew_free(struct crew *crew);

/* Nothing more is to run: what has not begun is cancelled, what runs is asked to end. */
void crew_terminate(struct crew *crew);

/* A source has got something to give, or has nothing more. Under the lock. */
void crew_offer(struct crew *crew, struct source *source);

/* Collects and dispatches. Under the lock. */
void crew_drive(struct crew *crew, struct harvest *harvest);

/* Begins a visit: takes the lock. The crew stays until the visit has ended. */
void crew_enter(struct crew *crew);

/*
 * Keeps the crew from being closed, without the lock, by somebody who knows of something that keeps
 * it open still: a future that has not ended. crew_let_go() under the lock.
 */
void crew_hold(struct crew *crew);
void crew_let_go(struct crew *crew);

/*
 * Ends a visit: releases the lock and tells what there is to tell. If nobody else will, the
 * supervisor looks after what is in flight.
 */
void crew_leave(struct crew *crew, struct harvest *harvest);

/* Those that pause after a failure may go on: everybody has been told of it. Under the lock. */
void crew_resume(struct crew *crew);

/* Tells, without the lock. */
void crew_settle(struct crew *crew, struct harvest *harvest);

void harvest_init(struct harvest *harvest);

/* True: tell first, then go on. */
static inline bool harvest_full(const struct harvest *harvest)
{
    return harvest->failed == HARVEST_FAILURES;
}

/* Keeps a future to be ended. */
void harvest_future(struct harvest *harvest, weft_future *future, weft_how how, int status);

/* Whether a lane has something to collect. Under the lock. */
bool crew_has_news(const struct crew *crew);

/* Has the supervisor look at the latest at that time. Under the lock. */
void crew_look_at(struct crew *crew, int64_t ns);

/* Wakes the supervisor. */
void crew_poke(struct crew *crew);

/* Asks the member to end for the sake of what it runs, and takes back everything else. */
void crew_stop_member(struct member *member, enum member_fate fate, int64_t grace_ns);

/* Whether there is, or may come, something to run. Under the lock. */
bool crew_is_needed(const struct crew *crew);

/* ---- collect.c, dispatch.c, under the lock */

/* False: the harvest is full, there is more. */
bool collect(struct member *member, struct harvest *harvest);

/* The process has ended, as it says: collects, and settles what it leaves behind. */
bool collect_dead(struct member *member, const struct process_end *end, struct harvest *harvest);

/* Takes back what has not begun. */
void collect_back(struct member *member, struct assignment *what, uint32_t from);

void dispatch(struct crew *crew, struct harvest *harvest);

/* Puts a filled batch, the next of its lane, into it. */
void publish(struct member *member, struct assignment *what, struct batch *batch);

/* The item that it runs; -1: none. *ret_what: its assignment. */
int64_t member_running(struct member *member, struct assignment **ret_what);

struct batch *batch_of(struct member *member, uint32_t position);

/* ---- lead.c */

/*
 * Waits as crew's leader until ended(ctx), which is called under the lock.
 * arm: fills a node that is woken when it may have become true otherwise.
 * Returns  0; -EAGAIN: another leads, or the caller is no thread: wait as usual; -ETIMEDOUT;
 *          -ECANCELED.
 */
struct awaited {
    bool (*ended)(void *ctx);
    void (*arm)(void *ctx, struct park_node *node);
    void *ctx;
};
int crew_lead(struct crew *crew, const struct awaited *what, weft_deadline deadline,
              unsigned flags);

/* ---- supervisor.c */

/* An empty lane, for a new process. */
void member_clear(struct member *member);

/* Has the supervisor hear what the member's process says. Returns 0; -errno. */
int supervisor_watch(struct member *member);

void supervisor_main(void *ctx);

/* ---- submitted.c */

void submitted_init(struct submitted *submitted);

/* Makes a future that was assigned the one item of a batch. False: no memory. */
bool submitted_fill(struct submitted *submitted, struct assignment *what, struct batch *batch,
                    weft_future *future);

/* How a call ended whose process died: fills in the outcome, but for its text, and text. */
void describe_death(const struct member *member, const struct process_end *end, weft_outcome *ret,
                    char *text, size_t size);

/* Moves an entry's words to where they belong. */
void entry_take_text(const struct entry *entry, char *ret_text, size_t size);

#endif
