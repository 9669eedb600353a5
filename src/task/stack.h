/* SPDX-License-Identifier: MIT */
/*
 * task/stack.h: memory for tasks: a stack with a guard below it, and room for records at its top.
 *
 *      low                                                              top
 *       | guard |  ...untouched...  |  in use  <- grows |  record  | struct stack |
 *
 * An idle task costs the page that its record and its first frames share; the rest of a stack is
 * address space until it is used.
 */
#ifndef WEFT_TASK_STACK_H
#define WEFT_TASK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slab;

/* At the very top of each stack's memory. */
struct stack {
    struct slab *slab;  /* constant */
    struct stack *next; /* whoever keeps it free: the one that became free before */
    char *low;          /* constant: the lowest byte that may be used */
    void *user;         /* the record below it while it is in use; NULL: it is free. Debuggers look
                           here (scripts/gdb/weft.py) */
    unsigned valgrind;  /* constant: its number there (annotate.h) */
};

/* Free stacks of the default size that a worker keeps for itself, the hottest first. */
struct stack_cache {
    struct stack *free;
    unsigned count;
};

enum {
    STACK_BYTES_DEFAULT = 256 * 1024, /* of address space, guard included */
    STACK_BYTES_MIN = 32 * 1024,
};
#define STACK_BYTES_MAX ((size_t)1 << 30)

/* Before the first one. Returns 0; -EINVAL: WEFT_GUARDS says nonsense. */
int stack_prepare(void);

/*
 * A stack of at least so many bytes (0: the default). cache: the calling worker's; NULL: none.
 * NULL: no memory, or no address space, or with guards by mprotect vm.max_map_count is too small.
 */
struct stack *stack_take(struct stack_cache *cache, size_t bytes);

/* Nothing uses the stack any more. */
void stack_give(struct stack_cache *cache, struct stack *stack);

/* Whether an address lies in the guard of a stack. Signal-safe. */
bool stack_guards(const struct stack *stack, const void *address);

/*
 * Calls fn for each stack that exists, in use or free, until it returns false; under the lock that
 * stacks are made under.
 */
void stack_each(bool (*fn)(struct stack *stack, void *ctx), void *ctx);

#endif
