/* SPDX-License-Identifier: MIT */
/*
 * task/annotate.h: what sanitizers and valgrind must be told of stacks and of switches. Without
 * them all of it is nothing.
 *
 * A fiber is two words: for AddressSanitizer the fake stack it keeps for one that does not run, for
 * ThreadSanitizer its own record of it.
 */
#ifndef WEFT_TASK_ANNOTATE_H
#define WEFT_TASK_ANNOTATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sanitizer.h"

#if ADDRESS_SANITIZER
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif
#ifdef HAVE_VALGRIND
#include <valgrind/memcheck.h>
#endif

/* Whether stacks that go must be told of. */
#if ADDRESS_SANITIZER || defined(HAVE_VALGRIND)
#define ANNOTATE_STACKS 1
#else
#define ANNOTATE_STACKS 0
#endif

/* A stack has been made, or is about to be unmapped. What it holds keeps heap memory from being
   leaked. Returns valgrind's number for it. */
static inline unsigned annotate_stack(const void *low, const void *top)
{
#if ADDRESS_SANITIZER
    __lsan_register_root_region(low, (size_t)((const char *)top - (const char *)low));
#endif
#ifdef HAVE_VALGRIND
    return VALGRIND_STACK_REGISTER(low, top);
#endif
    (void)low;
    (void)top;
    return 0;
}

static inline void annotate_no_stack(const void *low, const void *top, unsigned number)
{
#if ADDRESS_SANITIZER
    __asan_unpoison_memory_region(low, (size_t)((const char *)top - (const char *)low));
    __lsan_unregister_root_region(low, (size_t)((const char *)top - (const char *)low));
#endif
#ifdef HAVE_VALGRIND
    VALGRIND_STACK_DEREGISTER(number);
#endif
    (void)low;
    (void)top;
    (void)number;
}

/* Memory of a stack becomes its next task's record and what lies beside: frames may have been
   there, and have gone. */
static inline void annotate_record(const void *from, const void *to)
{
#if ADDRESS_SANITIZER
    __asan_unpoison_memory_region(from, (size_t)((const char *)to - (const char *)from));
#endif
#ifdef HAVE_VALGRIND
    (void)VALGRIND_MAKE_MEM_UNDEFINED(from, (size_t)((const char *)to - (const char *)from));
#endif
    (void)from;
    (void)to;
}

/* A stack is used anew: the frames that were left in it are gone. */
static inline void annotate_begin(const void *low, const void *top, void *fiber[2])
{
    fiber[0] = NULL;
#if ADDRESS_SANITIZER
    __asan_unpoison_memory_region(low, (size_t)((const char *)top - (const char *)low));
#endif
#if THREAD_SANITIZER
    fiber[1] = __tsan_create_fiber(0);
#endif
    (void)low;
    (void)top;
}

/* The calling thread's own stack takes part in switches: where it lies. */
static inline void annotate_thread(void *fiber[2], const void **ret_low, size_t *ret_bytes)
{
    fiber[0] = NULL;
    *ret_low = NULL;
    *ret_bytes = 0;
#if ADDRESS_SANITIZER
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, (void **)ret_low, ret_bytes);
        pthread_attr_destroy(&attributes);
    }
#endif
#if THREAD_SANITIZER
    fiber[1] = __tsan_get_current_fiber();
#endif
}

/* Just before the switch. for_good: the stack that is left will not be gone on with. */
static inline void annotate_leave(void *from[2], bool for_good, void *to[2], const void *to_low,
                                  size_t to_bytes)
{
#if ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(for_good ? NULL : &from[0], to_low, to_bytes);
#endif
#if THREAD_SANITIZER
    __tsan_switch_to_fiber(to[1], 0);
#endif
    (void)from;
    (void)for_good;
    (void)to;
    (void)to_low;
    (void)to_bytes;
}

/* The first thing after it. */
static inline void annotate_arrive(void *self[2])
{
#if ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(self[0], NULL, NULL);
#endif
    (void)self;
}

/* The stack's last task has left it. By another stack. */
static inline void annotate_end(void *fiber[2])
{
#if THREAD_SANITIZER
    __tsan_destroy_fiber(fiber[1]);
#endif
    (void)fiber;
}

#endif
