/* SPDX-License-Identifier: MIT */
/*
 * threads.c: a transfer in a thread, which waits for nothing else.
 *
 * curl_easy_perform() makes a multi handle per easy handle and loops over poll and perform. So does
 * this, with three differences. The multi handle belongs to the thread, so that connections outlive
 * easy handles and are found by the next one. The loop's poll ends at the deadline. And while the
 * loop runs a cancellation hook is entered, whose callback is curl_multi_wakeup(), the one function
 * of libcurl that another thread may call: it ends the poll, and the loop then sees the
 * cancellation. The system calls of a transfer are those of curl_easy_perform(), no more.
 *
 * An engine is in use by at most one call; a call that finds it in use was made by a callback of
 * that transfer, and gets an engine of its own, which lives as long as the call.
 */
#include "engine.h"

#include <weft/self.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

struct engine {
    CURLM *multi;
    unsigned forks; /* the value of bridge_forks when it was made */
    bool in_use;
};

static pthread_key_t key;

static void engine_close(void *value)
{
    struct engine *engine = value;

    if (engine->forks == bridge_forks)
        curl_multi_cleanup(engine->multi);
    free(engine);
}

/* NULL: out of memory. */
static struct engine *engine_open(void)
{
    struct engine *engine = malloc(sizeof *engine);

    if (engine == NULL)
        return NULL;
    engine->multi = curl_multi_init();
    if (engine->multi == NULL) {
        free(engine);
        return NULL;
    }
    curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS, (long)WEFT_CURL_IDLE_MAX);
    engine->forks = bridge_forks;
    engine->in_use = false;
    return engine;
}

int threads_prepare(void)
{
    return pthread_key_create(&key, engine_close);
}

void threads_unprepare(void)
{
    pthread_key_delete(key);
}

/* The thread's own engine, made when it is first asked for. NULL: out of memory. */
static struct engine *engine_of_thread(void)
{
    struct engine *engine = pthread_getspecific(key);

    if (engine != NULL && engine->forks == bridge_forks)
        return engine;
    free(engine); /* only the parent may close its connections */
    (void)pthread_setspecific(key, NULL);
    engine = engine_open();
    if (engine != NULL && pthread_setspecific(key, engine) != 0) {
        engine_close(engine);
        return NULL;
    }
    return engine;
}

static struct engine *engine_take(void)
{
    struct engine *engine = engine_of_thread();

    if (engine != NULL && engine->in_use)
        engine = engine_open();
    if (engine != NULL)
        engine->in_use = true;
    return engine;
}

static void engine_give_back(struct engine *engine)
{
    engine->in_use = false;
    if (engine != pthread_getspecific(key))
        engine_close(engine);
}

/* Rounded up, so that the loop does not spin in the last millisecond. */
static int poll_ms(int64_t left_ns)
{
    return left_ns >= INT_MAX * WEFT_MS ? INT_MAX : (int)((left_ns + WEFT_MS - 1) / WEFT_MS);
}

/* Runs the one transfer that was added until it ends (0) or has to. */
static int run(CURLM *multi, weft_deadline deadline)
{
    for (;;) {
        int running;
        int rc = bridge_error(curl_multi_perform(multi, &running));
        if (rc < 0 || running == 0)
            return rc;
        if (weft_cancelled())
            return -ECANCELED;
        int64_t left_ns = weft_left(deadline);
        if (left_ns == 0)
            return -ETIMEDOUT;
        rc = bridge_error(curl_multi_poll(multi, NULL, 0, poll_ms(left_ns), NULL));
        if (rc < 0)
            return rc;
    }
}

static int result_of(CURLM *multi, CURLcode *ret_code)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(multi, &left);

    if (message == NULL || message->msg != CURLMSG_DONE)
        return -EIO;
    *ret_code = message->data.result;
    return 0;
}

static int transfer(CURLM *multi, CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    int rc = bridge_error(curl_multi_add_handle(multi, easy));

    if (rc < 0)
        return rc;
    rc = run(multi, deadline);
    if (rc == 0)
        rc = result_of(multi, ret_code);
    if (rc == 0)
        curl_multi_remove_handle(multi, easy);
    else
        bridge_abandon(multi, easy);
    return rc;
}

static void wake(void *multi)
{
    curl_multi_wakeup(multi);
}

static int transfer_cancellably(CURLM *multi, CURL *easy, CURLcode *ret_code,
                                weft_deadline deadline)
{
    weft_on_cancel hook;
    int rc = weft_on_cancel_enter(&hook, wake, multi);

    if (rc < 0)
        return rc;
    rc = transfer(multi, easy, ret_code, deadline);
    weft_on_cancel_leave(&hook);
    return rc;
}

int threads_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    struct engine *engine = engine_take();

    if (engine == NULL)
        return -ENOMEM;
    int rc = transfer_cancellably(engine->multi, easy, ret_code, deadline);
    engine_give_back(engine);
    return rc;
}

void threads_release(void)
{
    struct engine *engine = pthread_getspecific(key);

    if (engine == NULL || engine->in_use)
        return;
    (void)pthread_setspecific(key, NULL);
    engine_close(engine);
}
