/* SPDX-License-Identifier: MIT */
/*
 * engine.h: what the two ways of doing a transfer have in common.
 *
 *   threads.c  the calling thread runs the transfer, and waits in libcurl's own poll
 *   tasks.c    the tasks of a worker share the work, and wait in weft
 *
 * Each keeps what belongs to a thread, its engines, under a pthread key of its own, whose
 * destructor closes them.
 *
 * A fork copies an engine but must not copy the connections: a child that used them, or that only
 * closed them properly, would speak on the parent's TLS sessions. Children therefore count
 * themselves (pthread_atfork) and forget, without closing it, what has an older count.
 */
#ifndef WEFT_CURL_ENGINE_H
#define WEFT_CURL_ENGINE_H

#include <weft/curl.h>

/* Of this process since its ancestor prepared libcurl. Changed only in a forked child, which has
 * one thread. */
extern unsigned bridge_forks;

/* What weft says for what libcurl's multi interface says. */
int bridge_error(CURLMcode code);

/* Takes a handle out of the middle of its transfer. */
void bridge_abandon(CURLM *multi, CURL *easy);

/*
 * What each of the two has: prepare, once for the program, which returns 0 or a positive errno;
 * unprepare undoes it. perform, which runs the transfer until the deadline; the scopes are in it.
 * release, which closes what the calling thread keeps, unless it is in use.
 */
int threads_prepare(void);
void threads_unprepare(void);
int threads_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline);
void threads_release(void);

int tasks_prepare(void);
void tasks_unprepare(void);
int tasks_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline);
void tasks_release(void);

#endif
