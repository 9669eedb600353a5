/* SPDX-License-Identifier: MIT */
/*
 * The tests' harness, a thin layer over the library Check.
 *
 *     #include "harness.h"
 *
 *     TEST(queue_refuses_puts_after_shutdown)
 *     {
 *         ...
 *         EXPECT_EQ(weft_queue_put(queue, &item, WEFT_NOW), -EPIPE);
 *     }
 *
 * That is a complete test file: a test registers itself, and the harness has the main(). A name
 * says what must happen. Each test runs in a process of its own, is ended after 60 s (three
 * times that under a sanitizer, valgrind or an emulator), must close the descriptors that it opens,
 * and whatever processes it leaves behind are killed. After two that had to be ended, the rest of
 * the program fails without being run.
 *
 *     test_base_cpus                    runs all
 *     test_base_cpus nested '*v2*'      runs those with "nested" in the name, or matching the
 * pattern test_base_cpus --list             prints the names CK_FORK=no gdb --args test_base_cpus
 * nested      in one process, without time limits
 *
 * The program exits with 0, with 77 if every test skipped itself, or with 1 if one failed. Its last
 * line counts: "3 passed, 0 failed, 1 skipped".
 *
 * An expectation that holds costs a comparison: no lock, no system call, no allocation. So it may
 * stand in a hot loop and in any thread, and does not order threads that only the library should
 * order (ThreadSanitizer would miss a race). One that fails ends the whole test at once, in
 * whichever thread it stands. In a process that the test forked, it prints and aborts that process.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HARNESS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HARNESS_SANITIZED 1
#endif
#endif
/* Valgrind finds what a sanitizer finds, and is as slow: scripts/valgrind says so. */
#ifdef HARNESS_VALGRIND
#define HARNESS_SANITIZED 1
#else
#define HARNESS_VALGRIND 0
#endif
#ifndef HARNESS_SANITIZED
#define HARNESS_SANITIZED                                                                          \
    0 /* for tests that scale their work: n / (HARNESS_SANITIZED ? 10 : 1)                         \
       */
#endif

/* Whether QEMU's user mode runs the tests: scripts/machines says so. */
#ifndef HARNESS_EMULATED
#define HARNESS_EMULATED 0
#endif

struct harness_test {
    const char *name;
    const char *file;
    int line;
    void (*body)(void);
    struct harness_test *next;
};

void harness_register(struct harness_test *test);

