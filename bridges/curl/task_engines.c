/* SPDX-License-Identifier: MIT */
/*
 * task_engines.c: a multi handle whose sockets an epoll descriptor watches, and how many of them a
 * worker has.
 *
 * A worker has one engine, and another for each callback that is parked inside all those before it
 * (tasks.c): a list, of which whoever brings a transfer takes the first that nobody is inside of.
 * None is closed while somebody may still look at it; an idle one stays, with its connections,
 * until the worker's thread ends or weft_curl_release().
 */
#include "task_engines.h"

#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What a worker has. */
struct engines {
    unsigned forks; /* the value of bridge_forks when it was made */
    struct engine *first;
};

static pthread_key_t key;

/* ---- what libcurl tells us */

static int watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
    struct engine *engine = ctx;
    struct epoll_event event = { .data.fd = fd };
    int op = known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(engine->watched, EPOLL_CTL_DEL, fd, &event); /* it may be closed already */
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(engine->watched, op, fd, &event) < 0)
        engine->broken = errno == ENOMEM ? -ENOMEM : -EIO;
    if (known == NULL)
        curl_multi_assign(engine->multi, fd, engine); /* anything but NULL */
    return 0;
}

static int set_timer(CURLM *multi, long ms, void *ctx)
{
    struct engine *engine = ctx;

    (void)multi;
    engine->due_ns = ms < 0 ? INT64_MAX : weft_after(ms * WEFT_MS).ns;
    return 0;
}

/* ---- engines */

/* Of one that is half made, too. */
static void engine_close(struct engine *engine)
{
    if (engine->multi != NULL)
        curl_multi_cleanup(engine->multi); /* takes its sockets out of `watched` */
    if (engine->waker >= 0)
        close(engine->waker);
    if (engine->watched >= 0)
        close(engine->watched);
    transfers_deinit(&engine->flow);
    free(engine);
}

static int engine_prepare(struct engine *engine)
{
    struct epoll_event wake = { .events = EPOLLIN };

    engine->watched = epoll_create1(EPOLL_CLOEXEC);
    engine->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake.data.fd = engine->waker;
    if (engine->watched < 0 || engine->waker < 0 ||
        epoll_ctl(engine->watched, EPOLL_CTL_ADD, engine->waker, &wake) < 0)
        return errno == ENOMEM ? -ENOMEM : -EIO;
    engine->multi = curl_multi_init();
    if (engine->multi == NULL)
        return -ENOMEM;
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
    return 0;
}

static int engine_open(struct engine **ret)
{
    struct engine *engine = calloc(1, sizeof *engine);

    if (engine == NULL)
        return -ENOMEM;
    engine->watched = engine->waker = -1;
    engine->due_ns = engine->end_ns = engine->look_ns = INT64_MAX;
    int rc = engine_prepare(engine);
    if (rc < 0) {
        engine_close(engine);
        return rc;
    }
    *ret = engine;
    return 0;
}

/* After a fork: only the parent may close the connections, and it alone watches them. */
static void engine_forget(struct engine *engine)
{
    close(engine->waker);
    close(engine->watched);
    transfers_deinit(&engine->flow);
    free(engine);
}

/* Closes what nobody uses; after a fork forgets everything. */
static void close_unused(struct engines *engines)
{
    struct engine **at = &engines->first;
    bool ours = engines->forks == bridge_forks;

    while (*at != NULL) {
        struct engine *engine = *at;
        if (ours && engine->users > 0) {
            at = &engine->next;
            continue;
        }
        *at = engine->next;
        (ours ? engine_close : engine_forget)(engine);
    }
}

static void engines_close(void *value)
{
    struct engines *engines = value;

    close_unused(engines);
    free(engines);
}

int tasks_prepare(void)
{
    return pthread_key_create(&key, engines_close);
}

void tasks_unprepare(void)
{
    pthread_key_delete(key);
}

void tasks_release(void)
{
    struct engines *engines = pthread_getspecific(key);

    if (engines != NULL)
        close_unused(engines);
}

/* What the worker has, made when it is first asked for. NULL: out of memory. */
static struct engines *engines_of_worker(void)
{
    struct engines *engines = pthread_getspecific(key);

    if (engines == NULL) {
        engines = calloc(1, sizeof *engines);
        if (engines == NULL || pthread_setspecific(key, engines) != 0) {
            free(engines);
            return NULL;
        }
        engines->forks = bridge_forks;
    }
    if (engines->forks != bridge_forks) {
        close_unused(engines);
        engines->forks = bridge_forks;
    }
    return engines;
}

static bool take_lock(struct engine *engine)
{
    return weft_lock_acquire(&engine->lock, WEFT_NOW) == 0;
}

int task_engine_take(struct engine **ret)
{
    struct engines *engines = engines_of_worker();

    if (engines == NULL)
        return -ENOMEM;
    struct engine **at = &engines->first;
    while (*at != NULL && ((*at)->broken < 0 || !take_lock(*at)))
        at = &(*at)->next;
    if (*at == NULL) {
        int rc = engine_open(at);
        if (rc < 0)
            return rc;
        weft_lock_lock(&(*at)->lock);
    }
    *ret = *at;
    return 0;
}

void task_engine_give_back(struct engine *engine)
{
    struct engines *engines = pthread_getspecific(key);

    if (--engine->users > 0 || engine->broken == 0)
        return;
    struct engine **at = &engines->first;
    while (*at != engine)
        at = &(*at)->next;
    *at = engine->next;
    engine_close(engine);
}
