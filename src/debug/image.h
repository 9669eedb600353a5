/* SPDX-License-Identifier: MIT */
/* debug/image.h: where in memory the program's own file lies. */
#ifndef WEFT_DEBUG_IMAGE_H
#define WEFT_DEBUG_IMAGE_H

#include <stdint.h>

/* From its first byte to behind its last; both 0: nobody knows. */
struct image_place {
    uint64_t begin, end;
};

struct image_place image_of_program(void);

#endif
