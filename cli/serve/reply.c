/* SPDX-License-Identifier: MIT */
/* Making answers, so that a route is a few lines. */
#include "reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"
#include "send.h"
#include "values.h"

static struct answer *begin(struct exchange *x, unsigned status, const char *type)
{
    answer_deinit(&x->answer);
    x->answer.status = status;
    x->answer.type = type;
    return &x->answer;
}

void reply_drop(struct exchange *x)
{
    answer_deinit(&x->answer);
}

void reply_empty(struct exchange *x, unsigned status)
{
    struct answer *answer = begin(x, status, NULL);

    /* The other two say by themselves that nothing follows; this one needs a length of 0. */
    if (status == HTTP_STATUS_RESET_CONTENT)
        answer->body = BODY_BYTES;
}

void reply_bytes(struct exchange *x, unsigned status, const char *type, char *data, size_t size)
{
    if (data == NULL) {
        reply_drop(x);
        return;
    }
    struct answer *answer = begin(x, status, type);
    answer->body = BODY_BYTES;
    answer->bytes = data;
    answer->size = size;
}

void reply_lines(struct exchange *x, uint64_t size, const struct lines *lines)
{
    struct answer *answer = begin(x, HTTP_STATUS_OK, "text/plain");

    answer->body = BODY_LINES;
    answer->lines = *lines;
    answer->size = size;
}

void reply_file(struct exchange *x, const char *type, int fd, uint64_t size)
{
    struct answer *answer = begin(x, HTTP_STATUS_OK, type);

    answer->body = BODY_FILE;
    answer->file = fd;
    answer->size = size;
}

void reply_text(struct exchange *x, unsigned status, const char *format, ...)
{
    va_list args;
    char *line = NULL;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    va_end(args);
    if (line == NULL || asprintf(&text, "%s\n", line) < 0)
        text = NULL;
    free(line);
    reply_bytes(x, status, "text/plain; charset=utf-8", text, text != NULL ? strlen(text) : 0);
}

/* Not what would end the line, nor nothing. */
static bool fits_header(const char *value)
{
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return value[0] != '\0';
}

void reply_header(struct exchange *x, const char *name, const char *value)
{
    struct answer *answer = &x->answer;
    char *all;

    if (answer->status == 0)
        return;
    if (!fits_header(value)) {
        reply_text(x, HTTP_STATUS_BAD_REQUEST, "'%s' cannot be the value of a %s header", value,
                   name);
        return;
    }
    if (asprintf(&all, "%s%s: %s\r\n", answer->headers != NULL ? answer->headers : "", name,
                 value) < 0) {
        reply_drop(x);
        return;
    }
    free(answer->headers);
    answer->headers = all;
}

const char *query_text(const struct exchange *x, const char *name)
{
    return request_parameter(x->request, name);
}

static int parse(struct exchange *x, const char *what, const char *text, uint64_t min, uint64_t max,
                 uint64_t *ret)
{
    uint64_t n;

    if (value_size(text, &n) < 0 || n < min || n > max) {
        reply_text(x, HTTP_STATUS_BAD_REQUEST,
                   "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64, what, text, min, max);
        return -EINVAL;
    }
    *ret = n;
    return 0;
}

int query_number(struct exchange *x, const char *name, uint64_t max, uint64_t preset, uint64_t *ret)
{
    const char *text = query_text(x, name);

    if (text != NULL)
        return parse(x, name, text, 0, max, ret);
    *ret = preset;
    return 0;
}

int path_number(struct exchange *x, uint64_t min, uint64_t max, uint64_t *ret)
{
    return parse(x, x->path, x->rest, min, max, ret);
}

static bool plain(char c, const char *keep)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    return strchr(unreserved, c) != NULL || strchr(keep, c) != NULL;
}

char *url_encode(const char *text, const char *keep)
{
    static const char hex[] = "0123456789ABCDEF";
    char *encoded = malloc(3 * strlen(text) + 1);
    char *to = encoded;

    if (encoded == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        if (plain(*text, keep)) {
            *to++ = *text;
        } else {
            *to++ = '%';
            *to++ = hex[(unsigned char)*text >> 4];
            *to++ = hex[(unsigned char)*text & 15];
        }
    }
    *to = '\0';
    return encoded;
}
