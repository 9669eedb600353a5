/* SPDX-License-Identifier: MIT */
/*
 * measure REPORT [-m] COMMAND [ARGUMENT...]
 *
 * Runs a command and writes what it cost to the file REPORT, as JSON: wall seconds, user and system
 * seconds of the command and every process it started, and the exit status. Worker processes
 * count however they are related to the command: this program is the subreaper of all of them, so
 * each is either waited for by a parent that is itself counted, or ends up here. It returns when
 * the last one is gone, so nothing a benchmark started outlives it.
 *
 * With -m it measures the peak of memory as well: every 20 ms the proportional set sizes of all
 * processes of the tree are added up. That disturbs what is timed, so it takes a run of its own.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct cost {
    double user_s, system_s;
    uint64_t peak_kib;
    int exit_code;
};

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* Proportional set size: pages that processes share count once in the sum. */
static uint64_t process_kib(long pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0; /* it ended a moment ago */
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pss: %lu", &kib) == 1)
            break;
    }
    fclose(file);
    return kib;
}

static uint64_t tree_kib(long pid);

/* The kernel lists a process's children by the thread that started them. */
static uint64_t children_kib(long pid, const char *thread)
{
    char path[320];
    uint64_t kib = 0;
    long child;
    snprintf(path, sizeof path, "/proc/%ld/task/%s/children", pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fscanf(file, "%ld", &child) == 1)
        kib += process_kib(child) + tree_kib(child);
    fclose(file);
    return kib;
}

/* All descendants of a process, without itself. */
static uint64_t tree_kib(long pid)
{
    char path[64];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] != '.')
            kib += children_kib(pid, entry->d_name);
    }
    closedir(threads);
    return kib;
}

static pid_t launch(char **command)
{
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        fprintf(stderr, "measure: cannot run \"%s\": %s\n", command[0], strerror(errno));
        _exit(127);
    }
    bench_must(pid > 0, "fork");
    return pid;
}

static void sample_memory(struct cost *cost)
{
    uint64_t kib = tree_kib(getpid());
    if (kib > cost->peak_kib)
        cost->peak_kib = kib;
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

/* Reaps until no descendant is left; rusage of each includes those it has waited for itself. */
static void reap_all(pid_t command, bool memory, struct cost *cost)
{
    for (;;) {
        struct rusage usage;
        int status;
        pid_t pid = wait4(-1, &status, memory ? WNOHANG : 0, &usage);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return;
        if (pid == 0) {
            sample_memory(cost);
            continue;
        }
        cost->user_s += seconds(usage.ru_utime);
        cost->system_s += seconds(usage.ru_stime);
        if (pid == command)
            cost->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
}

static void report(const char *path, double wall_s, const struct cost *cost)
{
    FILE *file = fopen(path, "we");
    bench_must(file != NULL, "opening the report");
    fprintf(file,
            "{\"wall_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f, \"peak_kib\": %llu, "
            "\"exit_code\": %d}\n",
            wall_s, cost->user_s, cost->system_s, (unsigned long long)cost->peak_kib,
            cost->exit_code);
    bench_must(fclose(file) == 0, "writing the report");
}

int main(int argc, char **argv)
{
    bool memory = argc > 2 && strcmp(argv[2], "-m") == 0;
    int command = memory ? 3 : 2;
    if (argc <= command) {
        fprintf(stderr, "usage: measure REPORT [-m] COMMAND [ARGUMENT...]\n");
        return 2;
    }
    bench_must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "becoming a subreaper");
    signal(SIGCHLD, SIG_DFL); /* an ignored one would take the children's CPU time with it */
    struct cost cost = { .exit_code = 127 };
    uint64_t start = bench_now();
    pid_t pid = launch(argv + command);
    reap_all(pid, memory, &cost);
    report(argv[1], (double)(bench_now() - start) / 1e9, &cost);
    return cost.exit_code;
}
