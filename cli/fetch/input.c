/* SPDX-License-Identifier: MIT */
/* Reading URLs ahead, but not far.
 *
 * A strand (a thread, whatever the kind of the fetch: it waits for files, not for the network)
 * reads the command line's URLs and then each file, cuts what it has at the last newline and puts
 * that, as one batch, into a queue of a few. A batch is what one read() gave, so lines typed or
 * piped slowly come at once, and a million lines come in pieces of 64 KiB; memory stays the same
 * whatever the input's length.
 *
 * The batch's lines are cut by the taker. A batch belongs to whoever holds its pointer. The fields
 * of struct input are the taker's, except `queue` (constant) and `reader`, which is the strand's
 * until the group that it runs in is closed; `streaming` is written by one and read by the other.
 */
#include "input.h"

#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH_BYTES = 65536, BATCHES_AHEAD = 2 };

struct batch {
    struct origin origin; /* of its first line */
    bool cut;             /* it holds the beginning of one line that is too long */
    size_t used, at;
    char text[BATCH_BYTES];
};

/* What the strand works with. */
struct reader {
    const struct settings *settings;
    weft_queue *queue;
    atomic_bool *streaming; /* reading what may never end */
    atomic_uint *errors;
};

struct input {
    struct reader reader;
    weft_queue *queue; /* of struct batch * */
    weft_group *group; /* of the one strand */
    struct batch *batch;
    struct batch *arriving; /* where the select puts the next */
    uint64_t given;
    uint64_t operands_only; /* how many, if there is nothing but operands; else 0 */
    bool ended;
    atomic_bool streaming;
    atomic_uint errors;
};

