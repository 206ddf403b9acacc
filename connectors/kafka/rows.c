/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of one partition of a holding topic: jobs by their offsets, and which are resumed. */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/lanes.h"

#define LEAST_SLOTS 64

void
jg_row_restore(struct jg_row *row, int64_t next, struct jg_passed *gone)
{
    jg_passed_clear(&row->gone);
    row->gone = *gone;
    *gone = (struct jg_passed){.runs = NULL};
    row->next = next;
    row->read = next;
}

/* Nothing that is known is before the offset. It may be passed already, with more that was resumed. */
static void
move_next(struct jg_row *row, int64_t offset)
{
    if (row->count == 0 && offset > row->next)
        row->next = offset;
    jg_passed_trim(&row->gone, &row->next);
}

enum jg_row_read
jg_row_read(struct jg_row *row, int64_t offset)
{
    if (offset < row->read) {
        if (row->count > 0)
            return JG_ROW_ANEW;
        jg_passed_clear(&row->gone); /* of a log that is no more */
        row->next = offset;
    }
    row->read = offset + 1;
    bool gone = offset < row->next || jg_passed_has(&row->gone, offset);
    move_next(row, gone ? offset + 1 : offset);
    return gone ? JG_ROW_GONE : JG_ROW_NEW;
}

struct jg_entry *
jg_row_first(const struct jg_row *row)
{
    size_t at = row->begin;
    return jg_row_each(row, &at);
}

struct jg_entry *
jg_row_each(const struct jg_row *row, size_t *at)
{
    while (*at < row->end) {
        struct jg_entry *entry = row->slots[(*at)++].entry;
        if (entry)
            return entry;
    }
    return NULL;
}

static size_t
place_of(const struct jg_row *row, int64_t offset)
{
    size_t low = row->begin, high = row->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (row->slots[middle].offset >= offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct jg_entry *
jg_row_find(const struct jg_row *row, int64_t offset)
{
    size_t at = place_of(row, offset);
    return at < row->end && row->slots[at].offset == offset ? row->slots[at].entry : NULL;
}

/* Those that are gone leave room, or there is to be more. */
static bool
make_room(struct jg_row *row)
{
    size_t kept = 0;
    if (row->end < row->capacity)
        return true;
    if (row->capacity < LEAST_SLOTS || row->count > row->capacity / 2) {
        size_t capacity = row->capacity < LEAST_SLOTS ? LEAST_SLOTS : row->capacity * 2;
        struct jg_slot *slots = realloc(row->slots, capacity * sizeof *slots);
        if (!slots)
            return false;
        row->slots = slots;
        row->capacity = capacity;
        return true;
    }
    for (size_t i = row->begin; i < row->end; i++)
        if (row->slots[i].entry)
            row->slots[kept++] = row->slots[i];
    row->begin = 0;
    row->end = kept;
    return true;
}

bool
jg_row_append(struct jg_row *row, struct jg_entry *entry)
{
    if (!make_room(row))
        return false;
    row->slots[row->end++] = (struct jg_slot){.offset = entry->offset, .entry = entry};
    row->count++;
    return true;
}

void
jg_row_remove(struct jg_row *row, const struct jg_entry *entry)
{
    row->slots[place_of(row, entry->offset)].entry = NULL;
    row->count--;
    while (row->begin < row->end && !row->slots[row->begin].entry)
        row->begin++;
}

bool
jg_row_plan(struct jg_row *row, struct jg_entry *entry)
{
    if (!row->planned && !jg_passed_copy(&row->gone, &row->gone_then))
        return false;
    if (!row->planned)
        row->next_then = row->next;
    row->planned = true;
    entry->going = true;
    return jg_passed_add(&row->gone_then, entry->offset);
}

void
jg_row_plan_end(struct jg_row *row)
{
    size_t at = row->begin;
    struct jg_entry *entry = jg_row_each(row, &at);
    while (entry && entry->going)
        entry = jg_row_each(row, &at);
    int64_t next = entry ? entry->offset : row->read;
    if (next > row->next_then) /* which is behind what was not read again, when that was resumed already */
        row->next_then = next;
    jg_passed_trim(&row->gone_then, &row->next_then);
}

void
jg_row_commit(struct jg_row *row)
{
    if (!row->planned)
        return;
    jg_passed_clear(&row->gone);
    row->gone = row->gone_then;
    row->next = row->next_then;
    row->gone_then = (struct jg_passed){.runs = NULL};
    row->planned = false;
}

void
jg_row_abort(struct jg_row *row)
{
    jg_passed_clear(&row->gone_then);
    row->planned = false;
}
