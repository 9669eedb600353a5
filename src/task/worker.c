/* SPDX-License-Identifier: MIT */
/*
 * task/worker.c: a thread that runs tasks: which one next, how they sleep and are woken.
 *
 * The thread's own stack runs the loop. The loop goes on with a task; a task that sleeps, yields
 * or ends goes on with the next one itself, without a detour; after WORKER_TURNS of that, or when
 * there is no next one, it goes back to the loop, which looks at what comes from outside: the
 * reactor, timers, the inbox, tasks that have waited long.
 *
 * Once started, a task stays with its worker. So what a task and its worker do to each other needs
 * no atomics, and a task whose wait has been decided cannot be gone on with before it has left its
 * stack, whoever wakes it: only its worker goes on with it. Whoever decides the wait (park/park.c)
 * puts the task, once, with those that can run:
 *
 *   wake   by its own worker into `ready`, by another thread into the inbox, and then the worker's
 *          sleep is ended if there is one; by itself, before it sleeps: its token says so
 *   timer  its worker decides that the time is up, and puts it into `ready`
 *
 * A task that is started on a certain worker comes by the inbox, too: there nobody steals it.
 *
 * Which one next: in turn, what was made here last and has not started (its maker's caches are
 * warm, and trees of tasks are run depth first), and the first of those that are ready. If those
 * that are ready had their turn less often, tasks that wait for others would pile up behind them.
 * What has waited long for a start has its turn when the loop looks around (share_take_old()).
 *
 * A task that ends cannot free the stack it stands on: the next one to run on this thread does.
 */
#include <errno.h>
#include <stdlib.h>

#include <weft/time.h>

#include "park/hold.h"
#include "task/annotate.h"
#include "task/leaving.h"
#include "task/share.h"
#include "task/shared_wait.h"
#include "task/switch.h"
#include "task/worker.h"

enum { TOKEN_EMPTY, TOKEN_THERE, TOKEN_SLEEPING }; /* own; SLEEPING is for those who look on */

__thread struct worker *worker_current __attribute__((tls_model("initial-exec")));

/* The C++ run-time library's, if the program has one: what a thread is about to throw or catch. */
extern void **__cxa_get_globals(void) __attribute__((weak));

static void ready_push(struct worker *worker, struct task *task)
{
    task->next = NULL;
    *worker->ready_end = task;
    worker->ready_end = &task->next;
}

static struct task *ready_pop(struct worker *worker)
{
    struct task *task = worker->ready;
    if (!task)
        return NULL;
    worker->ready = task->next;
    if (!worker->ready)
        worker->ready_end = &worker->ready;
    return task;
}

/* What has ended lets go of its memory, now that nobody stands on its stack. */
static void bury(struct worker *worker)
{
    struct task *task = worker->ended;
    worker->ended = NULL;
    annotate_end(task->fiber);
    task_bury(task);
}

/* The first thing that a stack does when it is gone on with. */
static inline void arrive(struct worker *worker, struct task *self)
{
    annotate_arrive(self ? self->fiber : worker->fiber);
    if (worker->ended)
        bury(worker);
}

/* Leaves the stack of one task for that of another; NULL: the loop. */
static inline void go_to(struct worker *worker, struct task *from, struct task *to)
{
    bool for_good = from && worker->ended == from;
    worker->running = to;
    strand_current = to ? &to->strand : worker->thread;
    if (to)
        annotate_leave(from ? from->fiber : worker->fiber, for_good, to->fiber, to->stack->low,
                       (size_t)((char *)to->beside - to->stack->low));
    else
        annotate_leave(from->fiber, for_good, worker->fiber, worker->loop_low, worker->loop_bytes);
    switch_stack(from ? &from->sp : &worker->loop_sp, to ? to->sp : worker->loop_sp);
    arrive(worker, from);
}

static void task_main(void *arg);

void worker_lay_out(struct task *task)
{
    task->sp = switch_prepare(task->beside, task_main, task);
}

/* Gives an unstarted task to this worker for good. */
static void begin(struct worker *worker, struct task *task)
{
    task->started = true;
    store_relaxed(&task->worker, worker); /* relaxed: for its maker's look in task.c */
    task->strand.reactor = worker->reactor;
    annotate_begin(task->stack->low, task->beside, task->fiber);
}

/* A task that has not started, if it is the turn of those. */
static struct task *next_unstarted(struct worker *worker)
{
    worker->started_last = !worker->started_last;
    if (worker->ready && !worker->started_last)
        return NULL;
    struct task *task = deque_pop(&worker->deque);
    if (task)
        begin(worker, task);
    return task;
}

