/* SPDX-License-Identifier: MIT */
/*
 * Every step of what a process does, tried one after the other. A process is walked through it
 * once, an instruction at a time, and where it came by is noted; then others like it (of one fork,
 * so that their instructions lie at the same addresses) are let run up to one place after the
 * other, where the test does to them what it wants.
 *
 * By default it is every kth place, with k such that there are about PLACES of them, and the first
 * by chance: WEFT_SEED repeats a run. WEFT_STEPS=k sets k; 1 tries every place. Of an instruction
 * that comes again and again (a worker that spins before it sleeps), the first TURNS are places.
 */
#ifndef TESTS_POOL_STEPPING_H
#define TESTS_POOL_STEPPING_H

#include <inttypes.h>
#include <stdlib.h>

#include <weft/time.h>

#include "tracing.h"

enum { PLACES = HARNESS_SANITIZED ? 30 : 250, TURNS = 8 };

/* An instruction, and the how-manieth time that the process came by it. */
struct place {
    uintptr_t pc;
    unsigned turn;
};

struct path {
    struct place *places;
    size_t count, room;
};

static inline void path_note(struct path *path, uintptr_t pc)
{
    unsigned turn = 1;
    for (size_t i = path->count; i-- > 0 && turn == 1;)
        if (path->places[i].pc == pc)
            turn = path->places[i].turn + 1;
    if (turn > TURNS)
        return;
    if (path->count == path->room) {
        path->room = path->room ? 2 * path->room : 1024;
        path->places = realloc(path->places, path->room * sizeof *path->places);
        EXPECT_TRUE(path->places);
    }
    path->places[path->count++] = (struct place){ pc, turn };
}

/* Walks a stopped process to the end of its path and notes it, or lets it run up to a place on it.
 * A process may go another way than the one before it, and come to the end without that place. */
static inline enum trace_end path_go(pid_t pid, struct path *path, const struct place *place,
                                     bool (*over)(const void *), const void *ctx)
{
    enum trace_end end;
    if (place)
        return trace_run_to(pid, place->pc, place->turn, over, ctx);
    do {
        path_note(path, trace_pc(pid));
        end = trace_step(PTRACE_SINGLESTEP, pid, over, ctx);
    } while (end == TRACE_STOPPED);
    return end;
}

static inline uint64_t path_number_from(const char *variable, uint64_t otherwise)
{
    const char *said = getenv(variable);
    return said ? strtoull(said, NULL, 0) : otherwise;
}

/* Calls go(place) for one place after the other; it says whether the process came there. */
static inline void path_try(const struct path *path, bool (*go)(const struct place *place))
{
    size_t came_there = 0, tried = 0;
    size_t stride = (size_t)path_number_from("WEFT_STEPS", path->count / PLACES);
    stride += stride == 0;
    uint64_t seed = path_number_from("WEFT_SEED", (uint64_t)weft_now());
    printf("%zu places, every %zuth, WEFT_SEED=%" PRIu64 "\n", path->count, stride, seed);
    fflush(stdout);
    for (size_t i = seed % stride; i < path->count; i += stride, tried++)
        came_there += go(&path->places[i]);
    printf("came to %zu of %zu\n", came_there, tried);
    EXPECT_GT(came_there, 0);
}

#endif
