/* SPDX-License-Identifier: MIT */
/*
 * debug/trace.c: what strands say of themselves while they run: WEFT_TRACE.
 *
 * The problem: to keep a span for each call and each wait, of programs that do millions of them in
 * a second, without slowing them down, without unbounded memory, and so that nothing is lost when
 * the program crashes or a process is killed.
 *
 * How it works. A thread writes records into a ring of its own, in memory that is shared with
 * another process, the writer (writer.c), which puts them into the file. A record is there as soon
 * as it is published, whatever becomes of the thread or its process; so there are no handlers for
 * signals, and nothing has to be flushed.
 *
 *   begin   the clock, the CPU; a record that the span is open, for the case that it never ends
 *   end     the same, and the record of the whole span
 *
 * Tasks write into the ring of the thread that runs them, which is the same from their start on.
 *
 * Too much is folded: between two ticks of the writer's (5 ms while that happens) a thread records
 * SPANS_PER_TICK spans; after that it counts, which costs a few instructions and no look at the
 * clock. A span that was to be folded but lasted over a whole tick is recorded after all; it began
 * not before what the thread recorded last. So whatever takes 15 ms or longer is in the trace, and
 * a program that does little is there completely. That such a span has begun is noted until
 * it ends, where there is room: what a program hangs or dies in matters most, and often is one of
 * these. With keep_all nothing is folded, and a thread that finds its ring full waits for the
 * writer.
 *
 * Signal handlers record nothing: weft_event_post(), the one call that is safe there, never waits.
 */
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <weft/time.h>

#include "base/futex.h"
#include "debug/image.h"
#include "debug/trace.h"
#include "debug/who.h"
#include "park/park.h"
#include "strand/self.h"

enum { SPANS_PER_TICK = 64, WAITS_FOR_WRITER = 1000 };

/* What a thread writes with. */
struct pen {
    struct ring *ring; /* NULL: none yet */
    struct record *records;
    struct note *notes;
    uint16_t free_note; /* RECORD_NOBODY: none but those that were never used */
    uint32_t tick;
    uint32_t budget;
    uint32_t tail;     /* when it waited for the writer last */
    uint32_t patience; /* how often it waits before that moves */
    int64_t last_ns;   /* when what it recorded last began or ended */
    bool refused;      /* there was no ring in that tick */
};

static __thread struct pen own_pen __attribute__((tls_model("initial-exec")));

static struct room *room;        /* constant while trace_on */
static pthread_key_t key;        /* its value: the thread's ring */
static bool elsewhere;           /* constant, too: this process has run the program again, */
static struct image_place image; /* and it is there */

void room_ring(struct room *its)
{
    add_release(&its->bell, 1); /* pairs with the acquire in the writer's wait */
    futex_wake_shared(&its->bell, 1);
}

static void leave_ring(void *its);

int trace_use(struct room *its, bool other_addresses)
{
    room = its;
    elsewhere = other_addresses;
    if (elsewhere)
        image = image_of_program();
    return -pthread_key_create(&key, leave_ring);
}

void trace_forget_thread(void)
{
    own_pen = (struct pen){ .ring = NULL };
}

/* ---- rings */

/* The thread of a ring ends; by itself. */
static void leave_ring(void *its)
{
    struct ring *ring = its;
    if (ring == own_pen.ring)
        trace_forget_thread();
    if (load_relaxed(&ring->owner) == (uint32_t)getpid()) /* relaxed: else we are a fork of it */
        store_release(&ring->left, 1); /* pairs with the writer's acquire; all is published */
}

/* Has leave_ring() called when the thread ends. */
static bool watch_thread(struct ring *ring)
{
    return pthread_setspecific(key, ring) == 0;
}

/* Takes a free ring. NULL: there is none. */
static struct ring *take_ring(void)
{
    uint32_t self = (uint32_t)getpid();
    for (uint32_t i = 0; i < RINGS_MAX; i++) {
        uint32_t nobody = 0;
        /* acquire: pairs with the release of the writer, who has emptied it */
        if (load_relaxed(&room->rings[i].owner) ||
            !cas_acquire(&room->rings[i].owner, &nobody, self))
            continue;
        uint32_t used = load_relaxed(&room->rings_used); /* a first guess: the swap decides */
        while (used <= i && !cas_release(&room->rings_used, &used, i + 1)) {
        }
        if (i >= RINGS_MAX / 2)
            room_ring(room); /* there will be more, once it has read those of threads that ended */
        return &room->rings[i];
    }
    room_ring(room);
    return NULL;
}

