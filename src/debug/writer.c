/* SPDX-License-Identifier: MIT */
/*
 * debug/writer.c: the process that writes the trace of a program.
 *
 * It was forked from the program before main(), and is no child of it. It alone reads the rings and
 * writes the file, so whoever else dies, and however, the file is whole: what a thread published
 * before it died is drained, and a span that has begun and will never end is told as unfinished.
 *
 *   every 100 ms, or when a ring is half full    drains all rings
 *   every 5 ms while threads count               the same, and lets them record again (trace.c)
 *   the program closes, or has died              drains them a last time, and ends
 *
 * A ring is free again when its thread has said that it ends, or its process has ended.
 *
 * All signals are blocked: Ctrl-C is for the program, after whose end there is still work to do.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <weft/time.h>

#include "base/futex.h"
#include "debug/events.h"
#include "debug/opens.h"
#include "debug/trace.h"
#include "process/descriptors.h"

#define PERIOD_NS (100 * WEFT_MS)
#define TICK_NS   (5 * WEFT_MS)

enum { COOL = 200 }; /* so many ticks without anything to count, and it is not hot any more */

/* What was told of a ring so far. */
struct told {
    uint64_t calls, waits;
    bool counting; /* the last count was not 0 */
};

/* All that the writer has; it is large, so not on its stack. */
struct desk {
    struct events events;
    struct opens opens;
    struct told told[RINGS_MAX];
};

static struct room *room;
static struct desk *desk;
static struct missing missing; /* of rings that have been given up */
static int64_t counted_ns;     /* when the counts were told last */

static struct author author_of(const struct ring *ring)
{
    return (struct author){ .process = load_relaxed(&ring->owner), /* relaxed: it is not free */
                            .thread = ring->thread,
                            .program = load_relaxed(&room->program_id), /* relaxed: any will do */
                            .base_ns = room->began_ns };
}

/* ---- draining */

static void take(uint32_t i, const struct author *author, const struct record *record)
{
    switch (record->type) {
    case RECORD_PROCESS:
        event_process(&desk->events, author, record->words);
        break;
    case RECORD_STRAND:
        event_strand(&desk->events, author, record);
        break;
    case RECORD_OPEN:
        opens_add(&desk->opens, i, record);
        break;
    default:
        opens_remove(&desk->opens, i, record);
        event_span(&desk->events, author, record, true);
    }
}

static void drain(uint32_t i)
{
    struct ring *ring = &room->rings[i];
    uint32_t tail = load_relaxed(&ring->tail), head = load_acquire(&ring->head); /* publish() */
    struct author author = author_of(ring);
    if (tail == head)
        return;
    if (head - tail > RING_RECORDS)
        tail = head - RING_RECORDS; /* a program that goes wild has written to it */
    for (; tail != head; tail++) {
        struct record record = room->records[i][tail % RING_RECORDS];
        record.words[sizeof record.words - 1] =
            record.type < RECORD_OPEN ? '\0' : record.words[sizeof record.words - 1];
        take(i, &author, &record);
    }
    store_release(&ring->tail, tail); /* pairs with the acquire in next_record() */
    if (room->keep_all)
        futex_wake_shared(&ring->tail, 1);
}

static void tell_counts(uint32_t i, int64_t now)
{
    struct ring *ring = &room->rings[i];
    struct told *told = &desk->told[i];
    uint64_t calls = load_relaxed(&ring->folded_calls); /* relaxed, both: counts */
    uint64_t waits = load_relaxed(&ring->folded_waits);
    bool counting = calls != told->calls || waits != told->waits;
    struct author author = author_of(ring);
    if (counting || told->counting)
        event_folded(&desk->events, &author, now, calls - told->calls, waits - told->waits);
    *told = (struct told){ calls, waits, counting };
}

struct end {
    struct author author;
    int64_t ns;
};

static void tell_unfinished(const struct record *record, void *ctx)
{
    const struct end *end = ctx;
    struct record unfinished = *record;
    unfinished.span.ended_ns = end->ns;
    event_span(&desk->events, &end->author, &unfinished, false);
}

