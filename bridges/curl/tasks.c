/* SPDX-License-Identifier: MIT */
/*
 * tasks.c: transfers in tasks: many in one multi handle, and one wait for all of them.
 *
 * Tasks stay with the worker, the thread, that they started on. So an engine belongs to a thread,
 * here too, and none of what is below is shared between threads. libcurl says which sockets it
 * wants watched; an epoll descriptor of the engine watches them; and weft's loop, in which the
 * worker sleeps, watches that one descriptor. A wake-up costs what is ready, however much waits.
 *
 * Nobody but the tasks that want something runs the engine. The first that comes leads: it waits
 * for the descriptor, has libcurl act on what is ready, and tells those whose transfers have ended.
 * The others follow: each waits for an event of its own. A leader whose own transfer has ended, by
 * itself or because of its deadline or a cancellation, hands the lead to the one that has waited
 * longest.
 *
 *               nobody leads                     its transfer has ended
 *     add  ------------------------->  LEADS  -----------------------------> leave, hand over
 *       |                                ^                                     ^
 *       | somebody does                  | was handed the lead                 |
 *       +---------------------------> FOLLOWS ---------------------------------+
 *
 * A new transfer's first step is libcurl's timer at once. Whoever adds one takes that step itself
 * if the leader sleeps; if that leaves a timer which is due before the leader would wake, it wakes
 * the leader by an eventfd. A leader that is awake comes to the timers anyway: after it has told
 * others that their transfers have ended it yields, they come back with new ones, and it takes the
 * first step of all of them together. It is woken, too, if its own transfer ended in such a step of
 * somebody else's.
 *
 * libcurl's multi handle must not be entered twice, and callbacks, which run inside it in the
 * leader's task, may park. So the engine's lock is held while somebody is inside. Whoever brings a
 * new transfer and finds it held, the callback itself perhaps, does not wait for it, but takes the
 * worker's next engine, or makes one: a callback that waits for other transfers to begin and end
 * cannot stand in their way. There are at most as many engines as callbacks were parked at once,
 * and one; they stay, with their connections. Those that are under way in an engine stand still
 * while one of its callbacks is parked, their ends by deadline and cancellation included.
 *
 * What the leader has entered in the way of scopes, and its cancellation, are no business of the
 * other transfers' callbacks: a shield goes with the lock.
 *
 * The followers' deadlines are the leader's business, so that a wait which hardly ever times out
 * costs no timer: `end_ns` is no later than the earliest of them, and when it has come the leader
 * goes through all transfers, tells those that are late, and finds the next.
 *
 * libcurl counts connections in use, too, when it looks whether it keeps too many. So the limit
 * follows the most transfers that there were at once in the present window of WINDOW_NS and the one
 * before it: whoever waits for work, as all do now and then, keeps its connection for a while.
 *
 * An error that is not a transfer's (no memory to watch a socket) breaks the engine: its transfers
 * end with that error, nobody takes it any more, and the last to leave closes it.
 */
#include "engine.h"
#include "task_engines.h"

#include <weft/fd.h>
#include <weft/scope.h>
#include <weft/self.h>

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 64 };

#define WINDOW_NS (10 * WEFT_S)

/* ---- inside libcurl, with the lock held */

static void enter(struct engine *engine, weft_scope *shield)
{
    weft_lock_lock(&engine->lock);
    weft_scope_enter(shield, WEFT_FOREVER, WEFT_SHIELD);
}

