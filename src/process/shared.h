/* SPDX-License-Identifier: MIT */
/* process/shared.h: the range of memory that all processes of the program share. */
#ifndef WEFT_PROCESS_SHARED_H
#define WEFT_PROCESS_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Maps the range. Before the zygote is forked. Returns 0; -ENOMEM, -EMFILE and what else
 * memfd_create() returns. */
int shared_open(void);

/* Undoes it, when weft_init() fails further on. */
void shared_close(void);

/* Where the range is, for a process that runs the program again. */
struct shared_place {
    int fd; /* of the memory behind it, this process's own for ever; negative: there is none */
    void *address;
    size_t bytes;
    bool punches, reserves; /* what units.h says of it */
    uint32_t participant;   /* the number of this process (base/participants.h) */
};

struct shared_place shared_place(void);

/*
 * In such a process, which has no range yet: maps it where it is in the others. The descriptor is
 * its own from then on.
 * Returns  0; -EEXIST: something else lies there in this image; -ENOMEM and what else mmap()
 *          returns.
 */
int shared_adopt(const struct shared_place *place);

/* weft_shared_alloc() for those who write before they read: the memory holds anything. */
void *shared_alloc_dirty(size_t bytes);

/* How many bytes may be used of a block that is given and begins there; 0: none does. */
size_t shared_block_bytes(const void *memory);

#endif
