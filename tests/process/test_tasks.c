/* SPDX-License-Identifier: MIT */
/*
 * Processes that tasks start and end, and descriptors that they pass: what they wait for keeps no
 * other task of their worker from running. There is one worker, and what is waited for comes only
 * after another task has run: the zygote is stopped meanwhile, or a message is read by the other.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common.h"
#include "process/channel.h"

static weft_event waiting = WEFT_EVENT_INIT;

static weft_group *open_tasks(void)
{
    weft_group *group;
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    begin();
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, NULL), 0);
    return group;
}

static void start_task(weft_group *group, weft_fn *fn, void *pointer)
{
    EXPECT_EQ(weft_group_start(group, fn, pointer, WEFT_POINTER), 0);
}

static void end_tasks(weft_group *group)
{
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
}

static void stop_zygote(void)
{
    EXPECT_EQ(kill(zygote_id(), SIGSTOP), 0);
    while (state_of(zygote_id(), NULL) != 'T')
        sched_yield();
}

/* Runs once the other task waits, if that lets it. */
static int continue_zygote(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_event_wait(&waiting, WEFT_FOREVER), 0);
    EXPECT_EQ(kill(zygote_id(), SIGCONT), 0);
    return 0;
}

static int succeed(weft_call *call)
{
    (void)call;
    return 0;
}

static int start_process(weft_call *call)
{
    weft_group *group;
    (void)call;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, NULL), 0);
    weft_event_set(&waiting);
    EXPECT_EQ(weft_group_start(group, succeed, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    return 0;
}

TEST(starting_a_process_lets_other_tasks_run)
{
    weft_group *group = open_tasks();
    stop_zygote();
    start_task(group, continue_zygote, NULL);
    start_task(group, start_process, NULL);
    end_tasks(group);
}

/* The one socket of that type that there is after weft_init(): requests go through it. */
static void shrink_requests_socket(void)
{
    int found = 0, type, tiny = 1; /* the kernel makes it the least that it allows */
    for (int fd = 3; fd < 1024; fd++) {
        socklen_t size = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
            continue;
        EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny), 0);
        found++;
    }
    EXPECT_EQ(found, 1);
}

TEST(a_zygote_with_too_many_requests_lets_other_tasks_run)
{
    weft_group *group = open_tasks();
    shrink_requests_socket();
    stop_zygote();
    for (int i = 0; i < 16; i++)
        start_task(group, start_process, NULL);
    start_task(group, continue_zygote, NULL);
    end_tasks(group);
}

static int close_process(weft_call *call)
{
    weft_event_set(&waiting);
    worker_close(call->pointer);
    return 0;
}

TEST(closing_a_process_lets_other_tasks_run)
{
    weft_group *group = open_tasks();
    struct worker *process = open_worker();
    stop_zygote();
    start_task(group, continue_zygote, NULL);
    start_task(group, close_process, process);
    end_tasks(group);
}

static int pass_and_take(weft_call *call)
{
    int fd = -1;
    uint64_t ticket;
    (void)call;
    weft_event_set(&waiting);
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(weft_fd_pass(0, &ticket), 0);
        EXPECT_EQ(weft_fd_take(ticket, &fd), 0);
        close(fd);
    }
    return 0;
}

TEST(tasks_pass_and_take_while_others_run)
{
    weft_group *group = open_tasks();
    stop_zygote();
    for (int i = 0; i < 10; i++)
        start_task(group, pass_and_take, NULL);
    start_task(group, continue_zygote, NULL);
    end_tasks(group);
}

/* A message that the kernel has no room for at once, between two tasks. */
static struct channel channel;
static int sender;
static char message[8 << 20];

static int send_message(weft_call *call)
{
    (void)call;
    struct setup_head head = { .name = "five" };
    EXPECT_EQ(channel_send(sender, CHANNEL_SETUP, &head, sizeof head, message, sizeof message), 0);
    return 0;
}

static int receive_message(weft_call *call)
{
    (void)call;
    EXPECT_EQ(channel_receive(&channel, true), 0);
    EXPECT_STR(channel.head.setup.name, "five");
    EXPECT_EQ(channel.first.body_bytes, sizeof message);
    EXPECT_MEM(channel.body, message, sizeof message);
    return 0;
}

TEST(a_task_can_send_what_another_of_its_worker_receives)
{
    weft_group *group = open_tasks();
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    channel_init(&channel, ends[0]);
    sender = ends[1];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (char)(i * 31 + i / 257);
    start_task(group, receive_message, NULL);
    start_task(group, send_message, NULL);
    end_tasks(group);
    close(sender);
    channel_deinit(&channel);
}

static int be_cancelled_and_open(weft_call *call)
{
    struct worker **process = call->pointer;
    weft_event_set(&waiting);
    EXPECT_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(worker_start(process, NULL), 0);
    return 0;
}

TEST(a_cancelled_task_opens_a_process_none_the_less)
{
    struct worker *process;
    weft_group *group = open_tasks();
    start_task(group, be_cancelled_and_open, &process);
    EXPECT_EQ(weft_event_wait(&waiting, WEFT_FOREVER), 0);
    weft_group_cancel(group);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECANCELED);
    weft_group_close(group);
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    worker_close(process);
}
