/* SPDX-License-Identifier: MIT */
/*
 * The least that a switch between two stacks can cost: SWITCHES swaps between main and another
 * stack, with no scheduler. Saved is what the ABI asks of a call: the callee-saved registers and
 * the floating-point control words.
 */
#include "harness/harness.h"

#include <stdio.h>
#include <stdlib.h>

/* Saves the stack pointer in *ret_from, continues on the stack that to is of. */
void bench_swap(void **ret_from, void *to);

#if defined(__x86_64__)
/* The ninth word aligns other()'s stack as a call would. */
enum { FRAME_WORDS = 9, CONTROL_WORD = 0, RETURN_WORD = 7 };
__asm__(".text\n"
        ".globl bench_swap\n"
        ".type bench_swap, @function\n"
        "bench_swap:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size bench_swap, . - bench_swap\n");

static uint64_t control_words(void)
{
    uint32_t words[2];
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(words[0]), "=m"(words[1]));
    return words[0] | (uint64_t)words[1] << 32;
}
#elif defined(__aarch64__)
enum { FRAME_WORDS = 22, CONTROL_WORD = 20, RETURN_WORD = 11 };
__asm__(".text\n"
        ".globl bench_swap\n"
        ".type bench_swap, %function\n"
        "bench_swap:\n"
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mrs x9, fpcr\n"
        "    str x9, [sp, #160]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldr x9, [sp, #160]\n"
        "    msr fpcr, x9\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        ".size bench_swap, . - bench_swap\n");

static uint64_t control_words(void)
{
    uint64_t word;
    __asm__ volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}
#endif

enum { STACK_BYTES = 64 * 1024 };

static void *main_stack, *other_stack;
static unsigned long seen; /* by the other stack */

static void other(void)
{
    for (;;) {
        seen++;
        bench_swap(&other_stack, main_stack);
    }
}

/* The stack as if it had swapped away on entry to other(), with the control words of now. */
static void *prepare(char *stack)
{
    uint64_t *frame = (uint64_t *)(void *)(stack + STACK_BYTES) - FRAME_WORDS;
    frame[CONTROL_WORD] = control_words();
    frame[RETURN_WORD] = (uintptr_t)other;
    return frame;
}

int main(int argc, char **argv)
{
    unsigned long there = bench_argument(argc, argv, 1, "SWITCHES") / 2;
    char *stack = aligned_alloc(64, STACK_BYTES);
    bench_must(stack != NULL, "memory");
    other_stack = prepare(stack);
    uint64_t began = bench_now();
    for (unsigned long i = 0; i < there; i++)
        bench_swap(&main_stack, other_stack);
    uint64_t took = bench_now() - began;
    bench_must(seen == there, "each swap there is followed by one back");
    free(stack);
    printf("{\"ns\": %.3f}\n", (double)took / (double)(2 * there));
    return 0;
}
