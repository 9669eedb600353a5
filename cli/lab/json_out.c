/* SPDX-License-Identifier: MIT */
#include "json_out.h"

#include "utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

json_t *json_out_text(const char *bytes)
{
    json_t *value = json_string(bytes);

    if (value != NULL)
        return value;
    char *plain = strdup(bytes);
    if (plain == NULL)
        return json_null();
    for (char *c = plain; *c != '\0';) {
        size_t length = utf8_length(c);
        if (length == 0)
            *c = '?';
        c += length > 0 ? length : 1;
    }
    value = json_string(plain);
    free(plain);
    return value != NULL ? value : json_null();
}

json_t *json_out_text_or_null(const char *bytes)
{
    return bytes != NULL && bytes[0] != '\0' ? json_out_text(bytes) : json_null();
}

/* What the writing of an object has to remember. */
struct writing {
    FILE *to;
    int rc;
};

static int write_to(const char *bytes, size_t size, void *pointer)
{
    struct writing *writing = pointer;

    errno = 0;
    if (fwrite(bytes, 1, size, writing->to) == size)
        return 0;
    writing->rc = errno != 0 ? -errno : -EIO;
    return -1;
}

int json_out_write(json_t *object, FILE *to)
{
    struct writing writing = { to, 0 };

    if (object == NULL)
        return -ENOMEM;
    int rc =
        json_dump_callback(object, write_to, &writing, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    json_decref(object);
    if (rc == 0)
        (void)write_to("\n", 1, &writing);
    return rc < 0 && writing.rc == 0 ? -ENOMEM : writing.rc;
}
