/* SPDX-License-Identifier: MIT */
/*
 * base/atomic.h: every atomic operation of the library, by names that state the order.
 *
 * They work on plain integers and pointers, so that public structs stay plain words. A call site
 * with release or acquire says which other one it pairs with; relaxed and seq_cst say why.
 *
 *   load_*, store_*    a read, a write
 *   swap_*             writes and gives the old value
 *   cas_*              compare and swap: true if *p was *expected; else *expected becomes *p.
 *                      The order named is that of success; failure is relaxed. Strong.
 *   add_*, sub_*, or_*, and_*   arithmetic, giving the old value
 */
#ifndef WEFT_BASE_ATOMIC_H
#define WEFT_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_seq_cst(p)     __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define swap_acq_rel(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define add_relaxed(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define add_release(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define add_seq_cst(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define sub_relaxed(p, v)   __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define sub_acq_rel(p, v)   __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define or_relaxed(p, v)    __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define or_seq_cst(p, v)    __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define and_relaxed(p, v)   __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define and_release(p, v)   __atomic_fetch_and((p), (v), __ATOMIC_RELEASE)

#define cas_relaxed(p, expected, desired)                                                          \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_RELAXED,               \
                                __ATOMIC_RELAXED)
#define cas_acquire(p, expected, desired)                                                          \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQUIRE,               \
                                __ATOMIC_RELAXED)
#define cas_release(p, expected, desired)                                                          \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_RELEASE,               \
                                __ATOMIC_RELAXED)
#define cas_acq_rel(p, expected, desired)                                                          \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_ACQ_REL,               \
                                __ATOMIC_RELAXED)
#define cas_seq_cst(p, expected, desired)                                                          \
    __atomic_compare_exchange_n((p), (expected), (desired), false, __ATOMIC_SEQ_CST,               \
                                __ATOMIC_RELAXED)

/* A full fence: no load or store passes it. */
#define fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Tells the processor that this is a spinning loop. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#else
    __asm__ __volatile__("" ::: "memory");
#endif
}

#endif
