/* SPDX-License-Identifier: MIT */
/*
 * Strands for tests: strands.h says what it promises.
 *
 * Each strand shows its record (park/strand.h) while it runs. From that one can see whether it
 * sleeps: its nodes are queued before its token says so, and nobody has decided its wait yet. A
 * record dies with its thread, so looking at it excludes its end by a mutex, which the strand takes
 * only before and after the test's function: it orders nothing that the test is about.
 *
 * A process's record is in its own memory. It is read from there, by process_vm_readv(), which each
 * process allows. What the processes and the test share lies in shared memory, which is made after
 * the zygote was forked: each process is told where it is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <weft/group.h>
#include <weft/program.h>

#include "harness.h"
#include "park/strand.h"
#include "strands.h"
#include "workers.h"

enum { TOKEN_SLEEPING = 2 }; /* as in park/thread.c and task/worker.c */

enum kind { THREADS, FOREIGN, TASKS, MIXED, SHARED_THREADS, SHARED_TASKS, PROCESSES };

struct member {
    struct strands *all;
    size_t index;
    pthread_mutex_t mutex;
    struct strand *record; /* guarded by mutex: NULL before it runs and after */
    pid_t pid;             /* guarded by mutex: of the process in which that is */
    pid_t tid;             /* guarded by mutex: of the thread that runs it; tasks stay on theirs */
    bool ended;            /* guarded by mutex */
    bool killed;           /* the test's own: whoever held the mutex may be dead */
    pthread_t thread;      /* kind foreign */
    weft_future *future;   /* the other kinds */
};

struct strands {
    void (*fn)(size_t index);
    enum kind kind;
    void *state;               /* the test's, of strands_keep() */
    weft_group *group, *tasks; /* NULL: not of this kind */
    size_t n;
    struct member members[];
};

/* What the test keeps in common with its strands: strands_keep(). */
static void **state_place;
static size_t state_bytes;

static void show(struct member *member, struct strand *record, bool ended)
{
    pthread_mutex_lock(&member->mutex);
    member->record = record;
    member->pid = getpid();
    member->tid = gettid();
    member->ended = ended;
    pthread_mutex_unlock(&member->mutex);
}

static void run(struct member *member)
{
    show(member, strand_self(), false);
    member->all->fn(member->index);
    show(member, NULL, true);
}

static void *run_foreign(void *member)
{
    run(member);
    return NULL;
}

static int run_call(weft_call *call)
{
    run(*(struct member *const *)call->arg);
    return 0;
}

static int run_process(weft_call *call)
{
    struct member *member = *(struct member *const *)call->arg;
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* without it some systems let nobody read */
    if (state_place)
        *state_place = member->all->state;
    return run_call(call);
}

static enum kind kind_under_test(void)
{
    static const char *const names[] = { "threads",        "foreign",      "tasks",    "mixed",
                                         "shared-threads", "shared-tasks", "processes" };
    const char *said = getenv("WEFT_TEST_STRANDS");
    for (size_t i = 0; said && i < sizeof names / sizeof *names; i++)
        if (strcmp(said, names[i]) == 0)
            return (enum kind)i;
    if (said)
        FAIL("WEFT_TEST_STRANDS=%s: no such kind of strand", said);
    return THREADS;
}

static bool has_tasks(enum kind kind)
{
    return kind == TASKS || kind == MIXED || kind == SHARED_TASKS;
}

bool strands_share(void)
{
    return kind_under_test() >= SHARED_THREADS;
}

bool strands_are_processes(void)
{
    return kind_under_test() == PROCESSES;
}

void *strands_alloc(size_t bytes)
{
    void *memory = strands_share() ? weft_shared_alloc(bytes) : calloc(1, bytes);
    EXPECT_TRUE(memory);
    return memory;
}

void strands_free(void *memory)
{
    if (strands_share())
        weft_shared_free(memory);
    else
        free(memory);
}

void strands_keep(void **place, size_t bytes)
{
    state_place = place;
    state_bytes = bytes;
}

static void prepare_shared_memory(void)
{
    NEEDS_PROCESSES();
    int rc = weft_init();
    if (rc == -EBUSY && HARNESS_SANITIZED)
        SKIP("the sanitizer has made a thread before main");
    EXPECT_EQ(rc, 0);
}

