/* SPDX-License-Identifier: MIT */
/*
 * weft: threads, processes and tasks under one vocabulary.
 *
 * This header includes all of them; each noun has a header of its own, which is its manual:
 *
 *   base.h       what every header needs: errors, the kinds of strand
 *   time.h       the clock, deadlines, sleeping
 *   self.h       the strand that asks: id, name, cancellation, local storage
 *   scope.h      a deadline or a shield for everything inside a block
 *   call.h       the one function type, its argument, result and outcome
 *   program.h    weft_init, memory shared by all processes of the program
 *   group.h      a scope that owns strands
 *   future.h     the handle on something that will end
 *   pool.h       strands that are used again and again
 *   lock.h rlock.h condition.h semaphore.h event.h barrier.h once.h
 *   gil.h        a global interpreter lock
 *   queue.h      a bounded queue of items
 *   select.h     waiting on several of them at once
 *   address.h    where to connect to, as text; names to addresses
 *   stream.h     a connection: TCP, Unix sockets, pipes
 *   listener.h   where a server waits for connections
 *   datagram.h   UDP and Unix datagrams
 *   fd.h         waiting on a file descriptor
 *   task.h       what to know of tasks
 *   run.h        tasks inside somebody else's event loop
 *   file.h       files, read and written at offsets
 *   child.h      other programs, started, talked to, waited for
 *   signal.h     signals as items of a queue
 *   trace.h      a picture of what all strands did when
 *
 * Rules that hold everywhere:
 *
 *   Returns   0 or a count on success, a negative errno value on failure; weft_strerror() explains.
 *             Outputs (ret_*) are written only on success. errno itself is neither used nor kept.
 *   Waits     take a deadline last. Every one is a cancellation point (-ECANCELED) and obeys the
 *             scopes around it (-ETIMEDOUT) unless its header says otherwise. A call that need not
 *             wait succeeds even after the deadline or a cancellation.
 *   Strands   every function may be called from every kind of strand, threads that weft did not
 *             make included, unless its header says otherwise. None is safe in a signal handler
 *             but weft_event_post().
 *   Mistakes  of the programmer are -EINVAL (and an assertion in a debug build of the library).
 */
#ifndef WEFT_H
#define WEFT_H

#include <weft/base.h>
#include <weft/time.h>
#include <weft/self.h>
#include <weft/scope.h>
#include <weft/call.h>
#include <weft/program.h>
#include <weft/options.h>
#include <weft/future.h>
#include <weft/group.h>
#include <weft/pool.h>
#include <weft/lock.h>
#include <weft/rlock.h>
#include <weft/condition.h>
#include <weft/semaphore.h>
#include <weft/event.h>
#include <weft/barrier.h>
#include <weft/once.h>
#include <weft/gil.h>
#include <weft/queue.h>
#include <weft/select.h>
#include <weft/address.h>
#include <weft/stream.h>
#include <weft/listener.h>
#include <weft/datagram.h>
#include <weft/fd.h>
#include <weft/task.h>
#include <weft/run.h>
#include <weft/file.h>
#include <weft/child.h>
#include <weft/signal.h>
#include <weft/trace.h>

#endif
