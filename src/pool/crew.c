/* SPDX-License-Identifier: MIT */
/*
 * pool/crew.c: the life of a crew, and what everybody does who visits it (crew.h).
 *
 * A visit goes: take the lock, change something, crew_drive(), crew_leave(). Leaving makes sure
 * that somebody will hear of what is in flight: the leader, or else the supervisor. A process rings
 * only for who listens (lane.h), so whoever starts to listen looks once more for news that came
 * before.
 *
 * A death between a process's word that it rings and the ringing loses that ring; but each death
 * brings the supervisor, who wakes the leader, too.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/participants.h"
#include "pool/crew.h"
#include "process/descriptors.h"
#include "sync/lock.h"

/* ---- harvest */

void harvest_init(struct harvest *harvest)
{
    list_init(&harvest->ended);
    harvest->failed = 0;
}

void harvest_future(struct harvest *harvest, weft_future *future, weft_how how, int status)
{
    future->outcome.how = how;
    future->outcome.status = status;
    list_push_back(&harvest->ended, &future->queue_link);
}

static bool is_empty(const struct harvest *harvest)
{
    return !harvest->failed && list_empty(&harvest->ended);
}

void crew_settle(struct crew *crew, struct harvest *harvest)
{
    for (struct list *link; (link = list_pop_front(&harvest->ended));) {
        weft_future *future = CONTAINER(link, weft_future, queue_link);
        future_take_over(future);
        future_end(future, future->outcome.how, future->outcome.status, NULL);
    }
    for (uint32_t i = 0; i < harvest->failed; i++) {
        const struct failure *failure = &harvest->failures[i];
        failure->source->on_error(&failure->outcome, failure->source->on_error_ctx);
    }
    if (!harvest->failed)
        return;
    lock_inner(&crew->lock);
    for (uint32_t i = 0; i < harvest->failed; i++)
        harvest->failures[i].source->ops->told(harvest->failures[i].source);
    weft_lock_release(&crew->lock);
    harvest->failed = 0;
}

/* ---- visits */

void crew_offer(struct crew *crew, struct source *source)
{
    if (list_empty(&source->link))
        list_push_back(&crew->sources, &source->link);
}

/* Whether a lane has moved since it was collected. Relaxed: collecting looks properly. */
static bool has_moved(const struct member *member)
{
    if (member->head == member->tail || !member->process)
        return false;
    const struct batch *batch = &member->lane->batches[member->head % LANE_BATCHES];
    return load_relaxed(&member->lane->head) != member->head ||
           load_relaxed(&batch->done) != member->assignments[member->head % LANE_BATCHES].seen;
}

bool crew_has_news(const struct crew *crew)
{
    for (uint32_t i = 0; i < crew->members_count; i++)
        if (has_moved(crew->members[i]))
            return true;
    return false;
}

/* Looks at each member for what is done, and at those that are of no more use. */
static void collect_all(struct crew *crew, struct harvest *harvest)
{
    for (uint32_t i = 0; i < crew->members_count && !harvest_full(harvest); i++) {
        struct member *member = crew->members[i];
        if (member->head == member->tail || !member->process)
            continue;
        (void)collect(member, harvest);
        if (member->fate == FATE_FAULTY && member->state != MEMBER_STOPPING)
            crew_stop_member(member, FATE_FAULTY, 0);
        if (member->state == MEMBER_STOPPING && member->head == member->tail)
            crew_look_at(crew, 0); /* its call has ended: it need not be waited for */
    }
}

/* Whether all its calls have ended. It may not have passed the last one yet, or never will. */
static bool has_done_all(const struct member *member)
{
    for (uint32_t i = member->head; i != member->tail; i++) {
        const struct assignment *what = &member->assignments[i % LANE_BATCHES];
        if (what->seen != what->count)
            return false;
    }
    return true;
}

static bool have_all_done_all(const struct crew *crew)
{
    for (uint32_t i = 0; i < crew->members_count; i++)
        if (!has_done_all(crew->members[i]))
            return false;
    return true;
}

bool crew_is_needed(const struct crew *crew)
{
    return !crew->terminated &&
           (!crew->closing || !list_empty(&crew->sources) || !have_all_done_all(crew));
}

/* Sends home who is not needed any more: has had its calls; or there is nothing to come. */
static void dismiss(struct crew *crew)
{
    uint32_t most = crew->once ? 1 : crew->options->calls_per_worker_max;
    bool over = crew->closing && list_empty(&crew->sources) && have_all_done_all(crew);
    for (uint32_t i = 0; (most || over) && i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        if (member->state != MEMBER_READY || !has_done_all(member) ||
            !(over || (most && member->calls >= most)))
            continue;
        member->state = MEMBER_QUITTING;
        member->look_ns = weft_after(crew->options->grace_ns).ns;
        crew_look_at(crew, member->look_ns);
        store_relaxed(&member->lane->quit, 1); /* relaxed: the wake-up orders it */
        lane_wake(member->lane);
    }
    if (over)
        crew_look_at(crew, 0);
}

