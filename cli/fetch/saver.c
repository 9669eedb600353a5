/* SPDX-License-Identifier: MIT */
/* Saving bodies.
 *
 * A body is written to ".weft-RUN-NUMBER.part" in the target directory and renamed when it is
 * complete, so a file under its own name is always whole. The temporary name is known to the
 * program that hands out the URLs, which sweeps up after a worker that was killed.
 *
 * A file's name is made from its URL alone, so that workers that share nothing need not agree on
 * it and a million names need not be remembered: the readable part of the URL, then 64 bits of a
 * hash of all of it, then the extension. The same URL always has the same name; two URLs share one
 * with a probability of 1 in 2^64. Only letters, digits, '.', '_' and '-' remain, never at the
 * front a '.' or '-', and no '/': a name cannot leave the directory. */
#include "saver.h"

#include <errno.h>
#include <stdbool.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READABLE_MAX = 120, EXTENSION_MAX = 8 };

static void temp_name(char *temp, uint64_t run, uint64_t number)
{
    snprintf(temp, SAVER_TEMP_MAX, ".weft-%016" PRIx64 "-%" PRIu64 ".part", run, number);
}

void saver_init(struct saver *saver, int directory)
{
    *saver = (struct saver){ .directory = directory, .file = -1 };
}

int saver_begin(struct saver *saver, uint64_t run, uint64_t number)
{
    temp_name(saver->temp, run, number);
    /* O_NOFOLLOW: nobody else knows the name, but the directory may be anybody's. */
    saver->file = openat(saver->directory, saver->temp,
                         O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return saver->file >= 0 ? 0 : -errno;
}

int saver_write(struct saver *saver, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(saver->file, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

int saver_commit(struct saver *saver, const char *name)
{
    int rc = 0;

    if (saver->file < 0)
        return 0;
    if (close(saver->file) < 0) /* network file systems report here what they could not write */
        rc = -errno;
    saver->file = -1;
    if (rc == 0 && renameat(saver->directory, saver->temp, saver->directory, name) < 0)
        rc = -errno;
    if (rc < 0)
        unlinkat(saver->directory, saver->temp, 0);
    return rc;
}

void saver_discard(struct saver *saver)
{
    if (saver->file < 0)
        return;
    close(saver->file);
    saver->file = -1;
    unlinkat(saver->directory, saver->temp, 0);
}

void saver_sweep(int directory, uint64_t run, uint64_t number)
{
    char temp[SAVER_TEMP_MAX];

    if (directory < 0)
        return;
    temp_name(temp, run, number);
    unlinkat(directory, temp, 0);
}

static bool alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* FNV-1a, then the finaliser of SplitMix64, which lets every bit of the text change half of all. */
static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

/* Where ".html" begins in the last part of the path, or where the path ends. */
static const char *find_extension(const char *rest)
{
    const char *end = rest + strcspn(rest, "?#");
    const char *dot = end;

    while (dot > rest && alphanumeric(dot[-1]))
        dot--;
    bool found = dot > rest && dot[-1] == '.' && dot < end && end - dot <= EXTENSION_MAX &&
                 memchr(rest, '/', (size_t)(dot - rest)) != NULL; /* not the host's ".com" */
    return found ? dot - 1 : end;
}

void saver_name(const char *url, char *name)
{
    const char *scheme_end = strstr(url, "://");
    const char *rest = scheme_end != NULL ? scheme_end + 3 : url;
    const char *extension = find_extension(rest);
    size_t extension_bytes = strcspn(extension, "?#");
    size_t n = 0;

    for (const char *p = rest; *p != '\0' && *p != '#' && n < READABLE_MAX; p++) {
        if (p == extension)
            p += extension_bytes;
        if (*p == '\0' || *p == '#')
            break;
        bool plain = alphanumeric(*p) || (n > 0 && (*p == '.' || *p == '-'));
        name[n++] = plain ? *p : '_';
    }
    while (n > 1 && name[n - 1] == '_')
        n--;
    snprintf(name + n, SAVER_NAME_MAX - n, "-%016" PRIx64 "%.*s", hash(url), (int)extension_bytes,
             extension);
}