static void leave(struct engine *engine, weft_scope *shield)
{
    (void)weft_scope_leave(shield);
    (void)weft_lock_release(&engine->lock);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void limit_connections(struct engine *engine)
{
    int64_t now = weft_now();
    bool moved = now >= engine->window_ns;

    if (moved) {
        engine->most_before = engine->most;
        engine->most = 0;
        engine->window_ns = now + WINDOW_NS;
    }
    if (!moved && engine->flow.count <= engine->most)
        return;
    engine->most = larger(engine->most, engine->flow.count);
    curl_multi_setopt(engine->multi, CURLMOPT_MAXCONNECTS,
                      (long)(larger(engine->most, engine->most_before) - 1 + WEFT_CURL_IDLE_MAX));
}

static int add(struct engine *engine, struct transfer *transfer)
{
    int rc = bridge_error(curl_multi_add_handle(engine->multi, transfer->easy));

    if (rc < 0)
        return rc;
    rc = transfers_add(&engine->flow, transfer);
    if (rc < 0) {
        curl_multi_remove_handle(engine->multi, transfer->easy);
        return rc;
    }
    if (engine->flow.count == 1 || transfer->deadline.ns < engine->end_ns)
        engine->end_ns = transfer->deadline.ns;
    limit_connections(engine);
    return 0;
}

/* Tells those whose transfers have ended. Returns how many. */
static int take_ended(struct engine *engine)
{
    const CURLMsg *message;
    int ended = 0;
    int left;

    while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
        struct transfer *transfer = transfers_find(&engine->flow, message->easy_handle);
        if (message->msg != CURLMSG_DONE || transfer == NULL)
            continue;
        transfer->code = message->data.result;
        transfer->ended = true;
        transfers_remove(&engine->flow, transfer);
        curl_multi_remove_handle(engine->multi, transfer->easy);
        weft_event_set(&transfer->news);
        ended++;
    }
    return ended;
}

static void act(struct engine *engine, curl_socket_t fd, int what)
{
    int running;
    int rc = bridge_error(curl_multi_socket_action(engine->multi, fd, what, &running));

    if (rc < 0 && engine->broken == 0)
        engine->broken = rc;
}

static void act_on_event(struct engine *engine, const struct epoll_event *event)
{
    uint64_t drop;
    int what = 0;

    if (event->data.fd == engine->waker) {
        (void)!read(engine->waker, &drop, sizeof drop);
        return;
    }
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        what |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    act(engine, event->data.fd, what);
}

static void run_timers(struct engine *engine)
{
    if (engine->due_ns > weft_now())
        return;
    engine->due_ns = INT64_MAX; /* libcurl says anew */
    act(engine, CURL_SOCKET_TIMEOUT, 0);
}

/* When somebody has to look at the engine even if nothing happens. */
static int64_t next_look(const struct engine *engine)
{
    return engine->due_ns < engine->end_ns ? engine->due_ns : engine->end_ns;
}

static void tell_late(struct engine *engine)
{
    int64_t now = weft_now();

    if (engine->end_ns > now)
        return;
    engine->end_ns = INT64_MAX;
    for (struct transfer *transfer = engine->flow.first; transfer; transfer = transfer->after) {
        if (transfer->deadline.ns <= now)
            weft_event_set(&transfer->news);
        else if (transfer->deadline.ns < engine->end_ns)
            engine->end_ns = transfer->deadline.ns;
    }
}

static void tell_if_broken(struct engine *engine)
{
    if (engine->broken == 0)
        return;
    for (struct transfer *transfer = engine->flow.first; transfer; transfer = transfer->after)
        weft_event_set(&transfer->news);
}

/* ---- beginning and end of a transfer */

