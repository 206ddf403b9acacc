/* SPDX-License-Identifier: Apache-2.0 */
/* One consumer group executes a governed topic: claims, limits and held jobs are a group's, and a second one would end
 * and run what is the first one's. The store remembers which. */
#ifndef JG_PLUGIN_GUARD_H
#define JG_PLUGIN_GUARD_H

#include "plugin/told.h"

#define JG_GUARD_TTL_MS 60000

/* NULL: this consumer's group executes the topic, or the store does not say. Else why it may not, good until this
 * thread asks again. Asks the store when a topic comes up, and again every second while it is refused. Thread: the
 * application's poller. */
const char *jg_guard_look(struct jg_gate *gate, const char *topic, int64_t now_ms);
/* Say to the store that the group is still there. Thread: the background thread. */
void jg_guard_tend(struct jg_gate *gate, int64_t now_ms);

#endif