/* Nothing more will run: because nobody is there to run it, or (NULL) as it was terminated. */
static void fail_all(struct crew *crew, const struct crew_failure *failure, struct harvest *harvest)
{
    while (!list_empty(&crew->sources)) {
        struct source *source = CONTAINER(crew->sources.next, struct source, link);
        if (!source->ops->fail(source, failure, harvest))
            return;
        list_remove(&source->link);
    }
}

void crew_drive(struct crew *crew, struct harvest *harvest)
{
    if (crew->in_flight)
        collect_all(crew, harvest);
    if (crew->terminated || !crew->usable)
        fail_all(crew, crew->terminated ? NULL : &crew->failure, harvest);
    dispatch(crew, harvest);
    if (crew->closing || crew->once || crew->options->calls_per_worker_max)
        dismiss(crew);
}

/* Has the supervisor listen, if nobody else looks after what is in flight. */
static void listen(struct crew *crew)
{
    if (crew->leader || !crew->in_flight)
        return;
    uint32_t *listening = &crew->hub->listening;
    if (load_relaxed(listening) == SUPERVISOR) /* relaxed: a ring that is on its way will come */
        return;
    store_relaxed(listening, SUPERVISOR); /* relaxed: the fence orders it */
    fence_seq_cst();                      /* pairs with the one in serve.c's ring() */
    if (crew_has_news(crew))
        crew_poke(crew);
}

void crew_enter(struct crew *crew)
{
    lock_inner(&crew->lock);
    add_relaxed(&crew->visitors, 1); /* relaxed: see crew_hold() */
}

void crew_hold(struct crew *crew)
{
    /* relaxed: who holds has something that keeps the crew open, and lets go of it only later */
    add_relaxed(&crew->visitors, 1);
}

void crew_let_go(struct crew *crew)
{
    /* relaxed: the lock orders it for the supervisor, who counts them */
    if (sub_relaxed(&crew->visitors, 1) > 1 || !crew->closing)
        return;
    if (strand_self() != crew->overseer)
        crew_look_at(crew, 0); /* perhaps the supervisor has waited for that */
    signal_raise(&crew->quiet, UINT32_MAX);
}

void crew_resume(struct crew *crew)
{
    crew->pausing = false;
    for (uint32_t i = 0; i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        if (load_relaxed(&member->lane->heard) != member->heard) { /* relaxed: our own */
            store_release(&member->lane->heard, member->heard);    /* pairs with serve.c */
            lane_wake(member->lane);
        }
    }
}

void crew_leave(struct crew *crew, struct harvest *harvest)
{
    for (;;) {
        bool again = harvest_full(harvest);
        listen(crew);
        if (is_empty(harvest))
            break;
        weft_lock_release(&crew->lock);
        crew_settle(crew, harvest);
        lock_inner(&crew->lock);
        if (again)
            crew_drive(crew, harvest);
    }
    if (crew->pausing)
        crew_resume(crew);
    crew_let_go(crew);
    weft_lock_release(&crew->lock);
}

