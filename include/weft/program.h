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

#include <weft/base.h>

WEFT_BEGIN

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
 * Returns  0, also when it was called before; -EBUSY: the process already has several threads;
 *          -ECHILD: called in a child that the program forked by itself; -ENOMEM, -EAGAIN, -EMFILE.
 * Strands  the main thread, at the top of main.
 */
int weft_init(void) WEFT_USE;

/*
 * Memory that lies at the same address in every process of the program: what one writes, the
 * others see. Locks, rlocks, conditions, semaphores, events, barriers and onces that lie in it work
 * between processes, and survive the deaths of those that use them; so do queues that are opened
 * with WEFT_SHARED. Their headers say what holds there.
 * Shape    bytes: 1 to 1 GiB. The memory is zeroed and aligned to 16 bytes (to 64 from 64 bytes
 * on). Returns  the memory; NULL: none left, 0 bytes or too many, or weft_init() has not been
 * called. Owns     the caller; any process of the program may free it. It is gone with the last
 * process.
 */
void *weft_shared_alloc(size_t bytes) WEFT_USE;

/* Frees what weft_shared_alloc() gave. NULL is allowed. */
void weft_shared_free(void *memory);

WEFT_END
#endif
