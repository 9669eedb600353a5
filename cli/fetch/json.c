/* SPDX-License-Identifier: MIT */
/* A URL's ending as a JSON object, by libjansson. Every object has the same keys, null where there
 * is nothing to tell; docs/fetch.md lists them. */
#include "json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* JSON is UTF-8; an input line need not be. Bytes that are not are percent-encoded, which for a URL
 * is the same thing said properly. */
static json_t *text(const char *bytes)
{
    json_t *value = json_string(bytes);
    size_t n = 0;

    if (value != NULL)
        return value;
    char *encoded = malloc(3 * strlen(bytes) + 1);
    if (encoded == NULL)
        return json_null();
    for (const unsigned char *p = (const unsigned char *)bytes; *p != '\0'; p++)
        n += (size_t)sprintf(encoded + n, *p < 0x80 ? "%c" : "%%%02X", *p);
    value = json_string(encoded);
    free(encoded);
    return value;
}

static json_t *text_or_null(const char *bytes)
{
    return bytes[0] != '\0' ? text(bytes) : json_null();
}

static json_t *milliseconds(int64_t us)
{
    return us > 0 ? json_real((double)us / 1000) : json_null();
}

static json_t *times(const struct phases *phases)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "dns", milliseconds(phases->dns_us), "connect",
                     milliseconds(phases->connect_us), "tls", milliseconds(phases->tls_us),
                     "first_byte", milliseconds(phases->first_byte_us), "total",
                     milliseconds(phases->total_us));
}

static json_t *object_of(const struct ending *ending)
{
    const struct result *result = ending->result;
    bool ok = result->failure == FAILURE_NONE;
    const char *final_url = result_final_url(result);

    if (final_url[0] == '\0')
        final_url = ending->url;
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:b, s:o}", /* */
                     "url", text(ending->url), "final_url",
                     result->status != 0 ? text(final_url) : json_null(), "status",
                     result->status != 0 ? json_integer(result->status) : json_null(), "bytes",
                     (json_int_t)result->body_bytes, "error",
                     ok ? json_null() : json_string(failure_name(result->failure)), "reason",
                     text_or_null(result_reason(result)), "file", text_or_null(result_file(result)),
                     "attempts", (json_int_t)ending->attempts, "worker",
                     ending->attempts > 0 ? json_integer(ending->worker) : json_null(), "reused",
                     (int)result->reused, "ms", times(&result->phases));
}

static int write_to(const char *bytes, size_t size, void *to)
{
    return fwrite(bytes, 1, size, to) == size ? 0 : -1;
}

void json_print(FILE *to, const struct ending *ending)
{
    json_t *object = object_of(ending);

    if (object == NULL) { /* out of memory: the line still counts, and is still an object */
        fputs("{\"error\": \"other\", \"reason\": \"out of memory\"}\n", to);
        return;
    }
    if (ending->source != NULL)
        json_object_set_new(object, "source",
                            json_pack("{s:o, s:I}", "file", text(ending->source), "line",
                                      (json_int_t)ending->line));
    (void)json_dump_callback(object, write_to, to, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', to);
    json_decref(object);
}
