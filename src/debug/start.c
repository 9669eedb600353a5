/* SPDX-License-Identifier: MIT */
/*
 * debug/start.c: how a program comes to be traced, and how its trace is closed.
 *
 *     before main()   opens and locks the file, makes the memory to share, forks the writer
 *     forks           are not looked at; but the processes that weft makes say trace_resume(), and
 *                     those that run the program again trace_attach() and then that
 *     exit            waits until the writer has closed the file; _exit and a crash do not
 *
 * The writer is not a child of the program but, forked by a process in between, of init: a program
 * that waits for all its children would otherwise wait for ever.
 *
 * A file that another trace is being written to is locked. The program is then a child of the other
 * one, most likely, and takes FILE.PID instead. Symbolic links are not followed, and what is no
 * regular file is not written to: what the variable names is overwritten without a question. A
 * program that runs with privileges of its file (AT_SECURE) does not look at it.
 *
 * Whatever goes wrong, the program runs as without a trace; weft_trace_state() says why.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/time.h>
#include <weft/trace.h>

#include "base/futex.h"
#include "debug/image.h"
#include "debug/trace.h"
#include "park/park.h"
#include "process/again.h"
#include "process/descriptors.h"

#define BYTES_MAX (256ull << 20)
#define BYTES_MIN (64ull << 10)
#define PATIENCE  (30 * WEFT_S) /* for the disk */

static const char magic[16] = "weft trace 0.1";

static struct room *room;
static int room_fd = -1;
static struct stat room_file; /* what the descriptor is of */
static int failure;           /* why there is no trace; 0: nobody wants one */

int weft_trace_state(void)
{
    return load_relaxed(&trace_on) ? 1 : failure; /* relaxed: an answer about some moment */
}

/* ---- the file */

/* "64M" and the like. False: nonsense. */
static bool parse_bytes(const char *text, uint64_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || end[shift != 0] != '\0' || n > UINT64_MAX >> 1 >> shift || n << shift < BYTES_MIN)
        return false;
    *ret = n << shift;
    return true;
}

static int open_file(const char *path)
{
    struct stat status;
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    int fd = open(path, flags, 0600);
    if (fd < 0)
        return -errno;
    fd = descriptors_raise(fd);
    if (fd < 0)
        return fd;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        return fd;
    close(fd);
    return -EINVAL;
}

/* Opens, locks and empties it. *ret_taken: another trace is being written to it. */
static int open_locked(const char *path, bool *ret_taken)
{
    int fd = open_file(path);
    *ret_taken = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    if (fd < 0 || (!*ret_taken && ftruncate(fd, 0) == 0))
        return fd;
    int error = *ret_taken ? EBUSY : errno;
    close(fd);
    return -error;
}

static int open_trace(const char *path)
{
    bool taken;
    char other[PATH_MAX];
    int fd = open_locked(path, &taken);
    if (!taken)
        return fd;
    if (snprintf(other, sizeof other, "%s.%d", path, (int)getpid()) >= (int)sizeof other)
        return -ENAMETOOLONG;
    return open_locked(other, &taken);
}

/* ---- the room */

/* fd: -1: none, and only forks share it. */
static struct room *map_room(int fd)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (fd < 0 ? MAP_ANONYMOUS : 0);
    void *memory = mmap(NULL, sizeof(struct room), PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, sizeof(struct room), MADV_DONTDUMP); /* or a dump touches all of it */
    return memory;
}

/* A file in memory. One that is larger than the limit allows would be the end of the program. */
static int make_file(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < sizeof *room)
        return 0;
    int fd = memfd_create("weft-trace", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    room_fd = descriptors_raise(fd);
    if (room_fd < 0)
        return room_fd;
    return ftruncate(room_fd, sizeof *room) < 0 || fstat(room_fd, &room_file) < 0 ? -errno : 0;
}

static int make_room(bool keep_all)
{
    int rc = make_file();
    if (rc < 0)
        return rc;
    room = map_room(room_fd);
    if (!room)
        return -ENOMEM;
    memcpy(room->magic, magic, sizeof magic);
    room->began_ns = weft_now();
    room->keep_all = keep_all;
    room->image = image_of_program().begin;
    room->program_id = (uint32_t)getpid();
    prctl(PR_GET_NAME, room->program);
    return 0;
}

/* ---- the writer */

/* By a descriptor: who is dead but not reaped, as the first process of a container may leave him,
   can still be sent signals. */
