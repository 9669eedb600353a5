/* SPDX-License-Identifier: MIT */
/*
 * weft/self.h: the strand that asks, whatever its kind: its id and name, cancellation, storage.
 *
 * A program's own threads are strands too: the main thread, or one made by another library, may
 * call everything here without registering.
 *
 * Cancellation asks, it never forces. Cancelling a strand (by its future or its group) ends the
 * wait it is in, and every later one, with -ECANCELED, until it ends or acknowledges: a strand that
 * cleans up and returns does the right thing. One that computes looks at weft_cancelled().
 */
#ifndef WEFT_SELF_H
#define WEFT_SELF_H

#include <weft/base.h>

WEFT_BEGIN

/* The number of the calling strand: unique in this process, never 0, never used again. */
uint64_t weft_self_id(void);

/*
 * The name of the calling strand, for people to read: "main" for the first thread, what the group
 * or pool gave it, or "strand-ID". Never NULL; valid until the strand ends or is renamed.
 */
const char *weft_self_name(void);

/* Renames the calling strand: copied, cut to 31 bytes (15 in what ps shows). NULL: no name. */
void weft_self_set_name(const char *name);

/*
 * What the calling strand is: WEFT_TASKS in a task; WEFT_THREADS in a thread, whoever made it, also
 * in one of a worker process. What a call of kind serial sees is the strand that it runs in, and
 * inside weft_blocking() it is the thread. For code that shall run in any kind of strand, but must
 * do one thing differently: hand what blocks to weft_blocking(), say. Signal-safe.
 */
weft_kind weft_self_kind(void);

/* True from a cancellation until it is acknowledged; false inside a shield (scope.h). */
bool weft_cancelled(void);

/*
 * Acknowledges a cancellation: waits of the calling strand work again.
 * Returns  true if there was one.
 */
bool weft_uncancel(void);

/*
 * Lets other strands run. A cancellation point.
 * Returns  0; -ECANCELED.
 */
int weft_yield(void);

/*
 * Calls fn(arg), which may block the thread that it runs in (a system call, a library that knows
 * nothing of weft), and waits for it. In a task it runs in a thread of a pool, so that the worker
 * goes on with other tasks; in any other strand at once, in the caller. What fn calls of weft sees
 * that thread, not the task. A cancellation and the scopes do not end it: nothing can. It must
 * return, not end the thread (pthread_exit): its caller would wait for ever.
 * Returns  what fn did; -EAGAIN, -ENOMEM: no thread could be made, and fn was not called.
 */
int weft_blocking(int (*fn)(void *arg), void *arg) WEFT_USE;

/*
 * A strand inside somebody else's wait (a library's own poll loop) is not seen by cancellation.
 * Between enter and leave, a cancellation calls fn(ctx), which makes that wait end:
 *
 *     weft_on_cancel hook;
 *     if (weft_on_cancel_enter(&hook, wake_poll, multi) == 0) {
 *         curl_multi_poll(multi, NULL, 0, ms, NULL);
 *         weft_on_cancel_leave(&hook);
 *     }
 *
 * fn is called at most once, by the strand that cancels; it must not wait nor call weft. Once leave
 * has returned it is not running and will not run. Hooks nest: leave in reverse order, in the
 * strand that entered.
 */
typedef struct weft_on_cancel {
    void (*fn)(void *ctx); /* private, all of it */
    void *ctx;
    struct weft_on_cancel *outer;
    uint64_t reserved;
} weft_on_cancel;

/* Returns  0: entered; -ECANCELED: cancelled already, not entered, fn is not called. */
int weft_on_cancel_enter(weft_on_cancel *hook, void (*fn)(void *ctx), void *ctx) WEFT_USE;
void weft_on_cancel_leave(weft_on_cancel *hook);

/*
 * Strand-local storage: one pointer per strand under a key, NULL until set.
 *
 * Owns     drop, if not NULL, is called with each strand's value when that strand ends, in the
 *          strand itself, in the reverse order of opening; a thread that weft did not make counts
 *          when it exits.
 */
typedef struct weft_local weft_local;

/* Returns  0 and *ret_local, to be closed; -ENOMEM; -EAGAIN: all 64 keys are in use. */
int weft_local_open(weft_local **ret_local, void (*drop)(void *value)) WEFT_USE;

/* The calling strand's value, NULL if it set none. */
void *weft_local_get(weft_local *local);

/* Sets the calling strand's value; the old one is not dropped. Returns 0; -ENOMEM. */
int weft_local_set(weft_local *local, void *value) WEFT_USE;

/* Frees the key. Values that are still set are not dropped. NULL is allowed. */
void weft_local_close(weft_local *local);

WEFT_END
#endif
