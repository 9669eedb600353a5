/* SPDX-License-Identifier: MIT */
/*
 * base/cgroup.c: which cgroups are around this process.
 *
 * Every level counts: a container without a limit of its own may lie in a slice that has one, so
 * the walk goes from our own cgroup up to the root of what is mounted.
 *
 *     /proc/self/cgroup      which cgroup we are in, per hierarchy    "0::/a/b"
 *                                                                     "4:cpu,cpuacct:/a/b"
 *     /proc/self/mountinfo   where each hierarchy is mounted, and which part of it (the mount's
 *                            root)
 *
 * Both versions may be mounted at once ("hybrid"), so both are always read. A mount that does not
 * show our cgroup (its root is not above us) is passed over, and so is what cannot be read or
 * understood.
 *
 * Sources: cgroups(7), proc(5), the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/number.h"

/* One mounted hierarchy, as seen while reading mountinfo. */
struct mount {
    bool v2;
    char root[PATH_MAX];  /* the cgroup that the mount point shows */
    char point[PATH_MAX]; /* where */
};

/* A path below `root`, which stands for "/". False if it is too long to exist. */
static bool join(char path[PATH_MAX], const char *root, const char *rest, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s%s%s", root, rest, name);
    return n >= 0 && n < PATH_MAX;
}

bool cgroup_read_line(const struct cgroup *cgroup, const char *name, char *line, size_t size)
{
    char path[PATH_MAX];
    FILE *file = join(path, cgroup->root, cgroup->directory, name) ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

uint64_t cgroup_read_number(const struct cgroup *cgroup, const char *name, const char *word)
{
    char path[PATH_MAX];
    bool fits = join(path, cgroup->root, cgroup->directory, name);
    return fits ? base_number_in(path, word) : UINT64_MAX;
}

/* True if `list`, up to one of `ends`, has the item between its commas. */
static bool lists(const char *list, const char *item, const char *ends)
{
    for (;;) {
        size_t n = strcspn(list, ",:\n ");
        if (n == strlen(item) && memcmp(list, item, n) == 0)
            return true;
        if (list[n] == '\0' || strchr(ends, list[n]))
            return false;
        list += n + 1;
    }
}

/* Our cgroup in the hierarchy of a mount, from /proc/self/cgroup ("ID:CONTROLLERS:PATH"). */
static bool find_own(const char *root, const char *controller, bool v2, char ret_path[PATH_MAX])
{
    char path[PATH_MAX];
    FILE *file = join(path, root, "/proc/self", "/cgroup") ? fopen(path, "re") : NULL;
    if (!file)
        return false;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, file) > 0) {
        char *controllers = strchr(line, ':');
        char *own = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!own || own[1] != '/')
            continue;
        if (v2 ? strncmp(line, "0::", 3) != 0 : !lists(controllers + 1, controller, ":"))
            continue;
        own[1 + strcspn(own + 1, "\n")] = '\0';
        found = join(ret_path, own + 1, "", "");
    }
    free(line);
    fclose(file);
    return found;
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        unsigned value;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &value) == 1) {
            *to = (char)value;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Takes a line of mountinfo apart: "ID PARENT DEV ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPER".
 * False unless it mounts a hierarchy that has the controller, or may have it. */
static bool parse_mount(char *line, const char *controller, struct mount *ret)
{
    char *type = strstr(line, " - ");
    if (!type)
        return false;
    type += 3;
    ret->v2 = strncmp(type, "cgroup2 ", 8) == 0;
    if (!ret->v2) {
        if (strncmp(type, "cgroup ", 7) != 0)
            return false;
        const char *options = strrchr(type, ' ');
        if (!options || !lists(options + 1, controller, "\n"))
            return false;
    }
    int at = 0, end_of_root = 0, end_of_point = 0;
    sscanf(line, "%*s %*s %*s %n%*s%n %*s%n", &at, &end_of_root, &end_of_point);
    if (!end_of_point || end_of_point > type - line)
        return false;
    line[end_of_root] = line[end_of_point] = '\0';
    decode(line + at);
    decode(line + end_of_root + 1);
    return join(ret->root, line + at, "", "") && join(ret->point, line + end_of_root + 1, "", "");
}

/* What is to be called for each. */
struct visit {
    const char *root, *controller;
    void (*look)(const struct cgroup *cgroup, void *ctx);
    void *ctx;
};

/* From our cgroup up to the mount point. */
static void walk(const struct visit *visit, const struct mount *mount)
{
    char own[PATH_MAX], directory[PATH_MAX];
    if (!find_own(visit->root, visit->controller, mount->v2, own))
        return;
    size_t above = strcmp(mount->root, "/") == 0 ? 0 : strlen(mount->root);
    if (strncmp(own, mount->root, above) != 0 || (own[above] != '/' && own[above] != '\0'))
        return;
    const char *below = strcmp(own + above, "/") == 0 ? "" : own + above;
    if (!join(directory, mount->point, below, ""))
        return;
    const struct cgroup cgroup = { visit->root, directory, mount->v2 };
    size_t top = strlen(mount->point);
    for (;;) {
        visit->look(&cgroup, visit->ctx);
        char *slash = strrchr(directory, '/');
        if (!slash || (size_t)(slash - directory) < top)
            return;
        *slash = '\0';
    }
}

void cgroup_each(const char *root, const char *controller,
                 void (*look)(const struct cgroup *cgroup, void *ctx), void *ctx)
{
    const struct visit visit = { root, controller, look, ctx };
    char path[PATH_MAX];
    FILE *file = join(path, root, "/proc/self", "/mountinfo") ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t size = 0;
    struct mount mount;
    while (file && getline(&line, &size, file) > 0)
        if (parse_mount(line, controller, &mount))
            walk(&visit, &mount);
    free(line);
    if (file)
        fclose(file);
}
