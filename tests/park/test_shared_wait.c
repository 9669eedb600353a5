/* SPDX-License-Identifier: MIT */
/* Waits for words in memory that processes share, alone and beside private ones. */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/scope.h>

#include "harness.h"
#include "park/park.h"
#include "strands.h"

static uint32_t private_word;
static uint32_t *shared; /* some words */
static atomic_int results[4];

static void map(void)
{
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(shared != MAP_FAILED);
}

static struct park_node node_of(uint32_t *word)
{
    return park_shared_node(word, 0, death_epoch());
}

/* Changes a word and wakes one waiter of it, from another process. */
static void set_elsewhere(uint32_t *word)
{
    int status;
    pid_t pid = fork();
    EXPECT_GE(pid, 0);
    if (pid == 0) {
        store_release(word, 1);
        park_wake_shared(word, 1);
        _exit(0);
    }
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
}

static void wait_for_two(size_t index)
{
    struct park_node nodes[] = { { .word = &private_word }, node_of(&shared[0]) };
    atomic_store(&results[index], park_wait(nodes, 2, WEFT_FOREVER, 0));
}

TEST(a_word_of_another_process_ends_a_wait)
{
    map();
    struct strands *waiter = strands_start(1, wait_for_two);
    strands_until_asleep(waiter);
    set_elsewhere(&shared[0]);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&results[0]), 1);
}

TEST(a_private_word_ends_a_wait_that_is_for_a_shared_one_too)
{
    map();
    struct strands *waiter = strands_start(1, wait_for_two);
    strands_until_asleep(waiter);
    store_release(&private_word, 1);
    EXPECT_EQ(park_wake(&private_word, 1, 7), 1);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&results[0]), 0);
    EXPECT_FALSE(park_maybe_waited_for(&private_word));
}

static void wait_for_all(size_t index)
{
    struct park_node nodes[PARK_NODES_MAX];
    for (size_t i = 0; i < PARK_NODES_MAX; i++)
        nodes[i] = node_of(&shared[i]);
    atomic_store(&results[index], park_wait(nodes, PARK_NODES_MAX, WEFT_FOREVER, 0));
}

TEST(each_of_the_most_words_ends_a_wait)
{
    static const size_t words[] = { 0, 1, PARK_NODES_MAX - 1 };
    map();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct strands *waiter = strands_start(1, wait_for_all);
        strands_until_asleep(waiter);
        store_release(&shared[words[i]], 1);
        park_wake_shared(&shared[words[i]], 1);
        strands_join(waiter);
        EXPECT_EQ(atomic_load(&results[0]), (int)words[i]);
        store_release(&shared[words[i]], 0);
    }
}

TEST(wake_ups_for_one_each_reach_all)
{
    map();
    struct strands *waiters = strands_start(4, wait_for_two);
    strands_until_asleep(waiters);
    store_release(&shared[0], 1);
    for (int i = 0; i < 4; i++)
        park_wake_shared(&shared[0], 1);
    strands_join(waiters);
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(atomic_load(&results[i]), 1);
}

TEST_IN_STRAND(a_word_that_has_changed_is_not_waited_for)
{
    map();
    struct park_node node = node_of(&shared[0]);
    shared[0] = 5;
    EXPECT_EQ(park_wait(&node, 1, WEFT_FOREVER, 0), -EAGAIN);
}

TEST_IN_STRAND(time_passes_and_scopes_end_it)
{
    map();
    struct park_node node = node_of(&shared[0]);
    int rc;
    while ((rc = park_wait(&node, 1, weft_after(WEFT_MS), 0)) == 0)
        ; /* for nothing */
    EXPECT_EQ(rc, -ETIMEDOUT);
    weft_scope scope;
    weft_scope_enter(&scope, weft_after(WEFT_MS), 0);
    while ((rc = park_wait(&node, 1, WEFT_FOREVER, 0)) == 0)
        ;
    EXPECT_EQ(rc, -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
}

TEST(cancellation_ends_it)
{
    strands_must_be_cancellable();
    map();
    struct strands *waiter = strands_start(1, wait_for_two);
    strands_until_asleep(waiter);
    strands_cancel(waiter, 0);
    strands_join(waiter);
    EXPECT_EQ(atomic_load(&results[0]), -ECANCELED);
}

TEST(a_death_ends_it)
{
    map();
    uint32_t number = participant_add();
    EXPECT_NE(number, 0);
    EXPECT_FALSE(participant_is_dead(number));
    struct strands *waiters = strands_start(2, wait_for_two);
    strands_until_asleep(waiters);
    participant_bury(number);
    strands_join(waiters);
    EXPECT_EQ(atomic_load(&results[0]), 1);
    EXPECT_EQ(atomic_load(&results[1]), 1);
    EXPECT_TRUE(participant_is_dead(number));
}

TEST_IN_STRAND(a_death_before_the_wait_is_not_slept_through)
{
    map();
    uint32_t number = participant_add();
    struct park_node node = node_of(&shared[0]);
    participant_bury(number);
    EXPECT_EQ(park_wait(&node, 1, WEFT_FOREVER, 0), -EAGAIN);
}

static int waits[5];

static void count_wait(pid_t pid)
{
    waits[pid]++;
}

/* As the program finds it when a zygote has died, number 1; another, number 2, has not. */
TEST(who_dies_with_a_zygote_is_buried_by_the_program)
{
    static struct participants table;
    participants_open(&table);
    uint32_t program = participant_self, numbers[3];
    for (int i = 0; i < 3; i++) {
        numbers[i] = participant_add();
        table.slots[i + 1].pid = i + 2;
        table.slots[i + 1].parent = i == 1 ? 2 : 1;
    }
    participant_self = numbers[0];
    participants_bury_family(2, count_wait); /* by another than the program: nothing */
    participant_self = program;
    participants_bury_family(5, count_wait);
    EXPECT_FALSE(participant_is_dead(numbers[0]));
    participants_bury_family(4, count_wait);
    EXPECT_FALSE(participant_is_dead(program));
    EXPECT_TRUE(participant_is_dead(numbers[0]));
    EXPECT_FALSE(participant_is_dead(numbers[1]));
    EXPECT_TRUE(participant_is_dead(numbers[2]));
    EXPECT_EQ(death_epoch(), 2);
    EXPECT_TRUE(waits[1] == 1 && waits[2] == 1 && waits[3] == 0 && waits[4] == 1);
}

TEST(numbers_of_participants_come_back_late)
{
    uint32_t first = participant_add();
    participant_bury(first);
    EXPECT_TRUE(participant_is_dead(first));
    for (unsigned i = 0; i < 2 * PARTICIPANTS_MAX; i++) {
        uint32_t number = participant_add();
        EXPECT_NE(number, first);
        EXPECT_EQ(number >> PARTICIPANT_BITS, 0);
        participant_bury(number);
    }
}

TEST(there_are_so_many_participants_at_most)
{
    unsigned count = participant_self != 0; /* where the harness has prepared for processes */
    while (participant_add())
        count++;
    EXPECT_EQ(count, PARTICIPANTS_MAX);
}
