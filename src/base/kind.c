/* SPDX-License-Identifier: MIT */
/* base/kind.c: the kinds of strand by name, and the library's version. */
#include <errno.h>
#include <string.h>

#include <weft/base.h>

static const struct {
    const char *name;
    weft_kind kind;
} kinds[] = {
    { "serial", WEFT_SERIAL },       { "threads", WEFT_THREADS }, { "tasks", WEFT_TASKS },
    { "processes", WEFT_PROCESSES }, { "auto", WEFT_AUTO },
};

enum { KINDS = sizeof kinds / sizeof *kinds };

int weft_kind_parse(const char *name, weft_kind *ret_kind)
{
    for (int i = 0; name && i < KINDS; i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            *ret_kind = kinds[i].kind;
            return 0;
        }
    }
    return -EINVAL;
}

const char *weft_kind_name(weft_kind kind)
{
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "unknown";
}

#define TEXT_OF(number) #number
#define TEXT(number)    TEXT_OF(number)

const char *weft_version(void)
{
    return TEXT(WEFT_VERSION_MAJOR) "." TEXT(WEFT_VERSION_MINOR) "." TEXT(WEFT_VERSION_PATCH);
}
