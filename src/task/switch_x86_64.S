/* SPDX-License-Identifier: MIT */
/*
 * task/switch_x86_64.S: the switch by the System V ABI for x86-64 (psABI 3.2.1): rbx, rbp, r12 to
 * r15, the control bits of mxcsr and the x87 control word belong to the caller.
 *
 * A stack that is not running ends, from its pointer upwards, with
 *
 *     0  mxcsr    4  x87 control word    8  r15   16  r14   24  r13   32  r12   40  rbx   48  rbp
 *    56  where it goes on
 *
 * Loading a control word costs more than all the rest, so it is done only when it would change.
 */
#if defined(__x86_64__)

#define MXCSR_CONTROL 0xffc0 /* the lower six bits are flags, which nobody keeps */

        .text
        .globl  switch_stack
        .hidden switch_stack
        .type   switch_stack, @function
        .p2align 4
switch_stack:
        .cfi_startproc
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movl    (%rsp), %eax
        movzwl  4(%rsp), %ecx
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        /* The frame is the same on the other stack, so the rules above go on to hold. */
        xorl    (%rsp), %eax
        testl   $MXCSR_CONTROL, %eax
        jne     2f
1:      cmpw    4(%rsp), %cx
        jne     3f
4:      addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret /* not a jump: the processor's stack of return addresses stays in step */
        .cfi_adjust_cfa_offset 56
        .cfi_rel_offset rbp, 48
        .cfi_rel_offset rbx, 40
        .cfi_rel_offset r12, 32
        .cfi_rel_offset r13, 24
        .cfi_rel_offset r14, 16
        .cfi_rel_offset r15, 8
2:      ldmxcsr (%rsp)
        jmp     1b
3:      fldcw   4(%rsp)
        jmp     4b
        .cfi_endproc
        .size   switch_stack, .-switch_stack

        /* Where a prepared stack begins: r12 main, r13 its argument. There is no caller. */
        .type   enter, @function
        .p2align 4
enter:
        .cfi_startproc
        .cfi_undefined rip
        movq    %r13, %rdi
        xorl    %ebp, %ebp
        callq   *%r12
        ud2
        .cfi_endproc
        .size   enter, .-enter

        .globl  switch_prepare
        .hidden switch_prepare
        .type   switch_prepare, @function
        .p2align 4
switch_prepare:
        .cfi_startproc
        leaq    -80(%rdi), %rax  /* so that the stack is aligned where enter calls main */
        stmxcsr (%rax)
        fnstcw  4(%rax)
        movq    %rdx, 24(%rax)
        movq    %rsi, 32(%rax)
        leaq    enter(%rip), %rcx
        movq    %rcx, 56(%rax)
        ret
        .cfi_endproc
        .size   switch_prepare, .-switch_prepare
#endif
        .section .note.GNU-stack, "", @progbits
