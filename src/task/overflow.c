/* SPDX-License-Identifier: MIT */
/*
 * task/overflow.c: what happens when a task runs into the guard below its stack.
 *
 * The fault comes as SIGSEGV, to a handler that runs on a stack of its own, as there is no other
 * left. If the address lies in the guard of the task that the thread runs, it says so, with the
 * task's name, and aborts: nothing else can be done. Any other fault is passed on to the handler
 * that was there before, or to the system.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "task/overflow.h"
#include "task/report.h"
#include "task/worker.h"

enum { HANDLER_STACK_BYTES = 64 * 1024 };

static struct sigaction before;

__attribute__((noreturn)) static void give_up(const struct task *task)
{
    struct report report = { .n = 0 };
    report_task(&report, task);
    report_text(&report, " has overflowed its stack of ");
    report_number(&report, (uint64_t)((const char *)task->beside - task->stack->low) / 1024 + 1);
    report_text(&report, " KiB (weft_options.stack_bytes)\n");
    report_and_abort(&report);
}

/* As the system does where no handler is: a fault cannot be ignored, a signal that was sent can. */
static void end_process(int signo, const siginfo_t *info)
{
    bool sent = info->si_code <= 0;
    if (sent && before.sa_handler == SIG_IGN)
        return;
    sigaction(signo, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
    if (sent)
        raise(signo); /* blocked until the handler returns; a fault comes again by itself */
}

/* Lets happen what would have happened without us. */
static void pass_on(int signo, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(signo, info, context);
    else if (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN)
        end_process(signo, info);
    else
        before.sa_handler(signo);
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
    int saved = errno;
    const struct worker *worker = worker_current;
    if (worker && worker->running && stack_guards(worker->running->stack, info->si_addr))
        give_up(worker->running);
    pass_on(signo, info, context);
    errno = saved;
}

int overflow_install(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &before) == 0 ? 0 : -errno;
}

int overflow_watch(struct worker *worker)
{
    stack_t present;
    if (sigaltstack(NULL, &present) == 0 && !(present.ss_flags & SS_DISABLE))
        return 0;
    stack_t stack = { .ss_sp = malloc(HANDLER_STACK_BYTES), .ss_size = HANDLER_STACK_BYTES };
    if (!stack.ss_sp)
        return -ENOMEM;
    worker->fault_stack = stack.ss_sp;
    return sigaltstack(&stack, NULL) == 0 ? 0 : -errno;
}

void overflow_unwatch(struct worker *worker)
{
    if (!worker->fault_stack)
        return;
    sigaltstack(&(stack_t){ .ss_flags = SS_DISABLE }, NULL);
    free(worker->fault_stack);
    worker->fault_stack = NULL;
}
