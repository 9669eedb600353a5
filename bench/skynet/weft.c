/* SPDX-License-Identifier: MIT */
/*
 * Skynet: a tree of tasks, ten children each, LEAVES leaves (a power of ten). A leaf's result is
 * its number, a parent's the sum of its children's; each parent owns its children in a group.
 */
#include "harness/in_task.h"

#include <stdio.h>

enum { CHILDREN = 10 };

struct node {
    uint64_t first, leaves; /* the numbers of the leaves below it */
    uint64_t sum;           /* its result, in the parent's stack */
};

static int grow(weft_call *call)
{
    struct node *node = call->pointer, children[CHILDREN];
    if (node->leaves == 1) {
        node->sum = node->first;
        return 0;
    }
    uint64_t each = node->leaves / CHILDREN;
    weft_group *group = bench_open_tasks();
    for (uint64_t i = 0; i < CHILDREN; i++) {
        children[i] = (struct node){ node->first + i * each, each, 0 };
        bench_start(group, grow, &children[i]);
    }
    bench_join(group);
    for (int i = 0; i < CHILDREN; i++)
        node->sum += children[i].sum;
    return 0;
}

int main(int argc, char **argv)
{
    struct node root = { .leaves = bench_argument(argc, argv, 1, "LEAVES") };
    uint64_t began = bench_now();
    bench_in_task(grow, &root);
    uint64_t took = bench_now() - began;
    bench_must(root.sum == root.leaves * (root.leaves - 1) / 2, "the sum of all leaves' numbers");
    printf("{\"ms\": %.3f}\n", (double)took / 1e6);
    return 0;
}
