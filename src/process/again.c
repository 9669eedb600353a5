/* SPDX-License-Identifier: MIT */
/*
 * process/again.c: running the program again, for a process that shall have nothing of the memory
 * of the program but what weft_shared_alloc() gave: no locks of libraries that do not survive a
 * fork, no state, other addresses.
 *
 *     zygote --fork--> process: SURROUNDINGS --execve(/proc/self/exe)--> the program, up to its
 *                                weft_init(), which goes on: SETUP, enter, calls ...
 *
 * The process stays the same one: its id, its place among the zygote's children, its end of the
 * channel, in which SETUP may be waiting already. What the new image must know (which descriptors
 * are what, where shared memory lies, the names of functions in the order of their numbers) is in a
 * memfd, the number of which stands in the environment. A constructor of the library takes it out
 * of there, and marks what was handed over as close-on-exec again, before main().
 *
 * The program gets its own arguments, so that it does what it did up to weft_init(); /proc/self/exe
 * is the file that runs even if another has taken its name since.
 *
 * Shared memory must lie at the same address, at which the new image may have something else, as
 * its addresses were drawn anew. shared.c puts it where that does not happen; where it could not,
 * the process runs the program again until it fits, 16 times at most.
 *
 * What the memfd says is believed, down to addresses of functions. So a program that runs with
 * privileges of its file (AT_SECURE), which others than itself may have started, neither looks at
 * the variable nor is run again.
 *
 * Whatever fails on the way is told to the owner in words instead of READY. An image that never
 * calls weft_init() leaves the owner waiting: it must be called, and first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "park/trace.h"
#include "process/again.h"
#include "process/code.h"
#include "process/descriptors.h"
#include "process/image.h"
#include "process/shared.h"
#include "process/worker.h"
#include "process/zygote.h"

#define VARIABLE "WEFT_PROCESS"

enum { TRIES_MAX = 16 };

/* What the memfd holds, and behind it the names. */
struct handover {
    char magic[16];
    char version[16]; /* of the library */
    char name[16];    /* what ps shows */
    int32_t channel, control, broker;
    uint32_t tries; /* how often the program has been run again for this process */
    struct shared_place shared;
    int32_t trace; /* -1: there is none */
    uint64_t names_bytes;
};

static const char magic[16] = "weft, run again";

static int handed_fd = -1; /* of the memfd; constant once main() has begun */
static struct handover handed;
static bool happened; /* written once, while there is one strand */

bool again_happened(void)
{
    return happened;
}

/* ---- the first image */

__attribute__((format(printf, 3, 4))) static void fail(struct surroundings_failure *failure, int rc,
                                                       const char *format, ...)
{
    char what[100];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    failure->error = rc;
    snprintf(failure->text, sizeof failure->text, "running the program again: %s: %s", what,
             weft_strerror(rc));
}

/* All of a small file, with a NUL behind. NULL: it cannot be had, errno says why. */
static char *read_file(const char *path, size_t *ret_bytes)
{
    size_t room = 4096, used = 0;
    char *text = malloc(room);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 0;
    while (fd >= 0 && text && (n = read(fd, text + used, room - 1 - used)) > 0) {
        used += (size_t)n;
        if (used == room - 1) {
            char *grown = realloc(text, room *= 2);
            if (!grown)
                n = -1;
            text = grown ? grown : text;
        }
    }
    descriptors_close(fd);
    if (text && n == 0) {
        text[used] = '\0';
        *ret_bytes = used;
        return text;
    }
    free(text);
    return NULL;
}

/* The arguments that the program got, as an array into a text. NULL: errno says why. */
static char **read_arguments(void)
{
    size_t bytes, n = 0;
    char *text = read_file("/proc/self/cmdline", &bytes);
    for (size_t i = 0; text && i < bytes; i++)
        n += text[i] == '\0';
    char **arguments = text ? malloc((n + 1) * sizeof *arguments) : NULL;
    if (!arguments) {
        free(text);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        arguments[i] = text;
        text += strlen(text) + 1;
    }
    arguments[n] = NULL;
    return arguments;
}

static void free_arguments(char **arguments)
{
    if (arguments)
        free(arguments[0]); /* the text */
    free(arguments);
}

/* The environment with the variable. NULL: no memory. */
static char **make_environment(char *variable)
{
    size_t n = 0;
    while (environ && environ[n])
        n++;
    char **list = malloc((n + 2) * sizeof *list);
    if (!list)
        return NULL;
    list[0] = variable;
    for (size_t i = 0; i < n; i++)
        list[i + 1] = environ[i];
    list[n + 1] = NULL;
    return list;
}

static void set_inherited(int fd, bool inherited)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

static void set_all_inherited(int handover_fd, const struct handover *handover, bool inherited)
{
    set_inherited(handover_fd, inherited);
    set_inherited(handover->channel, inherited);
    set_inherited(handover->control, inherited);
    set_inherited(handover->broker, inherited);
    set_inherited(handover->shared.fd, inherited);
    set_inherited(handover->trace, inherited);
}

