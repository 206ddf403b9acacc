/* SPDX-License-Identifier: Apache-2.0 */
/* The classes with a limit that this instance has met, and the override of each as it last saw it: so that an override
 * outlives the store's data. */
#ifndef JG_PLUGIN_KNOWN_H
#define JG_PLUGIN_KNOWN_H

#include "plugin/gate.h"

struct jg_known {
    struct jg_known *next; /* entries stay until the gate goes */
    struct jg_override override;
    int64_t synced_ms;  /* monotonic: when the store was last told; 0: never */
    _Atomic bool asked; /* this instance was answered about a job of the class */
    char class_name[];
};

/* The class's entry; *is_new: the store was not told of it yet. NULL: out of memory. Any thread. */
struct jg_known *jg_known_meet(struct jg_gate *gate, const char *class_name, bool *is_new);
/* What the store is told, and asked. Borrows `known` and `instance`. Under the lock. */
struct jg_op jg_known_sync_op(const struct jg_known *known, const char *instance, const struct jg_policy *policy);
/* The store has answered. */
void jg_known_synced(struct jg_gate *gate, struct jg_known *known, const struct jg_override *override, int64_t now_ms);
/* Tell the store again what is due. Thread: the background thread. */
void jg_known_tend(struct jg_gate *gate, int64_t now_ms);
void jg_known_clear(struct jg_gate *gate);

#endif