/* The first step of one that was added, unless the leader is about to take it. */
static void begin(struct engine *engine)
{
    if (engine->look_ns <= next_look(engine))
        return;
    run_timers(engine);
    (void)take_ended(engine);
    tell_if_broken(engine);
    const struct transfer *leader = engine->leader;
    if (leader == NULL ||
        (!leader->ended && engine->broken == 0 && engine->look_ns <= next_look(engine)))
        return;
    engine->look_ns = AWAKE;
    (void)!write(engine->waker, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static int start(struct transfer *transfer, struct engine **ret)
{
    weft_scope shield;
    struct engine *engine;
    int rc = task_engine_take(&engine);

    if (rc < 0)
        return rc;
    engine->users++;
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    rc = add(engine, transfer);
    if (rc == 0)
        begin(engine);
    leave(engine, &shield);
    if (rc < 0)
        task_engine_give_back(engine);
    *ret = engine;
    return rc;
}

static void hand_over(struct engine *engine)
{
    engine->leader = engine->flow.first;
    engine->look_ns = engine->leader != NULL ? AWAKE : INT64_MAX;
    if (engine->leader != NULL)
        weft_event_set(&engine->leader->news);
}

/* Returns 0 if it has ended by itself after all, else `why`. */
static int stop(struct engine *engine, struct transfer *transfer, int why)
{
    weft_scope shield;

    enter(engine, &shield);
    if (!transfer->ended) {
        transfers_remove(&engine->flow, transfer);
        bridge_abandon(engine->multi, transfer->easy);
    }
    leave(engine, &shield);
    return transfer->ended ? 0 : why;
}

/* ---- waiting */

/* Sleeps until there is something to do. Returns 0; -ECANCELED, -ETIMEDOUT: for the leader itself;
 * what else weft_fd_wait() says, which no transfer survives. */
static int sleep_until_ready(struct engine *engine, weft_deadline deadline)
{
    weft_deadline look = weft_sooner(deadline, (weft_deadline){ next_look(engine) });

    engine->look_ns = look.ns;
    int rc = weft_fd_wait(engine->watched, POLLIN, look);
    engine->look_ns = AWAKE;
    if (rc == -ETIMEDOUT && weft_left(deadline) > 0)
        return 0;
    return rc < 0 ? rc : 0;
}

/* Has libcurl act on what is ready. Returns how many transfers have ended. */
static int act_on_all(struct engine *engine)
{
    struct epoll_event events[EVENTS];
    weft_scope shield;

    enter(engine, &shield);
    int n = epoll_wait(engine->watched, events, EVENTS, 0);
    for (int i = 0; i < n; i++)
        act_on_event(engine, &events[i]);
    run_timers(engine);
    int ended = take_ended(engine);
    tell_late(engine);
    tell_if_broken(engine);
    leave(engine, &shield);
    return ended;
}

/* One turn of the leader. */
static int lead(struct engine *engine, weft_deadline deadline)
{
    if (weft_cancelled())
        return -ECANCELED;
    int64_t now = weft_now();
    if (deadline.ns <= now)
        return -ETIMEDOUT;
    if (next_look(engine) > now) {
        int rc = sleep_until_ready(engine, deadline);
        if (rc < 0 && rc != -ECANCELED && rc != -ETIMEDOUT) {
            engine->broken = rc;
            tell_if_broken(engine);
        }
        if (rc < 0)
            return rc;
    }
    if (act_on_all(engine) > 0)
        (void)weft_yield(); /* they come back with more */
    return 0;
}

/* Waits for news, which may be that it is late. */
static int follow(struct transfer *transfer)
{
    int rc = weft_event_wait(&transfer->news, WEFT_FOREVER);

    return rc == 0 && !transfer->ended && weft_left(transfer->deadline) == 0 ? -ETIMEDOUT : rc;
}

static int lead_or_follow(struct engine *engine, struct transfer *transfer)
{
    int rc = 0;

    while (rc == 0 && !transfer->ended) {
        if (engine->broken < 0)
            return engine->broken;
        if (engine->leader == NULL)
            engine->leader = transfer;
        rc = engine->leader == transfer ? lead(engine, transfer->deadline) : follow(transfer);
    }
    return rc;
}

int tasks_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    struct transfer transfer = { .easy = easy, .deadline = deadline };
    struct engine *engine;

    if (weft_cancelled())
        return -ECANCELED;
    int rc = start(&transfer, &engine);
    if (rc < 0)
        return rc;
    rc = lead_or_follow(engine, &transfer);
    if (rc < 0)
        rc = stop(engine, &transfer, rc);
    if (engine->leader == &transfer)
        hand_over(engine);
    task_engine_give_back(engine);
    if (rc == 0)
        *ret_code = transfer.code;
    return rc;
}
