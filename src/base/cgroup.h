/* SPDX-License-Identifier: MIT */
/* base/cgroup.h: the cgroups around this process, and what stands in their files. */
#ifndef WEFT_BASE_CGROUP_H
#define WEFT_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One of them, while it is looked at. */
struct cgroup {
    const char *root;      /* stands for "/" */
    const char *directory; /* below it */
    bool v2;               /* else the controller's own hierarchy, of version 1 */
};

/* Has each of them looked at, of both versions, that has the controller ("cpu") or may have it:
 * from our own up to what is mounted. root: a directory that stands for "/". Allocates; when it
 * cannot, none is found. */
void cgroup_each(const char *root, const char *controller,
                 void (*look)(const struct cgroup *cgroup, void *ctx), void *ctx);

/* The first line of a file, "/cpu.max". False if there is none. */
bool cgroup_read_line(const struct cgroup *cgroup, const char *name, char *line, size_t size);

/* The number behind a word at the beginning of a line (number.h). */
uint64_t cgroup_read_number(const struct cgroup *cgroup, const char *name, const char *word);

#endif
