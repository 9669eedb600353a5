/* SPDX-License-Identifier: MIT */
/* What shared memory does at the system's limits and its own, and what becomes of freed memory. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "common.h"
#include "process/shared.h"
#include "process/units.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define MIB ((size_t)1 << 20)

static bool in_core(const char *address)
{
    unsigned char bits;
    uintptr_t page = (uintptr_t)address & ~(uintptr_t)(units.page_bytes - 1);
    EXPECT_EQ(mincore((void *)page, units.page_bytes, &bits), 0);
    return bits & 1;
}

static void limit(int which, rlim_t bytes)
{
    EXPECT_EQ(setrlimit(which, &(struct rlimit){ bytes, RLIM_INFINITY }), 0);
}

static bool is_zero(const char *memory, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (memory[i])
            return false;
    return true;
}

/* ---- freed memory */

TEST(shared_memory_keeps_the_pages_of_freed_blocks)
{
    begin();
    char *block = weft_shared_alloc(16 * MIB);
    memset(block, 1, 16 * MIB);
    weft_shared_free(block);
    EXPECT_TRUE(in_core(block + 8 * MIB));
    EXPECT_EQ(shared_alloc_dirty(16 * MIB), block); /* what is warm is given first, as it is */
    EXPECT_EQ(block[8 * MIB], 1);
    weft_shared_free(block);
    EXPECT_EQ(weft_shared_alloc(16 * MIB), block); /* but to a user only zeroed */
    EXPECT_TRUE(is_zero(block, 16 * MIB));
}

TEST(shared_memory_returns_the_pages_of_more_than_it_keeps)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode answers madvise() with success and does nothing");
    begin();
    units.kept_max = 8 * MIB / UNIT_BYTES;
    char *blocks[16];
    size_t kept = 0;
    for (int i = 0; i < 16; i++)
        memset(blocks[i] = shared_alloc_dirty(MIB), 1, MIB);
    for (int i = 0; i < 16; i++)
        weft_shared_free(blocks[i]);
    for (int i = 0; i < 16; i++)
        kept += in_core(blocks[i] + MIB / 2);
    EXPECT_GE(kept, 7);
    EXPECT_LE(kept, 8);
    char *all = weft_shared_alloc(16 * MIB);
    EXPECT_EQ(all, blocks[0]); /* 16 neighbours are one block again */
    EXPECT_TRUE(is_zero(all, 16 * MIB));
}

TEST(shared_memory_finds_out_that_it_keeps_less_than_it_thought)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode answers madvise() with success and does nothing");
    begin();
    char *block = shared_alloc_dirty(MIB);
    memset(block, 1, MIB);
    units.shared->kept = units.kept_max; /* as deaths may leave it */
    weft_shared_free(block);
    EXPECT_TRUE(in_core(block));
    EXPECT_LT(units.shared->kept, 2 * MIB / UNIT_BYTES);
}

TEST(shared_memory_keeps_the_pages_of_what_is_used_again_and_again)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode answers madvise() with success and does nothing");
    enum { HOLES = 3000 }; /* of two units each, which serve no larger block */
    static void *holes[2 * HOLES];
    begin();
    units.kept_max = 8 * MIB / UNIT_BYTES;
    for (int i = 0; i < 2 * HOLES; i++)
        holes[i] = weft_shared_alloc(2 * UNIT_BYTES + 1);
    for (int i = 0; i < 2 * HOLES; i += 2)
        weft_shared_free(holes[i]);
    int lost = 0;
    for (int i = 0; i < 100; i++) {
        char *block = shared_alloc_dirty(MIB);
        memset(block, 1, MIB);
        weft_shared_free(block);
        lost += !in_core(block + MIB / 2);
    }
    EXPECT_LE(lost, 5);
}

/* How many blocks of a size there are room for; all of them are freed again. */
static size_t fill(size_t bytes, void **blocks, size_t blocks_max)
{
    size_t n = 0;
    while (n < blocks_max && (blocks[n] = weft_shared_alloc(bytes)))
        memset(blocks[n++], 1, bytes);
    EXPECT_LT(n, blocks_max);
    for (size_t i = 0; i < n; i++)
        weft_shared_free(blocks[i * 7919 % n]); /* in no order; the number is prime */
    return n;
}

TEST(shared_memory_of_one_size_serves_every_other_afterwards)
{
    static const size_t sizes[] = { 64, MIB, 100, 8192, 5000, 100000, 3000, 256, 3 * MIB };
    static void *blocks[70000];
    limit(RLIMIT_FSIZE, 16 * MIB); /* a range of 4 MiB */
    begin();
    for (int again = 0; again < 2; again++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t n = fill(sizes[s], blocks, 70000);
            EXPECT_GE(n * sizes[s], sizes[s] == 64 ? 3 * MIB : 3 * MIB - sizes[s]);
        }
}