/* The next to go on with; NULL: the loop. */
static inline struct task *next_task(struct worker *worker)
{
    if (worker->turns == 0)
        return NULL;
    struct task *task = NULL;
    if (deque_count(&worker->deque))
        task = next_unstarted(worker);
    if (!task)
        task = ready_pop(worker);
    store_relaxed(&worker->turns, worker->turns - (task != NULL)); /* relaxed: for hog.c */
    return task;
}

/* Keeps, or brings back, what a strand is about to throw or catch. One may be NULL: no C++ here. */
static inline void copy_exceptions(void **to, void **from)
{
    if (!to || !from)
        return;
    to[0] = from[0];
    to[1] = from[1];
}

/*
 * A task leaves its stack, for whoever is next, and comes back when it is gone on with. What is
 * the thread's but should be the task's is kept meanwhile.
 */
static inline void leave(struct worker *worker, struct task *self)
{
    struct task *next = next_task(worker);
    if (next == self)
        return;
    int *error = worker->error, kept_error = *error;
    void *exceptions[2] = { NULL, NULL };
    copy_exceptions(exceptions, worker->exceptions);
    go_to(worker, self, next);
    copy_exceptions(worker->exceptions, exceptions);
    *error = kept_error;
}

/* Where every task begins. */
static void task_main(void *arg)
{
    struct task *task = arg;
    struct worker *worker = task->worker;
    arrive(worker, task);
    if (worker->exceptions)
        worker->exceptions[0] = worker->exceptions[1] = NULL;
    *worker->error = 0;
    task->body(task->ctx);
    if (task->strand.holds)
        hold_abandon(&task->strand, 0);
    worker->ended = task;
    go_to(worker, task, next_task(worker));
    __builtin_unreachable();
}

void worker_sleep_task(struct task *task, weft_deadline deadline)
{
    struct strand *self = &task->strand;
    struct worker *worker = task->worker;
    if (self->token == TOKEN_THERE) { /* it has woken itself */
        self->token = TOKEN_EMPTY;
        return;
    }
    task->timed = deadline.ns != INT64_MAX;
    if (task->timed) {
        task->timer.at_ns = deadline.ns;
        timer_set(&worker->timers, &task->timer);
    }
    store_release(&self->token, TOKEN_SLEEPING); /* after its nodes were queued */
    leave(worker, task);
    store_relaxed(&self->token, TOKEN_EMPTY); /* relaxed: says nothing */
    if (task->timed)
        timer_unset(&worker->timers, &task->timer);
}

static void task_sleep(struct strand *self, weft_deadline deadline)
{
    worker_sleep_task((struct task *)self, deadline);
}

void worker_leave(struct task *task)
{
    leave(task->worker, task);
}

void worker_ready(struct task *task)
{
    ready_push(task->worker, task);
}

/*
 * Puts a task into its worker's inbox. That may not sleep yet, but is about to, and until then its
 * worker does not look there. Signal-safe.
 */
void worker_pass(struct task *task)
{
    struct worker *worker = task->worker;
    struct task *first = load_relaxed(&worker->inbox); /* a first guess: the swap decides */
    do
        task->next = first; /* seq_cst: in one order with share_sleep() */
    while (!cas_seq_cst(&worker->inbox, &first, task));
    if (first || load_seq_cst(&worker->asleep) != WORKER_ASLEEP)
        return; /* who put the first one wakes; who is awake will look */
    uint32_t asleep = WORKER_ASLEEP;
    if (cas_acq_rel(&worker->asleep, &asleep, WORKER_AWAKE)) /* acq_rel: the inbox orders it */
        worker->reactor->ops->wake(worker->reactor);
}

static void task_wake(struct strand *strand)
{
    struct task *task = (struct task *)strand;
    struct worker *worker = task->worker;
    if (worker != worker_current)
        worker_pass(task);
    else if (strand == strand_current)
        strand->token = TOKEN_THERE;
    else
        ready_push(worker, task);
}

static void task_post(struct strand *strand)
{
    worker_pass((struct task *)strand);
}

static void task_yield(struct strand *self)
{
    struct task *task = (struct task *)self;
    ready_push(task->worker, task);
    leave(task->worker, task);
}

