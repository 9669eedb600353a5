/* SPDX-License-Identifier: MIT */
/*
 * process/code.c: functions and their names.
 *
 * weft_register() fills a table before weft_init(), while there is one thread; it is constant after
 * that and read without a lock. A function's number is its place in the table of the program that
 * called weft_init(), plus one. Processes that are forks have a copy of that table. One that has
 * run the program again has filled a table of its own, perhaps in another order or from other
 * libraries, and is told the names of the first: it puts its functions in their order.
 *
 * The three types of function have names of their own: the first byte of a name says which.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/program.h>

#include "process/code.h"
#include "process/process.h"

#define NAME_BYTES_MAX 255
#define NUMBERS_MAX    4095u /* the first page, on which there is never a function */

enum { CALL = 'c', ENTER = 'e', LEAVE = 'l' };

struct entry {
    const char *name; /* with the type in front */
    code *function;   /* NULL: adopted, and not known here */
};

static struct entry *entries;
static size_t count, room;

static struct entry *find(const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

static bool make_room(size_t n)
{
    if (n <= room)
        return true;
    size_t more = n < 16 ? 16 : 2 * n;
    struct entry *grown = realloc(entries, more * sizeof *entries);
    if (!grown)
        return false;
    entries = grown;
    room = more;
    return true;
}

/* Returns 0 and *ret: the name with its type, malloc'ed; NULL if there is no function. */
static int make_name(char type, const char *name, code *function, char **ret)
{
    *ret = NULL;
    if (!function)
        return 0;
    char *typed = malloc(strlen(name) + 2);
    if (!typed)
        return -ENOMEM;
    typed[0] = type;
    strcpy(typed + 1, name);
    *ret = typed;
    return find(typed) ? -EEXIST : 0;
}

/* Enters up to two functions, both or none. */
static int enter_all(const char *name, const char types[2], code *const functions[2])
{
    char *names[2] = { NULL, NULL };
    if (process_available())
        return -EBUSY;
    if (!name || !*name || strlen(name) > NAME_BYTES_MAX)
        return -EINVAL;
    int rc = count + 2 > NUMBERS_MAX ? -EOVERFLOW : make_room(count + 2) ? 0 : -ENOMEM;
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = make_name(types[i], name, functions[i], &names[i]);
    for (int i = 0; i < 2; i++)
        if (rc < 0)
            free(names[i]);
        else if (names[i])
            entries[count++] = (struct entry){ names[i], functions[i] };
    return rc;
}

int weft_register(const char *name, weft_fn *fn)
{
    if (!fn)
        return -EINVAL;
    return enter_all(name, (char[]){ CALL, CALL }, (code *[]){ (code *)fn, NULL });
}

int weft_register_worker(const char *name, int (*enter)(weft_call *call, void **ret_worker),
                         void (*leave)(void *worker))
{
    if (!enter && !leave)
        return -EINVAL;
    return enter_all(name, (char[]){ ENTER, LEAVE }, (code *[]){ (code *)enter, (code *)leave });
}

/* ---- words */

static uint64_t number_of(code *function)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i].function == function)
            return i + 1;
    return 0;
}

uint64_t code_word(code *function, bool by_number)
{
    if (!function)
        return 0;
    return by_number ? number_of(function) : (uint64_t)(uintptr_t)function;
}

bool code_has_number(code *function)
{
    return !function || number_of(function);
}

code *code_of(uint64_t word)
{
    if (word > NUMBERS_MAX)
        return (code *)(uintptr_t)word;
    return word && word <= count ? entries[word - 1].function : NULL;
}

static int fail_for_want_of_it(weft_call *call)
{
    return weft_call_fail(call, -EFAULT,
                          "the program, run again, did not register this function by its name "
                          "before weft_init()");
}

weft_fn *code_fn_of(uint64_t word)
{
    code *function = code_of(word);
    return function ? (weft_fn *)function : fail_for_want_of_it;
}

/* ---- from image to image */

char *code_names(size_t *ret_bytes)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(entries[i].name) + 1;
    char *names = malloc(bytes + 1), *at = names;
    for (size_t i = 0; names && i < count; i++)
        at = stpcpy(at, entries[i].name) + 1;
    *ret_bytes = bytes;
    return names;
}

int code_adopt(const char *names, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += names[i] == '\0';
    struct entry *adopted = malloc((n + 1) * sizeof *adopted);
    if (!adopted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct entry *own = find(names);
        adopted[i] = (struct entry){ names, own ? own->function : NULL };
        names += strlen(names) + 1;
    }
    entries = adopted; /* what it replaces stays: its names may be in use */
    count = room = n;
    return 0;
}
