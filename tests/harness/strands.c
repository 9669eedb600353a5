/* SPDX-License-Identifier: MIT */
/*
 * Strands for tests: strands.h says what it promises.
 *
 * Each strand shows its record (park/strand.h) while it runs. From that one can see whether it
 * sleeps: its nodes are queued before its token says so, and nobody has decided its wait yet. A
 * record dies with its thread, so looking at it excludes its end by a mutex, which the strand takes
 * only before and after the test's function: it orders nothing that the test is about.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft/group.h>
#include <weft/program.h>

#include "harness.h"
#include "park/strand.h"
#include "strands.h"
#include "workers.h"

enum { TOKEN_SLEEPING = 2 }; /* as in park/thread.c and task/worker.c */

enum kind { THREADS, FOREIGN, TASKS, MIXED };

struct member {
    struct strands *all;
    size_t index;
    pthread_mutex_t mutex;
    struct strand *record; /* guarded by mutex: NULL before it runs and after */
    bool ended;            /* guarded by mutex */
    pthread_t thread;      /* kind foreign */
    weft_future *future;   /* the other kinds */
};

struct strands {
    void (*fn)(size_t index);
    enum kind kind;
    weft_group *group, *tasks; /* NULL: not of this kind */
    size_t n;
    struct member members[];
};

static void show(struct member *member, struct strand *record, bool ended)
{
    pthread_mutex_lock(&member->mutex);
    member->record = record;
    member->ended = ended;
    pthread_mutex_unlock(&member->mutex);
}

static void run(struct member *member)
{
    show(member, strand_self(), false);
    member->all->fn(member->index);
    show(member, NULL, true);
}

static void *run_foreign(void *member)
{
    run(member);
    return NULL;
}

static int run_call(weft_call *call)
{
    run(*(struct member *const *)call->arg);
    return 0;
}

static enum kind kind_under_test(void)
{
    static const char *const names[] = { "threads", "foreign", "tasks", "mixed" };
    const char *said = getenv("WEFT_TEST_STRANDS");
    for (size_t i = 0; said && i < sizeof names / sizeof *names; i++)
        if (strcmp(said, names[i]) == 0)
            return (enum kind)i;
    if (said)
        FAIL("WEFT_TEST_STRANDS=%s: no such kind of strand", said);
    return THREADS;
}

/* The workers' descriptors are none of a test's. Processes must be prepared for before there are
 * threads: a test may want some beside its tasks. */
static void prepare(void)
{
    if (kind_under_test() < TASKS)
        return;
    (void)!weft_init();
    workers_make_all();
}

__attribute__((constructor)) static void register_prepare(void)
{
    harness_prepare_by(prepare);
}

static weft_group *open_group(weft_kind kind)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, kind, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    return group;
}

/* The group that runs a member: of both kinds in turn, if the kind is mixed. */
static weft_group *group_of(const struct member *member)
{
    const struct strands *all = member->all;
    bool task = all->tasks && (!all->group || member->index % 2);
    return task ? all->tasks : all->group;
}

static void start(struct member *member)
{
    if (member->all->kind == FOREIGN)
        EXPECT_EQ(pthread_create(&member->thread, NULL, run_foreign, member), 0);
    else
        EXPECT_EQ(weft_group_submit(group_of(member), run_call, &member, sizeof member,
                                    &member->future, WEFT_FOREVER),
                  0);
}

/* Whether all run, or have. What is cancelled before that would never run at all. */
static bool begun(struct strands *strands)
{
    size_t n = 0;
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        pthread_mutex_lock(&member->mutex);
        n += member->record || member->ended;
        pthread_mutex_unlock(&member->mutex);
    }
    return n == strands->n;
}

struct strands *strands_start(size_t n, void (*fn)(size_t index))
{
    struct strands *strands = calloc(1, sizeof *strands + n * sizeof *strands->members);
    EXPECT_TRUE(strands);
    strands->fn = fn;
    strands->n = n;
    strands->kind = kind_under_test();
    if (strands->kind == THREADS || strands->kind == MIXED)
        strands->group = open_group(WEFT_THREADS);
    if (strands->kind == TASKS || strands->kind == MIXED)
        strands->tasks = open_group(WEFT_TASKS);
    for (size_t i = 0; i < n; i++) {
        struct member *member = &strands->members[i];
        member->all = strands;
        member->index = i;
        pthread_mutex_init(&member->mutex, NULL);
        start(member);
    }
    UNTIL(begun(strands));
    return strands;
}

static bool sleeps(struct strand *record)
{
    /* acquire: its nodes were queued before it said that it sleeps */
    if (load_acquire(&record->token) != TOKEN_SLEEPING)
        return false;
    return strand_waits(load_acquire(&record->decision));
}

static size_t count(struct strands *strands, bool or_ended)
{
    size_t n = 0;
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        pthread_mutex_lock(&member->mutex);
        n += member->record ? sleeps(member->record) : member->ended && or_ended;
        pthread_mutex_unlock(&member->mutex);
    }
    return n;
}

size_t strands_asleep(struct strands *strands)
{
    return count(strands, false);
}

/* Each strand is looked at in turn, so one look may see a strand that sleeps on a lock before the
 * holder gives it up and another after it went to sleep itself. For that, somebody must be woken
 * during the look; every strand passes only so many locks on its way, so of enough looks in a row
 * one saw all of them asleep at the same time, and then nobody is left to wake them. */
void strands_until_asleep(struct strands *strands)
{
    for (size_t looks = 0; looks < 2 * strands->n + 2;) {
        if (count(strands, true) == strands->n) {
            looks++;
        } else {
            looks = 0;
            strands_yield();
        }
    }
}

void strands_must_be_cancellable(void)
{
    if (kind_under_test() == FOREIGN)
        SKIP("threads that weft did not make cannot be cancelled");
}

void strands_cancel(struct strands *strands, size_t index)
{
    strands_must_be_cancellable();
    weft_future_cancel(strands->members[index].future);
}

void strands_cancel_all(struct strands *strands)
{
    for (size_t i = 0; i < strands->n; i++)
        strands_cancel(strands, i);
}

void strands_join(struct strands *strands)
{
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        if (strands->kind == FOREIGN) {
            EXPECT_EQ(pthread_join(member->thread, NULL), 0);
        } else {
            EXPECT_EQ(weft_future_wait(member->future, WEFT_FOREVER), 0);
            weft_future_close(member->future);
        }
        pthread_mutex_destroy(&member->mutex);
    }
    weft_group_close(strands->group);
    weft_group_close(strands->tasks);
    free(strands);
}

/* Polling costs others little: after a while it leaves them the processor for a moment each time.
 * Only how long a test takes depends on that, not how it ends. */
void strands_yield(void)
{
    static _Thread_local unsigned times;
    struct strand *self = strand_self();
    if (++times % 64 || self->reactor)
        self->ops->yield(self);
    else
        nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
}
