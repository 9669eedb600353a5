/* SPDX-License-Identifier: MIT */
/*
 * The program that test_gdb.py looks at: tasks that wait in functions whose names say for what.
 * They share one worker with everything_is_parked(), so once that runs the others have left their
 * stacks.
 */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <weft.h>

enum { OTHERS = 4 };

static weft_semaphore about_to_park = WEFT_SEMAPHORE_INIT(0);
static weft_event never = WEFT_EVENT_INIT;
static int ends[2];

/* A program may have names that the library has too, and each means its own. */
static struct task {
    int other;
} slabs[1];

__attribute__((noinline)) static int wait_for_the_event(int depth)
{
    int rc = depth ? wait_for_the_event(depth - 1) : weft_event_wait(&never, WEFT_FOREVER);
    return rc + depth; /* so that the callers' frames are there */
}

static int event_waiter(weft_call *call)
{
    (void)call;
    weft_semaphore_release(&about_to_park, 1);
    return wait_for_the_event(3);
}

__attribute__((noinline)) static int sleep_for_long(void)
{
    int rc = weft_sleep_until(weft_after(1000 * WEFT_S));
    return rc + 1;
}

static int sleeper(weft_call *call)
{
    (void)call;
    weft_semaphore_release(&about_to_park, 1);
    return sleep_for_long();
}

__attribute__((noinline)) static int wait_for_the_pipe(int fd)
{
    int rc = weft_fd_wait(fd, POLLIN, WEFT_FOREVER);
    return rc + 1;
}

static int reader(weft_call *call)
{
    (void)call;
    weft_semaphore_release(&about_to_park, 1);
    return wait_for_the_pipe(ends[0]);
}

static int ends_at_once(weft_call *call)
{
    (void)call;
    weft_semaphore_release(&about_to_park, 1);
    return 0;
}

__attribute__((noinline)) static int everything_is_parked(int others)
{
    __asm__ volatile("" : "+r"(others)); /* a call without effect would be left out */
    return others;
}

static weft_group *started(const char *name, weft_fn *fn)
{
    weft_group *group;
    if (weft_group_open(&group, WEFT_TASKS, &(weft_options){ .name = name }) < 0 ||
        weft_group_submit(group, fn, NULL, 0, NULL, WEFT_FOREVER) < 0)
        exit(1);
    return group;
}

static int observer(weft_call *call)
{
    for (int i = 0; i < OTHERS; i++)
        if (weft_semaphore_acquire(&about_to_park, WEFT_FOREVER) < 0)
            exit(1);
    weft_group *later = started("later", ends_at_once);
    int others = everything_is_parked(OTHERS);
    weft_group_close(later);
    return weft_call_return(call, &others, sizeof others);
}

int main(void)
{
    setenv("WEFT_WORKERS", "1", 1);
    if (pipe(ends) != 0)
        return 1;
    weft_group *groups[] = { started("event", event_waiter), started("sleeper", sleeper),
                             started("reader", reader), started("short", ends_at_once) };
    weft_group *last = started("observer", observer);
    (void)!weft_group_join(last, WEFT_FOREVER);
    weft_group_close(last);
    for (int i = 0; i < OTHERS; i++) {
        weft_group_cancel(groups[i]);
        weft_group_close(groups[i]);
    }
    return slabs[0].other;
}
