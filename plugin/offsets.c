/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/offsets.h"

#include <stdlib.h>
#include <string.h>

static void
destroy(struct jg_partition *partition)
{
    free(partition->topic);
    free(partition->open);
    free(partition->untold);
    free(partition);
}

void
jg_offsets_clear(struct jg_offsets *offsets)
{
    for (size_t i = 0; i < offsets->count; i++)
        destroy(offsets->partitions[i]);
    free(offsets->partitions);
    *offsets = (struct jg_offsets){.partitions = NULL};
}

struct jg_partition *
jg_offsets_find(struct jg_offsets *offsets, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < offsets->count; i++) {
        struct jg_partition *each = offsets->partitions[i];
        if (each->partition == partition && strcmp(each->topic, topic) == 0)
            return each;
    }
    return NULL;
}

static struct jg_partition *
add(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    if (offsets->count == offsets->room) {
        size_t room = offsets->room ? offsets->room * 2 : 8;
        struct jg_partition **grown = realloc(offsets->partitions, room * sizeof(struct jg_partition *));
        if (!grown)
            return NULL;
        offsets->partitions = grown;
        offsets->room = room;
    }
    struct jg_partition *partition = calloc(1, sizeof *partition);
    if (!partition)
        return NULL;
    partition->topic = strdup(topic);
    if (!partition->topic) {
        free(partition);
        return NULL;
    }
    partition->partition = number;
    partition->first = partition->next = offset;
    partition->stored = partition->held = partition->committed = partition->following = -1;
    offsets->partitions[offsets->count++] = partition;
    return partition;
}

/* A seek backwards: what was handed out from `offset` on comes again. */
static void
rewind_to(struct jg_partition *partition, int64_t offset)
{
    while (partition->open_count && partition->open[partition->open_count - 1] >= offset)
        partition->open_count--;
    if (offset < partition->first)
        partition->first = offset;
    if (offset < partition->committed)
        partition->hands_off = true;
    partition->stored = -1;
}

static enum jg_err
make_room(int64_t **list, size_t count, size_t *room)
{
    if (count < *room)
        return JG_OK;
    size_t more = *room ? *room * 2 : 8;
    int64_t *grown = realloc(*list, more * sizeof *grown);
    if (!grown)
        return JG_ENOMEM;
    *list = grown;
    *room = more;
    return JG_OK;
}

enum jg_err
jg_offsets_begin(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    if (!partition)
        partition = add(offsets, topic, number, offset);
    if (!partition)
        return JG_ENOMEM;
    if (make_room(&partition->open, partition->open_count, &partition->open_room))
        return JG_ENOMEM;
    if (offset < partition->next)
        rewind_to(partition, offset);
    if (offset <= partition->held)
        partition->held = -1;
    partition->open[partition->open_count++] = offset;
    partition->next = offset + 1;
    return JG_OK;
}

enum jg_err
jg_offsets_wait(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    if (!partition)
        return JG_EINVAL;
    if (make_room(&partition->untold, partition->untold_count, &partition->untold_room))
        return JG_ENOMEM;
    size_t at = partition->untold_count++;
    for (; at > 0 && partition->untold[at - 1] > offset; at--) /* usually it is the last */
        partition->untold[at] = partition->untold[at - 1];
    partition->untold[at] = offset;
    return JG_OK;
}

void
jg_offsets_told(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    for (size_t i = 0; partition && i < partition->untold_count; i++) { /* usually the first */
        if (partition->untold[i] != offset)
            continue;
        memmove(&partition->untold[i], &partition->untold[i + 1], (partition->untold_count - i - 1) * sizeof(int64_t));
        partition->untold_count--;
        return;
    }
}

int64_t
jg_offsets_hold(struct jg_partition *partition, int64_t offset)
{
    if (partition->held < 0 || offset < partition->held)
        partition->held = offset;
    return partition->held;
}

void
jg_offsets_finish(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    for (size_t i = partition ? partition->open_count : 0; i-- > 0;) { /* usually the last */
        if (partition->open[i] != offset)
            continue;
        memmove(&partition->open[i], &partition->open[i + 1], (partition->open_count - i - 1) * sizeof(int64_t));
        partition->open_count--;
        return;
    }
}

void
jg_offsets_committed(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    size_t below = 0;
    if (!partition)
        return;
    if (offset == partition->following) {
        partition->following = -1;
        partition->lowered = offset < partition->committed;
    } else {
        partition->hands_off |= offset < partition->committed;
        partition->committed = offset;
        partition->lowered = false;
        if (offset < partition->stored)
            partition->stored = -1; /* it went back behind what was committed for it: that is due once more */
    }
    while (below < partition->open_count && partition->open[below] < offset)
        below++;
    if (below == 0)
        return;
    partition->open_count -= below;
    memmove(partition->open, &partition->open[below], partition->open_count * sizeof(int64_t));
}

void
jg_offsets_commit_failed(struct jg_offsets *offsets, const char *topic, int32_t number, int64_t offset)
{
    struct jg_partition *partition = jg_offsets_find(offsets, topic, number);
    if (!partition || offset != partition->following)
        return;
    partition->following = -1;
    partition->stored = -1;
}

int64_t
jg_offsets_take_follow(struct jg_partition *partition)
{
    if (partition->hands_off || partition->following >= 0)
        return -1;
    int64_t offset = jg_offsets_take_safe(partition);
    if (partition->lowered && offset <= partition->committed)
        offset = partition->committed;
    else if (offset <= partition->committed || offset <= partition->first)
        return -1;
    partition->following = offset;
    return offset;
}

int64_t
jg_offsets_take_safe(struct jg_partition *partition)
{
    int64_t safe = partition->open_count ? partition->open[0] : partition->next;
    if (partition->untold_count && partition->untold[0] < safe)
        safe = partition->untold[0];
    if (safe == partition->stored || (partition->stored < 0 && safe == partition->first))
        return -1;
    partition->stored = safe;
    return safe;
}

void
jg_offsets_forget(struct jg_offsets *offsets, const char *topic, int32_t number)
{
    for (size_t i = 0; i < offsets->count; i++) {
        struct jg_partition *each = offsets->partitions[i];
        if (each->partition != number || strcmp(each->topic, topic) != 0)
            continue;
        offsets->partitions[i] = offsets->partitions[--offsets->count];
        destroy(each);
        return;
    }
}
