/* SPDX-License-Identifier: MIT */
/*
 * pool/supervisor.c: the thread of a crew that opens processes, buries them, and keeps the times.
 *
 *     NONE --open--> STARTING --ready--> READY --no more to do, or enough calls--> QUITTING
 *       ^               |                  |                                          |
 *       |               |                  +--its call: cancelled, overdue--> STOPPING
 *       |               |                                                         |
 *       +--- ended -----+---------------------------------------------------------+
 *       +--- OPEN_FAILURES_MAX in a row could not be opened --> GIVEN_UP
 *
 * It sleeps in epoll: until a process says something by its channel (it is ready, it rings, it has
 * ended), until somebody pokes it, or until the first of the times that are to be kept. Each time
 * it looks at every member. It alone changes a member's process.
 *
 * A member that cannot be opened is tried again, waiting longer each time, and given up in the end;
 * one whose process dies before it has done anything waits likewise, but is never given up.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <weft/scope.h>

#include "pool/crew.h"
#include "sync/lock.h"

enum { OPEN_FAILURES_MAX = 8, EVENTS = 64 };

/* ---- opening */

static void say(struct crew_failure *failure, int error, const char *what, const char *detail)
{
    failure->error = error;
    snprintf(failure->text, sizeof failure->text, "%s: %.120s", what, detail);
}

static const char *words_of(int error)
{
    return error == -EPIPE ? "the process that starts them (the zygote) has died"
                           : weft_strerror(error);
}

/* It has no process, and perhaps never will. Under the lock. */
static void fail_member(struct member *member, int error, const char *what, const char *detail)
{
    struct crew *crew = member->crew;
    if (++member->failures < OPEN_FAILURES_MAX) {
        member->state = MEMBER_NONE;
        member->look_ns = weft_after(WEFT_MS << member->failures).ns;
        return;
    }
    member->state = MEMBER_GIVEN_UP;
    say(&crew->failure, error, what, detail);
    if (--crew->usable == 0)
        signal_raise(&crew->submitted.room, UINT32_MAX);
}

void member_clear(struct member *member)
{
    struct lane *lane = member->lane;
    store_relaxed(&lane->head, 0); /* relaxed: a leader may look at it, and then looks properly */
    lane->tail = lane->quit = lane->asleep = lane->heard = 0;
    lane->since_ns = 0;
    lane->hub = member->crew->hub;
    member->head = member->tail = member->calls = 0;
    member->fate = FATE_NONE;
    member->last[0] = member->last[1] = NULL;
    member->ran = false;
    member->moved_ns = member->load_ns = 0;
    member->heard = 0;
    member->block_bytes = 0;
}

static int ask(struct member *member)
{
    const weft_options *options = member->crew->options;
    char name[40];
    snprintf(name, sizeof name, "%.20s-%u", options->name, member->number);
    int rc = process_ask(&member->process, &(struct process_options){
                                               .name = name,
                                               .context = options->context,
                                               .context_bytes = options->context_bytes,
                                               .enter = options->enter,
                                               .origin = member->crew->origin,
                                               .leave = options->leave,
                                               .lane = member->lane,
                                               .worker = member->number,
                                           });
    if (rc < 0)
        member->process = NULL;
    return rc;
}

