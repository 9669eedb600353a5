/* SPDX-License-Identifier: MIT */
/*
 * Deaths in the middle of the allocator of shared memory: of a process between any two of its
 * instructions, and of a program while several processes use it.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>

#include "base/atomic.h"
#include "common.h"
#include "process/shared.h"
#include "process/units.h"
#include "process/zygote.h"

/* ---- between any two instructions */

enum { SLAB_UNITS_MAX = 16, RUN_UNITS = 70, RUN_BYTES = RUN_UNITS << 12 };

static size_t units_used(void)
{
    size_t used = 0;
    for (size_t word = 0; word < units.shared->top; word++)
        used += (size_t)__builtin_popcountll(units.used[word]);
    return used;
}

/* Looks whether blocks of many sizes are zeroed and belong to one owner each. */
static void expect_a_sound_heap(void)
{
    static const size_t sizes[] = { 64, 100, 3000, 8192, 20000, RUN_BYTES };
    enum { SIZES = sizeof sizes / sizeof *sizes, EACH = 3 };
    unsigned *blocks[SIZES * EACH];
    for (unsigned i = 0; i < SIZES * EACH; i++) {
        blocks[i] = weft_shared_alloc(sizes[i % SIZES]);
        EXPECT_TRUE(blocks[i]);
        EXPECT_EQ(blocks[i][0], 0);
        EXPECT_EQ(blocks[i][sizes[i % SIZES] / sizeof(unsigned) - 1], 0);
        blocks[i][0] = blocks[i][sizes[i % SIZES] / sizeof(unsigned) - 1] = i + 1;
    }
    for (unsigned i = 0; i < SIZES * EACH; i++) {
        EXPECT_EQ(blocks[i][0], i + 1);
        weft_shared_free(blocks[i]);
    }
}

/* Starts a child that will run act(), and stops it before. It is forked as weft forks: to a fork of
 * the user's own, shared memory would give nothing. */
static pid_t start_stopped(void (*act)(void))
{
    int status;
    pid_t pid = zygote_fork();
    EXPECT_GE(pid, 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(errno);
        raise(SIGSTOP);
        act();
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        SKIP("ptrace: %s", strerror(WEXITSTATUS(status)));
    return pid;
}

/* Has it run one instruction. False: it has ended. */
static bool step(pid_t pid)
{
    int status;
    EXPECT_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFSTOPPED(status) || status == 0);
    return WIFSTOPPED(status);
}

/* What stands still for ever between two instructions is as good as dead, to others; and what goes
 * on after others have done much must cope with that, too. Returns how many instructions it was. */
static unsigned stop_everywhere(void (*act)(void))
{
    unsigned instructions = 0;
    size_t before = units_used();
    for (pid_t pid = start_stopped(act); step(pid); instructions++)
        expect_a_sound_heap();
    EXPECT_LE(units_used(), before + SLAB_UNITS_MAX); /* nobody died: nothing was lost, but an */
    return instructions;                              /* empty slab may wait for its next block */
}

/* A death may cost what the child was given, or the units of one slab; nothing else. Returns
 * whether it died: where deaths have left holes, it may have found its memory sooner, and have
 * ended. */
static bool kill_at(unsigned instructions, void (*act)(void))
{
    size_t before = units_used();
    pid_t pid = start_stopped(act);
    bool lives = true;
    for (unsigned i = 0; i < instructions && lives; i++)
        lives = step(pid);
    if (lives) {
        EXPECT_EQ(kill(pid, SIGKILL), 0);
        EXPECT_EQ(waitpid(pid, &(int){ 0 }, 0), pid);
    }
    EXPECT_LE(units_used(), before + RUN_UNITS + SLAB_UNITS_MAX);
    expect_a_sound_heap();
    return lives;
}

static void die_everywhere(void (*arrange)(void), void (*act)(void), void (*tidy)(void))
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("single steps through a sanitizer or an emulator");
    enum { KILLS = 40 };
    begin();
    expect_a_sound_heap();
    arrange();
    unsigned instructions = stop_everywhere(act);
    tidy();
    EXPECT_GT(instructions, 100); /* it was in the allocator's */
    unsigned kills = 0;
    for (unsigned i = 0; i < KILLS; i++) {
        arrange();
        kills += kill_at(i * instructions / KILLS, act);
        tidy();
        expect_a_sound_heap();
    }
    EXPECT_GT(kills, KILLS / 2);
}

static void nothing(void)
{
}

/* In the child: what it was refused, it could not die of. */
static void take_and_free(void *block)
{
    if (!block)
        _exit(ENOMEM);
    weft_shared_free(block);
}

static void take_and_free_small(void)
{
    take_and_free(weft_shared_alloc(100));
}

TEST(shared_memory_survives_death_at_any_instruction_of_a_small_block)
{
    die_everywhere(nothing, take_and_free_small, nothing);
}

static void take_and_free_large(void)
{
    take_and_free(shared_alloc_dirty(RUN_BYTES)); /* clearing it would be most of the steps */
}

TEST(shared_memory_survives_death_at_any_instruction_of_a_large_block)
{
    die_everywhere(nothing, take_and_free_large, nothing);
}

static void keep_no_pages(void)
{
    units.kept_max = 0;
}

TEST(shared_memory_survives_death_at_any_instruction_of_giving_pages_back)
{
    die_everywhere(keep_no_pages, take_and_free_large, nothing);
}

