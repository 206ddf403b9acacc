/* SPDX-License-Identifier: Apache-2.0 */
/* Names of which the store is told again and again: the head of what is kept of each. Entries stay until the list is
 * cleared, so pointers to them stay good. */
#ifndef JG_PLUGIN_TOLD_H
#define JG_PLUGIN_TOLD_H

#include "plugin/gate.h"

struct jg_told {
    struct jg_told *next;
    int64_t told_ms; /* monotonic: when the store last answered; 0: never */
    char *name;      /* owned */
};

/* The entry of that name, zeroed and of `bytes` when it is new. NULL: out of memory. Under the gate's lock. */
struct jg_told *jg_told_find(struct jg_told **list, const char *name, size_t bytes);
void jg_told_clear(struct jg_told **list);

/* What differs from list to list. */
struct jg_told_kind {
    int64_t again_ms; /* told so often */
    /* The operation that tells it; false: this entry is not told now. Under the gate's lock. */
    bool (*tell)(struct jg_gate *gate, const struct jg_told *told, struct jg_op *op);
    /* The store has answered. Under the gate's lock. */
    void (*note)(struct jg_gate *gate, struct jg_told *told, const struct jg_op *op);
};

/* The store's answer to an entry's operation. Any thread, not under the lock. */
void jg_told_note(struct jg_gate *gate, const struct jg_told_kind *kind, struct jg_told *told, const struct jg_op *op,
                  int64_t now_ms);
/* Tell the store what is due. Thread: the background thread. */
void jg_told_tend(struct jg_gate *gate, const struct jg_told_kind *kind, struct jg_told *const *list, int64_t now_ms);

#endif
