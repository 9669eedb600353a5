/* SPDX-License-Identifier: MIT */
/* What a command costs, with all the processes that it starts.
 *
 * CPU time: the kernel adds a process's time to its parent's account when the parent waits for it.
 * Worker processes are waited for by weft's zygote, but the zygote is waited for by nobody: it ends
 * after its program. So this process makes itself the one to which orphans fall (a "child
 * subreaper"), and waits for whoever falls to it: no time is lost, and nothing is left running.
 *
 * Memory: there is no account of the most that several processes had together, so it is looked up
 * every 10 ms while the command runs. Counted is the proportional set size, in which a page that n
 * processes share counts 1/n for each; the sum is what they really occupy. A shorter peak is
 * missed.
 */
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLE_EVERY_MS = 10, LINE_BYTES_MAX = 4096, PATH_BYTES = 64 };

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* In the child: does not return. */
static void become(const char *const argv[], pid_t parent, int in, int out)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv); /* which changes nothing of it */
    _exit(127);
}

pid_t measure_start(const char *const argv[], int *ret_out, int *ret_in)
{
    int in[2] = { -1, -1 };
    int out[2];
    pid_t parent = getpid();

    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (ret_in != NULL ? pipe2(in, O_CLOEXEC) < 0
                       : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) {
        int rc = -errno;
        close(out[0]);
        close(out[1]);
        return rc;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        become(argv, parent, in[0], out[1]);
    int rc = pid < 0 ? -errno : 0;
    close(out[1]);
    close(in[0]);
    if (rc < 0) {
        close(out[0]);
        if (in[1] >= 0)
            close(in[1]);
        return rc;
    }
    *ret_out = out[0];
    if (ret_in != NULL)
        *ret_in = in[1];
    return pid;
}

/* One process's memory in KiB, 0 if it has gone. */
static uint64_t memory_kib(pid_t pid)
{
    char path[PATH_BYTES];
    char line[256];
    uint64_t kib = 0;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %" SCNu64 " kB", &kib) == 1)
            break;
    fclose(file);
    return kib;
}

/* Calls visit for each child of a process; they are all started by its first thread, or fall to
 * it. */
static void each_child(pid_t pid, void (*visit)(pid_t child, void *ctx), void *ctx)
{
    char path[PATH_BYTES];
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fscanf(file, "%d", &child) == 1)
        visit(child, ctx);
    fclose(file);
}

/* What is summed over a process and its descendants. */
struct sum {
    pid_t other;
    uint64_t kib;
    double cpu_s;
};

static void add_memory(pid_t pid, void *ctx)
{
    struct sum *sum = ctx;

    if (pid == sum->other)
        return;
    sum->kib += memory_kib(pid);
    each_child(pid, add_memory, sum);
}

/* All of the command's processes are descendants of this one, the site apart. */
static void sample(pid_t other, struct measured *measured)
{
    struct sum sum = { .other = other };

    each_child(getpid(), add_memory, &sum);
    if (sum.kib * 1024 > measured->peak_bytes)
        measured->peak_bytes = sum.kib * 1024;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static int wait_for(pid_t pid, double *cpu_s)
{
    struct rusage usage;
    int status;

    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return -errno;
    *cpu_s += seconds(usage.ru_utime) + seconds(usage.ru_stime);
    return status;
}

static void wait_for_orphan(pid_t pid, void *ctx)
{
    struct sum *sum = ctx;

    if (pid != sum->other)
        (void)wait_for(pid, &sum->cpu_s);
}

/* What has been read of the command's output, up to the last newline that was seen. */
struct lines {
    char text[LINE_BYTES_MAX];
    size_t used;
    void (*on_line)(const char *line, void *ctx);
    void *ctx;
};

static void cut_lines(struct lines *lines)
{
    char *newline;

    while ((newline = memchr(lines->text, '\n', lines->used)) != NULL) {
        size_t length = (size_t)(newline + 1 - lines->text);
        *newline = '\0';
        lines->on_line(lines->text, lines->ctx);
        lines->used -= length;
        memmove(lines->text, newline + 1, lines->used);
    }
    if (lines->used == sizeof lines->text)
        lines->used = 0; /* longer than any line of ours */
}

/* Reads to the end of the output, taking samples. The end comes when all who hold the pipe ended.
 */
static void follow(int out, pid_t other, struct lines *lines, struct measured *measured)
{
    struct pollfd readable = { .fd = out, .events = POLLIN };
    double next_s = now_s();

    for (;;) {
        if (now_s() >= next_s) {
            sample(other, measured);
            next_s = now_s() + SAMPLE_EVERY_MS / 1e3;
        }
        if (poll(&readable, 1, SAMPLE_EVERY_MS) <= 0)
            continue;
        ssize_t n = read(out, lines->text + lines->used, sizeof lines->text - lines->used);
        if (n == 0 || (n < 0 && errno != EINTR))
            return;
        if (n > 0) {
            lines->used += (size_t)n;
            cut_lines(lines);
        }
    }
}

int measure_run(const char *const argv[], pid_t other, void (*on_line)(const char *line, void *ctx),
                void *ctx, struct measured *ret)
{
    struct measured measured = { 0 };
    struct lines lines = { .on_line = on_line, .ctx = ctx };
    struct sum sum = { .other = other };
    double start_s = now_s();
    int out = -1;

    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return -errno;
    pid_t pid = measure_start(argv, &out, NULL);
    if (pid < 0)
        return pid;
    follow(out, other, &lines, &measured);
    close(out);
    int status = wait_for(pid, &measured.cpu_s);
    if (status < 0)
        return status;
    measured.wall_s = now_s() - start_s;
    each_child(getpid(), wait_for_orphan, &sum);
    measured.cpu_s += sum.cpu_s;
    measured.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    *ret = measured;
    return 0;
}