/* Becomes the program. Returns -errno. */
static int run_program(int handover_fd, const struct handover *handover)
{
    char variable[40];
    snprintf(variable, sizeof variable, VARIABLE "=%d", handover_fd);
    char **arguments = read_arguments(), **environment = make_environment(variable);
    int error = errno;
    if (arguments && environment) {
        set_all_inherited(handover_fd, handover, true);
        execve("/proc/self/exe", arguments, environment);
        error = errno;
        set_all_inherited(handover_fd, handover, false);
    }
    free_arguments(arguments);
    free(environment);
    return -error;
}

/* Writes all of a part of the memfd. Returns 0 or -errno. */
static int write_part(int fd, const void *bytes, size_t n, size_t offset)
{
    ssize_t written = pwrite(fd, bytes, n, (off_t)offset);
    return written < 0 ? -errno : written < (ssize_t)n ? -ENOSPC : 0;
}

/* Fills a new memfd. Returns it or -errno. */
static int make_handover(struct handover *handover)
{
    size_t bytes;
    char *names = code_names(&bytes);
    int fd = names ? memfd_create("weft-run-again", MFD_CLOEXEC) : -1;
    int rc = fd < 0 ? -errno : 0;
    handover->names_bytes = bytes;
    if (rc == 0)
        rc = write_part(fd, handover, sizeof *handover, 0);
    if (rc == 0)
        rc = write_part(fd, names, bytes, sizeof *handover);
    free(names);
    if (rc < 0)
        descriptors_close(fd);
    return rc < 0 ? rc : fd;
}

void again_run(int channel, struct surroundings_failure *failure)
{
    struct handover handover = { .channel = channel,
                                 .control = zygote_control(),
                                 .broker = zygote_broker(),
                                 .tries = 1,
                                 .trace = trace_descriptor() };
    memcpy(handover.magic, magic, sizeof magic);
    strncpy(handover.version, weft_version(), sizeof handover.version - 1);
    prctl(PR_GET_NAME, handover.name);
    if (getauxval(AT_SECURE))
        return fail(failure, -EPERM, "it has privileges of its own (setuid)");
    handover.shared = shared_place();
    if (handover.shared.fd < 0)
        return fail(failure, -ENOTSUP, "shared memory has no descriptor");
    int fd = make_handover(&handover);
    if (fd < 0)
        return fail(failure, fd, "what it is told");
    fail(failure, run_program(fd, &handover), "/proc/self/exe");
    close(fd);
}

/* ---- the second image */

/* Before main(), so that nothing of the user's sees the variable or inherits the descriptors. (A
 * constructor of the user's, which may run earlier, may call weft_init(), which calls this.) */
__attribute__((constructor)) static void note_handover(void)
{
    const char *value = secure_getenv(VARIABLE);
    if (!value)
        return;
    int fd = atoi(value);
    unsetenv(VARIABLE);
    if (fd < 3 || pread(fd, &handed, sizeof handed, 0) != (ssize_t)sizeof handed ||
        memcmp(handed.magic, magic, sizeof magic) != 0)
        return; /* somebody else's variable */
    handed_fd = fd;
    set_all_inherited(fd, &handed, false);
}

bool again_begins(void)
{
    note_handover();
    return handed_fd >= 0;
}

/* Maps shared memory where it is in the others; runs the program again if there is no place. */
static int adopt_shared(void)
{
    int rc = shared_adopt(&handed.shared);
    if (rc != -EEXIST || handed.tries >= TRIES_MAX)
        return rc;
    handed.tries++;
    int written = write_part(handed_fd, &handed, sizeof handed, 0);
    return written < 0 ? written : run_program(handed_fd, &handed);
}

static int adopt_names(void)
{
    char *names = malloc(handed.names_bytes + 1);
    if (!names)
        return -ENOMEM;
    ssize_t n = pread(handed_fd, names, handed.names_bytes, sizeof handed);
    int rc = n < 0 ? -errno : n < (ssize_t)handed.names_bytes ? -EIO : 0;
    return rc < 0 ? rc : code_adopt(names, handed.names_bytes);
}

static void adopt(struct surroundings_failure *failure)
{
    if (strncmp(handed.version, weft_version(), sizeof handed.version) != 0)
        return fail(failure, -EINVAL, "the library was replaced, %.15s by %.15s", handed.version,
                    weft_version());
    int rc = image_note();
    if (rc == 0)
        rc = adopt_names();
    if (rc < 0)
        return fail(failure, rc, "what it is told");
    rc = adopt_shared();
    if (rc < 0)
        return fail(failure, rc, "the place of shared memory");
    prctl(PR_SET_NAME, handed.name);
    trace_attach(handed.trace);
    zygote_adopt(handed.control, handed.broker, handed.channel);
}

void again_resume(void)
{
    struct surroundings_failure failure = { 0 };
    note_handover();
    if (handed_fd < 0)
        return;
    happened = true;
    adopt(&failure);
    close(handed_fd);
    worker_go_on(handed.channel, &failure);
}
