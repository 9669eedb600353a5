/* SPDX-License-Identifier: MIT */
/* The served directory. */
#ifndef SERVE_FILES_H
#define SERVE_FILES_H

/* Opens it for answer_file. Returns a descriptor or -errno: -ENOSYS or -EPERM where the kernel or a
 * container's filter has no openat2. */
int files_open(const char *directory);

#endif
