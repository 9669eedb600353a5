/* SPDX-License-Identifier: MIT */
/*
 * strand/call.h: a call while it runs: the public weft_call that the function sees, and behind it
 * where its result and its words of failure go.
 */
#ifndef WEFT_STRAND_CALL_H
#define WEFT_STRAND_CALL_H

#include <weft/call.h>

#define CALL_BYTES_MAX ((size_t)1 << 30)

struct call;
struct strand;

/* Where results lie that are not in pub.ret: 16-aligned, a NUL behind. */
struct call_memory {
    void *(*take)(struct call *call, size_t bytes); /* with the NUL; NULL: there is none */
    void (*give)(struct call *call, void *memory);
};

struct call {
    weft_call pub;                    /* first: functions hold a pointer to it */
    void *result;                     /* NULL: none (yet) */
    size_t result_bytes;              /* in pub.ret when that is set */
    const struct call_memory *memory; /* NULL: malloc */
    char text[160];
};

/*
 * The call has returned with more held than so many (park/hold.h): what it took is abandoned.
 * Returns its status, which is an error then.
 */
int call_abandoned(struct call *call, struct strand *self, unsigned holds, int status);

/* Frees the result. */
void call_drop_result(struct call *call);

/* The result buffer of n bytes with a NUL behind them; NULL if memory is short. Free by free(). */
void *call_buffer(const void *bytes, size_t n);

/* Frees the result and forgets words, so that the call can run again. */
void call_reset(struct call *call);

#endif