/* Room for one more record; NULL: there is none. But: so many must stay free. */
static struct record *next_record(struct pen *pen, uint32_t but)
{
    struct ring *ring = pen->ring;
    uint32_t head = load_relaxed(&ring->head);        /* own */
    uint32_t used = head - load_acquire(&ring->tail); /* pairs with the writer's release */
    if (used == RING_RECORDS / 2)
        room_ring(room);
    return used + but < RING_RECORDS ? &pen->records[head % RING_RECORDS] : NULL;
}

/* Gives the writer a moment. False: it has not read anything for long, so it was killed. */
static bool wait_for_writer(struct pen *pen)
{
    uint32_t tail = load_acquire(&pen->ring->tail); /* pairs as in next_record() */
    if (tail != pen->tail) {
        pen->tail = tail;
        pen->patience = WAITS_FOR_WRITER;
    }
    if (!pen->patience)
        return false;
    pen->patience--;
    room_ring(room);
    struct futex_place place = futex_place(&pen->ring->tail, tail, true);
    (void)futex_wait_any(&place, 1, weft_after(WEFT_MS));
    return true;
}

/* The same, with all patience that there is. */
static struct record *next_record_kept(struct pen *pen, uint32_t but)
{
    struct record *record = next_record(pen, but);
    while (!record && room->keep_all && wait_for_writer(pen))
        record = next_record(pen, but);
    return record;
}

static void publish(struct pen *pen)
{
    struct ring *ring = pen->ring;
    store_release(&ring->head, load_relaxed(&ring->head) + 1); /* pairs with the writer's acquire */
}

/* The name of another process than the program: as a pool has named it, its first thread's. */
static void read_name(char *ret_name, size_t size)
{
    if (gettid() == getpid()) {
        prctl(PR_GET_NAME, ret_name);
        return;
    }
    int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret_name, size - 1);
    if (n > 0)
        ret_name[n - 1] = '\0'; /* instead of the line's end */
    if (fd >= 0)
        close(fd);
}

static void write_process(struct pen *pen)
{
    struct record *record = next_record(pen, 0);
    if (!record)
        return;
    *record = (struct record){ .type = RECORD_PROCESS };
    strcpy(record->words, room->program);
    if (getpid() != (pid_t)load_relaxed(&room->program_id)) /* relaxed: set before this thread */
        read_name(record->words, sizeof record->words);
    publish(pen);
}

/* The same, with patience: until there were too many threads once. */
static struct ring *take_ring_kept(void)
{
    struct ring *ring = take_ring();
    for (int i = 0; i < WAITS_FOR_WRITER && !ring && room->keep_all; i++) {
        if (load_relaxed(&room->homeless)) /* relaxed: a count */
            break;
        struct futex_place place = futex_place(&room->tick, load_relaxed(&room->tick), true);
        (void)futex_wait_any(&place, 1, weft_after(WEFT_MS)); /* nobody wakes it */
        ring = take_ring();
    }
    return ring;
}

/* False: there is no ring for this thread. */
__attribute__((noinline, cold)) static bool claim(struct pen *pen)
{
    uint32_t tick = load_relaxed(&room->tick); /* relaxed: says nothing about other memory */
    struct ring *ring = pen->refused && pen->tick == tick ? NULL : take_ring_kept();
    if (!ring || !watch_thread(ring)) {
        if (ring)
            store_release(&ring->left, 1); /* as in leave_ring() */
        add_relaxed(&room->homeless, 1);   /* relaxed: a count */
        *pen = (struct pen){ .tick = tick, .refused = true };
        return false;
    }
    ring->thread = (uint32_t)gettid();
    *pen = (struct pen){ .ring = ring,
                         .records = room->records[ring - room->rings],
                         .notes = room->notes[ring - room->rings],
                         .free_note = RECORD_NOBODY,
                         .tick = tick - 1, /* so that the budget is a new one */
                         .patience = WAITS_FOR_WRITER,
                         .last_ns = weft_now() };
    write_process(pen);
    return true;
}

/* ---- spans */

static uint16_t cpu_now(void)
{
    int cpu = sched_getcpu();
    return cpu < 0 ? 0 : (uint16_t)cpu;
}

static void write_name(struct pen *pen, struct strand *self)
{
    struct record *record = next_record_kept(pen, RING_RECORDS / 4);
    if (!record)
        return;
    *record = (struct record){ .type = RECORD_STRAND, .strand = self->id };
    strncpy(record->words, weft_self_name(), sizeof record->words - 1);
    publish(pen);
    self->traced = 1;
}

