/* SPDX-License-Identifier: MIT */
/* A thin layer over libmicrohttpd's responses, so that a route is a few lines. */
#include "reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

void reply_drop(struct exchange *x)
{
    if (x->response != NULL)
        MHD_destroy_response(x->response);
    x->response = NULL;
}

void reply_with(struct exchange *x, unsigned status, const char *type,
                struct MHD_Response *response)
{
    reply_drop(x);
    x->response = response;
    x->status = status;
    if (type != NULL && response != NULL)
        reply_header(x, MHD_HTTP_HEADER_CONTENT_TYPE, type);
}

void reply_bytes(struct exchange *x, unsigned status, const char *type, void *data, size_t size)
{
    struct MHD_Response *response = NULL;

    if (data != NULL)
        response = MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(data);
    reply_with(x, status, type, response);
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

void reply_header(struct exchange *x, const char *name, const char *value)
{
    if (x->response == NULL || MHD_add_response_header(x->response, name, value) == MHD_YES)
        return;
    reply_text(x, MHD_HTTP_BAD_REQUEST, "'%s' cannot be the value of a %s header", value, name);
}

const char *query_text(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

static int parse(struct exchange *x, const char *what, const char *text, uint64_t min, uint64_t max,
                 uint64_t *ret)
{
    uint64_t n;

    if (value_size(text, &n) < 0 || n < min || n > max) {
        reply_text(x, MHD_HTTP_BAD_REQUEST, "%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
                   what, text, min, max);
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
