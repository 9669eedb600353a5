/* SPDX-License-Identifier: MIT */
/* Inputs of a command: a file may have more of them than memory, and be sorted in a way that has to
 * do with how long they take (by directory, by size). So a sample is kept, any input with the same
 * probability (Vitter, "Random sampling with a reservoir", 1985, algorithm R), and shuffled. */
#include "command_inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { FIRST_ROOM = 1024 };

/* Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Less than n, which is far below 2^64: the remainder's bias does not matter. */
static uint64_t random_below(uint64_t *state, uint64_t n)
{
    return random_next(state) % n;
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = (uint64_t)time(NULL);
    return seed;
}

struct reading {
    FILE *file;
    int end;       /* what an input ends with */
    uint64_t line; /* of the input in text, from 1 */
    uint64_t seed;
    size_t room; /* of inputs->items */
    size_t length;
    char text[COMMAND_INPUT_MAX + 1];
};

/* The next input to reading->text. Returns 1; 0: there is none; -E2BIG, -EINVAL, -errno. */
static int read_input(struct reading *reading)
{
    int c;

    reading->line++;
    reading->length = 0;
    while ((c = getc_unlocked(reading->file)) != EOF && c != reading->end) {
        if (reading->length == COMMAND_INPUT_MAX)
            return -E2BIG;
        if (c == '\0')
            return -EINVAL;
        reading->text[reading->length++] = (char)c;
    }
    reading->text[reading->length] = '\0';
    if (c == EOF && ferror(reading->file))
        return -errno;
    return c != EOF || reading->length > 0;
}

static int make_room(struct command_inputs *inputs, struct reading *reading)
{
    if (inputs->count < reading->room)
        return 0;
    size_t room = reading->room > 0 ? 2 * reading->room : FIRST_ROOM;
    void *items = realloc(inputs->items, room * sizeof *inputs->items);
    if (items == NULL)
        return -ENOMEM;
    inputs->items = items;
    reading->room = room;
    return 0;
}

/* Keeps the input, perhaps instead of another, or does not. */
static int keep(struct command_inputs *inputs, struct reading *reading, size_t most)
{
    uint64_t place = inputs->total;

    if (inputs->count == most)
        place = random_below(&reading->seed, inputs->total + 1);
    inputs->total++;
    if (place >= most)
        return 0;
    int rc = make_room(inputs, reading);
    char *text = rc == 0 ? strdup(reading->text) : NULL;
    if (text == NULL)
        return -ENOMEM;
    if (place == inputs->count)
        inputs->count++;
    else
        free(inputs->items[place].text);
    inputs->items[place] = (struct command_input){ text, reading->line };
    return 0;
}

static void shuffle(struct command_inputs *inputs, uint64_t *seed)
{
    for (size_t i = inputs->count; i > 1; i--) {
        size_t other = (size_t)random_below(seed, i);
        struct command_input input = inputs->items[i - 1];
        inputs->items[i - 1] = inputs->items[other];
        inputs->items[other] = input;
    }
}

static int read_all(struct command_inputs *inputs, struct reading *reading, size_t most)
{
    int rc;

    while ((rc = read_input(reading)) > 0) {
        if (reading->length > 0)
            rc = keep(inputs, reading, most);
        if (rc < 0)
            return rc;
    }
    shuffle(inputs, &reading->seed);
    return rc;
}

static void complain(char *complaint, const char *name, const struct reading *reading, int rc)
{
    if (rc == -E2BIG)
        snprintf(complaint, COMMAND_COMPLAINT_BYTES,
                 "%.80s: input %" PRIu64 " is longer than %d bytes", name, reading->line,
                 COMMAND_INPUT_MAX);
    else if (rc == -EINVAL)
        snprintf(complaint, COMMAND_COMPLAINT_BYTES,
                 "%.80s: line %" PRIu64 " has a NUL byte (are its inputs separated by NUL? -0)",
                 name, reading->line);
    else
        snprintf(complaint, COMMAND_COMPLAINT_BYTES, "%.80s: %s", name, strerror(-rc));
}

int command_inputs_read(struct command_inputs *inputs, const char *path, bool nul_separated,
                        size_t most, char complaint[COMMAND_COMPLAINT_BYTES])
{
    struct reading *reading = calloc(1, sizeof *reading);
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int rc = -ENOMEM;

    if (reading == NULL) {
        snprintf(complaint, COMMAND_COMPLAINT_BYTES, "%.80s: %s", name, strerror(-rc));
        return rc;
    }
    reading->end = nul_separated ? '\0' : '\n';
    reading->seed = random_seed();
    reading->file = standard ? stdin : fopen(path, "re");
    rc = reading->file != NULL ? read_all(inputs, reading, most) : -errno;
    if (rc < 0)
        complain(complaint, name, reading, rc);
    if (reading->file != NULL && !standard)
        (void)fclose(reading->file);
    free(reading);
    return rc;
}

void command_inputs_release(struct command_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++)
        free(inputs->items[i].text);
    free(inputs->items);
    *inputs = (struct command_inputs){ 0 };
}

/* ---- words */

bool command_words_have_place(char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (strstr(words[i], "{}") != NULL)
            return true;
    return false;
}

/* The word with each {} replaced, to `to` unless that is NULL. Returns its length with the NUL. */
static size_t replace(const char *word, const char *input, char *to)
{
    size_t input_length = strlen(input);
    size_t n = 0;

    while (*word != '\0') {
        bool place = word[0] == '{' && word[1] == '}';
        size_t length = place ? input_length : 1;
        if (to != NULL)
            memcpy(to + n, place ? input : word, length);
        n += length;
        word += place ? 2 : 1;
    }
    if (to != NULL)
        to[n] = '\0';
    return n + 1;
}

char **command_words_make(char *const *words, const char *input)
{
    bool append = input != NULL && !command_words_have_place(words);
    const char *filling = input != NULL ? input : "{}";
    size_t count = 0;
    size_t bytes = append ? strlen(input) + 1 : 0;

    for (; words[count] != NULL; count++)
        bytes += replace(words[count], filling, NULL);
    char **made = malloc((count + 2) * sizeof *made + bytes);
    if (made == NULL)
        return NULL;
    char *text = (char *)(made + count + 2);
    for (size_t i = 0; i < count; i++) {
        made[i] = text;
        text += replace(words[i], filling, text);
    }
    made[count] = append ? memcpy(text, input, strlen(input) + 1) : NULL;
    made[count + 1] = NULL;
    return made;
}
