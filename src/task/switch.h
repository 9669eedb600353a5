/* SPDX-License-Identifier: MIT */
/*
 * task/switch.h: leaving one stack for another.
 *
 * What the ABI says a function keeps for its caller is kept over a switch: the callee-saved
 * registers and the floating-point control words (rounding, exception masks). Everything else a
 * call may destroy, and so may this. A stack that is not running is known by one word, its pointer.
 *
 * There is one file for each processor, switch_*.S. None of them knows shadow stacks: the objects
 * carry no mark that says so, and the linker leaves the mark off the library.
 */
#ifndef WEFT_TASK_SWITCH_H
#define WEFT_TASK_SWITCH_H

/* Saves the running stack's pointer in *ret_from and goes on in the stack `to`. Returns when
   somebody switches back. */
void switch_stack(void **ret_from, void *to);

/*
 * Makes a stack whose first switch_stack() enters main(ctx), which must not return. top: the end of
 * the stack's memory, aligned to 16. Returns its pointer. The control words are the caller's.
 */
void *switch_prepare(void *top, void (*main)(void *ctx), void *ctx);

#endif
