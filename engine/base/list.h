// list.h - a doubly linked list whose links live in the members; a member is in at most one list a link.
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct list {
  struct list *next, *prev; // a zeroed link is in no list; a head points at itself when empty
};

#define list_item(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct list *head) {
  head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head) {
  return head->next == head;
}

static inline bool list_linked(const struct list *link) {
  return link->next != NULL;
}

static inline void list_push_back(struct list *head, struct list *link) {
  link->next = head;
  link->prev = head->prev;
  head->prev->next = link;
  head->prev = link;
}

static inline void list_push_front(struct list *head, struct list *link) {
  list_push_back(head->next, link);
}

// Takes a link out of its list; does nothing to one that is in none.
static inline void list_remove(struct list *link) {
  if (!link->next) return;
  link->next->prev = link->prev;
  link->prev->next = link->next;
  link->next = link->prev = NULL;
}

// All members of `from` go behind those of `head`, in order; `from` is empty then.
static inline void list_join(struct list *head, struct list *from) {
  if (list_empty(from)) return;
  from->next->prev = head->prev;
  head->prev->next = from->next;
  from->prev->next = head;
  head->prev = from->prev;
  list_init(from);
}

// The same into a new head.
static inline void list_move(struct list *from, struct list *head) {
  list_init(head);
  list_join(head, from);
}

static inline struct list *list_first(struct list *head) {
  return list_empty(head) ? NULL : head->next;
}

static inline struct list *list_pop(struct list *head) {
  struct list *link = list_first(head);
  if (link) list_remove(link);
  return link;
}
