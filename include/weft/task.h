/* SPDX-License-Identifier: MIT */
/*
 * weft/task.h: what a program should know of tasks. There is nothing to call here: groups and pools
 * of kind WEFT_TASKS start them, and everything else in weft works in them as in a thread.
 *
 * A task is a coroutine with a stack of its own, so plain C and other people's libraries run in it.
 * Tasks are run by a few worker threads, one for each CPU that the program may use. A task that
 * waits in weft costs a page of memory and no thread: a hundred thousand may wait at once.
 *
 *   Waiting    In a task, weft's waits let the worker run other tasks. Nobody else's do: read(2), a
 *              library's own poll, pthread_mutex_lock() hold the worker up, and every task on it.
 *              Calls that block for long go through weft_blocking() (self.h); a library that has a
 *              descriptor waits with weft_fd_wait(); libcurl has weft_curl_perform() (weft-curl).
 *   Computing  Nobody interrupts a task. One that computes for long lets others run by
 *              weft_yield(); what it has started meanwhile is run by other workers.
 *   Order      Tasks that a task starts begin in no particular order, mostly the last one first.
 *   Threads    A task stays on the worker where it began. Its errno, the floating-point control
 *              words and what C++ is throwing or catching are its own. Other thread-locals
 *              (OpenSSL's error queue, the locale) and locks that belong to a thread (stdio's, a
 *              recursive pthread mutex, anything by gettid()) are shared with the other tasks
 *              there: never wait in weft between taking and giving back such a lock, nor between a
 *              call and reading its error. A task must not end that thread: one that calls
 *              pthread_exit() is named on standard error, and the program aborts, as the other
 *              tasks of the worker would wait for ever. Nor may a C++ exception leave the task's
 *              function.
 *   Stack      256 KiB of address space unless weft_options.stack_bytes says otherwise, with a
 *              guard below. A task that overflows is named on standard error, and the program
 *              aborts.
 *   Signals    Workers block all signals, so that the program's own threads get them; signal.h
 *              makes them items of a queue.
 *   Forks      After a fork() of your own there are no workers in the child: -ECHILD.
 *   Limits     Memory: about 4.6 kB for each idle task. Linux before 6.13 can guard about 32,000
 *              stacks at once (half of sysctl vm.max_map_count); the next start fails with -ENOMEM.
 *
 * The environment may say:
 *
 *   WEFT_WORKERS=n                       how many workers, 1 to 256
 *   WEFT_IO=uring|epoll                  how they wait for I/O: else io_uring where it is allowed
 *   WEFT_GUARDS=madvise|mprotect|none    how stacks are guarded: else the first that the system has
 *   WEFT_HOGS=ms                         names on standard error each task that keeps its worker
 * from others for longer (1 to 60000), once for each such time. It takes a thread that looks that
 * often, and a real-time signal that may interrupt what the task does (EINTR): for debugging
 *
 * (Nonsense is -EINVAL where the first group or pool of tasks is opened.) A program that has an
 * event loop of its own can run tasks in that: run.h.
 *
 *     static int greet(weft_call *call)
 *     {
 *         return weft_sleep_until(weft_after(*(const int64_t *)call->arg));
 *     }
 *
 *     weft_group *g;
 *     int64_t ns = 50 * WEFT_MS;
 *     int rc = weft_group_open(&g, WEFT_TASKS, NULL);
 *     for (int i = 0; rc == 0 && i < 100000; i++)
 *         rc = weft_group_start(g, greet, &ns, sizeof ns);
 *     if (rc == 0)
 *         rc = weft_group_join(g, WEFT_FOREVER);          100,000 sleeps, in a little over 50 ms
 *     weft_group_close(g);
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <weft/group.h>

#endif
