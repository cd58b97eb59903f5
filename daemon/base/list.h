/*
 * Purpose: intrusive doubly linked list.
 * Owns:    nothing; nodes live inside the caller's structs.
 * Thread:  any (pure).
 * In/Out:  list_entry() finds the struct around a node.
 * Errors:  none.
 */
#ifndef KT_BASE_LIST_H
#define KT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define list_for_each(node, head)      for (struct list *node = (head)->next; node != (head); node = node->next)
/* The body may remove node. */
#define list_for_each_safe(node, head)                                                    \
	for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
	     node = node##_next, node##_next = node->next)

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Unlinks node and leaves it as an empty list of its own, so that a second removal is harmless. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
