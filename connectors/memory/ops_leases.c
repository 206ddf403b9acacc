/* SPDX-License-Identifier: Apache-2.0 */
/* Leases, chains, what is done, and gauges: what redis/scripts/runs.lua is to the scripts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

/* A free lease is remembered for its token. The number stands in runs.lua too. */
#define LEASE_FREE_MS 3600000

int64_t
jg_memory_number(const char *jid)
{
    return jg_jid_valid(jid, strlen(jid)) ? jg_jid_number(jid) : 0;
}

bool
jg_memory_same_chain(const char *one, const char *other)
{
    return strncmp(one, other, JG_CHAIN_CHARS) == 0;
}

const char *
jg_memory_position(const char *member)
{
    const char *instance = strchr(member, '@');
    const char *position = instance ? strchr(instance + 1, '@') : NULL;
    return position ? position + 1 : "";
}

bool
jg_memory_lasts(const struct jg_op *op)
{
    return op->dedup == JG_DEDUP_UNTIL_EXECUTED || op->limit != 0 || op->lease || op->capacity > 0 || op->limit_key;
}

static const char *
lease_key(const struct jg_op *op)
{
    return op->lease == JG_LEASE_KEY ? op->key : "";
}

struct jg_memory_lease *
jg_memory_find_lease(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms)
{
    return (struct jg_memory_lease *)jg_map_find(&class->leases, lease_key(op), now_ms);
}

bool
jg_memory_lease_lives(struct jg_memory_class *class, const char *key, int64_t now_ms)
{
    struct jg_memory_lease *lease = (struct jg_memory_lease *)jg_map_find(&class->leases, key, now_ms);
    return lease && lease->member[0] && jg_memory_member(class, lease->member, now_ms);
}

enum jg_err
jg_memory_give_lease(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, int64_t token)
{
    struct jg_memory_lease *lease =
        (struct jg_memory_lease *)jg_map_make(&class->leases, lease_key(op), sizeof *lease, now_ms);
    if (!lease)
        return JG_ENOMEM;
    snprintf(lease->member, sizeof lease->member, "%s", op->member);
    lease->token = token;
    lease->entry.expires_ms = now_ms + op->run_ttl_ms + LEASE_FREE_MS;
    return JG_OK;
}

static const char *
chain_key(const char *jid, char *out)
{
    snprintf(out, JG_CHAIN_CHARS + 1, "%s", jid);
    return out;
}

struct jg_memory_chain *
jg_memory_find_chain(struct jg_memory_class *class, const char *jid, int64_t now_ms)
{
    char key[JG_CHAIN_CHARS + 1];
    return (struct jg_memory_chain *)jg_map_find(&class->chains, chain_key(jid, key), now_ms);
}

bool
jg_memory_is_chained(const struct jg_op *op)
{
    return op->capacity > 0 || jg_memory_number(op->jid) > 0;
}

int64_t
jg_memory_chain_ttl_ms(const struct jg_op *op)
{
    if (jg_memory_is_chained(op))
        return JG_CHAIN_TTL_MS;
    return op->done_ttl_ms > 0 ? op->done_ttl_ms : JG_DONE_TTL_MS;
}

enum jg_err
jg_memory_set_chain(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, const char *member,
                    int64_t ttl_ms)
{
    char key[JG_CHAIN_CHARS + 1];
    struct jg_memory_chain *chain =
        (struct jg_memory_chain *)jg_map_make(&class->chains, chain_key(op->jid, key), sizeof *chain, now_ms);
    if (!chain)
        return JG_ENOMEM;
    chain->number = jg_memory_number(op->jid);
    snprintf(chain->member, sizeof chain->member, "%s", member);
    chain->entry.expires_ms = now_ms + ttl_ms;
    return JG_OK;
}

struct jg_memory_done *
jg_memory_find_done(struct jg_memory_class *class, const char *jid, int64_t now_ms)
{
    return (struct jg_memory_done *)jg_map_find(&class->done, jid, now_ms);
}

enum jg_err
jg_memory_set_done(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op, const char *member,
                   const char *next, bool waits, const char *at, int64_t ttl_ms)
{
    struct jg_memory_done *done = (struct jg_memory_done *)jg_map_make(&class->done, op->jid, sizeof *done, now_ms);
    if (!done)
        return JG_ENOMEM;
    snprintf(done->member, sizeof done->member, "%s", member);
    snprintf(done->next, sizeof done->next, "%s", next);
    snprintf(done->at, sizeof done->at, "%s", at);
    done->waits = waits;
    done->entry.expires_ms = now_ms + ttl_ms;
    return JG_OK;
}

int64_t
jg_memory_gauge(const struct jg_memory_class *class, const char *key, enum jg_gauge *trouble)
{
    struct jg_map_entry *entry = NULL;
    *trouble = JG_GAUGE_FINE;
    if (!key || !key[0])
        return -1;
    if (class->gauges)
        entry = jg_map_find(class->gauges, key, 0);
    *trouble = entry ? JG_GAUGE_FINE : JG_GAUGE_ABSENT;
    return entry ? ((const struct jg_memory_gauge *)entry)->value : 0;
}
