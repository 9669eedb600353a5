/* SPDX-License-Identifier: MIT */
/*
 * One libcurl transfer as one wait of weft.
 *
 * curl_easy_perform() makes a multi handle per easy handle and loops over poll and perform. So does
 * this, with three differences. The multi handle belongs to the thread, so that connections outlive
 * easy handles and are found by the next one. The loop's poll ends at the deadline. And while the
 * loop runs a cancellation hook is entered, whose callback is curl_multi_wakeup(), the one function
 * of libcurl that another thread may call: it ends the poll, and the loop then sees the
 * cancellation. The system calls of a transfer are those of curl_easy_perform(), no more.
 *
 * A thread's engine is found through a pthread key, whose destructor closes it. It is in use by at
 * most one call; a call that finds it in use was made by a callback of that transfer, and gets an
 * engine of its own, which lives as long as the call.
 *
 * A fork copies the engine but must not copy the connections: a child that used them, or that only
 * closed them properly, would speak on the parent's TLS sessions. Children therefore count
 * themselves (pthread_atfork) and forget, without closing it, an engine with an older count.
 */
#include <weft/curl.h>

#include <weft/once.h>
#include <weft/scope.h>
#include <weft/self.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

struct engine {
    CURLM *multi;
    unsigned forks; /* the value of `forks` when it was made */
    bool in_use;
};

static weft_once once = WEFT_ONCE_INIT;
static pthread_key_t key;
static unsigned forks; /* changed only in a forked child, which has one thread */

static void engine_close(void *value)
{
    struct engine *engine = value;

    if (engine->forks == forks)
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
    engine->forks = forks;
    engine->in_use = false;
    return engine;
}

static void count_fork(void)
{
    forks++;
}

static int prepare(void *ctx)
{
    (void)ctx;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
    int rc = pthread_key_create(&key, engine_close);
    if (rc == 0 && (rc = pthread_atfork(NULL, NULL, count_fork)) != 0)
        pthread_key_delete(key);
    if (rc != 0)
        curl_global_cleanup();
    return -rc;
}

int weft_curl_init(void)
{
    return weft_once_run(&once, prepare, NULL);
}

/* The thread's own engine, made when it is first asked for. NULL: out of memory. */
static struct engine *engine_of_thread(void)
{
    struct engine *engine = pthread_getspecific(key);

    if (engine != NULL && engine->forks == forks)
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

static int error_of(CURLMcode code)
{
    switch (code) {
    case CURLM_OK:
        return 0;
    case CURLM_BAD_EASY_HANDLE:
        return -EINVAL;
    case CURLM_ADDED_ALREADY:
        return -EBUSY;
    case CURLM_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
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
        int rc = error_of(curl_multi_perform(multi, &running));
        if (rc < 0 || running == 0)
            return rc;
        if (weft_cancelled())
            return -ECANCELED;
        int64_t left_ns = weft_left(deadline);
        if (left_ns == 0)
            return -ETIMEDOUT;
        rc = error_of(curl_multi_poll(multi, NULL, 0, poll_ms(left_ns), NULL));
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

/* Takes the handle out of the middle of its transfer. Without "quick exit" libcurl would wait for
 * the thread that looks up the name; with it, that thread cleans up after itself. */
static void abandon(CURLM *multi, CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_multi_remove_handle(multi, easy);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 0L);
#else
    curl_multi_remove_handle(multi, easy);
#endif
}

static int transfer(CURLM *multi, CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    int rc = error_of(curl_multi_add_handle(multi, easy));

    if (rc < 0)
        return rc;
    rc = run(multi, deadline);
    if (rc == 0)
        rc = result_of(multi, ret_code);
    if (rc == 0)
        curl_multi_remove_handle(multi, easy);
    else
        abandon(multi, easy);
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

/* A scope whose deadline ended a wait says so when it is left, but only waits of weft's own tell
 * it: this one ends at once, since the scope's time is over. */
static void tell_scope(weft_deadline scope)
{
    if (weft_left(scope) == 0)
        (void)!weft_sleep_until(WEFT_FOREVER);
}

int weft_curl_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    weft_deadline scope = weft_scope_deadline();

    if (easy == NULL || ret_code == NULL)
        return -EINVAL;
    int rc = weft_curl_init();
    if (rc < 0)
        return rc;
    struct engine *engine = engine_take();
    if (engine == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    rc = transfer_cancellably(engine->multi, easy, ret_code, weft_sooner(deadline, scope));
    engine_give_back(engine);
    if (rc == -ETIMEDOUT)
        tell_scope(scope);
    return rc;
}

void weft_curl_release(void)
{
    if (weft_curl_init() < 0)
        return;
    struct engine *engine = pthread_getspecific(key);
    if (engine == NULL || engine->in_use)
        return;
    (void)pthread_setspecific(key, NULL);
    engine_close(engine);
}
