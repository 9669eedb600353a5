/* SPDX-License-Identifier: MIT */
/*
 * io/file.c: files.
 *
 * Every operation is a system call that ends by itself: in a thread it is made at once, for a task
 * it goes through its reactor (io_run), or if no reactor could do it (open, close), through the
 * pool of threads for calls that block. What a deadline or a cancellation can end is only the
 * sequence of parts into which a long transfer is cut.
 *
 * Limits: the kernel moves at most 2 GiB - 4 KiB at a time; a part is far smaller.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/file.h>
#include <weft/self.h>

#include "io/late.h"
#include "io/op.h"

struct weft_file { /* constant after open */
    int fd;
    bool writable;
    bool has_offsets;
};

/* ---- open, close */

struct opening {
    const char *path;
    int flags;
    mode_t mode;
};

/* Returns the descriptor. */
static int open_blocking(void *ctx)
{
    const struct opening *opening = ctx;
    for (;;) {
        int fd = open(opening->path, opening->flags | O_CLOEXEC, opening->mode);
        if (fd >= 0 || errno != EINTR)
            return fd < 0 ? -errno : fd;
    }
}

int weft_file_open(weft_file **ret_file, const char *path, int flags, mode_t mode)
{
    if (!path)
        return -EINVAL;
    weft_file *file = malloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    file->writable = (flags & O_ACCMODE) != O_RDONLY;
    file->fd = weft_blocking(open_blocking, &(struct opening){ path, flags, mode });
    if (file->fd < 0) {
        int error = file->fd;
        free(file);
        return error;
    }
    /* Asked here, as not every way to read a pipe at an offset would fail: some would wait. */
    file->has_offsets = lseek(file->fd, 0, SEEK_CUR) >= 0 || errno != ESPIPE;
    *ret_file = file;
    return 0;
}

static int close_blocking(void *ctx)
{
    close(*(int *)ctx); /* also after EINTR: the descriptor is gone */
    return 0;
}

void weft_file_close(weft_file *file)
{
    if (!file)
        return;
    /* Only what was written makes a network's file system wait. Without a thread: in the worker. */
    if (!file->writable || weft_blocking(close_blocking, &file->fd) < 0)
        close_blocking(&file->fd);
    free(file);
}

/* ---- data */

/* What is moved of the transfer that an operation describes, part by part. */
struct transfer {
    size_t moved;
    ssize_t error; /* what ended it early; 0: nothing, or the end of the file */
};

static struct transfer move(struct io_op *op, char *data, size_t size, weft_deadline deadline)
{
    struct transfer transfer = { 0 };
    uint64_t offset = op->offset;
    do {
        if (transfer.moved && (transfer.error = look_for_end(deadline)) < 0)
            break;
        size_t left = size - transfer.moved;
        op->data = data + transfer.moved;
        op->size = left < WEFT_FILE_PART ? left : WEFT_FILE_PART;
        op->offset = offset + transfer.moved;
        ssize_t n = io_run(op, WEFT_FOREVER);
        if (n < 0)
            transfer.error = n;
        if (n <= 0)
            break;
        transfer.moved += (size_t)n;
    } while (transfer.moved < size);
    return transfer;
}

/* No offset that a transfer comes to is IO_STREAM, nor negative to the kernel. */
static int check(const weft_file *file, size_t size, uint64_t offset)
{
    if (size > INT64_MAX || offset > INT64_MAX - size)
        return -EINVAL;
    return file->has_offsets ? 0 : -ESPIPE;
}

ssize_t weft_file_read(weft_file *file, void *data, size_t size, uint64_t offset,
                       weft_deadline deadline)
{
    int rc = check(file, size, offset);
    if (rc < 0)
        return rc;
    struct io_op op = { .code = IO_READ, .fd = file->fd, .offset = offset };
    struct transfer transfer = move(&op, data, size, deadline);
    return transfer.moved ? (ssize_t)transfer.moved : transfer.error;
}

ssize_t weft_file_write(weft_file *file, const void *data, size_t size, uint64_t offset,
                        weft_deadline deadline)
{
    int rc = check(file, size, offset);
    if (rc < 0)
        return rc;
    struct io_op op = { .code = IO_WRITE, .fd = file->fd, .offset = offset };
    struct transfer transfer = move(&op, (char *)data, size, deadline);
    if (transfer.error)
        return transfer.error;
    return transfer.moved == size ? (ssize_t)size : -EIO; /* it took nothing, for no reason */
}

int weft_file_sync(weft_file *file, weft_deadline deadline)
{
    int rc = look_for_end(deadline);
    if (rc < 0)
        return rc;
    struct io_op op = { .code = IO_SYNC, .fd = file->fd };
    return (int)io_run(&op, WEFT_FOREVER);
}

int64_t weft_file_size(weft_file *file)
{
    struct stat status;
    return fstat(file->fd, &status) < 0 ? -errno : status.st_size;
}

int weft_file_fd(const weft_file *file)
{
    return file->fd;
}
