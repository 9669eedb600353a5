/* SPDX-License-Identifier: MIT */
/*
 * weft/program.h: what a program does once: making processes possible, and the memory that all
 * processes of the program share.
 *
 *     int main(void)
 *     {
 *         int rc = weft_init();
 *         if (rc < 0) ...
 */
#ifndef WEFT_PROGRAM_H
#define WEFT_PROGRAM_H

#include <weft/call.h>

WEFT_BEGIN

/*
 * Gives a function a name, by which a process finds it that runs the program again
 * (options.start = WEFT_START_EXEC), where it has another address:
 *
 *     static int parse(weft_call *call) ...
 *
 *     int main(void)
 *     {
 *         if (weft_register("parse", parse) < 0 || weft_init() < 0) ...
 *
 * The program must register the same names each time it is run; the order may differ.
 * Shape    name: 1 to 255 bytes, copied.
 * Returns  0; -EEXIST: the name is taken; -EINVAL: no name, too long a one, or no function; -EBUSY:
 *          weft_init() was called already; -EOVERFLOW: there are 4094 functions; -ENOMEM.
 * Strands  the main thread, before weft_init().
 */
int weft_register(const char *name, weft_fn *fn) WEFT_USE;

/*
 * The same for a pool's options.enter and options.leave, of which one may be NULL. Their names are
 * others than those of weft_register().
 */
int weft_register_worker(const char *name, int (*enter)(weft_call *call, void **ret_worker),
                         void (*leave)(void *worker)) WEFT_USE;

/*
 * Prepares the program for kind processes: flushes stdio, reserves the range of addresses that
 * shared memory will use, and forks a helper (the zygote) from which every process is forked later,
 * while the program is still small and has one thread. A program that uses no processes need not
 * call it.
 *
 * The zygote keeps standard input, output and error and closes every other descriptor. It ends
 * with the program, however that ends, and takes all processes with it. It and its children ignore
 * the terminal's Ctrl-C, which the program itself should answer.
 *
 * In a process that runs the program again (WEFT_START_EXEC), weft_init() does not return: the
 * process runs the calls that it is sent, and ends. What the program does before weft_init() is
 * done there too, with the same arguments: it must reach weft_init() whatever they are, and should
 * do nothing before it that is to be done once.
 *
 * A program that gives up privileges does so before weft_init(). Once it has changed its user or
 * group afterwards, the effective one too, starting a process is refused (-EPERM): it would have
 * what the program has given up.
 *
 * Returns  0, also when it was called before; -EBUSY: the process already has several threads;
 *          -ECHILD: called in a child that the program forked by itself; -ENOMEM, -EAGAIN, -EMFILE.
 * Strands  the main thread, at the top of main.
 */
int weft_init(void) WEFT_USE;

/*
 * Has the program go on in the background, as another process: without a terminal, in a session of
 * its own that it does not lead, in the directory "/", with /dev/null for standard input, output
 * and error. All else is as it was: memory, descriptors, signals, umask. The process that called
 * it ends with the code 0, without what atexit() registered, once the daemon is there.
 *
 * It may be called before weft_init() or after. After it, the zygote goes along, and so does what
 * belongs to the program: processes that it has, tickets (fd.h), shared memory. New processes have
 * the daemon's surroundings, those that run keep theirs.
 * Returns  in the daemon: 0. In the caller, which then is what it was: -EBUSY: it has several
 *          threads (strands of any kind are ended first, groups and pools closed), or an open group
 *          or pool with WEFT_START_FORK; -EPERM: called in a process of the program, or by a
 *          program that has changed its user or group since weft_init(); -ECHILD: in a child that
 *          the program forked by itself; -EPIPE: the zygote has died; -EAGAIN, -ENOMEM, -EMFILE.
 * Strands  the main thread.
 * Owns     children of weft/child.h belong to the process that opened them: close them before.
 */
int weft_daemonize(void) WEFT_USE;

/*
 * Memory that lies at the same address in every process of the program: what one writes, the
 * others see. Locks, rlocks, conditions, semaphores, events, barriers and onces that lie in it work
 * between processes, and survive the deaths of those that use them; so do queues that are opened
 * with WEFT_SHARED. Their headers say what holds there. C11 atomics work as well.
 *
 * It comes from the range of addresses that weft_init() reserved: 64 GiB, or at most a quarter of a
 * limit of the program's addresses (RLIMIT_AS), of the size of files (RLIMIT_FSIZE, unless below
 * 4 MiB) and, where overcommit is strict (vm.overcommit_memory = 2), of what may still be
 * committed; at least 1 MiB. Memory is used as it is touched. Freed memory serves any other size;
 * up to 64 MiB of it is kept at hand and the rest goes back to the system.
 *
 * Where overcommit is strict, memory is used when it is given, so that one gets NULL rather than
 * SIGBUS later (since Linux 5.14; before, SIGBUS it is). Anywhere else the system, or a cgroup's
 * limit, kills a process when there is no page left to give, as with all memory.
 *
 * A process that dies in the middle of taking or freeing memory loses that block, rarely 64 KiB
 * more; everybody else goes on. What it held when it died stays taken until somebody frees it.
 *
 * Shape    bytes: 1 to 1 GiB. The memory is zeroed and aligned to 64 bytes, from 8193 bytes on to
 *          4096. No two blocks share a cache line.
 * Returns  the memory; NULL: none left, 0 bytes or too many, or weft_init() has not been called.
 * Owns     the caller; any process of the program may free it. It is gone with the last process,
 *          however that ends.
 * Strands  all. Nothing is locked.
 * Blocks   no.
 */
void *weft_shared_alloc(size_t bytes) WEFT_USE;

/* Frees what weft_shared_alloc() gave. NULL is allowed; what was freed before is an assertion in
   debug builds, and nothing otherwise, unless it was given to another meanwhile. */
void weft_shared_free(void *memory);

WEFT_END
#endif
