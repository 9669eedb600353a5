/* SPDX-License-Identifier: MIT */
/* Reading requests. http_parser says what each byte is; this file keeps the bytes.
 *
 * The whole head stays where it was read to, one piece of memory that does not move: texts are
 * places in it, which the parser reports bit by bit and which are ended by NULs and decoded in
 * place once it is behind them. A head that does not fit is refused. The body is read behind the
 * head, over and over to the same place. What lies behind the body belongs to the next request (the
 * client need not wait for answers) and is moved to the front when that is wanted. */
#include "request.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- what the parser tells */

/* Part of a text, right behind the part before unless the line was folded. */
static void extend(struct text *text, const char *at, size_t length)
{
    char *end = text->at + text->length;

    /* Folding lines is out of use; servers put blanks in the place of the line's end. */
    if (at > end)
        memset(end, ' ', (size_t)(at - end));
    text->length = (size_t)(at + length - text->at);
}

/* What the parser points at is the request's own input, which may be changed. */
static struct text begin_text(struct request *r, const char *at, size_t length)
{
    return (struct text){ r->input + (at - r->input), length };
}

static int on_url(http_parser *parser, const char *at, size_t length)
{
    struct request *r = parser->data;

    if (r->url.at == NULL)
        r->url = begin_text(r, at, length);
    else
        extend(&r->url, at, length);
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t length)
{
    struct request *r = parser->data;

    if (r->head_done)
        return 0; /* a trailer, behind the body */
    if (r->headers_count > 0 && !r->in_value) {
        extend(&r->headers[r->headers_count - 1].name, at, length);
        return 0;
    }
    if (r->headers_count == HEADERS_MAX)
        return -1;
    r->headers[r->headers_count++] = (struct pair){ .name = begin_text(r, at, length) };
    r->in_value = false;
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t length)
{
    struct request *r = parser->data;

    if (r->head_done)
        return 0;
    struct pair *header = &r->headers[r->headers_count - 1];
    r->in_value = true;
    if (length == 0)
        return 0; /* `at` is then where the next line begins */
    if (header->value.at == NULL)
        header->value = begin_text(r, at, length);
    else
        extend(&header->value, at, length);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct request *r = parser->data;

    bool announced = (parser->flags & F_CONTENTLENGTH) != 0;
    r->head_done = true;
    return announced && parser->content_length > BODY_BYTES_MAX ? -1 : 0;
}

static int on_body(http_parser *parser, const char *at, size_t length)
{
    struct request *r = parser->data;

    (void)at;
    r->body_bytes += length;
    return r->body_bytes <= BODY_BYTES_MAX ? 0 : -1;
}

/* Pausing makes it stop in front of the next request. */
static int on_message_complete(http_parser *parser)
{
    struct request *r = parser->data;

    r->done = true;
    r->keep = http_should_keep_alive(parser) != 0 && parser->method != HTTP_CONNECT;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- reading */

static int refuse(struct request *r, unsigned status)
{
    r->wrong = status;
    return -EPROTO;
}

static unsigned status_for(const struct request *r)
{
    switch (HTTP_PARSER_ERRNO(&r->parser)) {
    case HPE_INVALID_METHOD:
        return HTTP_STATUS_NOT_IMPLEMENTED;
    case HPE_CB_headers_complete: /* they announce it */
    case HPE_CB_body:
        return HTTP_STATUS_PAYLOAD_TOO_LARGE;
    case HPE_CB_header_field: /* too many */
    case HPE_HEADER_OVERFLOW:
        return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    default:
        return HTTP_STATUS_BAD_REQUEST;
    }
}

static int parse(struct request *r)
{
    r->parsed +=
        http_parser_execute(&r->parser, &callbacks, r->input + r->parsed, r->filled - r->parsed);
    if (HTTP_PARSER_ERRNO(&r->parser) != HPE_OK && HTTP_PARSER_ERRNO(&r->parser) != HPE_PAUSED)
        return refuse(r, status_for(r));
    return 0;
}

/* Reads some more input. A client that is late within a request is told so. */
static int fill(struct request *r, size_t until, weft_stream *stream, weft_deadline deadline)
{
    ssize_t n = weft_stream_read(stream, r->input + r->filled, until - r->filled, deadline);

    if (n == -ETIMEDOUT)
        return r->filled > 0 ? refuse(r, HTTP_STATUS_REQUEST_TIMEOUT) : -ENODATA;
    if (n <= 0)
        return n == 0 ? -ENODATA : (int)n;
    r->filled += (size_t)n;
    return 0;
}

static int read_head(struct request *r, weft_stream *stream, int64_t patience_ns)
{
    weft_deadline deadline = weft_after(patience_ns);

    for (;;) {
        int rc = parse(r);
        if (rc < 0 || r->head_done)
            return rc;
        if (r->filled == HEAD_BYTES_MAX)
            return refuse(r, r->headers_count == 0 ? HTTP_STATUS_URI_TOO_LONG
                                                   : HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
        bool idle = r->filled == 0;
        rc = fill(r, HEAD_BYTES_MAX, stream, deadline);
        if (rc < 0)
            return rc;
        if (idle)
            deadline = weft_after(patience_ns); /* the time for a request begins with it */
    }
}

/* ---- understanding */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes in place; what is no escape stays as it is. */
static void decode(char *text, bool plus_is_blank)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        if (text[0] == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
            *to++ = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
            text += 2;
        } else {
            *to++ = plus_is_blank && *text == '+' ? ' ' : *text;
        }
    }
    *to = '\0';
}

