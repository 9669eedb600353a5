/* SPDX-License-Identifier: MIT */
/*
 * process/worker.c: what a process does: says that it exists, is set up, runs calls, ends.
 *
 *   STARTED -> SURROUNDINGS may come, and SETUP; enter runs -> READY -> (CALL comes, fn runs ->
 * RESULT)* -> leave, end
 *
 * It is a strand of its own, without the scopes, values and name that its ancestor, the program's
 * first strand, had when it called weft_init().
 *
 * It ends when its owner closes the channel, or shuts its half of it, after what it runs. It ends
 * by _exit(): the handlers that the program registered by atexit() are the program's, to be run
 * once, there. (A call that calls exit() itself does run them.) Output is flushed after enter, each
 * call and leave instead, and before the owner hears of their end, so that it is neither lost nor
 * printed twice, and stands before what the owner prints then.
 *
 * Signals: SIGTERM ends the process, also where the program had blocked it; the terminal's signals
 * are ignored; handlers of the program are not inherited, except those for crashes; what the
 * program ignored (SIGPIPE, say) is ignored, and its mask is kept. All as of weft_init().
 *
 * An argument that fits into the channel's buffer lies there while the function runs; a larger one
 * has memory of its own, freed after the call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/atomic.h"
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

/* Buffer for results of fixed size, kept from call to call. */
static void *ret;
static size_t ret_room;

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

static void send_result(enum channel_type type, const struct call *call, int status)
{
    struct result_head head = { .status = status };
    const void *body = call->pub.ret ? call->pub.ret : call->result;
    size_t body_bytes = call->pub.ret ? call->pub.ret_bytes : call->result_bytes;
    head.has_body = body != NULL;
    memcpy(head.text, call->text, sizeof head.text);
    fflush(NULL);
    if (channel_send(channel.fd, type, &head, sizeof head, body, body ? body_bytes : 0) < 0)
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
    int rc = channel_receive(&channel, NULL);
    if (rc == 0 && channel.first.type == CHANNEL_SURROUNDINGS) {
        take_surroundings();
        rc = channel_receive(&channel, NULL);
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
    send_result(CHANNEL_READY, &call, rc);
    call_reset(&call);
    return rc >= 0;
}

/* The zeroed buffer for a result of fixed size. */
static void *ret_buffer(size_t bytes)
{
    if (bytes > ret_room) {
        free(ret);
        ret = malloc(bytes);
        ret_room = ret ? bytes : 0;
    }
    return ret ? memset(ret, 0, bytes) : NULL;
}

static int run(struct call *call)
{
    const struct call_head *head = &channel.head.call;
    size_t arg_bytes = channel.first.body_bytes;
    call->pub = (weft_call){ .pointer = head->pointer,
                             .context = context,
                             .context_bytes = context_bytes,
                             .worker = worker,
                             .index = head->index,
                             .attempt = head->attempt };
    if (head->has_body && !channel.body)
        return weft_call_fail(&call->pub, -ENOMEM, "no memory for an argument of %zu bytes",
                              arg_bytes);
    if (head->has_body) {
        call->pub.arg = channel.body;
        call->pub.arg_bytes = arg_bytes;
    }
    if (head->ret_bytes) {
        call->pub.ret = ret_buffer(head->ret_bytes);
        if (!call->pub.ret)
            return weft_call_fail(&call->pub, -ENOMEM, "no memory for a result of %zu bytes",
                                  (size_t)head->ret_bytes);
        call->pub.ret_bytes = head->ret_bytes;
    }
    if (setup.begun)
        store_relaxed(setup.begun, 1); /* relaxed: it is read after the end of this process */
    return code_fn_of(head->fn)(&call->pub);
}

static void run_call(void)
{
    struct call call = { 0 };
    int status = run(&call);
    send_result(CHANNEL_RESULT, &call, status);
    free(call.result);
}

static void ring_supervisor(void)
{
    /* If there is no room he has much to read already. */
    (void)channel_send_value(channel.fd, CHANNEL_BELL, 0, -1, MSG_DONTWAIT);
}

/* Runs calls until there will be no more. */
static void serve(void)
{
    if (setup.lane) {
        lane_serve(
            &(struct serving){ setup.lane, context, context_bytes, worker, ring_supervisor });
        return;
    }
    while (channel_receive(&channel, NULL) == 0 && channel.first.type == CHANNEL_CALL)
        run_call();
}

__attribute__((noreturn)) static void work(void)
{
    if (!receive_setup())
        end(EXIT_SUCCESS);
    if (!set_up())
        end(EXIT_FAILURE);
    serve();
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
