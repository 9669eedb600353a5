/* SPDX-License-Identifier: MIT */
/*
 * task/overflow.c: what happens when a task runs into the guard below its stack.
 *
 * The fault comes as SIGSEGV, to a handler that runs on a stack of its own, as there is no other
 * left. If the address lies in the guard of the task that the thread runs, it says so, with the
 * task's name, and aborts: nothing else can be done. Any other fault is passed on to the handler
 * that was there before, or to the system.
 *
 * The handler uses what is safe in one: its own formatting and write(2).
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task/overflow.h"
#include "task/worker.h"

enum { HANDLER_STACK_BYTES = 64 * 1024 };

static struct sigaction before;

/* A line of text that is put together where nothing may be called. */
struct line {
    char text[256];
    size_t n;
};

static void put(struct line *line, const char *text)
{
    for (; *text && line->n < sizeof line->text; text++)
        line->text[line->n++] = *text;
}

static void put_number(struct line *line, uint64_t number)
{
    char digits[21];
    char *first = &digits[20];
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while (number /= 10);
    put(line, first);
}

static void put_name(struct line *line, const struct strand *strand)
{
    if (strand->name[0]) {
        put(line, strand->name);
        return;
    }
    put(line, strand->family ? strand->family : "strand");
    put(line, "-");
    put_number(line, strand->family ? strand->number : strand->id);
}

static void report(const struct task *task)
{
    struct line line = { .n = 0 };
    put(&line, "weft: the task ");
    put_name(&line, &task->strand);
    put(&line, " has overflowed its stack of ");
    put_number(&line, (uint64_t)((const char *)task->beside - task->stack->low) / 1024 + 1);
    put(&line, " KiB (weft_options.stack_bytes)\n");
    (void)!write(STDERR_FILENO, line.text, line.n);
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
    if (worker && worker->running && stack_guards(worker->running->stack, info->si_addr)) {
        report(worker->running);
        abort();
    }
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
