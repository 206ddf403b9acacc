/* SPDX-License-Identifier: Apache-2.0 */
/* Limits by key, and whom newcomers go behind where that is told by keys: its like in redis/scripts is in runs.lua. */
#include <stdio.h>
#include <string.h>

#include "connectors/memory/ops.h"

/* `out` has KEY_RUN_BYTES. */
#define KEY_RUN_BYTES (JG_KEY_CHARS + 1 + JG_MEMBER_MAX_BYTES)

static const char *
key_run(const struct jg_op *op, char *out)
{
    snprintf(out, KEY_RUN_BYTES, "%s %s", op->limit_key, op->member);
    return out;
}

int64_t
jg_memory_key_runs(struct jg_memory_class *class, const char *limit_key, int64_t now_ms)
{
    int64_t count = 0;
    for (const struct jg_map_entry *at = NULL; (at = jg_map_next(&class->key_run, at));)
        count += at->expires_ms > now_ms && strncmp(at->key, limit_key, JG_KEY_CHARS) == 0;
    return count;
}

enum jg_err
jg_memory_keep_key_run(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    char key[KEY_RUN_BYTES];
    if (!op->limit_key)
        return JG_OK;
    struct jg_map_entry *entry = jg_map_make(&class->key_run, key_run(op, key), sizeof *entry, now_ms);
    if (!entry)
        return JG_ENOMEM;
    entry->expires_ms = now_ms + op->run_ttl_ms;
    return JG_OK;
}

void
jg_memory_leave_key_run(struct jg_memory_class *class, const struct jg_op *op)
{
    char key[KEY_RUN_BYTES];
    struct jg_map_entry *entry = op->limit_key ? jg_map_find(&class->key_run, key_run(op, key), INT64_MIN) : NULL;
    if (entry)
        jg_map_remove(&class->key_run, entry);
}

size_t
jg_memory_own_keys(const struct jg_op *op, char (*keys)[JG_KEY_CHARS + 1])
{
    size_t count = 0;
    if (op->limit_key)
        snprintf(keys[count++], sizeof keys[0], "%s", op->limit_key);
    /* Only ADMIT is told what a taken lease means. */
    if (op->lease == JG_LEASE_KEY && (!op->lease_skips || op->kind != JG_OP_ADMIT))
        snprintf(keys[count++], sizeof keys[0], "%s", op->jid);
    return count;
}

static enum jg_err
mark(struct jg_memory_class *class, int64_t now_ms, const char *key, bool *is_new)
{
    *is_new = !jg_map_find(&class->marks, key, now_ms);
    struct jg_map_entry *entry = jg_map_make(&class->marks, key, sizeof *entry, now_ms);
    if (!entry)
        return JG_ENOMEM;
    entry->expires_ms = now_ms + JG_MARK_MS;
    return JG_OK;
}

enum jg_err
jg_memory_hold_keys(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, bool waits_for_class)
{
    char keys[JG_MEMORY_OWN_KEYS][JG_KEY_CHARS + 1];
    bool is_new;
    size_t count = jg_memory_own_keys(op, keys);
    class->waiting += count && waits_for_class;
    for (size_t i = 0; i < count; i++)
        if (mark(class, now_ms, keys[i], &is_new))
            return JG_ENOMEM;
    if (count)
        jg_map_remove_expired(&class->marks, now_ms);
    return JG_OK;
}

int64_t
jg_memory_key_tickets(const struct jg_memory_class *class, const char *limit_key)
{
    int64_t count = 0;
    for (const struct jg_map_entry *at = NULL; (at = jg_map_next(&class->tickets, at));)
        count += strcmp(((const struct jg_memory_ticket *)at)->limit_key, limit_key) == 0;
    return count;
}

bool
jg_memory_job_key_has_ticket(const struct jg_memory_class *class, const char *jid)
{
    for (const struct jg_map_entry *at = NULL; (at = jg_map_next(&class->tickets, at));)
        if (strncmp(at->key, jid, JG_KEY_CHARS) == 0)
            return true;
    return false;
}

bool
jg_memory_goes_behind_its_own(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op)
{
    char keys[JG_MEMORY_OWN_KEYS][JG_KEY_CHARS + 1];
    size_t count = jg_memory_own_keys(op, keys);
    for (size_t i = 0; i < count; i++)
        if (jg_map_find(&class->marks, keys[i], now_ms))
            return true;
    if (op->limit_key && class->tickets.count &&
        jg_memory_key_runs(class, op->limit_key, now_ms) + jg_memory_key_tickets(class, op->limit_key) >= op->per_key)
        return true;
    return op->lease == JG_LEASE_KEY && !op->lease_skips && jg_memory_job_key_has_ticket(class, op->jid);
}

enum jg_err
jg_memory_mark(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op)
{
    op->changed = false;
    if (op->item_count)
        jg_map_remove_expired(&class->marks, now_ms);
    for (size_t i = 0; i < op->item_count; i++) {
        struct jg_map_entry *entry = op->leave ? jg_map_find(&class->marks, op->items[i], now_ms) : NULL;
        bool is_new = false;
        if (entry)
            jg_map_remove(&class->marks, entry);
        else if (!op->leave && mark(class, now_ms, op->items[i], &is_new))
            return JG_ENOMEM;
        op->changed = op->changed || entry || is_new;
    }
    return JG_OK;
}