void task_let_run(void)
{
    struct worker *worker = worker_current;
    if (!worker || !worker->running || !deque_count(&worker->deque))
        return;
    worker->started_last = false;
    task_yield(&worker->running->strand);
}

/* The holder of a lock may be a task of this worker; then what is ready may well be that one. */
static bool task_may_spin(struct strand *self)
{
    const struct worker *worker = ((struct task *)self)->worker;
    return share_workers() > 1 && !worker->ready && deque_count(&worker->deque) == 0;
}

const struct strand_ops task_ops = {
    .sleep = task_sleep,
    .sleep_shared = task_sleep_shared,
    .wake = task_wake,
    .post = task_post,
    .yield = task_yield,
    .may_spin = task_may_spin,
};

/* Moves what others have put into the inbox, the first one first, to those that are ready. */
static void read_inbox(struct worker *worker)
{
    if (!load_relaxed(&worker->inbox)) /* relaxed: what comes later is seen before sleeping */
        return;
    struct task *last =
        swap_acq_rel(&worker->inbox, NULL); /* pairs with the swap in worker_pass() */
    struct task *first = NULL;
    while (last) {
        struct task *task = last;
        last = task->next;
        task->next = first;
        first = task;
    }
    while (first) {
        struct task *task = first;
        first = task->next;
        if (!task->started)
            begin(worker, task);
        ready_push(worker, task);
    }
}

static void run_timers(struct worker *worker)
{
    if (!timer_first(&worker->timers))
        return;
    int64_t now = weft_now();
    for (struct timer *timer; (timer = timer_take_due(&worker->timers, now));) {
        struct task *task = CONTAINER(timer, struct task, timer);
        task->timed = false;
        if (strand_decide(&task->strand, STRAND_TIMED_OUT)) /* else it is, or will be, passed on */
            ready_push(worker, task);
    }
}

static void look_around(struct worker *worker)
{
    worker->reactor->ops->wait(worker->reactor, WEFT_NOW);
    run_timers(worker);
    read_inbox(worker);
}

/*
 * By the loop: goes on with a task, or an unstarted one, and then others. Somebody else's loop
 * (run.c) may be in a C++ handler. Returns how many.
 */
static unsigned run(struct worker *worker, struct task *task, unsigned most)
{
    store_relaxed(&worker->rounds, worker->rounds + 1); /* relaxed, both: for hog.c */
    store_relaxed(&worker->turns, most - 1);
    if (!task->started)
        begin(worker, task);
    void *exceptions[2] = { NULL, NULL };
    copy_exceptions(exceptions, worker->exceptions);
    go_to(worker, NULL, task);
    copy_exceptions(worker->exceptions, exceptions);
    return most - worker->turns;
}

unsigned worker_run_ready(struct worker *worker, unsigned most)
{
    unsigned ran = 0;
    while (ran < most) {
        unsigned turns = most - ran < WORKER_TURNS ? most - ran : WORKER_TURNS;
        store_relaxed(&worker->turns, turns); /* relaxed: for hog.c */
        look_around(worker);
        struct task *task = share_take_old(worker);
        if (!task)
            task = next_task(worker);
        if (!task && !(task = share_take(worker, false)) && !(task = ready_pop(worker)))
            break;
        ran += run(worker, task, turns);
    }
    return ran;
}

unsigned worker_sleep(struct worker *worker, weft_deadline deadline)
{
    const struct timer *first = timer_first(&worker->timers);
    if (first)
        deadline = weft_sooner(deadline, (weft_deadline){ first->at_ns });
    if (!share_sleep(worker, deadline))
        return 0;
    struct task *task = share_take(worker, true);
    return task ? run(worker, task, WORKER_TURNS) : 0;
}

int worker_init(struct worker *worker, unsigned number, bool exposed)
{
    int rc = deque_grow(&worker->deque) ? reactor_open(&worker->reactor) : -ENOMEM;
    if (rc == 0 && exposed && (rc = worker->reactor->ops->fd(worker->reactor)) < 0)
        worker->reactor->ops->close(worker->reactor);
    if (rc < 0) {
        free(worker->deque.ring);
        return rc;
    }
    worker->number = number;
    worker->ready_end = &worker->ready;
    worker->thread = strand_self();
    worker->error = &errno;
    worker->exceptions = __cxa_get_globals ? __cxa_get_globals() : NULL;
    annotate_thread(worker->fiber, &worker->loop_low, &worker->loop_bytes);
    worker_current = worker;
    leaving_watch(worker);
    share_join(worker);
    return 0;
}
