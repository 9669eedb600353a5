/* SPDX-License-Identifier: MIT */
/*
 * process/code.h: how a function travels from one process to another: as a word.
 *
 * Between forks of one image the word is the function's address. Where the one or the other has run
 * the program again, addresses differ: then it is a number, less than any address, of the names
 * that weft_register() was given.
 */
#ifndef WEFT_PROCESS_CODE_H
#define WEFT_PROCESS_CODE_H

#include <weft/call.h>

typedef void code(void); /* any function, to be cast */

/* The word for a function; 0 for NULL, and for one that has no number but needs one. */
uint64_t code_word(code *function, bool by_number);

/* Whether there is such a word. True for NULL. */
bool code_has_number(code *function);

/* The function behind a word; NULL: the word is 0, or its name is not known here. */
code *code_of(uint64_t word);

/* The same, for calls: never NULL; what stands for an unknown one fails with words. */
weft_fn *code_fn_of(uint64_t word);

/*
 * All names in the order of their numbers, for another image of the program: each with its NUL.
 * Returns  malloc'ed, and *ret_bytes; NULL: no memory.
 */
char *code_names(size_t *ret_bytes);

/*
 * In that image: numbers are from now on those of the names given; names that are not known here
 * stay without a function.
 * Shape    names: as code_names() gave them; kept for ever.
 * Returns  0; -ENOMEM.
 */
int code_adopt(const char *names, size_t bytes);

#endif