static void say_nothing(const struct record *record, void *ctx)
{
    (void)record;
    (void)ctx;
}

/* A span that was to be folded, and does not end. */
static void tell_note(const struct note *note, uint64_t who, struct end *end)
{
    struct record record = { .type = RECORD_STRAND, .strand = who & NOTE_STRAND };
    if (!(who >> NOTE_NAMED_SHIFT & 1)) {
        snprintf(record.words, sizeof record.words, "strand-%llu",
                 (unsigned long long)record.strand);
        event_strand(&desk->events, &end->author, &record);
    }
    record = (struct record){
        .type = RECORD_OPEN,
        .is_wait = who & NOTE_WAIT,
        .about = true,
        .purpose = (uint8_t)(who >> NOTE_PURPOSE_SHIFT),
        .cpus[0] = RECORD_NOBODY,
        .worker = RECORD_NOBODY,
        .elsewhere = who & NOTE_ELSEWHERE,
        .strand = who & NOTE_STRAND,
        .span = { .began_ns = note->began_ns, .what = note->what, .index = note->index },
    };
    tell_unfinished(&record, end);
}

static void tell_notes(uint32_t i, struct end *end)
{
    uint32_t used = load_relaxed(&room->rings[i].notes_used); /* relaxed: each says if it counts */
    for (uint32_t n = 0; n < used && n < RING_NOTES; n++) {
        struct note *note = &room->notes[i][n];
        uint64_t who = load_acquire(&note->who); /* pairs with the release in write_note() */
        if (who)
            tell_note(note, who, end);
        store_relaxed(&note->who, 0); /* relaxed: as the others in set_free() */
    }
}

/* Nobody writes to the ring any more. */
static void give_up(uint32_t i, int64_t now)
{
    struct ring *ring = &room->rings[i];
    struct end end = { author_of(ring), now };
    drain(i);
    tell_counts(i, now);
    /* Where ends were lost, what looks unfinished may not be. */
    opens_drop(&desk->opens, i, load_relaxed(&ring->unsure) ? say_nothing : tell_unfinished, &end);
    tell_notes(i, &end);
    missing.folded_calls += load_relaxed(&ring->folded_calls); /* relaxed, as the others: the */
    missing.folded_waits += load_relaxed(&ring->folded_waits); /* owner is gone */
    missing.lost += load_relaxed(&ring->lost);
}

static void set_free(uint32_t i)
{
    struct ring *ring = &room->rings[i];
    desk->told[i] = (struct told){ 0 };
    ring->folded_calls = ring->folded_waits = ring->lost = 0;
    ring->unsure = 0;
    ring->left = ring->head = ring->tail = ring->notes_used = 0;
    store_release(&ring->owner, 0); /* pairs with the acquire in take_ring() */
}

static bool is_gone(const struct ring *ring)
{
    uint32_t owner = load_relaxed(&ring->owner); /* relaxed: it is not free */
    return owner != load_relaxed(&room->program_id) && kill((pid_t)owner, 0) < 0 && errno == ESRCH;
}

/* Looks at all rings. */
static void look(void)
{
    int64_t now = weft_now();
    bool count = now - counted_ns >= PERIOD_NS;
    uint32_t used = load_acquire(&room->rings_used); /* pairs with the release in take_ring() */
    for (uint32_t i = 0; i < used; i++) {
        struct ring *ring = &room->rings[i];
        if (!load_acquire(&ring->owner)) /* pairs with nothing: it is about this ring's past */
            continue;
        bool over = load_acquire(&ring->left) || (count && is_gone(ring)); /* leave_ring() */
        drain(i);
        if (over) {
            give_up(i, now);
            set_free(i);
        } else if (count) {
            tell_counts(i, now);
        }
    }
    if (count) {
        output_flush(&desk->events.output);
        counted_ns = now;
    }
}

/* ---- the program's end */

static int open_program(void)
{
    /* relaxed: nothing goes with it */
    return descriptors_of_process((pid_t)load_relaxed(&room->program_id));
}