/* The workers' descriptors are none of a test's. Processes must be prepared for before there are
 * threads: a test may want some beside its tasks. */
static void prepare(void)
{
    enum kind kind = kind_under_test();
    if (strands_share())
        prepare_shared_memory();
    else if (has_tasks(kind))
        (void)!weft_init();
    if (has_tasks(kind))
        workers_make_all();
    if (state_place)
        *state_place = strands_alloc(state_bytes);
}

__attribute__((constructor)) static void register_prepare(void)
{
    harness_prepare_by(prepare);
}

static weft_group *open_group(weft_kind kind)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, kind, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    return group;
}

/* The group that runs a member: of both kinds in turn, if the kind is mixed. */
static weft_group *group_of(const struct member *member)
{
    const struct strands *all = member->all;
    bool task = all->tasks && (!all->group || member->index % 2);
    return task ? all->tasks : all->group;
}

static void start(struct member *member)
{
    enum kind kind = member->all->kind;
    if (kind == FOREIGN)
        EXPECT_EQ(pthread_create(&member->thread, NULL, run_foreign, member), 0);
    else
        EXPECT_EQ(weft_group_submit(group_of(member), kind == PROCESSES ? run_process : run_call,
                                    &member, sizeof member, &member->future, WEFT_FOREVER),
                  0);
}

/* Whether all run, or have. What is cancelled before that would never run at all. */
static bool begun(struct strands *strands)
{
    size_t n = 0;
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        pthread_mutex_lock(&member->mutex);
        n += member->record || member->ended;
        pthread_mutex_unlock(&member->mutex);
    }
    return n == strands->n;
}

static void init_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
}

struct strands *strands_start(size_t n, void (*fn)(size_t index))
{
    struct strands *strands = strands_alloc(sizeof *strands + n * sizeof *strands->members);
    enum kind kind = kind_under_test();
    strands->fn = fn;
    strands->n = n;
    strands->kind = kind;
    strands->state = state_place ? *state_place : NULL;
    if (kind == THREADS || kind == MIXED || kind == SHARED_THREADS)
        strands->group = open_group(WEFT_THREADS);
    if (kind == PROCESSES)
        strands->group = open_group(WEFT_PROCESSES);
    if (has_tasks(kind))
        strands->tasks = open_group(WEFT_TASKS);
    for (size_t i = 0; i < n; i++) {
        struct member *member = &strands->members[i];
        member->all = strands;
        member->index = i;
        init_mutex(&member->mutex);
        start(member);
    }
    UNTIL(begun(strands));
    return strands;
}

/* Copies from another process's memory; QEMU's user mode has only files for that. */
static ssize_t read_memory(pid_t pid, const void *address, void *ret, size_t bytes)
{
    struct iovec here = { ret, bytes }, there = { (void *)address, bytes };
    ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);
    if (n >= 0 || errno != ENOSYS)
        return n;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = pread(fd, ret, bytes, (off_t)(uintptr_t)address);
    close(fd);
    return n;
}

/* A word of a member's record, from its process. 0 if that has gone, which says that it runs. */
static uint32_t read_word(const struct member *member, const uint32_t *word)
{
    uint32_t value = 0;
    ssize_t n = read_memory(member->pid, word, &value, sizeof value);
    if (n < 0 && (errno == EPERM || errno == EACCES))
        SKIP("this system does not let one process look into another");
    return n == sizeof value ? value : 0;
}

static bool sleeps_elsewhere(const struct member *member)
{
    return read_word(member, &member->record->token) == TOKEN_SLEEPING &&
           strand_waits(read_word(member, &member->record->decision));
}

static bool sleeps_here(const struct member *member)
{
    struct strand *record = member->record;
    /* acquire: its nodes were queued before it said that it sleeps */
    if (load_acquire(&record->token) != TOKEN_SLEEPING)
        return false;
    return strand_waits(load_acquire(&record->decision));
}

/* Whether the kernel has the thread asleep: not even about to run. */
static bool thread_sleeps(pid_t pid, pid_t tid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    (void)!fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end && strncmp(name_end, ") S", 3) == 0;
}

/* The kernel wakes one that sleeps on a word in shared memory, and its record does not say so until
 * it runs. */
