/* SPDX-License-Identifier: MIT */
/*
 * weft/file.h: files, read and written at offsets, so that several strands can use one at the same
 * time: there is no position that they would share.
 *
 *     weft_file *log;
 *     char line[] = "started\n", first[8];
 *     rc = weft_file_open(&log, "log", O_RDWR | O_CREAT | O_APPEND, 0644);
 *     n = weft_file_write(log, line, strlen(line), 0, WEFT_FOREVER);
 *     rc = weft_file_sync(log, WEFT_FOREVER);
 *     n = weft_file_read(log, first, sizeof first, 0, WEFT_FOREVER);
 *     weft_file_close(log);
 *
 * A task parks while the system works, by io_uring or in a thread of the pool behind
 * weft_blocking(); any other strand is inside the system call.
 *
 * Deadlines and cancellation: what the system has begun with a file ends by itself, so nothing ends
 * it sooner. Data is moved in parts of up to WEFT_FILE_PART bytes. The first one is always moved,
 * as no wait is known to lie in it; between two parts a deadline that has passed, a scope's too,
 * and a cancellation end the call.
 *
 * For pipes, sockets and terminals, which keep their readers waiting, there are streams (stream.h);
 * they have no offsets, so reading or writing one here is -ESPIPE.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <fcntl.h>

#include <weft/time.h>

WEFT_BEGIN

typedef struct weft_file weft_file;

#define WEFT_FILE_PART ((size_t)16 << 20)

/*
 * Opens a file.
 * Shape    path, flags and mode as for open(2); O_CLOEXEC is added. mode matters with O_CREAT and
 *          O_TMPFILE only.
 * Returns  0 and *ret_file, to be closed; -ENOMEM; -EINVAL: path is NULL; or what open(2) says:
 *          -ENOENT, -EACCES, -EEXIST, -EISDIR, -EMFILE and so on; in a task also -EAGAIN: no thread
 *          to open it in could be made.
 * Blocks   as long as open(2) does (of a FIFO: until somebody opens its other end). Nothing ends
 *          that.
 */
int weft_file_open(weft_file **ret_file, const char *path, int flags, mode_t mode) WEFT_USE;

/*
 * Reads bytes from an offset on.
 * Shape    offset: at most INT64_MAX - size.
 * Returns  how many: fewer than size where the file ends, and if the deadline or a cancellation
 *          came between two parts; 0: the offset is at the end or beyond it; -EBADF: not open for
 *          reading; -EISDIR; -ESPIPE; -EINVAL: the offset is too large; or what pread(2) says.
 * Blocks   yes, see above.
 */
ssize_t weft_file_read(weft_file *file, void *data, size_t size, uint64_t offset,
                       weft_deadline deadline) WEFT_USE;

/*
 * Writes all of the bytes, from an offset on. Beyond the end of the file it leaves a hole, which
 * reads as zeros. If the file was opened with O_APPEND the offset is ignored, and each part is put
 * at the end, whoever else appends.
 * Shape    offset: at most INT64_MAX - size.
 * Returns  size; -ENOSPC, -EDQUOT, -EFBIG; -EBADF: not open for writing; -ESPIPE; -EINVAL: the
 *          offset is too large; -ETIMEDOUT, -ECANCELED: between two parts; or what pwrite(2) says.
 *          With any error, some of the bytes at the front may have been written; to write them
 *          again does no harm, unless it appends.
 * Blocks   yes, see above.
 */
ssize_t weft_file_write(weft_file *file, const void *data, size_t size, uint64_t offset,
                        weft_deadline deadline) WEFT_USE;

/*
 * Waits until all that was written has reached the disk, with all that is needed to read it there
 * again: fsync(2). (A file that was created also needs its directory to be synced.)
 * Returns  0; -EIO, -ENOSPC, -EDQUOT: something written earlier could not be kept; -EINVAL: such a
 *          file cannot be synced; -ETIMEDOUT (WEFT_NOW: always), -ECANCELED: not begun.
 * Blocks   yes; what has begun is not ended.
 */
int weft_file_sync(weft_file *file, weft_deadline deadline) WEFT_USE;

/* The size of a regular file, in bytes, at some moment during the call; or what fstat(2) says. */
int64_t weft_file_size(weft_file *file) WEFT_USE;

/* Its descriptor, for whatever else there is to do with it. Borrowed: do not close it. */
int weft_file_fd(const weft_file *file);

/*
 * Closes it. Nobody is inside a call on it any more. An error that only closing shows, as network
 * file systems may have, is lost: sync first. NULL is allowed.
 * Blocks   as long as close(2) does.
 */
void weft_file_close(weft_file *file);

WEFT_END
#endif
