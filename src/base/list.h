/* SPDX-License-Identifier: MIT */
/*
 * base/list.h: an intrusive doubly linked circular list. The links lie inside the elements, so
 * that linking allocates nothing and an element that is known can leave in one step.
 *
 * A struct list is both a head and a link. A head points to itself when empty; so does a link that
 * list_remove() took out, and one may ask list_empty() of it whether it is in a list.
 */
#ifndef WEFT_BASE_LIST_H
#define WEFT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(head)                                                                            \
    {                                                                                              \
        &(head), &(head)                                                                           \
    }
#define CONTAINER(p, type, link) ((type *)((char *)(p)-offsetof(type, link)))

/* The loop body must not remove the element it is at. */
#define LIST_FOREACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_push_back(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void list_push_front(struct list *head, struct list *link)
{
    link->prev = head;
    link->next = head->next;
    head->next->prev = link;
    head->next = link;
}

static inline void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Removes and gives the first element's link, NULL if there is none. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *link = head->next;
    if (link == head)
        return NULL;
    list_remove(link);
    return link;
}

/* Moves all elements of from, in order, to the end of head. */
static inline void list_splice_back(struct list *head, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = head->prev;
    from->prev->next = head;
    head->prev->next = from->next;
    head->prev = from->prev;
    list_init(from);
}

#endif
