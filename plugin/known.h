/* SPDX-License-Identifier: Apache-2.0 */
/* The classes with a limit that this instance has met, and the override of each as it last saw it: so that an override
 * outlives the store's data. */
#ifndef JG_PLUGIN_KNOWN_H
#define JG_PLUGIN_KNOWN_H

#include "plugin/told.h"

struct jg_known {
    struct jg_told told;
    struct jg_override override;
    _Atomic bool asked; /* this instance was answered about a job of the class */
    double ran_ms;      /* so long a run has its slot here, on the average; 0: not known. Under the gate's lock */
};

/* The class's entry; *is_new: the store was not told of it yet. NULL: out of memory. Any thread. */
struct jg_known *jg_known_meet(struct jg_gate *gate, const char *class_name, bool *is_new);
/* What the store is told, and asked. Borrows `known`. Any thread. */
struct jg_op jg_known_sync_op(struct jg_gate *gate, const struct jg_known *known);
/* The store has answered. Any thread. */
void jg_known_synced(struct jg_gate *gate, struct jg_known *known, const struct jg_op *op, int64_t now_ms);
/* A run of the class has ended, after so long. Any thread. */
void jg_known_ran(struct jg_gate *gate, const char *class_name, int64_t ran_ms);
/* What jg_known_ran was told, on the average; 0: nothing yet, or `known` is NULL. Any thread. */
int64_t jg_known_ran_ms(struct jg_gate *gate, const struct jg_known *known);
/* Tell the store again what is due. Thread: the background thread. */
void jg_known_tend(struct jg_gate *gate, int64_t now_ms);

#endif