static bool has_ended(int pidfd)
{
    struct pollfd end = { .fd = pidfd, .events = POLLIN };
    return pidfd < 0 || poll(&end, 1, 0) > 0;
}

/* Whether the program has ended, or is about to. */
static bool is_over(int *program_fd, uint32_t *program)
{
    if (load_acquire(&room->closing)) /* pairs with the release in start.c */
        return true;
    while (has_ended(*program_fd)) {
        /* relaxed: a process that goes on as another says so before it ends */
        uint32_t now = load_relaxed(&room->program_id);
        if (now == *program)
            return true;
        if (*program_fd >= 0)
            close(*program_fd);
        *program = now;
        *program_fd = open_program();
    }
    return false;
}

__attribute__((noreturn)) static void finish(void)
{
    struct author author = { .process = load_relaxed(&room->program_id), /* relaxed: as above */
                             .base_ns = room->began_ns };
    int64_t now = weft_now();
    uint32_t used = load_acquire(&room->rings_used); /* as in look() */
    for (uint32_t i = 0; i < used; i++)
        if (load_acquire(&room->rings[i].owner)) /* as in look() */
            give_up(i, now);
    missing.homeless = load_relaxed(&room->homeless); /* relaxed: a count */
    event_end(&desk->events, &author, now, &missing);
    close(desk->events.output.fd);
    store_release(&room->done, 1); /* pairs with the acquire in start.c */
    futex_wake_shared(&room->done, 1);
    _exit(0);
}

/* ---- the process */

static void be_alone(int keep)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setpgid(0, 0);
    prctl(PR_SET_NAME, "weft-trace");
    (void)!chdir("/");
    descriptors_keep(&keep, 1);
    for (int fd = 0; fd <= 2; fd++)
        close(fd);
}

/* Waits until the next look, or the bell. */
static void rest(uint32_t bell, int64_t ns)
{
    struct futex_place place = futex_place(&room->bell, bell, true);
    (void)futex_wait_any(&place, 1, weft_after(ns));
}

/* Ticks, if it is time. Returns how long to rest at most. */
static int64_t tick(void)
{
    static int64_t last_ns;
    static unsigned cool; /* ticks until it is not hot any more */
    int64_t now = weft_now();
    if (now - last_ns < TICK_NS)
        return last_ns + TICK_NS - now;
    last_ns = now;
    cool -= cool > 0;
    store_relaxed(&room->hot, cool > 0); /* relaxed, all: the fence orders the first two */
    fence_seq_cst();                     /* pairs with the one in fold_on() */
    if (load_relaxed(&room->folding)) {
        store_relaxed(&room->folding, 0);
        store_relaxed(&room->hot, 1);
        cool = COOL;
    }
    store_relaxed(&room->tick, room->tick + 1);
    return cool ? TICK_NS : PERIOD_NS;
}

/* Says so, or why it cannot, and ends. */
static void be_ready(int error)
{
    room->error = error;
    store_release(&room->ready, 1); /* pairs with the acquire in start.c */
    futex_wake_shared(&room->ready, 1);
    if (error)
        _exit(1);
}

void writer_run(struct room *shared, const struct trace_file *file)
{
    room = shared;
    be_alone(file->fd);
    desk = mmap(NULL, sizeof *desk, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint32_t program = load_relaxed(&room->program_id); /* relaxed: set before the fork */
    int program_fd = open_program();
    if (desk == MAP_FAILED || program_fd < 0)
        be_ready(desk == MAP_FAILED ? ENOMEM : -program_fd);
    output_init(&desk->events.output, file->fd, file->bytes_max);
    output_flush(&desk->events.output); /* an empty list: a disk that is full is known at once */
    be_ready(desk->events.output.error);
    for (;;) {
        uint32_t bell = load_acquire(&room->bell); /* pairs with the release in room_ring() */
        bool over = is_over(&program_fd, &program);
        look();
        if (over)
            finish();
        rest(bell, tick());
    }
}
