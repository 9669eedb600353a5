/* SPDX-License-Identifier: MIT */
/*
 * sync/lock.h: locks inside of the library's own things.
 *
 * They lie in private memory, and are held for a moment: neither while anything is waited for nor
 * while the program's code runs. So whoever waits for one keeps what it holds (park/hold.h), even
 * if the lock's holder is off its CPU: to take that back would be to wait for others' turns with
 * the lock held, and all who want the lock would wait for them, too.
 */
#ifndef WEFT_SYNC_LOCK_H
#define WEFT_SYNC_LOCK_H

#include <weft/lock.h>

/* Takes such a lock, to be released by weft_lock_release(). */
void lock_inner(weft_lock *lock);

#endif
