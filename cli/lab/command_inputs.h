/* SPDX-License-Identifier: MIT */
/* The inputs that a command is tried on, and the command's words for one of them. */
#ifndef LAB_COMMAND_INPUTS_H
#define LAB_COMMAND_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct command_input {
    char *text;
    uint64_t line; /* the how-manieth of its file it is, from 1 */
};

struct command_inputs {
    struct command_input *items; /* a random sample, in random order */
    size_t count;
    uint64_t total; /* how many there are in the file */
};

/* The longest argument that the system takes, without its NUL. */
#define COMMAND_INPUT_MAX 131071

/* Reads to the end of a file ("-": standard input) whose inputs end with a newline, or with NUL
 * bytes, and keeps `most` of them, any with the same probability. Empty ones are skipped. *inputs
 * is zeroed before; release it in any case. Returns 0, or -errno with what is wrong in *complaint:
 * -E2BIG: an input that is too long; -EINVAL: one with a NUL byte in it; why reading failed. */
#define COMMAND_COMPLAINT_BYTES 160
int command_inputs_read(struct command_inputs *inputs, const char *path, bool nul_separated,
                        size_t most, char complaint[COMMAND_COMPLAINT_BYTES]);

void command_inputs_release(struct command_inputs *inputs);

/* Whether one of the words has a place for an input: {}. */
bool command_words_have_place(char *const *words);

/* The words with each {} replaced by the input, or with the input behind them if they have no {};
 * input NULL: as they are. Returns what free() frees, ending with NULL; NULL: out of memory. */
char **command_words_make(char *const *words, const char *input);

#endif