const char *url_complaint(const char *text, size_t length)
{
    size_t scheme = 0;

    if (length > INPUT_LINE_MAX)
        return "it is longer than 16384 bytes";
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return "it contains a blank or a control character";
    if (length >= 7 && strncasecmp(text, "http://", 7) == 0)
        scheme = 7;
    else if (length >= 8 && strncasecmp(text, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0)
        return "it does not begin with http:// or https://";
    if (length == scheme || strchr("/?#:", text[scheme]) != NULL)
        return "it names no host";
    return NULL;
}

/* ---- the strand */

static struct batch *batch_make(struct origin origin)
{
    struct batch *batch = malloc(sizeof *batch);

    if (batch != NULL) {
        batch->origin = origin;
        batch->cut = false;
        batch->used = batch->at = 0;
    }
    return batch;
}

/* Takes the batch. */
static int hand_over(struct reader *reader, struct batch *batch)
{
    int rc = batch->used > 0 ? weft_queue_put(reader->queue, &batch, WEFT_FOREVER) : -ENODATA;

    if (rc < 0)
        free(batch);
    return rc == -ENODATA ? 0 : rc;
}

static int read_operands(struct reader *reader)
{
    const struct settings *settings = reader->settings;
    struct batch *batch = NULL;

    for (size_t i = 0; i < settings->urls_count; i++) {
        size_t length = strlen(settings->urls[i]);
        if (batch != NULL && batch->used + length + 1 > BATCH_BYTES) {
            int rc = hand_over(reader, batch);
            batch = NULL;
            if (rc < 0)
                return rc;
        }
        if (batch == NULL && (batch = batch_make((struct origin){ NULL, 0 })) == NULL)
            return -ENOMEM;
        memcpy(batch->text + batch->used, settings->urls[i], length);
        batch->used += length;
        batch->text[batch->used++] = '\n';
    }
    return batch != NULL ? hand_over(reader, batch) : 0;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t lines = 0;
    const char *end = text + size;

    while ((text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
        lines++;
        text++;
    }
    return lines;
}

/* One file, read piece by piece. */
struct piecewise {
    int fd;
    struct origin origin; /* of the first byte that `next` will hold */
    struct batch *next;   /* begins with the part of a line that the last batch left */
    bool skipping;        /* within a line that was too long, and has been reported */
};

/* Hands over the first `used` bytes of the batch; what follows them begins the next. */
static int cut_and_hand_over(struct reader *reader, struct piecewise *file, size_t used)
{
    struct batch *full = file->next;
    uint64_t lines = count_lines(full->text, used);

    file->origin.line += lines;
    file->next = batch_make(file->origin);
    if (file->next == NULL) {
        free(full);
        return -ENOMEM;
    }
    file->next->used = full->used - used;
    memcpy(file->next->text, full->text + used, file->next->used);
    full->used = used;
    return hand_over(reader, full);
}

/* A line that fills a whole batch: its beginning is handed over to be reported. */
static int give_up_on_line(struct reader *reader, struct piecewise *file)
{
    file->next->cut = true;
    file->next->used = INPUT_LINE_MAX + 1;
    file->skipping = true;
    return cut_and_hand_over(reader, file, file->next->used);
}

/* The rest of a line that was given up on, in the piece of `size` bytes just read. */
static void skip(struct piecewise *file, size_t size)
{
    struct batch *batch = file->next;
    char *newline = memchr(batch->text, '\n', size);

    if (newline == NULL) {
        batch->used = 0;
        return;
    }
    size_t gone = (size_t)(newline + 1 - batch->text);
    batch->used = size - gone;
    memmove(batch->text, newline + 1, batch->used);
    batch->origin.line = ++file->origin.line;
    file->skipping = false;
}

static ssize_t read_piece(struct piecewise *file)
{
    struct batch *batch = file->next;

    for (;;) {
        /* Unlike read(), this wait can be ended by a cancellation; but a file is always ready, and
         * what is ready is not waited for. */
        int rc = weft_cancelled() ? -ECANCELED : weft_fd_wait(file->fd, POLLIN, WEFT_FOREVER);
        if (rc < 0)
            return rc;
        ssize_t n = read(file->fd, batch->text + batch->used, BATCH_BYTES - batch->used);
        if (n >= 0)
            return n;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

static int take_piece(struct reader *reader, struct piecewise *file, size_t size)
{
    file->next->used += size;
    if (file->skipping)
        skip(file, file->next->used);
    char *newline = memrchr(file->next->text, '\n', file->next->used);
    if (newline != NULL)
        return cut_and_hand_over(reader, file, (size_t)(newline + 1 - file->next->text));
    return file->next->used == BATCH_BYTES ? give_up_on_line(reader, file) : 0;
}

static int read_to_end(struct reader *reader, struct piecewise *file)
{
    ssize_t n;

    while ((n = read_piece(file)) > 0) {
        int rc = take_piece(reader, file, (size_t)n);
        if (rc < 0)
            return rc;
    }
    if (n == 0 && !file->skipping && file->next->used > 0) { /* a last line without its newline */
        file->next->text[file->next->used++] = '\n';         /* fits: a full batch is never left */
        return cut_and_hand_over(reader, file, file->next->used);
    }
    return (int)n;
}

static int read_descriptor(struct reader *reader, const char *name, int fd)
{
    struct piecewise file = { .fd = fd, .origin = { name, 1 } };
    struct stat info;
    int rc = -ENOMEM;

    atomic_store(reader->streaming, fstat(fd, &info) < 0 || !S_ISREG(info.st_mode));
    file.next = batch_make(file.origin);
    if (file.next != NULL)
        rc = read_to_end(reader, &file);
    free(file.next);
    atomic_store(reader->streaming, false);
    return rc;
}

static const char *name_of(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int read_file(struct reader *reader, const char *path)
{
    if (strcmp(path, "-") == 0)
        return read_descriptor(reader, name_of(path), STDIN_FILENO);
    /* O_NONBLOCK: a FIFO's writer is waited for where that can be cancelled, not in open(). */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = read_descriptor(reader, path, fd);
    close(fd);
    return rc;
}

/* What could not be read is reported and counted; the other files may be better. Returns 0, or
 * -ECANCELED when there is nobody to read for any more. */
static int report(struct reader *reader, const char *what, int rc)
{
    if (rc >= 0)
        return 0;
    if (rc == -ECANCELED)
        return rc;
    fprintf(stderr, "weft fetch: %s: %s\n", what, strerror(-rc));
    atomic_fetch_add(reader->errors, 1);
    return 0;
}

static int read_all(weft_call *call)
{
    struct reader *reader = *(struct reader *const *)call->arg;
    const struct option_list *files = &reader->settings->inputs;
    int rc = report(reader, "the command line", read_operands(reader));

    for (size_t i = 0; rc == 0 && i < files->count; i++)
        rc = report(reader, name_of(files->items[i]), read_file(reader, files->items[i]));
    weft_queue_shutdown(reader->queue, false);
    return rc;
}

/* ---- the taker */

static int start_reader(struct input *input, const struct settings *settings)
{
    struct reader *reader = &input->reader;

    *reader = (struct reader){ settings, input->queue, &input->streaming, &input->errors };
    int rc = weft_group_open(&input->group, WEFT_THREADS, &(weft_options){ .name = "reader" });
    if (rc < 0)
        return rc;
    /* The pointer's bytes: the strand is a thread, and ends before what it points to. */
    return weft_group_start(input->group, read_all, &reader, sizeof(struct reader *));
}

int input_open(struct input **ret_input, const struct settings *settings)
{
    struct input *input = calloc(1, sizeof *input);

    if (input == NULL)
        return -ENOMEM;
    input->operands_only = settings->inputs.count == 0 ? settings->urls_count : 0;
    int rc = weft_queue_open(&input->queue, sizeof(struct batch *), BATCHES_AHEAD, 0);
    if (rc == 0)
        rc = start_reader(input, settings);
    if (rc < 0) {
        input_close(input);
        return rc;
    }
    *ret_input = input;
    return 0;
}

void input_close(struct input *input)
{
    struct batch *batch;

    if (input == NULL)
        return;
    weft_group_close(input->group);
    if (input->queue != NULL) {
        weft_queue_shutdown(input->queue, false);
        while (weft_queue_get(input->queue, &batch, WEFT_NOW) == 0)
            free(batch);
    }
    weft_queue_close(input->queue);
    free(input->batch);
    free(input);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next line of the batch, without the blanks around it. */
static bool next_line(struct batch *batch, const char **ret_text, size_t *ret_length)
{
    if (batch->at >= batch->used)
        return false;
    const char *text = batch->text + batch->at;
    const char *end = memchr(text, '\n', batch->used - batch->at);

    if (end == NULL) /* only a line that was cut */
        end = batch->text + batch->used;
    batch->at = (size_t)(end - batch->text) + 1;
    while (text < end && blank(*text))
        text++;
    while (end > text && blank(end[-1]))
        end--;
    *ret_text = text;
    *ret_length = (size_t)(end - text);
    return true;
}

bool input_next(struct input *input, const char **ret_text, size_t *ret_length,
                struct origin *ret_origin)
{
    struct batch *batch = input->batch;

    while (batch != NULL && next_line(batch, ret_text, ret_length)) {
        *ret_origin = batch->origin;
        batch->origin.line++;
        bool blank_line = *ret_length == 0 && !batch->cut; /* what was cut off may be a URL */
        if (blank_line || (*ret_length > 0 && (*ret_text)[0] == '#'))
            continue;
        input->given++;
        return true;
    }
    free(batch);
    input->batch = NULL;
    return false;
}

weft_case input_case(struct input *input)
{
    return (weft_case){
        .op = WEFT_GET,
        .on.queue = input->ended || input->batch != NULL ? NULL : input->queue,
        .item = &input->arriving,
    };
}

void input_arrived(struct input *input, const weft_case *happened)
{
    if (happened->result == 0)
        input->batch = input->arriving;
    else
        input->ended = true;
}

bool input_ended(const struct input *input)
{
    return input->ended && input->batch == NULL;
}

uint64_t input_total(const struct input *input)
{
    return input_ended(input) ? input->given : input->operands_only;
}

uint64_t input_drain(struct input *input, bool *ret_all)
{
    const char *text;
    size_t length;
    struct origin origin;
    uint64_t before = input->given;

    *ret_all = true;
    for (;;) {
        while (input_next(input, &text, &length, &origin))
            ;
        if (input->ended)
            return input->given - before;
        if (atomic_load(&input->streaming)) {
            *ret_all = false;
            weft_group_cancel(input->group);
        }
        /* A reader that turns to a pipe meanwhile is found out at the next look. */
        int rc = weft_queue_get(input->queue, &input->batch, weft_after(50 * WEFT_MS));
        if (rc == -EPIPE)
            input->ended = true;
        if (rc == -ECANCELED) { /* by a second Ctrl-C: the rest is not counted */
            *ret_all = false;
            return input->given - before;
        }
    }
}

unsigned input_errors(const struct input *input)
{
    return atomic_load(&((struct input *)(uintptr_t)input)->errors);
}
