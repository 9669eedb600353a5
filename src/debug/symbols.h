/* SPDX-License-Identifier: MIT */
/* debug/symbols.h: the names of functions, from the symbol tables of the files they are from. */
#ifndef WEFT_DEBUG_SYMBOLS_H
#define WEFT_DEBUG_SYMBOLS_H

#include <stdint.h>
#include <sys/types.h>

enum { SYMBOL_NAME = 96, SYMBOLS_KEPT = 1024 };

/* What was found out. All zero: nothing. */
struct symbols {
    unsigned count;
    struct symbol {
        uint64_t address;
        pid_t elsewhere;
        char name[SYMBOL_NAME];
    } kept[SYMBOLS_KEPT];
};

/*
 * The name of the function at an address of the program and its forks; elsewhere, if not 0: of that
 * process, whose addresses are others. "0x..." if nobody knows. Valid until the next call.
 */
const char *symbol_name(struct symbols *symbols, uint64_t address, pid_t program, pid_t elsewhere);

#endif