#define TEST(test_name)                                                                            \
    static void test_name(void);                                                                   \
    static struct harness_test test_name##_test = { #test_name, __FILE__, __LINE__, test_name,     \
                                                    NULL };                                        \
    __attribute__((constructor)) static void test_name##_register(void)                            \
    {                                                                                              \
        harness_register(&test_name##_test);                                                       \
    }                                                                                              \
    static void test_name(void)

/* Ends the test: it cannot be run here, and why (printf's format). From the test's own process. */
#define SKIP(...) harness_skip(__VA_ARGS__)

/* Ends the test where weft's processes cannot be: valgrind before 3.21 does not know pidfd_open().
 */
#define NEEDS_PROCESSES() harness_needs_processes()

/* Ends the test: it failed, and why (printf's format). */
#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Descriptors opened so far may stay open: for what is made once per process, as by weft_init(). */
#define DESCRIPTORS_COUNT_FROM_HERE() harness_descriptors_count_from_here()

/* The test does not care which descriptors it leaves open. */
#define DESCRIPTORS_MAY_STAY() harness_descriptors_may_stay()

/* Has fn called in each test's process, before the test and the count of its descriptors. */
void harness_prepare_by(void (*fn)(void));

/* Each evaluates its operands once and, when it fails, prints both values. Integers of any type and
 * sign compare by value, without conversions; so do floating-point numbers and pointers. */
#define EXPECT_EQ(a, b) HARNESS_COMPARE(#a, a, HARNESS_EQ, ==, #b, b)
#define EXPECT_NE(a, b) HARNESS_COMPARE(#a, a, HARNESS_NE, !=, #b, b)
#define EXPECT_LT(a, b) HARNESS_COMPARE(#a, a, HARNESS_LT, <, #b, b)
#define EXPECT_LE(a, b) HARNESS_COMPARE(#a, a, HARNESS_LE, <=, #b, b)
#define EXPECT_GT(a, b) HARNESS_COMPARE(#a, a, HARNESS_GT, >, #b, b)
#define EXPECT_GE(a, b) HARNESS_COMPARE(#a, a, HARNESS_GE, >=, #b, b)

#define EXPECT_TRUE(condition)                                                                     \
    ((condition) ? (void)0 : harness_fail(__FILE__, __LINE__, "%s is false", #condition))
#define EXPECT_FALSE(condition)                                                                    \
    ((condition) ? harness_fail(__FILE__, __LINE__, "%s is true", #condition) : (void)0)

/* Strings, either of which may be NULL. EXPECT_HAS: `text` contains `part`. */
#define EXPECT_STR(a, b)       harness_expect_str(__FILE__, __LINE__, #a, a, #b, b)
#define EXPECT_HAS(text, part) harness_expect_has(__FILE__, __LINE__, #text, text, part)

/* n bytes of memory. */
#define EXPECT_MEM(a, b, n) harness_expect_mem(__FILE__, __LINE__, #a, a, #b, b, n)

/* What follows is how the macros above work. */

enum harness_order {
    HARNESS_EQ,
    HARNESS_NE,
    HARNESS_LT,
    HARNESS_LE,
    HARNESS_GT,
    HARNESS_GE,
};

/* A number or a pointer, in the widest type of its sort. */
struct harness_value {
    enum { HARNESS_SIGNED, HARNESS_UNSIGNED, HARNESS_FLOATING, HARNESS_POINTER } sort;
    union {
        int64_t s;
        uint64_t u;
        double f;
        const volatile void *p;
    } as;
};

struct harness_value harness_signed(int64_t value);
struct harness_value harness_unsigned(uint64_t value);
struct harness_value harness_floating(double value);
struct harness_value harness_pointer(const volatile void *value);

#define HARNESS_VALUE(x)                                                                           \
    _Generic((x), bool                                                                             \
             : harness_unsigned, char                                                              \
             : harness_signed, signed char                                                         \
             : harness_signed, short                                                               \
             : harness_signed, int                                                                 \
             : harness_signed, long                                                                \
             : harness_signed, long long                                                           \
             : harness_signed, unsigned char                                                       \
             : harness_unsigned, unsigned short                                                    \
             : harness_unsigned, unsigned                                                          \
             : harness_unsigned, unsigned long                                                     \
             : harness_unsigned, unsigned long long                                                \
             : harness_unsigned, float                                                             \
             : harness_floating, double                                                            \
             : harness_floating, default                                                           \
             : harness_pointer)(x)

/* clang-tidy's analyzer does not look into harness.c, so it sees a comparison whose failure ends
 * the test: else it would follow what a test does after, say, a pointer that must not be NULL is.
 */
#ifdef __clang_analyzer__
#define HARNESS_COMPARE(a_text, a, order, sign, b_text, b)                                         \
    ((a)sign(b) ? (void)0 : harness_fail(__FILE__, __LINE__, "%s, %s", a_text, b_text))
#else
#define HARNESS_COMPARE(a_text, a, order, sign, b_text, b)                                         \
    harness_expect(__FILE__, __LINE__, a_text, HARNESS_VALUE(a), order, b_text, HARNESS_VALUE(b))
#endif

void harness_expect(const char *file, int line, const char *a_text, struct harness_value a,
                    enum harness_order order, const char *b_text, struct harness_value b);
void harness_expect_str(const char *file, int line, const char *a_text, const char *a,
                        const char *b_text, const char *b);
void harness_expect_has(const char *file, int line, const char *text_text, const char *text,
                        const char *part);
void harness_expect_mem(const char *file, int line, const char *a_text, const void *a,
                        const char *b_text, const void *b, size_t n);
void harness_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void harness_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void harness_descriptors_count_from_here(void);
void harness_descriptors_may_stay(void);
void harness_needs_processes(void);

#endif