int supervisor_watch(struct member *member)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = member };
    int fd = process_fd(member->process);
    return epoll_ctl(member->crew->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Under the lock. Asking takes a moment, and nobody waits for this member's lane. */
static void open_member(struct member *member)
{
    member_clear(member);
    int rc = ask(member);
    if (rc == 0) {
        rc = supervisor_watch(member);
        if (rc < 0) {
            process_close(member->process);
            member->process = NULL;
        }
    }
    if (rc < 0) {
        fail_member(member, rc, "a worker could not start", words_of(rc));
        return;
    }
    member->state = MEMBER_STARTING;
    member->look_ns = INT64_MAX;
}

/* ---- times */

static void kill_member(struct member *member)
{
    member->look_ns = INT64_MAX;
    process_signal(member->process, SIGKILL);
}

/* When the call that it runs, or is about to, is overdue. Under the lock. */
static int64_t overdue_at(struct member *member, int64_t now)
{
    struct assignment *what;
    int64_t since = load_relaxed(&member->lane->since_ns); /* relaxed: a look at some moment */
    if (member_running(member, &what) < 0 || since > now || since < what->given_ns - WEFT_S)
        since = member->moved_ns; /* it does not move, or lies */
    return since + member->crew->options->call_timeout_ns;
}

/* A member at work: its call may be overdue, or nobody may want it any more. */
static void look_at_work(struct member *member, int64_t now)
{
    struct crew *crew = member->crew;
    struct assignment *what;
    if (member->head == member->tail)
        return;
    if (!member->moved_ns)
        member->moved_ns = now;
    if (member_running(member, &what) >= 0 && what->source->stop_ns) {
        if (now >= what->source->stop_ns)
            crew_stop_member(member, FATE_CANCELLED, crew->options->grace_ns);
        else
            crew_look_at(crew, what->source->stop_ns);
    }
    if (!crew->options->call_timeout_ns || member->state != MEMBER_READY)
        return;
    int64_t at = overdue_at(member, now);
    if (now < at)
        crew_look_at(crew, at);
    else
        crew_stop_member(member, FATE_OVERDUE, 0);
}

/* What is to be done about a member now. Under the lock. */
static void look_at(struct member *member, int64_t now)
{
    struct crew *crew = member->crew;
    bool due = now >= member->look_ns;
    switch (member->state) {
    case MEMBER_NONE:
        if (!crew_is_needed(crew))
            return;
        if (due)
            open_member(member);
        break;
    case MEMBER_STARTING:
        /* It can be killed once it has said who it is, which brings us here again. */
        if (crew->terminated && member->fate == FATE_NONE && process_id(member->process) > 0) {
            member->fate = FATE_CANCELLED;
            kill_member(member);
        }
        break;
    case MEMBER_READY:
        look_at_work(member, now);
        break;
    case MEMBER_QUITTING:
        if (due)
            kill_member(member);
        break;
    case MEMBER_STOPPING:
        if (due || member->head == member->tail)
            kill_member(member);
        break;
    case MEMBER_GIVEN_UP:
        return;
    }
    crew_look_at(crew, member->look_ns);
}

/* ---- what processes say */

/* Collects what a dead process leaves behind, and tells it. Returns what its state was. */
static enum member_state settle_dead(struct member *member, const struct process_end *end)
{
    struct crew *crew = member->crew;
    struct harvest harvest;
    enum member_state was = MEMBER_NONE;
    bool all;
    do {
        harvest_init(&harvest);
        crew_enter(crew);
        if (member->state != MEMBER_NONE) {
            was = member->state;
            member->state = MEMBER_NONE; /* nobody gives it anything more */
            member->look_ns = INT64_MAX;
        }
        all = collect_dead(member, end, &harvest);
        crew_leave(crew, &harvest);
    } while (!all);
    return was;
}

/* One that died when it had done nothing: it waits a little longer each time before it is opened.
 */
static void count_death(struct member *member, bool in_vain)
{
    if (!in_vain)
        member->failures = 0;
    else if (member->failures < OPEN_FAILURES_MAX - 1)
        member->failures++;
    member->look_ns = in_vain ? weft_after((WEFT_MS / 2) << member->failures).ns : 0;
}

/* The call of a process that ended before it began. */
static void end_unbegun(struct member *member, const struct process_end *end)
{
    weft_future *future = member->unbegun;
    future->outcome.started_ns = weft_now();
    describe_death(member, end, &future->outcome, future->call.text, sizeof future->call.text);
    if (member->refusal.status >= 0)
        return;
    future->outcome.how = WEFT_FAILED; /* what its options ask for could not be done */
    future->outcome.status = member->refusal.status;
    memcpy(future->call.text, member->refusal.text, sizeof future->call.text);
}

/* The member of a group's crew goes with its process, and what became of its call is told. */
static void bury_once(struct member *member, const struct process_end *end)
{
    struct crew *crew = member->crew;
    struct harvest harvest;
    weft_future *future = member->parked;
    harvest_init(&harvest);
    crew_enter(crew);
    if (member->unbegun) {
        future = member->unbegun;
        end_unbegun(member, end);
    }
    if (future)
        harvest_future(&harvest, future, future->outcome.how, future->outcome.status);
    crew_remove(crew, member);
    weft_lock_release(&crew->lock);
    process_close(member->process);
    member_free(member);
    lock_inner(&crew->lock);
    crew_leave(crew, &harvest);
}

/* The process has ended. What became of its calls is told before anything else is done. */
static void bury(struct member *member, const struct process_end *end)
{
    struct crew *crew = member->crew;
    const struct process_result *refusal = &member->refusal;
    enum member_state was = settle_dead(member, end);
    if (crew->once) {
        bury_once(member, end);
        return;
    }
    char how[100];
    process_end_describe(end, how, sizeof how);
    lock_inner(&crew->lock);
    struct process *process = member->process;
    member->process = NULL;
    if (refusal->status < 0)
        fail_member(member, refusal->status,
                    member->unstarted ? "a worker could not start" : "a worker could not enter",
                    refusal->text[0] ? refusal->text : words_of(refusal->status));
    else if (was == MEMBER_STARTING && crew_is_needed(crew))
        fail_member(member, -ECHILD, "a worker died before its first call", how);
    else
        count_death(member, was == MEMBER_READY && !member->calls);
    member->refusal.status = 0;
    member->unstarted = false;
    weft_lock_release(&crew->lock);
    process_close(process);
}

/* Takes all that a process has to say. */
static void listen_to(struct member *member)
{
    struct crew *crew = member->crew;
    struct process_end end;
    for (;;) {
        switch (process_look(member->process, &member->refusal, &end)) {
        case PROCESS_SILENT:
            return;
        case PROCESS_IS_READY:
            lock_inner(&crew->lock);
            if (member->state == MEMBER_STARTING)
                member->state = MEMBER_READY;
            weft_lock_release(&crew->lock);
            break;
        case PROCESS_NOT_STARTED:
            member->unstarted = true;
            break;
        case PROCESS_HAS_STARTED:
        case PROCESS_RANG:
        case PROCESS_REFUSED: /* its end follows */
            break;
        case PROCESS_ENDED:
            bury(member, &end);
            return;
        }
    }
}

/* ---- the thread */

/* Looks at everybody. False: there is nothing left to look after. */
static bool look(struct crew *crew)
{
    struct harvest harvest;
    harvest_init(&harvest);
    crew_enter(crew);
    crew->overseer = strand_self();
    crew->look_ns = INT64_MAX;
    crew->asleep_ns = INT64_MIN;
    crew_drive(crew, &harvest);
    int64_t now = weft_now();
    bool any = crew_is_needed(crew);
    for (uint32_t i = 0; i < crew->members_count; i++) {
        look_at(crew->members[i], now);
        any |= crew->members[i]->process != NULL;
    }
    crew->asleep_ns = crew->look_ns;
    /* relaxed: who counts himself in without the lock knows of something that is left */
    bool over = crew->once ? !crew->members_count
                           : crew->closing && !any && load_relaxed(&crew->visitors) == 1;
    if (over)
        crew->supervised = false;
    crew_leave(crew, &harvest);
    return !over;
}

static int timeout_ms(struct crew *crew)
{
    lock_inner(&crew->lock);
    int64_t left = weft_left((weft_deadline){ crew->asleep_ns });
    weft_lock_release(&crew->lock);
    if (left > 3600 * WEFT_S)
        return -1;
    return left > 0 ? (int)((left + WEFT_MS - 1) / WEFT_MS) : 0;
}

void supervisor_main(void *ctx)
{
    struct crew *crew = ctx;
    struct epoll_event events[EVENTS];
    uint64_t pokes;
    while (look(crew)) {
        int n = epoll_wait(crew->epoll, events, EVENTS, timeout_ms(crew));
        for (int i = 0; i < n; i++) {
            struct member *member = events[i].data.ptr;
            if (!member)
                (void)!read(crew->poke, &pokes, sizeof pokes);
            else if (member->process)
                listen_to(member);
        }
    }
}
