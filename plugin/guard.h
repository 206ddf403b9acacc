/* SPDX-License-Identifier: Apache-2.0 */
/* One consumer group executes a governed topic: claims, limits and held jobs are a group's, and a second one would end
 * and run what is the first one's. The store remembers which. */
#ifndef JG_PLUGIN_GUARD_H
#define JG_PLUGIN_GUARD_H

#include "plugin/gate.h"

#define JG_GUARD_TTL_MS 60000

struct jg_guard {
    struct jg_guard *next; /* entries stay until the gate goes */
    int64_t asked_ms;      /* monotonic; 0: never */
    bool refused;
    char reason[640];
    char topic[];
};

/* NULL: this consumer's group executes the topic, or the store does not say. Else why it may not, until this
 * thread asks again. Asks the store when a
 * topic comes up, and again every second while it is refused. Thread: the application's poller. */
const char *jg_guard_look(struct jg_gate *gate, const char *topic, int64_t now_ms);
/* Say to the store that the group is still there. Thread: the background thread. */
void jg_guard_tend(struct jg_gate *gate, int64_t now_ms);
void jg_guard_clear(struct jg_gate *gate);

#endif
