/* SPDX-License-Identifier: MIT */
/*
 * debug/image.c: by the program headers, of which the kernel says where they are.
 *
 * A process that has run the program again has the same file at another place, so that a function's
 * distance from the beginning means the same one in both.
 */
#include <link.h>
#include <sys/auxv.h>

#include "debug/image.h"

struct image_place image_of_program(void)
{
    uint64_t at = getauxval(AT_PHDR), count = getauxval(AT_PHNUM), own = 0, end = 0;
    const ElfW(Phdr) *headers = (const ElfW(Phdr) *)(uintptr_t)at;
    for (uint64_t i = 0; headers && i < count; i++) {
        uint64_t last = headers[i].p_vaddr + headers[i].p_memsz;
        if (headers[i].p_type == PT_PHDR)
            own = headers[i].p_vaddr;
        if (headers[i].p_type == PT_LOAD && last > end)
            end = last;
    }
    if (!own)
        return (struct image_place){ 0, 0 };
    return (struct image_place){ at - own, at - own + end };
}