static void keep_few_pages(void)
{
    units.kept_max = RUN_UNITS + 1;
}

TEST(shared_memory_survives_death_at_any_instruction_of_giving_others_pages_back)
{
    die_everywhere(keep_few_pages, take_and_free_large, nothing);
}

/* Slabs of 21 blocks: all of the class are full, but for one block of the last if there is room. */
enum { BLOCK_BYTES = 3000, BLOCKS = 21 };
static void *held[4096];
static size_t held_count;

static void hold_one(void)
{
    EXPECT_LT(held_count, 4096);
    held[held_count] = weft_shared_alloc(BLOCK_BYTES);
    EXPECT_TRUE(held[held_count++]);
}

static void fill_slabs(void)
{
    size_t before = units_used();
    while (units_used() == before)
        hold_one();
    for (int i = 1; i < BLOCKS; i++)
        hold_one();
}

static void free_held(void)
{
    while (held_count > 0)
        weft_shared_free(held[--held_count]);
}

static void take_small_of_a_new_slab(void)
{
    take_and_free(weft_shared_alloc(BLOCK_BYTES));
}

TEST(shared_memory_survives_death_at_any_instruction_of_beginning_a_slab)
{
    die_everywhere(fill_slabs, take_small_of_a_new_slab, free_held);
}

static void *last;

static void leave_one_in_a_slab(void)
{
    fill_slabs();
    last = weft_shared_alloc(BLOCK_BYTES);
    weft_shared_free(held[--held_count]); /* room elsewhere, so that an empty slab may go */
}

static void free_last(void)
{
    weft_shared_free(last);
}

TEST(shared_memory_survives_death_at_any_instruction_of_ending_a_slab)
{
    die_everywhere(leave_one_in_a_slab, free_last, free_held);
}

/* ---- of the program */

enum { PROCESSES = 4 };

/* What a program tells its parent before it is killed. */
struct news {
    pid_t zygote, processes[PROCESSES];
    unsigned long inode; /* of the range */
};

static int use_shared_memory(weft_call *call)
{
    uint32_t *rounds = *(uint32_t *const *)call->arg, random = (uint32_t)getpid();
    void *blocks[64] = { 0 };
    for (;;) {
        random = random * 1664525u + 1013904223u;
        void **block = &blocks[random >> 26];
        weft_shared_free(*block);
        *block = weft_shared_alloc((size_t)1 << (random >> 8) % 20);
        if (!*block)
            return -ENOMEM;
        add_release(rounds, 1); /* release: with the program's acquire */
    }
}

/* The inode behind the mapping of an address; 0: there is none. */
static unsigned long inode_at(const char *maps, const void *address)
{
    unsigned long begin, end, inode, found = 0;
    char line[512];
    FILE *file = fopen(maps, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "%lx-%lx %*s %*s %*s %lu", &begin, &end, &inode) == 3 &&
            (unsigned long)address - begin < end - begin)
            found = inode;
    if (file)
        fclose(file);
    return found;
}

static void run_until_killed(int fd)
{
    struct news news = { 0 };
    uint32_t *rounds;
    EXPECT_EQ(weft_init(), 0);
    rounds = weft_shared_alloc(sizeof *rounds);
    news.zygote = zygote_id();
    for (int i = 0; i < PROCESSES; i++) {
        struct worker *process = open_worker();
        news.processes[i] = worker_id(process);
        start(process, use_shared_memory, &rounds, sizeof rounds);
    }
    while (load_acquire(rounds) < 10000) /* acquire: with use_shared_memory() */
        sched_yield();
    news.inode = inode_at("/proc/self/maps", rounds);
    EXPECT_EQ(write(fd, &news, sizeof news), sizeof news);
    for (;;)
        pause();
}

static bool has_mapping(const char *pid, unsigned long inode)
{
    char path[300], line[512];
    unsigned long its;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (strstr(line, "memfd:weft-shared") && sscanf(line, "%*s %*s %*s %*s %lu", &its) == 1 &&
            its == inode)
            found = true;
    if (file)
        fclose(file);
    return found;
}

static void expect_nothing_left(unsigned long inode)
{
    struct dirent *entry;
    DIR *processes = opendir("/proc"), *names = opendir("/dev/shm");
    EXPECT_TRUE(processes);
    while ((entry = readdir(processes)))
        EXPECT_FALSE(has_mapping(entry->d_name, inode));
    while (names && (entry = readdir(names)))
        EXPECT_FALSE(strstr(entry->d_name, "weft"));
    closedir(processes);
    if (names)
        closedir(names);
}

TEST(shared_memory_leaves_nothing_behind_when_the_program_is_killed)
{
    int ends[2], status;
    struct news news;
    EXPECT_EQ(pipe(ends), 0);
    pid_t program = run_program(run_until_killed, ends[1]);
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &news, sizeof news), sizeof news);
    close(ends[0]);
    EXPECT_NE(news.inode, 0);
    int zygote = descriptors_of_process(news.zygote), processes[PROCESSES];
    for (int i = 0; i < PROCESSES; i++)
        processes[i] = descriptors_of_process(news.processes[i]);
    EXPECT_EQ(kill(program, SIGKILL), 0);
    EXPECT_EQ(waitpid(program, &status, 0), program);
    for (int i = 0; i < PROCESSES; i++)
        await_end(processes[i]);
    await_end(zygote);
    expect_nothing_left(news.inode);
}
