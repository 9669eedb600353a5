/* SPDX-License-Identifier: MIT */
/* process/pass.c: descriptors between processes, on the side of those who pass and take them. */
#include <errno.h>

#include <weft/fd.h>

#include "process/ask.h"

int weft_fd_pass(int fd, uint64_t *ret_ticket)
{
    struct ask_answer answer;
    if (fd < 0)
        return -EBADF;
    int rc = ask_zygote(ZYGOTE_KEEP, 0, fd, &answer);
    if (rc < 0)
        return rc;
    *ret_ticket = answer.value;
    return 0;
}

int weft_fd_take(uint64_t ticket, int *ret_fd)
{
    struct ask_answer answer;
    int rc = ask_zygote(ZYGOTE_TAKE, ticket, -1, &answer);
    if (rc < 0)
        return rc;
    *ret_fd = answer.fd;
    return 0;
}