static void write_open(struct pen *pen, const struct strand *self, const struct trace_span *span,
                       const struct record *what)
{
    struct record *record = next_record_kept(pen, RING_RECORDS / 2);
    if (!record)
        return; /* its end is more important */
    *record = *what;
    record->type = RECORD_OPEN;
    record->strand = self->id;
    record->cpus[0] = span->where;
    record->span.began_ns = span->began_ns;
    publish(pen);
}

/* No more is recorded before the next tick: sees to it that there is one soon. */
__attribute__((noinline, cold)) static void fold_on(void)
{
    store_relaxed(&room->folding, 1); /* relaxed, both: the fence orders them */
    fence_seq_cst();                  /* pairs with the one in tick() */
    if (!load_relaxed(&room->hot))
        room_ring(room);
}

/* The calling thread's pen, with a ring. NULL: it gets none. */
static struct pen *own(void)
{
    struct pen *pen = &own_pen;
    return __builtin_expect(pen->ring != NULL, 1) || claim(pen) ? pen : NULL;
}

/* A note that is free, the one that was used last first. RECORD_NOBODY: there is none. */
static uint16_t take_note(struct pen *pen)
{
    uint16_t at = pen->free_note;
    assert(pen->notes); /* whoever folds has a ring */
    if (at != RECORD_NOBODY) {
        pen->free_note = (uint16_t)pen->notes[at].index;
    } else if (pen->ring->notes_used < RING_NOTES) {
        at = (uint16_t)pen->ring->notes_used;
        /* relaxed: each note says whether it counts */
        store_relaxed(&pen->ring->notes_used, at + 1);
    }
    return at;
}

/* Whoever is killed in here leaves none, or all of it: `who` is written last. */
static void write_note(struct trace_span *span, uint64_t how, uint64_t what, uint64_t index)
{
    struct pen *pen = &own_pen;
    const struct strand *self = strand_current;
    span->where = self ? take_note(pen) : RECORD_NOBODY;
    if (span->where == RECORD_NOBODY)
        return;
    struct note *note = &pen->notes[span->where];
    note->began_ns = span->began_ns;
    note->what = what;
    note->index = index;
    /* release: pairs with the acquire in tell_notes() */
    store_release(&note->who, self->id | how | (uint64_t)self->traced << NOTE_NAMED_SHIFT);
}

static void erase_note(const struct trace_span *span)
{
    struct pen *pen = &own_pen;
    if (span->where >= pen->ring->notes_used)
        return; /* there was none, or it is in a ring that the thread had before */
    struct note *note = &pen->notes[span->where];
    if (!load_relaxed(&note->who)) /* relaxed, both: own */
        return;                    /* as above */
    store_relaxed(&note->who, 0);
    note->index = pen->free_note;
    pen->free_note = span->where;
}

/* False: there is too much, or no ring, and the span knows it. */
static bool may_begin(struct trace_span *span)
{
    struct pen *pen = own();
    if (!pen)
        return false;
    uint32_t tick = load_relaxed(&room->tick); /* relaxed: says nothing about other memory */
    if (tick != pen->tick) {
        pen->tick = tick;
        pen->budget = room->keep_all ? UINT32_MAX : SPANS_PER_TICK;
    }
    if (pen->budget) {
        if (--pen->budget == 0)
            fold_on();
        return true;
    }
    span->state = TRACE_FOLDED;
    span->tick = tick;
    span->began_ns = pen->last_ns;
    return false;
}

static void begin(struct trace_span *span, const struct record *what)
{
    struct pen *pen = &own_pen;
    struct strand *self = strand_self();
    if (!self->traced)
        write_name(pen, self);
    span->state = TRACE_RECORDED;
    span->where = cpu_now();
    span->began_ns = pen->last_ns = weft_now();
    write_open(pen, self, span, what);
}

static void fold(struct ring *ring, bool is_wait)
{
    uint64_t *count = is_wait ? &ring->folded_waits : &ring->folded_calls;
    store_relaxed(count, load_relaxed(count) + 1); /* relaxed: own; the writer adds them up */
}

/* False: it is counted, or cannot be told of. */
static bool may_end(const struct trace_span *span, bool is_wait)
{
    struct pen *pen;
    /* relaxed, both: as in may_begin(). After a fork it may not be looked at any more. */
    if (!load_relaxed(&trace_on) || !(pen = own()))
        return false;
    if (span->state == TRACE_RECORDED)
        return true;
    erase_note(span);
    if (load_relaxed(&room->tick) - span->tick >= 2)
        return true;
    fold(pen->ring, is_wait);
    return false;
}