void crew_poke(struct crew *crew)
{
    (void)!write(crew->poke, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void crew_look_at(struct crew *crew, int64_t ns)
{
    if (ns < crew->look_ns)
        crew->look_ns = ns;
    if (ns >= crew->asleep_ns)
        return;
    crew->asleep_ns = ns;
    crew_poke(crew);
}

/* ---- stopping */

void crew_stop_member(struct member *member, enum member_fate fate, int64_t grace_ns)
{
    for (uint32_t i = member->head; i != member->tail; i++)
        collect_back(member, &member->assignments[i % LANE_BATCHES], 0);
    member->state = MEMBER_STOPPING;
    member->fate = fate;
    member->look_ns = grace_ns ? weft_after(grace_ns).ns : 0;
    process_signal(member->process, grace_ns ? SIGTERM : SIGKILL);
    crew_look_at(member->crew, member->look_ns);
}

void crew_terminate(struct crew *crew)
{
    struct harvest harvest;
    harvest_init(&harvest);
    crew_enter(crew);
    crew->closing = crew->terminated = true;
    for (uint32_t i = 0; i < crew->members_count; i++) {
        struct member *member = crew->members[i];
        struct assignment *what;
        if (member->state != MEMBER_READY)
            continue;
        if (member_running(member, &what) >= 0)
            crew_stop_member(member, FATE_CANCELLED, crew->options->grace_ns);
        else
            for (uint32_t k = member->head; k != member->tail; k++)
                collect_back(member, &member->assignments[k % LANE_BATCHES], 0);
    }
    crew_look_at(crew, 0);
    crew_drive(crew, &harvest);
    crew_leave(crew, &harvest);
}

/* ---- opening and closing */

struct member *member_new(struct crew *crew)
{
    struct member *member = calloc(1, sizeof *member);
    if (!member)
        return NULL;
    member->crew = crew;
    member->lane = weft_shared_alloc(sizeof *member->lane);
    if (member->lane)
        return member;
    free(member);
    return NULL;
}

void member_free(struct member *member)
{
    weft_shared_free(member->lane);
    free(member);
}

bool crew_add(struct crew *crew, struct member *member)
{
    if (crew->members_count == crew->members_room) {
        uint32_t room = crew->members_room ? 2 * crew->members_room : 8;
        struct member **grown = realloc(crew->members, room * sizeof(struct member *));
        if (!grown)
            return false;
        crew->members = grown;
        crew->members_room = room;
    }
    member->number = crew->members_count;
    crew->members[crew->members_count++] = member;
    return true;
}

void crew_remove(struct crew *crew, struct member *member)
{
    struct member *last = crew->members[--crew->members_count];
    crew->members[member->number] = last;
    last->number = member->number;
}

static int open_members(struct crew *crew, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct member *member = member_new(crew);
        if (!member)
            return -ENOMEM;
        if (!crew_add(crew, member)) {
            member_free(member);
            return -ENOMEM;
        }
    }
    return 0;
}

void crew_free(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->members_count; i++)
        member_free(crew->members[i]);
    free(crew->members);
    weft_shared_free(crew->hub);
    descriptors_close(crew->epoll);
    descriptors_close(crew->poke);
    process_origin_close(crew->origin);
    free(crew);
}

static int open_descriptors(struct crew *crew)
{
    crew->epoll = descriptors_raise(epoll_create1(EPOLL_CLOEXEC));
    if (crew->epoll < 0)
        return -EMFILE;
    crew->poke = descriptors_raise(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (crew->poke < 0)
        return -EMFILE;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    return epoll_ctl(crew->epoll, EPOLL_CTL_ADD, crew->poke, &event) < 0 ? -errno : 0;
}

/* Before there is a thread of the crew's: the program may be forked for it. */
static int open_origin(struct crew *crew)
{
    const weft_options *options = crew->options;
    int rc = process_origin_open(&crew->origin, options);
    if (rc == 0 && (!process_origin_sees_code(crew->origin, (const void *)options->enter) ||
                    !process_origin_sees_code(crew->origin, (const void *)options->leave)))
        rc = -EFAULT;
    return rc;
}

int crew_supervise(struct crew *crew)
{
    int rc = crew->supervised ? 0 : thread_start(&crew->supervisor, supervisor_main, crew);
    crew->supervised |= rc == 0;
    return rc;
}

int crew_open(struct crew **ret, const weft_options *options, uint32_t members)
{
    struct crew *crew = malloc(sizeof *crew);
    if (!crew)
        return -ENOMEM;
    *crew = (struct crew){ .options = options,
                           .once = members == 0,
                           .usable = members ? members : 1,
                           .participant = participant_self,
                           .epoll = -1,
                           .poke = -1,
                           .look_ns = INT64_MAX,
                           .asleep_ns = INT64_MIN };
    list_init(&crew->sources);
    submitted_init(&crew->submitted);
    snprintf(crew->supervisor_name, sizeof crew->supervisor_name, "%.20s-crew", options->name);
    thread_set_init(&crew->supervisor, crew->supervisor_name, 0);
    int rc = open_origin(crew);
    crew->hub = weft_shared_alloc(sizeof *crew->hub);
    if (rc == 0)
        rc = crew->hub ? open_members(crew, members) : -ENOMEM;
    if (rc == 0)
        rc = open_descriptors(crew);
    if (rc == 0 && members)
        rc = crew_supervise(crew);
    if (rc < 0) {
        crew_free(crew);
        return rc;
    }
    *ret = crew;
    return 0;
}

bool crew_is_own(const struct crew *crew)
{
    return process_available() && crew->participant == participant_self;
}

static int attempt_quiet(void *ctx)
{
    struct crew *crew = ctx;
    lock_inner(&crew->lock);
    int rc = load_relaxed(&crew->visitors) ? -EAGAIN : 0; /* relaxed: see crew_let_go() */
    weft_lock_release(&crew->lock);
    return rc;
}

void crew_close(struct crew *crew)
{
    lock_inner(&crew->lock);
    crew->closing = true;
    crew_look_at(crew, 0);
    weft_lock_release(&crew->lock);
    signal_raise(&crew->submitted.room, UINT32_MAX);
    thread_set_join(&crew->supervisor);
    (void)signal_wait(&crew->quiet, attempt_quiet, crew, WEFT_FOREVER,
                      PARK_SHIELDED | PARK_FOR_POOL_CLOSE);
}
