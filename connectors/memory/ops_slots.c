/* SPDX-License-Identifier: Apache-2.0 */
/* Capacity slots: what runs have put downstream, until a release or their time frees them. See runs.lua and free.lua.
 */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

int64_t
jg_memory_slots_taken(struct jg_memory_class *class, int64_t now_ms)
{
    jg_map_remove_expired(&class->slots, now_ms);
    return (int64_t) class->slots.count;
}

struct jg_map_entry *
jg_memory_find_slot(struct jg_memory_class *class, const char *jid, int64_t now_ms)
{
    return jg_map_find(&class->slots, jid, now_ms);
}

static enum jg_err
set_slot(struct jg_memory_class *class, int64_t now_ms, const char *jid, int64_t ttl_ms)
{
    struct jg_map_entry *slot = jg_map_make(&class->slots, jid, sizeof *slot, now_ms);
    if (!slot)
        return JG_ENOMEM;
    slot->expires_ms = now_ms + ttl_ms;
    return JG_OK;
}

/* It never ends before its run. */
static int64_t
slot_ttl_ms(const struct jg_op *op)
{
    return op->slot_ttl_ms > op->run_ttl_ms ? op->slot_ttl_ms : op->run_ttl_ms;
}

enum jg_err
jg_memory_take_slot(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, bool runs)
{
    if (!jg_op_has_slots(op) || (runs && !jg_memory_find_slot(class, op->jid, now_ms)))
        return JG_OK;
    return set_slot(class, now_ms, op->jid, slot_ttl_ms(op));
}

enum jg_err
jg_memory_put_slot_back(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, int64_t ttl_ms)
{
    if (jg_memory_find_slot(class, op->jid, now_ms) || jg_memory_slots_taken(class, now_ms) >= op->capacity)
        return JG_OK;
    return set_slot(class, now_ms, op->jid, ttl_ms);
}

enum jg_err
jg_memory_keep_slot(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    if (!jg_op_has_slots(op))
        return JG_OK;
    struct jg_map_entry *slot = jg_memory_find_slot(class, op->jid, now_ms);
    if (!slot && op->epoch_in != class->epoch)
        return jg_memory_put_slot_back(class, now_ms, op, slot_ttl_ms(op));
    if (slot && slot->expires_ms < now_ms + op->run_ttl_ms)
        slot->expires_ms = now_ms + op->run_ttl_ms;
    return JG_OK;
}

int64_t
jg_memory_load(struct jg_memory_class *class, int64_t now_ms, bool slots, const char *key, enum jg_gauge *trouble)
{
    if (!slots)
        return jg_memory_gauge(class, key, trouble);
    *trouble = JG_GAUGE_FINE;
    return jg_memory_slots_taken(class, now_ms);
}

enum jg_err
jg_memory_free(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    struct jg_map_entry *slot = jg_memory_find_slot(class, op->jid, now_ms);
    op->changed = slot;
    class->tallies[slot ? JG_TALLY_SLOTS_FREED : JG_TALLY_SLOTS_UNKNOWN]++;
    if (!slot)
        return JG_OK;
    jg_map_remove(&class->slots, slot);
    jg_memory_wake_resumer(class);
    return JG_OK;
}

/* --- reports --- */

static int
compare_slots(const void *left, const void *right)
{
    const struct jg_slot_report *one = left, *other = right;
    if (one->expires_ms != other->expires_ms)
        return one->expires_ms < other->expires_ms ? -1 : 1;
    return strcmp(one->jid, other->jid);
}

enum jg_err
jg_memory_slots(struct jg_store *base, const char *class_name,
                void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque)
{
    struct jg_memory_store *store = (struct jg_memory_store *)base;
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    size_t count = class ? (size_t)jg_memory_slots_taken(class, now_ms) : 0, filled = 0;
    struct jg_slot_report *copy = calloc(count + 1, sizeof(*copy)); /* `each` must not run under the lock */
    for (struct jg_map_entry *entry = NULL; copy && count && (entry = jg_map_next(&class->slots, entry));) {
        if (strlen(entry->key) >= sizeof copy->jid)
            continue;
        strcpy(copy[filled].jid, entry->key);
        copy[filled++].expires_ms = entry->expires_ms;
    }
    jg_memory_unlock(store->memory);
    if (!copy)
        return JG_ESTORE;
    qsort(copy, filled, sizeof *copy, compare_slots);
    for (size_t i = 0; i < filled; i++)
        each(opaque, &copy[i]);
    free(copy);
    return JG_OK;
}
