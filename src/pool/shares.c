/* SPDX-License-Identifier: MIT */
/*
 * pool/shares.c: the items of a map that nobody was given yet: shares.h says how they are shared.
 */
#include <stdlib.h>

#include "pool/shares.h"

static size_t size_of(const struct share *share)
{
    return share->end - share->next;
}

void shares_open(struct shares *shares, size_t count, uint32_t n)
{
    *shares = (struct shares){ .n = n, .left = count };
    shares->shares = n > 1 ? malloc(n * sizeof *shares->shares) : NULL;
    if (!shares->shares) {
        shares->shares = &shares->one;
        shares->n = 1;
    }
    size_t each = count / shares->n, more = count % shares->n, next = 0;
    for (uint32_t i = 0; i < shares->n; i++) {
        size_t end = next + each + (i < more);
        shares->shares[i] = (struct share){ next, end };
        next = end;
    }
}

void shares_close(struct shares *shares)
{
    if (shares->shares != &shares->one)
        free(shares->shares);
}

static struct share *share_of(struct shares *shares, uint32_t member)
{
    return &shares->shares[member % shares->n];
}

static struct share *largest(struct shares *shares)
{
    struct share *ret = shares->shares;
    for (uint32_t i = 1; i < shares->n; i++)
        if (size_of(&shares->shares[i]) > size_of(ret))
            ret = &shares->shares[i];
    return ret;
}

size_t shares_next(struct shares *shares, uint32_t member, size_t *ret_first)
{
    struct share *own = share_of(shares, member);
    if (!size_of(own) && shares->left) {
        struct share *victim = largest(shares);
        size_t middle = victim->next + size_of(victim) / 2;
        *own = (struct share){ middle, victim->end };
        victim->end = middle;
    }
    *ret_first = own->next;
    return size_of(own);
}

void shares_take(struct shares *shares, uint32_t member, size_t n)
{
    share_of(shares, member)->next += n;
    shares->left -= n;
}
