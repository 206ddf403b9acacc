/* SPDX-License-Identifier: Apache-2.0 */
/* A governed topic must not be compacted: a marked duplicate would replace its original. The broker is asked once per
 * topic. The first produce calls wait for the answer, bounded; then, until there is one, the topic counts as sound. */
#ifndef JG_PLUGIN_COMPACTION_H
#define JG_PLUGIN_COMPACTION_H

#include "base/log.h"
#include "plugin/rdk.h"

#define JG_COMPACTION_TOPICS_MAX 1024 /* governed topics that one handle checks; the rest go unchecked */

enum jg_compaction_state { JG_COMPACTION_NEW, JG_COMPACTION_ASKED, JG_COMPACTION_SOUND, JG_COMPACTION_COMPACTED };

struct jg_compaction {
    struct jg_compaction_check {
        char *name; /* owned */
        enum jg_compaction_state state;
        int64_t noted_ms; /* monotonic: when it came up */
    } * checks;           /* owned */
    size_t count;
    rd_kafka_queue_t *replies; /* NULL: nothing is asked */
    int64_t asked_ms;          /* monotonic */
};

void jg_compaction_clear(struct jg_compaction *compaction);

/* The topic's state; notes it when it is new. Under the gate's lock. *is_new: the background thread has work.
 * *noted_ms: when it came up. */
enum jg_compaction_state jg_compaction_look(struct jg_compaction *compaction, const char *name, int64_t now_ms,
                                            bool *is_new, int64_t *noted_ms);

struct jg_gate;
/* Ask for new topics, read answers. Thread: the background thread, not under the lock; never waits. True: call again
 * soon, an answer is due. */
bool jg_compaction_tend(struct jg_gate *gate, int64_t now_ms);
/* Give up the outstanding question. Thread: the background thread, before it ends. */
void jg_compaction_end(struct jg_gate *gate);

#endif
