/* SPDX-License-Identifier: MIT */
/*
 * sync/ready_fd.h: a descriptor that is readable while something is so, for foreign event loops. It
 * is made when first asked for. Guarded by its owner's lock.
 */
#ifndef WEFT_SYNC_READY_FD_H
#define WEFT_SYNC_READY_FD_H

#include <stdbool.h>

struct ready_fd {
    int fd_plus_1; /* 0: nobody has asked */
    bool ready;
};

/* Makes it readable or not. Costs nothing while nobody has asked, or nothing changes. */
void ready_fd_set(struct ready_fd *ready, bool is_ready);

/* The descriptor, made in the current state; or -EMFILE, -ENFILE, -ENOMEM. */
int ready_fd_get(struct ready_fd *ready);

void ready_fd_close(struct ready_fd *ready);

#endif