static bool writer_is_alive(void)
{
    struct pollfd end = { .fd = descriptors_of_process((pid_t)room->writer), .events = POLLIN };
    if (end.fd < 0)
        return end.fd != -ESRCH;
    bool alive = poll(&end, 1, 0) == 0;
    close(end.fd);
    return alive;
}

/* Waits until the writer has set a word. False: it never will. */
static bool wait_for_writer(const uint32_t *word)
{
    weft_deadline end = weft_after(PATIENCE);
    while (!load_acquire(word)) { /* pairs with the writer's releases */
        struct futex_place place = futex_place(word, 0, true);
        (void)futex_wait_any(&place, 1, weft_after(10 * WEFT_MS));
        if (!weft_left(end) || (room->writer && !writer_is_alive()))
            return load_acquire(word); /* as above */
    }
    return true;
}

/* The process in between: forks the writer, says which it is, and ends. */
__attribute__((noreturn)) static void fork_writer(const struct trace_file *file)
{
    pid_t pid = fork();
    if (pid == 0)
        writer_run(room, file);
    if (pid > 0)
        room->writer = (uint32_t)pid;
    else
        room->error = errno;
    _exit(0);
}

static int start_writer(const struct trace_file *file)
{
    pid_t between = fork();
    if (between < 0)
        return -errno;
    if (between == 0)
        fork_writer(file);
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR) {
    } /* ECHILD: the program was started with SIGCHLD ignored, so nobody is told how it ended */
    if (!room->writer)
        return room->error ? -room->error : -EAGAIN;
    return wait_for_writer(&room->ready) ? -room->error : -EAGAIN;
}

/* ---- forks */

static void after_fork_in_child(void)
{
    store_relaxed(&trace_on, 0); /* relaxed: there is one thread */
    trace_forget_thread();
}

static int look_on(bool elsewhere)
{
    int rc = -pthread_atfork(NULL, NULL, after_fork_in_child);
    if (rc == 0)
        rc = trace_use(room, elsewhere);
    return rc;
}

void trace_resume(void)
{
    if (!room)
        return;
    strand_self()->traced = 0;   /* the trace does not know this process */
    store_relaxed(&trace_on, 1); /* relaxed: there is one thread */
}

void trace_move(pid_t pid)
{
    if (room)
        store_relaxed(&room->program_id, (uint32_t)pid); /* relaxed: the writer may see it late */
}

/* A program may close all descriptors that it does not know, and then the number is of another. */
int trace_descriptor(void)
{
    struct stat now;
    bool same = room_fd >= 0 && fstat(room_fd, &now) == 0 && now.st_dev == room_file.st_dev &&
                now.st_ino == room_file.st_ino;
    return same ? room_fd : -1;
}

void trace_attach(int fd)
{
    struct room *its = fd < 0 ? NULL : map_room(fd);
    if (fd >= 0)
        close(fd);
    if (!its || memcmp(its->magic, magic, sizeof magic) != 0)
        return;
    room = its;
    if (look_on(true) < 0)
        room = NULL;
}

/* ---- the beginning and the end of the program */

static int start(const char *path)
{
    struct trace_file file = { .bytes_max = BYTES_MAX };
    const char *most = secure_getenv("WEFT_TRACE_MAX"), *keep = secure_getenv("WEFT_TRACE_KEEP");
    if (most && *most && !parse_bytes(most, &file.bytes_max))
        return -EINVAL;
    if (keep && *keep && strcmp(keep, "all") != 0)
        return -EINVAL;
    file.fd = open_trace(path);
    if (file.fd < 0)
        return file.fd;
    int rc = make_room(keep && *keep);
    if (rc == 0)
        rc = start_writer(&file);
    if (rc == 0)
        rc = look_on(false);
    close(file.fd);
    return rc;
}

void trace_start(void)
{
    const char *path = secure_getenv("WEFT_TRACE");
    if (!path || !*path || again_begins())
        return;
    failure = start(path);
    if (failure == 0) {
        store_relaxed(&trace_on, 1); /* relaxed: before main() */
        return;
    }
    if (room) {
        store_release(&room->closing, 1); /* as in stop() */
        room_ring(room);
        munmap(room, sizeof *room);
    }
    if (room_fd >= 0)
        close(room_fd);
    room = NULL;
    room_fd = -1;
}

__attribute__((destructor)) static void stop(void)
{
    if (!room || load_relaxed(&room->program_id) != (uint32_t)getpid())
        return;
    store_relaxed(&trace_on, 0);      /* relaxed: others may record a little more, in vain */
    store_release(&room->closing, 1); /* pairs with the acquire in the writer */
    room_ring(room);
    (void)wait_for_writer(&room->done);
}