static int read_parameters(struct request *r, char *query)
{
    while (query != NULL) {
        char *name = strsep(&query, "&");
        char *value = strchr(name, '=');
        if (r->parameters_count == PARAMETERS_MAX)
            return refuse(r, HTTP_STATUS_BAD_REQUEST);
        if (value != NULL) {
            *value++ = '\0';
            decode(value, true);
        }
        decode(name, true);
        r->parameters[r->parameters_count++] = (struct pair){ { name, 0 }, { value, 0 } };
    }
    return 0;
}

/* The path of an address that names the host as well, as requests to proxies do. */
static char *path_of(struct text url)
{
    struct http_parser_url parts;

    http_parser_url_init(&parts);
    if (url.at[0] == '/' || http_parser_parse_url(url.at, url.length, 0, &parts) != 0)
        return url.at;
    if ((parts.field_set & (1U << UF_PATH)) != 0)
        return url.at + parts.field_data[UF_PATH].off;
    return url.at + url.length; /* nothing, as far as there is no query */
}

static void end_headers(struct request *r)
{
    for (size_t i = 0; i < r->headers_count; i++) {
        struct pair *header = &r->headers[i];
        struct text *value = &header->value;
        header->name.at[header->name.length] = '\0'; /* in the place of the colon */
        if (value->at == NULL)
            *value = (struct text){ header->name.at + header->name.length, 0 };
        while (value->length > 0 && isblank((unsigned char)value->at[value->length - 1]))
            value->length--;
        value->at[value->length] = '\0';
    }
}

static int understand(struct request *r)
{
    if (r->parser.http_major != 1)
        return refuse(r, HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
    r->method = http_method_str((enum http_method)r->parser.method);
    r->url.at[r->url.length] = '\0';
    r->has_nul = strstr(r->url.at, "%00") != NULL;
    end_headers(r);
    char *path = path_of(r->url);
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    decode(path, false);
    r->path = path[0] != '\0' ? path : "/";
    return read_parameters(r, query);
}

/* ---- what others call */

void request_init(struct request *r)
{
    r->parsed = 0;
    r->filled = 0;
}

static void begin_next(struct request *r)
{
    memmove(r->input, r->input + r->parsed, r->filled - r->parsed);
    r->filled -= r->parsed;
    r->parsed = 0;
    r->url = (struct text){ NULL, 0 };
    r->headers_count = 0;
    r->parameters_count = 0;
    r->in_value = false;
    r->head_done = false;
    r->done = false;
    r->keep = false;
    r->wrong = HTTP_STATUS_BAD_REQUEST;
    r->body_bytes = 0;
    http_parser_init(&r->parser, HTTP_REQUEST);
    r->parser.data = r;
}

int request_read_head(struct request *r, weft_stream *stream, int64_t patience_ns)
{
    begin_next(r);
    int rc = read_head(r, stream, patience_ns);
    r->body_from = r->filled;
    return rc == 0 ? understand(r) : rc;
}

static bool waits_for_continue(const struct request *r)
{
    if (r->body_bytes > 0 || r->parser.http_minor == 0)
        return false;
    for (size_t i = 0; i < r->headers_count; i++)
        if (strcasecmp(r->headers[i].name.at, "Expect") == 0)
            return strcasecmp(r->headers[i].value.at, "100-continue") == 0;
    return false;
}

int request_read_body(struct request *r, weft_stream *stream, int64_t patience_ns)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!r->done && waits_for_continue(r)) {
        ssize_t n = weft_stream_write(stream, go_on, sizeof go_on - 1, weft_after(patience_ns));
        if (n < 0)
            return (int)n;
    }
    while (!r->done) {
        r->filled = r->body_from; /* all of it has been parsed */
        int rc = fill(r, r->body_from + BODY_PIECE_BYTES, stream, weft_after(patience_ns));
        if (rc < 0)
            return rc;
        r->parsed = r->body_from;
        rc = parse(r);
        if (rc < 0)
            return rc;
    }
    return 0;
}

const char *request_parameter(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->parameters_count; i++)
        if (strcmp(r->parameters[i].name.at, name) == 0)
            return r->parameters[i].value.at;
    return NULL;
}
