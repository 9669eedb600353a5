/* SPDX-License-Identifier: MIT */
/* Text to number and back. Integers only, also for fractions such as 1.5s, so that what is printed
 * as a default is exactly what was meant, in any locale. Of a fraction six digits count; further
 * ones are dropped. */
#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t scale;
};

/* Largest first: formatting takes the first that divides the value. */
static const struct unit time_units[] = {
    { "h", UINT64_C(3600000000000) }, { "m", UINT64_C(60000000000) }, { "s", UINT64_C(1000000000) },
    { "ms", UINT64_C(1000000) },      { "us", UINT64_C(1000) },
};

static const struct unit size_units[] = {
    { "G", UINT64_C(1) << 30 },
    { "M", UINT64_C(1) << 20 },
    { "k", UINT64_C(1) << 10 },
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits from *text on and leaves *text behind them. */
static int digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t n = 0;
    bool overflow = false;

    if (!digit(*p))
        return -EINVAL;
    for (; digit(*p); p++) {
        overflow |= __builtin_mul_overflow(n, 10, &n);
        overflow |= __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n);
    }
    *text = p;
    *ret = overflow ? UINT64_MAX : n;
    return overflow ? -ERANGE : 0;
}

int value_count(const char *text, uint64_t *ret)
{
    uint64_t n;
    int rc = digits(&text, &n);

    if (*text != '\0')
        return -EINVAL;
    if (rc == 0)
        *ret = n;
    return rc;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(units[i].name, name) == 0)
            return &units[i];
    return NULL;
}

int value_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t n;
    uint64_t scale = 1;
    int rc = digits(&text, &n);

    if (rc == -EINVAL)
        return rc;
    if (*text != '\0') {
        /* People write 16m and 1K as well. */
        char name[2] = { *text == 'k' || *text == 'K' ? 'k' : (char)(*text & ~0x20), '\0' };
        const struct unit *unit = find_unit(size_units, LENGTH(size_units), name);
        if (unit == NULL || text[1] != '\0')
            return -EINVAL;
        scale = unit->scale;
    }
    if (rc < 0 || __builtin_mul_overflow(n, scale, &n))
        return -ERANGE;
    *ret_bytes = n;
    return 0;
}

/* The digits after the point as num/den; leaves *text behind them. */
static int fraction(const char **text, uint64_t *ret_num, uint64_t *ret_den)
{
    const char *p = *text;
    uint64_t num = 0;
    uint64_t den = 1;

    if (!digit(*p))
        return -EINVAL;
    for (; digit(*p); p++) {
        if (den < UINT64_C(1000000)) { /* so that unit * num below cannot overflow */
            num = num * 10 + (uint64_t)(*p - '0');
            den *= 10;
        }
    }
    *text = p;
    *ret_num = num;
    *ret_den = den;
    return 0;
}

int value_duration(const char *text, int64_t *ret_ns)
{
    uint64_t whole;
    uint64_t num = 0;
    uint64_t den = 1;
    int rc = digits(&text, &whole);

    if (rc == -EINVAL)
        return rc;
    if (rc == 0 && whole == 0 && *text == '\0') {
        *ret_ns = 0;
        return 0;
    }
    if (*text == '.') {
        text++;
        if (fraction(&text, &num, &den) < 0)
            return -EINVAL;
    }
    const struct unit *unit = find_unit(time_units, LENGTH(time_units), text);
    if (unit == NULL)
        return -EINVAL;
    uint64_t ns;
    if (rc < 0 || __builtin_mul_overflow(whole, unit->scale, &ns) ||
        __builtin_add_overflow(ns, unit->scale * num / den, &ns) || ns > INT64_MAX)
        return -ERANGE;
    *ret_ns = (int64_t)ns;
    return 0;
}

static const struct unit *exact_unit(const struct unit *units, size_t count, uint64_t n)
{
    for (size_t i = 0; i < count; i++)
        if (n != 0 && n % units[i].scale == 0)
            return &units[i];
    return NULL;
}

void value_size_format(char *text, size_t text_size, uint64_t bytes)
{
    const struct unit *unit = exact_unit(size_units, LENGTH(size_units), bytes);

    snprintf(text, text_size, "%" PRIu64 "%s", unit != NULL ? bytes / unit->scale : bytes,
             unit != NULL ? unit->name : "");
}

void value_duration_format(char *text, size_t text_size, int64_t ns)
{
    const struct unit *unit = exact_unit(time_units, LENGTH(time_units), (uint64_t)ns);

    if (ns == 0)
        snprintf(text, text_size, "0s");
    else if (unit != NULL)
        snprintf(text, text_size, "%" PRIu64 "%s", (uint64_t)ns / unit->scale, unit->name);
    else
        snprintf(text, text_size, "%" PRIu64 "us", (uint64_t)ns / 1000);
}
