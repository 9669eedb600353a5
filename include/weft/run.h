/* SPDX-License-Identifier: MIT */
/*
 * weft/run.h: tasks inside somebody else's event loop.
 *
 * Normally tasks are run by worker threads that weft makes. A program that has a loop of its own
 * (libuv's, GLib's, a game's) and wants everything in that one thread runs them itself instead:
 *
 *     int fd = weft_run_fd();               before the first task: this thread is the only worker
 *     loop_watch(fd, on_readable);          readable when there is something to run
 *     ...
 *     on_readable:  weft_run_once(WEFT_NOW);
 *
 * Tasks then run only inside weft_run_once(). So the thread must not wait for them in any other
 * way: a weft_group_join() of a group of tasks in that thread, or a weft_gil_enter() of what a task
 * has, would wait for ever; the group's descriptor, or a task that is told by a flag, says when
 * they are done.
 */
#ifndef WEFT_RUN_H
#define WEFT_RUN_H

#include <weft/time.h>

WEFT_BEGIN

/*
 * Runs tasks that can run, or waits until one can, at most until the deadline. Returns to the
 * caller soon even if tasks always have something to do: after a few thousand turns.
 * Returns  how many times a task was gone on with, more than 0; -ETIMEDOUT: none until the
 *          deadline; -EBUSY: worker threads or another thread run the program's tasks; -EINVAL:
 *          called by a task; -ECHILD: after a fork of your own; -ENOMEM, -EMFILE.
 * Strands  the thread that called this header first, and no task.
 * Blocks   until the deadline; not a cancellation point.
 */
int weft_run_once(weft_deadline deadline) WEFT_USE;

/*
 * A descriptor that is readable when weft_run_once() would find something to do. Borrowed: do not
 * read, write or close it; watch it for input.
 * Returns  the descriptor; the errors of weft_run_once().
 */
int weft_run_fd(void) WEFT_USE;

WEFT_END
#endif
