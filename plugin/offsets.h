/* SPDX-License-Identifier: Apache-2.0 */
/* Safe offsets: per partition, the offset below which every governed message is finished. Pure: no I/O, no clock, no
 * lock (the caller's). Storing only safe offsets is what makes a crash re-deliver what was not finished. */
#ifndef JG_PLUGIN_OFFSETS_H
#define JG_PLUGIN_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct jg_partition {
    char *topic; /* owned */
    int32_t partition;
    int64_t first; /* the first offset seen since it was assigned */
    int64_t next;  /* one past the highest offset seen */
    int64_t *open; /* unfinished offsets, ascending; owned */
    size_t open_count, open_room;
    int64_t
        *untold; /* of messages of which something is yet to be told, ascending; owned. A seek back changes nothing */
    size_t untold_count, untold_room;
    int64_t stored;    /* the last safe offset that was handed to librdkafka; -1: none */
    int64_t held;      /* the lowest offset that was held back and has not come again; -1: none */
    bool storing;      /* a thread is about to store: it looks again when it is done */
    int64_t committed; /* the application's own last commit that was seen; -1: none */
    int64_t following; /* what is being committed for the application; -1: nothing is on its way */
    bool lowered;      /* that arrived after a higher commit of the application's own, which is due once more */
    bool hands_off;    /* the application's commits do not tell what is finished: nothing is committed for it */
};

struct jg_offsets {
    struct jg_partition **partitions; /* owned; pointers stay valid until jg_offsets_forget */
    size_t count, room;
};

void jg_offsets_clear(struct jg_offsets *offsets);

/* NULL: not seen since it was assigned. */
struct jg_partition *jg_offsets_find(struct jg_offsets *offsets, const char *topic, int32_t partition);

/* A message comes in: it is unfinished from now on. The same or a lower offset again (a seek) forgets what was open
 * from there on. JG_ENOMEM: nothing changed. */
JG_MUST_USE enum jg_err jg_offsets_begin(struct jg_offsets *offsets, const char *topic, int32_t partition,
                                         int64_t offset);

/* Something of the message has to be told elsewhere: it is not safe before that, even when it is finished. Once for
 * each such thing; JG_EINVAL: its partition is not seen. JG_ENOMEM: nothing changed. */
JG_MUST_USE enum jg_err jg_offsets_wait(struct jg_offsets *offsets, const char *topic, int32_t partition,
                                        int64_t offset);
/* One such thing was told. Unknown ones are ignored, as there. */
void jg_offsets_told(struct jg_offsets *offsets, const char *topic, int32_t partition, int64_t offset);

/* The message is held back, so it stays open. Returns where to seek to: it, or a lower one that is held back too. */
int64_t jg_offsets_hold(struct jg_partition *partition, int64_t offset);

/* The message is finished. Unknown partitions and offsets (revoked since, or sought over) are ignored. */
void jg_offsets_finish(struct jg_offsets *offsets, const char *topic, int32_t partition, int64_t offset);

/* The group's offset has become `offset`, by a commit of the application or by the one for it: what is below is
 * finished. An application that goes backwards wants messages again, whatever is finished. */
void jg_offsets_committed(struct jg_offsets *offsets, const char *topic, int32_t partition, int64_t offset);
/* A commit of `offset` failed. */
void jg_offsets_commit_failed(struct jg_offsets *offsets, const char *topic, int32_t partition, int64_t offset);

/* The offset to store: everything below it is finished. -1: nothing new since the last one that was taken. */
int64_t jg_offsets_take_safe(struct jg_partition *partition);

/* The offset to commit for the application, which sees neither what is skipped nor what is held. -1: none, or one is on
 * its way. It must be committed now, and its result told with jg_offsets_committed or jg_offsets_commit_failed. */
int64_t jg_offsets_take_follow(struct jg_partition *partition);

/* The partition was taken away, or assigned anew. */
void jg_offsets_forget(struct jg_offsets *offsets, const char *topic, int32_t partition);

#endif
