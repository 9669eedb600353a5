/* SPDX-License-Identifier: MIT */
/* Files below one directory, and nothing outside it.
 *
 * The kernel does the confining: openat2 with RESOLVE_BENEATH (Linux 5.6) resolves the whole path,
 * ".." and symbolic links included, and refuses it as soon as it leaves the directory, whatever
 * happens to the tree meanwhile. A directory stands for its index.html; directories are not listed.
 * Only regular files are served, and opening never blocks on a FIFO. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "reply.h"
#include "routes.h"

static int open_beneath(int root, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);

    return fd >= 0 ? fd : -errno;
}

int files_open(const char *directory)
{
    int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return -errno;
    int probe = open_beneath(root, ".");
    if (probe < 0) {
        close(root);
        return probe;
    }
    close(probe);
    return root;
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".txt", "text/plain; charset=utf-8" },
        { ".md", "text/plain; charset=utf-8" },
        { ".css", "text/css" },
        { ".js", "text/javascript" },
        { ".json", "application/json" },
        { ".svg", "image/svg+xml" },
        { ".png", "image/png" },
        { ".jpg", "image/jpeg" },
        { ".gif", "image/gif" },
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void refuse(struct exchange *x, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENAMETOOLONG:
        reply_text(x, HTTP_STATUS_NOT_FOUND, "%s: no such file", x->path);
        break;
    case -EXDEV: /* it leaves the directory */
    case -ELOOP:
    case -EACCES:
    case -EPERM:
    case -ENXIO: /* a socket, or another end is missing */
        reply_text(x, HTTP_STATUS_FORBIDDEN, "%s: not served", x->path);
        break;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -EAGAIN: /* the tree changed while it was resolved */
        reply_text(x, HTTP_STATUS_SERVICE_UNAVAILABLE, "%s: %s", x->path, strerror(-error));
        break;
    default:
        reply_text(x, HTTP_STATUS_INTERNAL_SERVER_ERROR, "%s: %s", x->path, strerror(-error));
    }
}

/* A directory without its slash would break the relative links of its index.html. */
static void add_slash(struct exchange *x)
{
    const char *path = x->path;

    while (path[0] == '/' && path[1] == '/')
        path++; /* "//host/" would lead to another host */
    char *encoded = url_encode(path, "/");
    char *location = NULL;
    if (encoded == NULL || asprintf(&location, "%s/", encoded) < 0)
        location = NULL;
    free(encoded);
    if (location == NULL) {
        reply_drop(x);
        return;
    }
    reply_text(x, HTTP_STATUS_MOVED_PERMANENTLY, "go to %s", location);
    reply_header(x, "Location", location);
    free(location);
}

static void send_file(struct exchange *x, int fd, const char *path, bool index);

static void send_index(struct exchange *x, const char *directory)
{
    char *path = NULL;

    if (asprintf(&path, "%s%sindex.html", directory, directory[0] != '\0' ? "/" : "") < 0) {
        reply_drop(x);
        return;
    }
    int fd = open_beneath(x->site->root, path);
    if (fd == -ENOENT)
        reply_text(x, HTTP_STATUS_NOT_FOUND, "%s: a directory without index.html; it is not listed",
                   x->path);
    else if (fd < 0)
        refuse(x, fd);
    else
        send_file(x, fd, path, true);
    free(path);
}

/* Takes fd; `index`: it was looked up for its directory, and must not lead to another. */
static void send_file(struct exchange *x, int fd, const char *path, bool index)
{
    struct stat info;

    if (fstat(fd, &info) < 0) {
        refuse(x, -errno);
    } else if (S_ISREG(info.st_mode)) {
        reply_file(x, type_of(path), fd, (uint64_t)info.st_size);
        return;
    } else if (!S_ISDIR(info.st_mode) || index) {
        refuse(x, -EACCES);
    } else if (x->path[strlen(x->path) - 1] != '/') {
        add_slash(x);
    } else {
        send_index(x, path);
    }
    close(fd);
}

void answer_file(struct exchange *x)
{
    const char *path = x->rest + strspn(x->rest, "/");

    if (x->site->root < 0) {
        reply_text(x, HTTP_STATUS_NOT_FOUND, "%s: no directory is served (see --root)", x->path);
        return;
    }
    int fd = open_beneath(x->site->root, path[0] != '\0' ? path : ".");
    if (fd < 0)
        refuse(x, fd);
    else
        send_file(x, fd, path, false);
}
