/* SPDX-License-Identifier: MIT */
/*
 * task/switch_aarch64.S: the switch by the procedure call standard for AArch64 (AAPCS64, 6.1): x19
 * to x28, the frame pointer, the low halves of v8 to v15 and the control bits of fpcr belong to the
 * caller. x18 is the platform's and left alone.
 *
 * A stack that is not running ends, from its pointer upwards, with
 *
 *     0  x19 ... 72  x28   80  x29   88  x30, where it goes on   96  d8 ... 152  d15   160  fpcr
 */
#if defined(__aarch64__)

#define FRAME 176

        .text
        .globl  switch_stack
        .hidden switch_stack
        .type   switch_stack, %function
        .p2align 4
switch_stack:
        .cfi_startproc
        sub     sp, sp, #FRAME
        .cfi_adjust_cfa_offset FRAME
        stp     x19, x20, [sp, #0]
        .cfi_rel_offset x19, 0
        .cfi_rel_offset x20, 8
        stp     x21, x22, [sp, #16]
        .cfi_rel_offset x21, 16
        .cfi_rel_offset x22, 24
        stp     x23, x24, [sp, #32]
        .cfi_rel_offset x23, 32
        .cfi_rel_offset x24, 40
        stp     x25, x26, [sp, #48]
        .cfi_rel_offset x25, 48
        .cfi_rel_offset x26, 56
        stp     x27, x28, [sp, #64]
        .cfi_rel_offset x27, 64
        .cfi_rel_offset x28, 72
        stp     x29, x30, [sp, #80]
        .cfi_rel_offset x29, 80
        .cfi_rel_offset x30, 88
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x2, fpcr
        str     x2, [sp, #160]
        mov     x3, sp
        str     x3, [x0]
        mov     sp, x1
        /* The frame is the same on the other stack, so the rules above go on to hold. */
        ldr     x3, [sp, #160]
        cmp     x2, x3
        b.eq    1f
        msr     fpcr, x3
1:      ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x29, x30, [sp, #80]
        ldp     x27, x28, [sp, #64]
        ldp     x25, x26, [sp, #48]
        ldp     x23, x24, [sp, #32]
        ldp     x21, x22, [sp, #16]
        ldp     x19, x20, [sp, #0]
        add     sp, sp, #FRAME
        .cfi_adjust_cfa_offset -FRAME
        ret
        .cfi_endproc
        .size   switch_stack, .-switch_stack

        /* Where a prepared stack begins: x19 main, x20 its argument. There is no caller. */
        .type   enter, %function
        .p2align 4
enter:
        .cfi_startproc
        .cfi_undefined x30
        mov     x0, x20
        mov     x29, xzr
        mov     x30, xzr
        blr     x19
        brk     #1
        .cfi_endproc
        .size   enter, .-enter

        .globl  switch_prepare
        .hidden switch_prepare
        .type   switch_prepare, %function
        .p2align 4
switch_prepare:
        .cfi_startproc
        sub     x3, x0, #FRAME
        stp     x1, x2, [x3, #0]
        adr     x4, enter
        stp     xzr, x4, [x3, #80]
        mrs     x5, fpcr
        str     x5, [x3, #160]
        mov     x0, x3
        ret
        .cfi_endproc
        .size   switch_prepare, .-switch_prepare
#endif
        .section .note.GNU-stack, "", %progbits
