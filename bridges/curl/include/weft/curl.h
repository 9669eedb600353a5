/* SPDX-License-Identifier: MIT */
/*
 * weft/curl.h: libcurl's transfers as waits of weft: with a deadline, cancellable, the same call in
 * every kind of strand. A library of its own, libweft-curl (pkg-config weft-curl).
 *
 *     static int fetch(weft_call *call)
 *     {
 *         CURL *easy = curl_easy_init();
 *         CURLcode code;
 *         long status = 0;
 *         if (easy == NULL)
 *             return -ENOMEM;
 *         curl_easy_setopt(easy, CURLOPT_URL, (const char *)call->arg);
 *         int rc = weft_curl_perform(easy, &code, weft_after(10 * WEFT_S));
 *         if (rc == 0 && code != CURLE_OK)
 *             rc = weft_call_fail(call, -EIO, "%s", curl_easy_strerror(code));
 *         curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
 *         curl_easy_cleanup(easy);
 *         return rc < 0 ? rc : weft_call_return(call, &status, sizeof status);
 *     }
 *
 * Connections belong to the thread (or worker process), not to the easy handle: whatever handle a
 * call uses, it finds the connections that earlier calls of the same thread left open, and what
 * comes from one thread never waits for another's. The tasks of a worker are in one thread, and
 * share them.
 *
 * Tasks    the transfers of all tasks of a worker are driven together, by the tasks themselves in
 *          turn. So an easy handle's callbacks are called by whichever of them does it at the
 *          moment: weft_self_id(), names and strand-local storage there are those of any task; go
 *          by the callback's own pointer. What they wait for is ended neither by a cancellation nor
 *          by a scope, their own transfer's included: give such waits deadlines of their own. While
 *          a callback waits, or keeps the thread, the transfers that are driven together with it
 *          stand still, their ends by deadline and cancellation too, so it must not wait for one of
 *          these to end. Others can begin and end meanwhile, on connections of their own.
 * Limits   WEFT_CURL_IDLE_MAX open connections per thread that nobody uses; the oldest is closed.
 *          In a worker of tasks so many more as it has had transfers at once, less one, in the last
 *          10 to 20 seconds; those in use count, too.
 * Signals  CURLOPT_NOSIGNAL is set, as it must be with threads. libcurl then leaves SIGPIPE to the
 *          program: one that speaks TLS ignores it (signal(SIGPIPE, SIG_IGN)).
 * Forking  a child that the program forks by itself does not touch the parent's connections.
 */
#ifndef WEFT_CURL_H
#define WEFT_CURL_H

#include <weft/time.h>

#include <curl/curl.h>

WEFT_BEGIN

#define WEFT_CURL_IDLE_MAX 8

/*
 * Prepares libcurl, once for the program, from whatever strand comes first.
 *
 * weft_curl_perform() does it by itself. Calling it first thing in main lets curl_easy_init() be
 * called by several threads at once with any version of libcurl, and before weft_init() saves every
 * worker process from doing it again.
 * Returns  0; -ENOMEM; -EIO: libcurl cannot be used; -ECANCELED, -ETIMEDOUT: the wait for another
 *          strand that prepares it ended.
 */
int weft_curl_init(void) WEFT_USE;

/*
 * Runs the transfer that an easy handle describes, as curl_easy_perform() does.
 * Shape    easy: borrowed, in use by nobody else, not in a multi handle. Its callbacks are called
 *          during this call, by the calling strand (in a task, by another one perhaps, see above),
 *          and may use all of weft, this function with another easy handle included.
 *          CURLOPT_NOSIGNAL is set on it.
 * Returns  0: the transfer ended by itself, and *ret_code says how; -ETIMEDOUT: the deadline, or
 *          that of a scope around the caller, ended it; -ECANCELED: a cancellation ended it, or
 *          kept it from starting; -EINVAL: not an easy handle; -EBUSY: it is in a multi handle;
 *          -ENOMEM; -EIO: libcurl cannot be used.
 * Owns     whatever it returns the handle is the caller's and can be used again at once. The
 *          connection of a transfer that was ended early is closed, unless others share it
 * (HTTP/2). Blocks   yes: the calling strand, and only that. An ended call returns at once, also
 * from the look-up of a name (libcurl 7.87 or newer; before that, when the look-up is over).
 */
int weft_curl_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline) WEFT_USE;

/*
 * Closes the connections that the calling thread keeps open; in a task, those of its worker, unless
 * a transfer of any of its tasks is under way. They are also closed when it ends,
 * except those of the main thread, which end with the program. Not from a callback of a transfer.
 */
void weft_curl_release(void);

WEFT_END
#endif
