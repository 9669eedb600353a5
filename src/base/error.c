/* SPDX-License-Identifier: MIT */
/*
 * Errors in words.
 *
 * weft reports a failure as a negative errno value. For most of them the C library's sentence is
 * the right one; a few have a particular meaning in weft, and for those the words are weft's own,
 * so that a program which prints weft_strerror() tells its user what happened and not what POSIX
 * once used the number for ("No child processes").
 *
 * Every text is a constant: the function allocates nothing, takes no lock, may be called from any
 * strand and from a signal handler, and what it returns stays valid. That is why strerror() is not
 * used where glibc offers strerrordesc_np(): it may write into a buffer of the thread's.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include <weft/base.h>

/* NULL where weft gives the number no meaning of its own. */
static const char *own_words(int error)
{
    switch (error) {
    case 0:
        return "success";
    case ECANCELED:
        return "cancelled";
    case ECHILD:
        return "a call of yours failed";
    case EDEADLK:
        return "would wait for itself for ever";
    case EFAULT:
        return "not visible to the child: pointer or function outside what the child shares, or a "
               "function that was not registered";
    case ENODATA:
        return "nothing left";
    case ENOTSUP:
        return "this kind cannot do that";
    case EOVERFLOW:
        return "more than its limit allows";
    case EOWNERDEAD:
        return "the owner died while holding it: recover it first";
    case EPIPE:
        return "shut down, broken or the peer has ended";
    case ETIMEDOUT:
        return "deadline passed";
    default:
        return NULL;
    }
}

/* The C library's words, or NULL where it does not know the number. */
static const char *system_words(int error)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
    return strerrordesc_np(error);
#else
    /* musl's texts are constants too, and it answers every unknown number with the text for 0. */
    const char *words = strerror(error);
    return words == strerror(0) ? NULL : words;
#endif
}

const char *weft_strerror(int error)
{
    if (error == INT_MIN)
        return "unknown error";
    int number = error < 0 ? -error : error;
    const char *words = own_words(number);
    if (!words)
        words = system_words(number);
    return words ? words : "unknown error";
}