static void end(const struct trace_span *span, const struct record *what)
{
    struct pen *pen = &own_pen;
    struct strand *self = strand_self();
    if (!self->traced)
        write_name(pen, self);
    int64_t now = weft_now();
    struct record *record = next_record_kept(pen, 0);
    if (!record) {
        store_relaxed(&pen->ring->lost, pen->ring->lost + 1); /* relaxed, both: looked at later */
        if (span->state == TRACE_RECORDED)
            store_relaxed(&pen->ring->unsure, 1);
        return;
    }
    *record = *what;
    record->type = RECORD_SPAN;
    record->strand = self->id;
    record->about = span->state == TRACE_FOLDED;
    record->cpus[1] = cpu_now();
    record->cpus[0] = record->about ? record->cpus[1] : span->where;
    record->span.began_ns = span->began_ns;
    record->span.ended_ns = pen->last_ns = now;
    publish(pen);
}

/* ---- the door (park/trace.h) */

/* A function's address in the program, if that can be said. */
static uint64_t address_of(weft_fn *fn, bool *ret_elsewhere)
{
    uint64_t address = (uintptr_t)fn;
    bool known = elsewhere && room->image && address >= image.begin && address < image.end;
    *ret_elsewhere = elsewhere && !known;
    return known ? address - image.begin + room->image : address;
}

static struct record describe_call(weft_fn *fn, const weft_call *call)
{
    bool other;
    uint64_t address = address_of(fn, &other);
    return (struct record){ .worker = RECORD_NOBODY,
                            .attempt = (uint8_t)call->attempt,
                            .elsewhere = other,
                            .span = { .what = address, .index = call->index } };
}

static struct record describe_wait(unsigned flags, const void *object)
{
    return (struct record){ .is_wait = true,
                            .purpose = (uint8_t)(flags >> PARK_PURPOSE_SHIFT),
                            .worker = RECORD_NOBODY,
                            .span = { .what = (uintptr_t)object } };
}

__attribute__((noinline, cold)) static void note_call_elsewhere(struct trace_span *span,
                                                                weft_fn *fn, uint64_t index)
{
    bool other;
    uint64_t address = address_of(fn, &other);
    write_note(span, other ? NOTE_ELSEWHERE : 0, address, index);
}

/*
 * What is folded goes no further than may_begin(), a note, and may_end(). The rest is kept apart,
 * so that these need no stack.
 */
__attribute__((noinline)) static void begin_call(struct trace_span *span, weft_fn *fn,
                                                 const weft_call *call)
{
    struct record what = describe_call(fn, call);
    begin(span, &what);
}

__attribute__((noinline)) static void begin_wait(struct trace_span *span, unsigned flags,
                                                 const void *object)
{
    struct record what = describe_wait(flags, object);
    begin(span, &what);
}

__attribute__((noinline)) static void end_call(const struct trace_span *span, weft_fn *fn,
                                               const weft_call *call, int64_t worker, int status)
{
    struct record what = describe_call(fn, call);
    if (worker < 0)
        worker = who_worker(strand_self());
    if (worker >= 0)
        what.worker = (uint16_t)worker;
    what.status = status;
    end(span, &what);
}

__attribute__((noinline)) static void end_wait(const struct trace_span *span, unsigned flags,
                                               const void *object, int status)
{
    struct record what = describe_wait(flags, object);
    what.status = status;
    end(span, &what);
}

void trace_call_began(struct trace_span *span, weft_fn *fn, const weft_call *call)
{
    if (may_begin(span))
        begin_call(span, fn, call);
    else if (span->state == TRACE_FOLDED && __builtin_expect(elsewhere, 0))
        note_call_elsewhere(span, fn, call->index);
    else if (span->state == TRACE_FOLDED)
        write_note(span, 0, (uintptr_t)fn, call->index);
}

void trace_wait_began(struct trace_span *span, unsigned flags, const void *object)
{
    if (flags >> PARK_PURPOSE_SHIFT == PARK_FOR_ITSELF >> PARK_PURPOSE_SHIFT)
        return;
    if (may_begin(span))
        begin_wait(span, flags, object);
    else if (span->state == TRACE_FOLDED)
        write_note(span, NOTE_WAIT | (uint64_t)(flags >> PARK_PURPOSE_SHIFT) << NOTE_PURPOSE_SHIFT,
                   (uintptr_t)object, 0);
}

void trace_call_ended(const struct trace_span *span, weft_fn *fn, const weft_call *call,
                      int64_t worker, int status)
{
    if (may_end(span, false))
        end_call(span, fn, call, worker, status);
}

void trace_wait_ended(const struct trace_span *span, unsigned flags, const void *object, int status)
{
    if (may_end(span, true))
        end_wait(span, flags, object, status);
}
