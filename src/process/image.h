/* SPDX-License-Identifier: MIT */
/* process/image.h: the code that a child can see. process_sees_code() asks for forks of the zygote.
 */
#ifndef WEFT_PROCESS_IMAGE_H
#define WEFT_PROCESS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Where there is code. Constant once listed. */
struct images {
    struct code_range *ranges; /* malloc'ed */
    size_t count;
};

/* Lists the code that is loaded now. Returns 0 and *ret; -ENOMEM. */
int images_list(struct images *ret);

bool images_hold(const struct images *images, const void *address);

/* Notes the code that is loaded now for process_sees_code(). Before a zygote is forked, while there
 * is one thread, or in it. Returns 0; -ENOMEM. */
int image_note(void);

#endif
