/* SPDX-License-Identifier: MIT */
/*
 * weft/signal.h: signals as the items of a queue, so that a strand waits for them as for anything
 * else, and does with them what it likes: nothing is asynchronous any more.
 *
 *     weft_queue *signals;
 *     int signo;
 *     rc = weft_queue_open(&signals, sizeof signo, 16, 0);
 *     rc = weft_signal_forward(SIGINT, signals);
 *     rc = weft_signal_forward(SIGHUP, signals);
 *     while (weft_queue_get(signals, &signo, WEFT_FOREVER) == 0 && signo != SIGINT)
 *         read_settings_again();
 *     weft_signal_stop(SIGHUP);
 *     weft_signal_stop(SIGINT);
 *     weft_queue_close(signals);
 *
 * How: a handler (SA_RESTART, on the alternate stack where a thread has one) counts the signal, and
 * a thread of the library's own, made by the first call and then kept, puts it into the queue. That
 * thread also takes the signals that all the program's threads block; it blocks every other one.
 * The masks of the program's threads stay as they are.
 *
 * How many: one item for each time that the system delivered the signal. While the queue is full,
 * what comes is counted and put when there is room: nothing is lost, and nobody is held up. (The
 * system itself merges a standard signal with one that is still pending; real-time ones not.)
 * Items of one signal are alike; different signals may overtake each other.
 *
 * These calls are the program's, not a library's: a signal has one disposition in a process. A
 * child made by fork() keeps the handler, which there has no effect; a program that is started
 * (child.h, exec) begins with the system's default again. A program that uses processes calls
 * weft_init() before the first forward, which makes a thread.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <weft/queue.h>

WEFT_BEGIN

/*
 * Puts the number of a signal into a queue each time it comes, from now on.
 * Shape    signo: as in <signal.h>, a real-time one also; not SIGKILL and SIGSTOP, which cannot be
 *          caught, nor what a fault of a thread raises, which would come again at once: SIGSEGV,
 *          SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT. ints: a queue whose items are ints;
 *          several signals may share one.
 * Returns  0; -EINVAL: no such signal or queue, or one of those named; -EBUSY: it is forwarded
 *          already; -EAGAIN, -ENOMEM: no thread could be made; -ECHILD: in a child made by fork(),
 *          after a forward in its parent.
 * Owns     the queue is borrowed until weft_signal_stop() has returned. If it is shut down before,
 *          signals are dropped.
 * Blocks   for a moment, until the thread knows of it; no cancellation point.
 */
int weft_signal_forward(int signo, weft_queue *ints) WEFT_USE;

/*
 * Ends that: the disposition is what it was before the forward (unless somebody has set another
 * meanwhile, which then stays), and the queue is not touched any more. What was counted but not put
 * is dropped; what is in the queue stays there.
 * Returns  0; -ENOENT: it is not forwarded; -ECHILD: in a child made by fork().
 * Blocks   as weft_signal_forward().
 */
int weft_signal_stop(int signo);

WEFT_END
#endif