static bool sleeps(const struct member *member)
{
    enum kind kind = member->all->kind;
    if (kind == PROCESSES ? !sleeps_elsewhere(member) : !sleeps_here(member))
        return false;
    bool by_itself = kind == SHARED_THREADS || kind == PROCESSES;
    return !by_itself || thread_sleeps(member->pid, member->tid);
}

/* Nor does a task's, until whoever watches the word for it has run: its worker, or a thread that
 * helps. So whether all threads sleep but the caller's. */
static bool others_sleep(void)
{
    DIR *threads = opendir("/proc/self/task");
    EXPECT_TRUE(threads);
    bool all = true;
    for (struct dirent *it; all && (it = readdir(threads));) {
        pid_t tid = (pid_t)strtol(it->d_name, NULL, 10); /* 0: not a thread's */
        all = !tid || tid == gettid() || thread_sleeps(getpid(), tid);
    }
    closedir(threads);
    return all;
}

enum { ASLEEP = 1, ENDED = 2 };

static size_t count(struct strands *strands, int what)
{
    size_t n = 0;
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        if (member->killed) {
            n += (what & ENDED) != 0;
            continue;
        }
        pthread_mutex_lock(&member->mutex);
        n += member->record ? (what & ASLEEP) && sleeps(member) : member->ended && (what & ENDED);
        pthread_mutex_unlock(&member->mutex);
    }
    return n;
}

size_t strands_asleep(struct strands *strands)
{
    return count(strands, ASLEEP);
}

size_t strands_ended(struct strands *strands)
{
    return count(strands, ENDED);
}

/* Each strand is looked at in turn, so one look may see a strand that sleeps on a lock before the
 * holder gives it up and another after it went to sleep itself. For that, somebody must be woken
 * during the look; every strand passes only so many locks on its way, so of enough looks in a row
 * one saw all of them asleep at the same time, and then nobody is left to wake them. */
void strands_until_asleep(struct strands *strands)
{
    for (size_t looks = 0; looks < 2 * strands->n + 2;) {
        if (count(strands, ASLEEP | ENDED) == strands->n &&
            (strands->kind != SHARED_TASKS || others_sleep())) {
            looks++;
        } else {
            looks = 0;
            strands_yield();
        }
    }
}

void strands_must_be_cancellable(void)
{
    if (kind_under_test() == FOREIGN)
        SKIP("threads that weft did not make cannot be cancelled");
    if (kind_under_test() == PROCESSES)
        SKIP("a process that is cancelled may be killed");
}

void strands_cancel(struct strands *strands, size_t index)
{
    strands_must_be_cancellable();
    weft_future_cancel(strands->members[index].future);
}

void strands_cancel_all(struct strands *strands)
{
    for (size_t i = 0; i < strands->n; i++)
        strands_cancel(strands, i);
}

void strands_must_be_processes(void)
{
    if (!strands_are_processes())
        SKIP("it is about processes");
}

int strands_pid(struct strands *strands, size_t index)
{
    return strands->members[index].pid;
}

void strands_kill(struct strands *strands, size_t index)
{
    struct member *member = &strands->members[index];
    member->killed = true;
    EXPECT_TRUE(kill(member->pid, SIGKILL) == 0 || errno == ESRCH);
    EXPECT_EQ(weft_future_wait(member->future, WEFT_FOREVER), -ECHILD);
}

void strands_join(struct strands *strands)
{
    for (size_t i = 0; i < strands->n; i++) {
        struct member *member = &strands->members[i];
        if (strands->kind == FOREIGN) {
            EXPECT_EQ(pthread_join(member->thread, NULL), 0);
        } else {
            EXPECT_EQ(weft_future_wait(member->future, WEFT_FOREVER), member->killed ? -ECHILD : 0);
            weft_future_close(member->future);
        }
        pthread_mutex_destroy(&member->mutex);
    }
    weft_group_close(strands->group);
    weft_group_close(strands->tasks);
    strands_free(strands);
}

/* Sanitizers hand a pending signal over in calls that may block; sched_yield() is none of those. */
void strands_yield(void)
{
    struct strand *self = strand_self();
    if (HARNESS_SANITIZED)
        poll(NULL, 0, 0);
    self->ops->yield(self);
}
