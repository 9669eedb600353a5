/* SPDX-License-Identifier: MIT */
/*
 * debug/ring.h: memory that the processes of a traced program share with the one that writes its
 * trace: a ring of records for each thread that has something to say.
 *
 *     thread --claims--> ring: head ... records ... tail <-- the writer
 *        \ ends: left -----------------------------------> drained, and free again
 *
 * One thread writes to a ring, and the writer reads it, so neither waits for the other. A thread or
 * a process may die between any two instructions: what was published is drained, and then the ring
 * is another's. The fields of the room that are not said to be atomic are constant once `ready`.
 */
#ifndef WEFT_DEBUG_RING_H
#define WEFT_DEBUG_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum { RINGS_MAX = 1024, RING_RECORDS = 1024, RING_NOTES = 1024, ROOM_NAME = 32 };

enum record_type {
    RECORD_PROCESS, /* words: the process's name */
    RECORD_STRAND,  /* words: the strand's name */
    RECORD_OPEN,    /* a call or a wait has begun */
    RECORD_SPAN,    /* and ended */
};

enum { RECORD_NOBODY = UINT16_MAX }; /* worker: none; CPU: not known */

struct record {
    uint8_t type;
    bool is_wait;
    bool about;      /* began_ns is the earliest that it can be */
    uint8_t purpose; /* of a wait */
    uint16_t cpus[2];
    uint16_t worker;
    uint8_t attempt;
    bool elsewhere; /* what: an address in this process, which is not the program's */
    int32_t status;
    uint64_t strand;
    union {
        struct {
            int64_t began_ns, ended_ns;
            uint64_t what; /* a call's function; the object of a wait */
            uint64_t index;
        } span;
        char words[ROOM_NAME];
    };
};

_Static_assert(sizeof(struct record) == 56, "has no padding");

#define NOTE_STRAND        (UINT64_MAX >> 16)
#define NOTE_WAIT          (UINT64_C(1) << 48)
#define NOTE_ELSEWHERE     (UINT64_C(1) << 49)
#define NOTE_NAMED_SHIFT   50
#define NOTE_PURPOSE_SHIFT 56

/* A span of which no record says that it has begun, for the case that it never ends. */
struct note {
    uint64_t who; /* atomic, written last: the strand, and the bits above; 0: there is none */
    int64_t began_ns;
    uint64_t what, index; /* as in a record; of one that is free, index: the next */
};

struct ring {
    uint32_t owner __attribute__((aligned(64))); /* atomic: the process; 0: free */
    uint32_t left; /* atomic: 1: its thread has ended; drain it and free it */
    uint32_t head; /* atomic: records written */
    uint32_t thread;
    uint32_t notes_used;                 /* atomic: those above have never been used */
    uint64_t folded_calls, folded_waits; /* atomic, by the owner: counted instead of recorded */
    uint64_t lost;                       /* the same: there was no room for a span's end */
    uint32_t unsure;                     /* atomic: 1: of one that may have been said to begin */
    uint32_t tail __attribute__((aligned(64))); /* atomic, by the writer: records read */
};

struct room {
    char magic[16];
    int64_t began_ns;
    uint64_t image; /* where the program's own file begins; 0: not known */
    bool keep_all;
    char program[16];
    uint32_t writer;     /* its process */
    int32_t error;       /* set before `ready`: why there is no writer; 0: there is one */
    uint32_t ready;      /* atomic: 1: the writer writes, or says why not; and a futex */
    uint32_t program_id; /* atomic: the program's process, which may change (weft_daemonize) */
    uint32_t closing;    /* atomic: 1: the program ends, and waits for `done` */
    uint32_t done;       /* atomic: 1: the file is complete; and a futex */
    uint32_t rings_used; /* atomic: those above have never been used */
    uint64_t homeless;   /* atomic: spans of threads that got no ring */
    uint32_t bell;       /* atomic: changes when the writer shall look; and a futex */
    uint32_t folding;    /* atomic: 1: something was folded since the last tick */
    uint32_t hot;        /* atomic, by the writer: 1: it ticks */
    uint32_t tick __attribute__((aligned(64))); /* atomic: every few ms while hot */
    struct ring rings[RINGS_MAX] __attribute__((aligned(64)));
    struct note notes[RINGS_MAX][RING_NOTES];
    struct record records[RINGS_MAX][RING_RECORDS];
};

/* Makes the writer look at once. */
void room_ring(struct room *its);

#endif
