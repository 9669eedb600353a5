/* SPDX-License-Identifier: MIT */
/* A worker process of kind processes.
 *
 * Its first strand takes the orders and starts a task for each, which makes the attempt and answers
 * by itself. So one process has as many connections at work as its parent gives it orders. A task
 * takes a worker (an easy handle) from those that are idle, or makes one. Connections belong to the
 * thread that runs tasks, which is one for all: the other CPUs have processes of their own, and so
 * a connection is there for whatever task comes next.
 *
 * Nothing here ends a process early: the parent kills it. What it leaves half-written, the parent
 * sweeps up. */
#include "crew_work.h"

#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shop {
    struct plan plan; /* with this process's own descriptor of the directory */
    weft_queue *answers;
    uint32_t number;     /* of the process, from 0 */
    weft_lock lock;      /* guards idle */
    struct worker *idle; /* the one that was used last is the first */
};

static int take_worker(struct shop *shop, struct worker **ret)
{
    weft_lock_lock(&shop->lock);
    struct worker *worker = shop->idle;
    if (worker != NULL)
        shop->idle = worker->next;
    weft_lock_release(&shop->lock);
    if (worker == NULL)
        return worker_open(ret, &shop->plan);
    *ret = worker;
    return 0;
}

static void give_worker_back(struct shop *shop, struct worker *worker)
{
    weft_lock_lock(&shop->lock);
    worker->next = shop->idle;
    shop->idle = worker;
    weft_lock_release(&shop->lock);
}

/* Makes one attempt and copies what became of it to where the parent sees it. */
static void attempt(struct shop *shop, const struct task *task, struct answer *answer)
{
    struct worker *worker;
    struct attempt made;

    answer->error = take_worker(shop, &worker);
    if (answer->error < 0)
        return;
    worker_attempt(worker, task, &made);
    made.result.process = shop->number + 1;
    answer->bytes = attempt_bytes(&made);
    answer->result = weft_shared_alloc(answer->bytes);
    if (answer->result != NULL)
        attempt_pack(&made, answer->result);
    else
        answer->error = -ENOMEM;
    give_worker_back(shop, worker);
}

static void post_answer(struct shop *shop, const struct answer *answer)
{
    if (weft_queue_put(shop->answers, answer, WEFT_NOW) < 0)
        weft_shared_free(answer->result); /* the parent does not want it any more */
}

/* A task. */
static int serve(weft_call *call)
{
    struct shop *shop = *(struct shop *const *)call->context;
    const struct order *order = call->arg;
    struct answer answer = { .slot = order->slot };

    attempt(shop, order->task, &answer);
    post_answer(shop, &answer);
    return 0;
}

static int open_directory(weft_call *call, struct plan *plan)
{
    plan->directory_fd = -1;
    if (plan->directory[0] == '\0')
        return 0;
    plan->directory_fd = open(plan->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (plan->directory_fd >= 0)
        return 0;
    return weft_call_fail(call, -errno, "%s: %s", plan->directory, strerror(errno));
}

/* Returns when there will be no more orders and all have been answered. */
static int take_orders(struct shop *shop, weft_queue *orders, weft_group *tasks)
{
    struct order order;
    int rc;

    post_answer(shop, &(struct answer){ .slot = SLOT_READY });
    while ((rc = weft_queue_get(orders, &order, WEFT_FOREVER)) == 0) {
        rc = weft_group_start(tasks, serve, &order, sizeof order);
        if (rc < 0)
            post_answer(shop, &(struct answer){ .slot = order.slot, .error = rc });
    }
    int joined = weft_group_join(tasks, WEFT_FOREVER);
    return rc == -EPIPE ? joined : rc;
}

int crew_work(weft_call *call)
{
    const struct post *post = call->arg;
    const struct plan *plan = call->context;
    struct shop shop = { .plan = *plan, .answers = post->answers, .number = post->number };
    struct shop *address = &shop;
    weft_group *tasks = NULL;
    int rc = open_directory(call, &shop.plan);

    if (rc < 0)
        return rc;
    setenv("WEFT_WORKERS", "1", 0); /* threads for tasks, unless the user says; none is there yet */
    rc = weft_group_open(&tasks, WEFT_TASKS,
                         &(weft_options){ .name = "fetch",
                                          .context = &address,
                                          .context_bytes = sizeof address,
                                          .on_failure = WEFT_GO_ON });
    if (rc == 0)
        rc = take_orders(&shop, post->orders, tasks);
    weft_group_close(tasks);
    while (shop.idle != NULL) {
        struct worker *worker = shop.idle;
        shop.idle = worker->next;
        worker_close(worker);
    }
    if (shop.plan.directory_fd >= 0)
        close(shop.plan.directory_fd);
    return rc;
}