/* ---- the system's limits */

static void expect_a_working_range(void)
{
    char *block = weft_shared_alloc(100000);
    EXPECT_TRUE(block);
    memset(block, 1, 100000);
    weft_shared_free(block);
    struct worker *process = open_worker();
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    worker_close(process);
}

TEST(shared_memory_obeys_a_limit_of_file_sizes)
{
    limit(RLIMIT_FSIZE, 64 * MIB);
    begin();
    EXPECT_LE(units.count * UNIT_BYTES, 16 * MIB);
    expect_a_working_range();
}

TEST(shared_memory_needs_no_file_where_none_may_be_written)
{
    if (HARNESS_VALGRIND)
        SKIP("valgrind writes files of its own");
    limit(RLIMIT_FSIZE, 0);
    EXPECT_EQ(weft_init(), 0);
    limit(RLIMIT_FSIZE, RLIM_INFINITY); /* the harness writes to a file */
    begin();
    EXPECT_GT(units.count * UNIT_BYTES, 16 * MIB);
    expect_a_working_range();
}

TEST(shared_memory_does_not_fill_the_memory_that_a_program_locks)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("all that a sanitizer or an emulator maps would be locked");
    limit(RLIMIT_FSIZE, 64 * MIB); /* not 64 GiB, should it fail */
    if (mlockall(MCL_FUTURE) < 0)
        SKIP("mlockall: %s", strerror(errno));
    begin();
    EXPECT_FALSE(in_core(units.memory + MIB));
    expect_a_working_range();
}

TEST(shared_memory_reports_that_no_range_can_be_had)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("a sanitizer or an emulator needs its addresses");
    limit(RLIMIT_AS, 1 << 10); /* less than what is mapped already */
    EXPECT_EQ(weft_init(), -ENOMEM);
    limit(RLIMIT_AS, RLIM_INFINITY); /* the harness needs memory, and a C library may have none */
    EXPECT_EQ(weft_shared_alloc(64), NULL);
    EXPECT_FALSE(process_available());
}

/* ---- strict overcommit, as far as it can be had without changing the machine's setting: pages are
 * asked for when memory is given, and the system refuses them */

TEST(shared_memory_asks_for_pages_at_once_with_strict_overcommit)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode answers madvise() with success and does nothing");
    begin();
    char *lazy = shared_alloc_dirty(MIB);
    EXPECT_FALSE(in_core(lazy + MIB / 2));
    if (madvise(lazy, units.page_bytes, MADV_POPULATE_WRITE) < 0)
        SKIP("MADV_POPULATE_WRITE: %s", strerror(errno));
    units.reserves = true;
    char *large = weft_shared_alloc(MIB);
    for (size_t at = 0; at < MIB; at += UNIT_BYTES)
        EXPECT_TRUE(in_core(large + at));
    char *small = weft_shared_alloc(3000); /* the first of its slab of 64 KiB */
    EXPECT_TRUE(in_core(small + 60000));
}

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#else
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

/* From now on madvise(MADV_POPULATE_WRITE) fails, as it does where nothing may be committed. */
static bool refuse_pages(void)
{
#define WORD_OF(field)      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
    struct sock_filter code[] = {
        WORD_OF(arch),
        UNLESS(THIS_ARCH, 5),
        WORD_OF(nr),
        UNLESS(__NR_madvise, 3),
        WORD_OF(args[2]),
        UNLESS(MADV_POPULATE_WRITE, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EFAULT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(shared_memory_is_null_where_the_system_refuses_its_pages)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode has no seccomp");
    begin();
    char *small = weft_shared_alloc(3000), *warm = shared_alloc_dirty(MIB);
    memset(warm, 1, MIB);
    weft_shared_free(warm);
    if (!refuse_pages())
        SKIP("seccomp: %s", strerror(errno));
    units.reserves = true;
    EXPECT_EQ(weft_shared_alloc(8 * MIB), NULL);
    EXPECT_EQ(weft_shared_alloc(8 * MIB), NULL);
    EXPECT_EQ(weft_shared_alloc(MIB), warm); /* has its pages already */
    EXPECT_TRUE(is_zero(warm, MIB));
    EXPECT_EQ(weft_shared_alloc(700), NULL); /* needs a slab */
    EXPECT_TRUE(weft_shared_alloc(3000));    /* has one */
    weft_shared_free(small);
    weft_shared_free(warm);
    units.reserves = false; /* what was refused was given back whole */
    EXPECT_EQ(weft_shared_alloc(8 * MIB), warm);
}
