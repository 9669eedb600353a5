/* SPDX-License-Identifier: MIT */
/*
 * process/worker.c: what a process does: says that it exists, is set up, runs calls, ends.
 *
 *   STARTED -> SURROUNDINGS may come, and SETUP; enter runs -> READY -> calls by the lane (serve.c)
 *           -> leave, end
 *
 * It is a strand of its own, without the scopes, values and name that its ancestor, the program's
 * first strand, had when it called weft_init().
 *
 * It ends when its lane says so, after what it runs; or, before the setup, when its owner closes
 * the channel. It ends by _exit(): the handlers that the program registered by atexit() are the
 * program's, to be run once, there. (A call that calls exit() itself does run them.) Output is
 * flushed after enter, each call and leave instead, and before the owner hears of their end, so
 * that it is neither lost nor printed twice, and stands before what the owner prints then.
 *
 * Signals: SIGTERM ends the process, also where the program had blocked it; the terminal's signals
 * are ignored; handlers of the program are not inherited, except those for crashes; what the
 * program ignored (SIGPIPE, say) is ignored, and its mask is kept. All as of weft_init().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "park/trace.h"
#include "process/again.h"
#include "process/channel.h"
#include "process/code.h"
#include "process/descriptors.h"
#include "process/lane.h"
#include "process/worker.h"
#include "strand/call.h"
#include "strand/self.h"

static struct channel channel;
static struct surroundings_failure failure; /* before enter */
static struct setup_head setup;
static char *context; /* bytes of its own, or the owner's pointer */
static size_t context_bytes;
static int (*enter)(weft_call *call, void **ret_worker);
static void (*leave)(void *worker);
static void *worker; /* what enter gave */

__attribute__((noreturn)) static void end(int exit_code)
{
    fflush(NULL);
    _exit(exit_code);
}

static void say_started(void)
{
    int pidfd = descriptors_of_process(getpid());
    int rc = channel_send_value(channel.fd, CHANNEL_STARTED, (uint64_t)getpid(), pidfd, 0);
    descriptors_close(pidfd);
    if (rc < 0)
        end(EXIT_FAILURE);
}

/* Says how enter went. */
static void say_ready(const struct call *call, int status)
{
    struct ready_head head = { .status = status };
    memcpy(head.text, call->text, sizeof head.text);
    fflush(NULL);
    if (channel_send(channel.fd, CHANNEL_READY, &head, sizeof head, NULL, 0) < 0)
        end(EXIT_FAILURE); /* nobody is there to hear it */
}

/* Makes the surroundings; what fails is told by set_up(). */
static void take_surroundings(void)
{
    struct surroundings_head head = channel.head.surroundings;
    char *body = channel_take_body(&channel); /* kept for ever */
    if (!body)
        failure = (struct surroundings_failure){ -ENOMEM, "no memory for the environment" };
    else if (surroundings_apply(&head, body, &failure) && head.run_again)
        again_run(channel.fd, &failure); /* comes back only if it fails */
}

/* Waits for the setup. False: there is none, as nobody is left to send it. */
static bool receive_setup(void)
{
    int rc = channel_receive(&channel, true);
    if (rc == 0 && channel.first.type == CHANNEL_SURROUNDINGS) {
        take_surroundings();
        rc = channel_receive(&channel, true);
    }
    return rc == 0 && channel.first.type == CHANNEL_SETUP;
}

/* Finds enter and leave in this image. */
static void find_functions(void)
{
    enter = (int (*)(weft_call *, void **))code_of(setup.enter);
    leave = (void (*)(void *))code_of(setup.leave);
    if (!enter != !setup.enter || !leave != !setup.leave)
        failure = (struct surroundings_failure){
            -EFAULT, "the program, run again, did not register its enter and leave by their name"
        };
}

/* Keeps the context, runs enter and says how it went. Returns false if the process is of no use. */
static bool set_up(void)
{
    struct call call = { .pub = { .attempt = 1 } };
    setup = channel.head.setup;
    if (!failure.error)
        find_functions();
    if (!failure.error && setup.memory_bytes_max)
        surroundings_limit_memory(setup.memory_bytes_max, &failure);
    int rc = failure.error ? weft_call_fail(&call.pub, failure.error, "%s", failure.text) : 0;
    if (setup.name[0])
        weft_self_set_name(setup.name);
    context = setup.context;
    if (setup.has_body) {
        context_bytes = channel.first.body_bytes;
        context = channel_take_body(&channel);
        if (!context && rc == 0)
            rc = weft_call_fail(&call.pub, -ENOMEM, "no memory for a context of %zu bytes",
                                context_bytes);
    }
    call.pub.context = context;
    call.pub.context_bytes = context_bytes;
    if (rc == 0 && enter)
        rc = enter(&call.pub, &worker);
    say_ready(&call, rc);
    call_reset(&call);
    return rc >= 0;
}

static void ring_supervisor(void)
{
    /* If there is no room he has much to read already. */
    (void)channel_send_value(channel.fd, CHANNEL_BELL, 0, -1, MSG_DONTWAIT);
}

__attribute__((noreturn)) static void work(void)
{
    trace_resume();
    if (!receive_setup())
        end(EXIT_SUCCESS);
    if (!set_up())
        end(EXIT_FAILURE);
    lane_serve(&(struct serving){ setup.lane, context, context_bytes, worker, ring_supervisor,
                                  setup.worker });
    if (leave)
        leave(worker);
    locals_drop(strand_self());
    end(EXIT_SUCCESS);
}

void worker_run(int channel_fd)
{
    channel_init(&channel, channel_fd);
    strand_renew();
    say_started();
    work();
}

void worker_go_on(int channel_fd, const struct surroundings_failure *so_far)
{
    failure = *so_far;
    channel_init(&channel, channel_fd);
    strand_renew();
    work();
}
