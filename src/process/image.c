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

struct code_range {
    uintptr_t begin, end;
};

static struct images known; /* constant after weft_init(), never freed */

/* Counts the executable segments of an image, and writes them if there is an array. */
static int list_image(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    struct images *ret = ctx;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
            continue;
        uintptr_t begin = info->dlpi_addr + segment->p_vaddr;
        if (ret->ranges)
            ret->ranges[ret->count] = (struct code_range){ begin, begin + segment->p_memsz };
        ret->count++;
    }
    return 0;
}

/* Nothing is loaded between the two passes: the process has one thread. */
int images_list(struct images *ret)
{
    struct images images = { NULL, 0 };
    dl_iterate_phdr(list_image, &images);
    images.ranges = malloc((images.count + 1) * sizeof *images.ranges);
    if (!images.ranges)
        return -ENOMEM;
    images.count = 0;
    dl_iterate_phdr(list_image, &images);
    *ret = images;
    return 0;
}

bool images_hold(const struct images *images, const void *address)
{
    uintptr_t a = (uintptr_t)address;
    for (size_t i = 0; i < images->count; i++)
        if (a >= images->ranges[i].begin && a < images->ranges[i].end)
            return true;
    return !address;
}

int image_note(void)
{
    return images_list(&known);
}

bool process_sees_code(const void *address)
{
    return images_hold(&known, address);
}
