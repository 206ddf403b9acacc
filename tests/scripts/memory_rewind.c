/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_rewind.h"

#include <stdlib.h>
#include <string.h>

#include "store_support.h"

static void *
copy_of(const void *data, size_t size)
{
    void *copy = malloc(size);
    must(copy);
    return memcpy(copy, data, size);
}

static void
copy_map(const struct jg_map *from, struct jg_map *to, size_t entry_bytes)
{
    to->destroy = from->destroy;
    for (const struct jg_map_entry *entry = NULL; (entry = jg_map_next(from, entry));) {
        struct jg_map_entry *copy = copy_of(entry, entry_bytes);
        enum jg_err err = jg_map_put(to, entry->key, copy, INT64_MIN);
        must(!err);
    }
}

static void
copy_class(const struct jg_memory_class *from, struct jg_memory_class *to)
{
    struct jg_map_entry entry = to->entry;
    *to = *from;
    to->entry = entry;
    to->claims = to->run = to->was = to->tickets = to->instances = to->leases = to->done = to->chains = to->key_run =
        to->marks = to->slots = to->follow_ups = (struct jg_map){.room = 0};
    copy_map(&from->claims, &to->claims, sizeof(struct jg_memory_claim));
    copy_map(&from->run, &to->run, sizeof(struct jg_map_entry));
    copy_map(&from->key_run, &to->key_run, sizeof(struct jg_map_entry));
    copy_map(&from->marks, &to->marks, sizeof(struct jg_map_entry));
    copy_map(&from->was, &to->was, sizeof(struct jg_memory_was));
    copy_map(&from->tickets, &to->tickets, sizeof(struct jg_memory_ticket));
    copy_map(&from->instances, &to->instances, sizeof(struct jg_memory_instance));
    copy_map(&from->leases, &to->leases, sizeof(struct jg_memory_lease));
    copy_map(&from->done, &to->done, sizeof(struct jg_memory_done));
    copy_map(&from->chains, &to->chains, sizeof(struct jg_memory_chain));
    copy_map(&from->slots, &to->slots, sizeof(struct jg_map_entry));
    copy_map(&from->follow_ups, &to->follow_ups, sizeof(struct jg_memory_fol));
    for (struct jg_map_entry *at = NULL; (at = jg_map_next(&to->tickets, at));) {
        struct jg_memory_ticket *ticket = (struct jg_memory_ticket *)at;
        ticket->position = ticket->position ? copy_of(ticket->position, strlen(ticket->position) + 1) : NULL;
    }
    for (struct jg_map_entry *at = NULL; (at = jg_map_next(&to->claims, at));) {
        struct jg_memory_claim *claim = (struct jg_memory_claim *)at;
        claim->member = claim->member ? copy_of(claim->member, strlen(claim->member) + 1) : NULL;
    }
    if (from->duplicates)
        to->duplicates = copy_of(from->duplicates, JG_DUPLICATES_KEPT * sizeof(*from->duplicates));
}

struct jg_memory_class *
memory_snapshot(const struct jg_memory_class *class)
{
    struct jg_memory_class *snapshot = calloc(1, sizeof *snapshot);
    must(snapshot);
    copy_class(class, snapshot);
    return snapshot;
}

void
memory_snapshot_destroy(struct jg_memory_class *snapshot)
{
    if (snapshot)
        jg_memory_class_clear(snapshot);
    free(snapshot);
}

void
memory_rewind(struct jg_memory_class *class, const struct jg_memory_class *snapshot)
{
    jg_memory_class_clear(class);
    copy_class(snapshot, class);
}

void
memory_flush(struct jg_memory_class *class)
{
    struct jg_map_entry entry = class->entry;
    struct jg_map *gauges = class->gauges;
    jg_memory_class_clear(class);
    *class = (struct jg_memory_class){.entry = entry, .listed = class->listed, .gauges = gauges};
    jg_memory_class_init(class);
}
