/* SPDX-License-Identifier: MIT */
/*
 * Comparing and printing values for the EXPECT_ macros.
 *
 * A value arrives in the widest type of its sort, so that -1 < 1u as in arithmetic, and not as in
 * C. A negative integer that could be an error is printed with the error's name as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

struct harness_value harness_signed(int64_t value)
{
    return (struct harness_value){ HARNESS_SIGNED, { .s = value } };
}

struct harness_value harness_unsigned(uint64_t value)
{
    return (struct harness_value){ HARNESS_UNSIGNED, { .u = value } };
}

struct harness_value harness_floating(double value)
{
    return (struct harness_value){ HARNESS_FLOATING, { .f = value } };
}

struct harness_value harness_pointer(const volatile void *value)
{
    return (struct harness_value){ HARNESS_POINTER, { .p = value } };
}

static bool negative(struct harness_value x)
{
    return x.sort == HARNESS_SIGNED && x.as.s < 0;
}

/* What is not negative, as an unsigned number; a pointer is its address. */
static uint64_t magnitude(struct harness_value x)
{
    return x.sort == HARNESS_POINTER ? (uint64_t)(uintptr_t)x.as.p : x.as.u;
}

static double number(struct harness_value x)
{
    if (x.sort == HARNESS_FLOATING)
        return x.as.f;
    return x.sort == HARNESS_SIGNED ? (double)x.as.s : (double)magnitude(x);
}

/* The operators themselves are used, so that NaN behaves as in C: it equals nothing. */
#define HOLDS(x, order, y)                                                                         \
    ((order) == HARNESS_EQ   ? (x) == (y)                                                          \
     : (order) == HARNESS_NE ? (x) != (y)                                                          \
     : (order) == HARNESS_LT ? (x) < (y)                                                           \
     : (order) == HARNESS_LE ? (x) <= (y)                                                          \
     : (order) == HARNESS_GT ? (x) > (y)                                                           \
                             : (x) >= (y))

static bool holds(struct harness_value a, enum harness_order order, struct harness_value b)
{
    if (a.sort == HARNESS_FLOATING || b.sort == HARNESS_FLOATING)
        return HOLDS(number(a), order, number(b));
    if (negative(a) && negative(b))
        return HOLDS(a.as.s, order, b.as.s);
    if (negative(a) || negative(b))
        return HOLDS(!negative(a), order, !negative(b));
    return HOLDS(magnitude(a), order, magnitude(b));
}

/* What a negative errno value is called: "ETIMEDOUT", or a few words where the C library knows no
 * names. */
static const char *error_name(int64_t value)
{
    if (value >= 0 || value <= -4096)
        return NULL;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
    return strerrorname_np((int)-value);
#else
    return strerror((int)-value);
#endif
}

static void print(char *text, size_t size, struct harness_value x)
{
    switch (x.sort) {
    case HARNESS_SIGNED: {
        const char *name = error_name(x.as.s);
        if (name)
            snprintf(text, size, "%" PRId64 " (%s%s)", x.as.s, strchr(name, ' ') ? "" : "-", name);
        else
            snprintf(text, size, "%" PRId64, x.as.s);
        break;
    }
    case HARNESS_UNSIGNED:
        snprintf(text, size, x.as.u < 4096 ? "%" PRIu64 : "%" PRIu64 " (%#" PRIx64 ")", x.as.u,
                 x.as.u);
        break;
    case HARNESS_FLOATING:
        snprintf(text, size, "%.17g", x.as.f);
        break;
    case HARNESS_POINTER:
        snprintf(text, size, "%p", (const void *)(uintptr_t)x.as.p);
        break;
    }
}

void harness_expect(const char *file, int line, const char *a_text, struct harness_value a,
                    enum harness_order order, const char *b_text, struct harness_value b)
{
    static const char signs[][3] = { "==", "!=", "<", "<=", ">", ">=" };
    if (holds(a, order, b))
        return;
    char a_value[64], b_value[64];
    print(a_value, sizeof a_value, a);
    print(b_value, sizeof b_value, b);
    harness_fail(file, line, "%s %s %s does not hold: the left is %s, the right is %s", a_text,
                 signs[order], b_text, a_value, b_value);
}

void harness_expect_str(const char *file, int line, const char *a_text, const char *a,
                        const char *b_text, const char *b)
{
    if (a == b || (a && b && strcmp(a, b) == 0))
        return;
    harness_fail(file, line, "%s is not %s: the left is \"%s\", the right is \"%s\"", a_text,
                 b_text, a ? a : "(NULL)", b ? b : "(NULL)");
}

void harness_expect_has(const char *file, int line, const char *text_text, const char *text,
                        const char *part)
{
    if (text && strstr(text, part))
        return;
    harness_fail(file, line, "%s does not contain \"%s\": it is \"%s\"", text_text, part,
                 text ? text : "(NULL)");
}

void harness_expect_mem(const char *file, int line, const char *a_text, const void *a,
                        const char *b_text, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i])
            harness_fail(file, line, "%s and %s differ at byte %zu of %zu: %#x, %#x", a_text,
                         b_text, i, n, (unsigned)x[i], (unsigned)y[i]);
}
