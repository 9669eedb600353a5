/* SPDX-License-Identifier: MIT */
/*
 * task/leaving.c: pthread_exit() in a task.
 *
 * It would end the worker's thread, and with it, without a word, every task that is bound to that:
 * they would wait for ever, and so would those who wait for them. So the thread has a value under a
 * key, whose destructor the C library calls on the way out, and that names the culprit. A thread
 * that runs tasks in its own loop (run.c) may end between two calls: then no task is running.
 */
#include <pthread.h>

#include "task/leaving.h"
#include "task/report.h"
#include "task/worker.h"

static pthread_key_t key;
static int key_error;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void leave(void *its)
{
    const struct worker *worker = its;
    struct report report = { .n = 0 };
    if (worker != worker_current || !worker->running)
        return; /* a child that was forked in a task is no worker (runtime.c) */
    report_task(&report, worker->running);
    report_text(&report, " has ended the thread that runs it (pthread_exit)\n");
    report_and_abort(&report);
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, leave);
}

void leaving_watch(struct worker *worker)
{
    if (pthread_once(&key_once, make_key) == 0 && key_error == 0)
        (void)pthread_setspecific(key, worker);
}
