/* SPDX-License-Identifier: MIT */
/*
 * process/image.c: which functions a child can run: those that were loaded when the zygote was
 * forked. What was loaded by dlopen() later lies, in a child, at an address where there is nothing
 * or something else; a call of it is refused (-EFAULT) instead.
 *
 * What is noted are the executable segments of the program and of its libraries, some tens of them.
 * They are constant after weft_init() and read without a lock. An image that is unloaded later
 * stays listed: the children still have it.
 */
#include <errno.h>
#include <link.h>
#include <stdlib.h>

#include "process/image.h"
#include "process/process.h"

struct range {
    uintptr_t begin, end;
};

static struct range *ranges; /* constant after weft_init(), never freed */
static size_t count;

/* Counts the executable segments of an image, and writes them if there is an array. */
static int note_image(struct dl_phdr_info *info, size_t size, void *array)
{
    (void)size;
    struct range *ret = array;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
        if (ret)
            ret[count] = (struct range){ begin, begin + segment->p_memsz };
        count++;
    }
    return 0;
}

/* Nothing is loaded between the two passes: the process has one thread. */
int image_note(void)
{
    count = 0;
    dl_iterate_phdr(note_image, NULL);
    ranges = malloc((count + 1) * sizeof *ranges);
    if (!ranges)
        return -ENOMEM;
    count = 0;
    dl_iterate_phdr(note_image, ranges);
    return 0;
}

bool process_sees_code(const void *address)
{
    uintptr_t a = (uintptr_t)address;
    for (size_t i = 0; i < count; i++)
        if (a >= ranges[i].begin && a < ranges[i].end)
            return true;
    return !address;
}
