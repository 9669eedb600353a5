/* SPDX-License-Identifier: MIT */
/*
 * Introduces weft_run_fd and weft_run_once: tasks inside the event loop of libuv, in one thread.
 *
 *     15_libuv_loop [TICKS]
 *
 * The loop watches weft's descriptor, and lets tasks run when it is readable. Its own timer hands
 * numbers to a task; the task, which may wait in the middle of its code, starts the timer again.
 * As there is one thread, neither needs a lock for what both use.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include <weft.h>

/* The loop's thread only. */
static uv_loop_t *loop;
static uv_timer_t timer;
static uv_poll_t tasks_can_run;
static pthread_t loop_thread;
static weft_group *group;
static weft_queue *ticks;
static long limit, ticked, naps;
static int failure;

static void on_timer(uv_timer_t *handle)
{
    (void)handle;
    printf("loop: tick %ld\n", ++ticked);
    failure = weft_queue_put(ticks, &ticked, WEFT_NOW);
    if (failure < 0)
        uv_stop(loop);
}

/* A task: straight code, although everything happens inside the loop's callbacks. */
static int take_ticks(weft_call *call)
{
    long tick;
    int rc;
    while ((rc = weft_queue_get(ticks, &tick, WEFT_FOREVER)) == 0) {
        printf("task: took %ld\n", tick);
        rc = weft_sleep_until(weft_after(WEFT_MS));
        if (rc < 0 || tick == limit)
            break;
        uv_timer_start(&timer, on_timer, 1, 0);
    }
    weft_queue_shutdown(ticks, true);
    if (!pthread_equal(pthread_self(), loop_thread))
        return weft_call_fail(call, -1, "a task ran in another thread");
    return rc;
}

/* Another one, which has nothing to do with the loop. */
static int nap(weft_call *call)
{
    int rc = 0;
    (void)call;
    while (rc == 0 && ticked < limit) {
        rc = weft_sleep_until(weft_after(WEFT_MS));
        naps++;
    }
    return rc;
}

/* Lets tasks run, and ends the loop when none is left. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
    weft_future *ended;
    int rc;
    (void)handle, (void)status, (void)events;
    (void)!weft_run_once(WEFT_NOW); /* -ETIMEDOUT: it was readable for nothing */
    while ((rc = weft_group_next(group, &ended, WEFT_NOW)) == 0) {
        if (failure == 0)
            failure = weft_future_outcome(ended)->status;
        weft_future_close(ended);
    }
    if (rc == -ENODATA)
        uv_stop(loop);
}

static int start(weft_fn *fn)
{
    return weft_group_submit(group, fn, NULL, 0, NULL, WEFT_FOREVER);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    uv_close(handle, NULL);
}

/* Until uv_stop(). Whatever has not ended by then never will: there is nobody to run it. */
static int run(int fd)
{
    loop_thread = pthread_self();
    loop = uv_default_loop();
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_timer, 1, 0);
    int rc = uv_poll_init(loop, &tasks_can_run, fd);
    if (rc == 0)
        rc = uv_poll_start(&tasks_can_run, UV_READABLE, on_readable);
    if (rc == 0)
        uv_run(loop, UV_RUN_DEFAULT);
    uv_walk(loop, close_handle, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_loop_close(loop);
    return rc < 0 ? rc : failure;
}

int main(int argc, char **argv)
{
    limit = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
    int fd = weft_run_fd(); /* first of all: this thread will run the tasks */
    int rc = fd < 0 ? fd : weft_queue_open(&ticks, sizeof(long), 1, 0);
    if (rc == 0)
        rc = weft_group_open(&group, WEFT_TASKS, NULL);
    if (rc == 0)
        rc = start(take_ticks);
    if (rc == 0)
        rc = start(nap);
    if (rc == 0)
        rc = run(fd);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
        return 1; /* tasks may be left, which only their loop could end: nothing is closed */
    }
    weft_group_close(group);
    weft_queue_close(ticks);
    printf("%ld ticks, and naps in between: %s\n", ticked, naps > 0 ? "yes" : "no");
    return 0;
}
