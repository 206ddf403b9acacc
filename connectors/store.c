/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/store.h"

#include <stdio.h>
#include <string.h>

#include "connectors/store_impl.h"

const char *const jg_tally_names[JG_TALLIES] = {
    [JG_TALLY_CLAIMED] = "claimed",     [JG_TALLY_DUPLICATES] = "duplicates", [JG_TALLY_CANDIDATES] = "candidates",
    [JG_TALLY_CONFIRMED] = "confirmed", [JG_TALLY_PASSED] = "passed",         [JG_TALLY_RELEASED] = "released",
    [JG_TALLY_ADMITTED] = "admitted",   [JG_TALLY_SKIPPED] = "skipped",       [JG_TALLY_COMPLETED] = "completed",
};

enum jg_err
jg_store_open(const struct jg_store_options *options, struct jg_store **out, struct jg_error *error)
{
    if (strncmp(options->url, "memory:", 7) == 0)
        return jg_memory_open(options, out, error);
    if (strncmp(options->url, "redis", 5) == 0)
        return jg_redis_open(options, out, error);
    snprintf(error->text, sizeof error->text,
             "jobgate.store: not a store's URL; expected redis://[user[:password]@]host[:port][/db], "
             "redis+unix:///path[?db=N] or memory:[name]");
    return JG_EINVAL;
}

void
jg_store_close(struct jg_store *store)
{
    if (store)
        store->vtable->close(store);
}

/* Needs what each operation names, so that neither store has to ask again. */
static bool
op_is_sound(const struct jg_op *op)
{
    static const struct {
        bool ttl, provisional, member, run_ttl;
    } needs[JG_OP_KINDS] = {
        [JG_OP_CLAIM] = {.provisional = true},
        [JG_OP_CONFIRM] = {.ttl = true},
        [JG_OP_KEEP] = {.provisional = true},
        [JG_OP_RELEASE] = {.ttl = true, .provisional = true},
        [JG_OP_ADMIT] = {.ttl = true, .member = true, .run_ttl = true},
        [JG_OP_RENEW] = {.ttl = true, .member = true, .run_ttl = true},
        [JG_OP_COMPLETE] = {.ttl = true, .member = true},
    };
    if ((unsigned)op->kind >= JG_OP_KINDS || !op->class_name || !op->key || !op->jid)
        return false;
    if (strlen(op->key) != JG_KEY_CHARS || !op->jid[0] || strlen(op->jid) >= JG_MEMBER_MAX_BYTES)
        return false;
    if (op->kind == JG_OP_CLAIM && !jg_jid_valid(op->jid, strlen(op->jid)))
        return false;
    if (op->candidate_of && !jg_jid_valid(op->candidate_of, strlen(op->candidate_of)))
        return false;
    if (needs[op->kind].member && (!op->member || !op->member[0] || strlen(op->member) >= JG_MEMBER_MAX_BYTES))
        return false;
    return (!needs[op->kind].ttl || op->dedup_ttl_ms > 0) && (!needs[op->kind].run_ttl || op->run_ttl_ms > 0) &&
           (!needs[op->kind].provisional || op->dedup_provisional_ms > 0);
}

enum jg_err
jg_store_exec(struct jg_store *store, struct jg_op *ops, size_t count)
{
    bool sound = true;
    for (size_t i = 0; i < count; i++)
        sound = sound && op_is_sound(&ops[i]);
    if (sound)
        return count ? store->vtable->exec(store, ops, count) : JG_OK;
    for (size_t i = 0; i < count; i++)
        ops[i].err = JG_EINVAL;
    return JG_EINVAL;
}

bool
jg_store_wait(struct jg_store *store, int64_t timeout_ms)
{
    return store->vtable->wait(store, timeout_ms);
}

bool
jg_store_is_up(struct jg_store *store)
{
    return store->vtable->is_up(store);
}

void
jg_store_tend(struct jg_store *store)
{
    store->vtable->tend(store);
}

enum jg_err
jg_store_classes(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque)
{
    return store->vtable->classes(store, each, opaque);
}

enum jg_err
jg_store_class_report(struct jg_store *store, const char *class_name, struct jg_class_report *out)
{
    return store->vtable->class_report(store, class_name, out);
}

enum jg_err
jg_store_claim_report(struct jg_store *store, const char *class_name, const char *key, struct jg_claim_report *out)
{
    return store->vtable->claim_report(store, class_name, key, out);
}

enum jg_err
jg_store_was(struct jg_store *store, const char *class_name, const char *jid, bool *out)
{
    return store->vtable->was(store, class_name, jid, out);
}

enum jg_err
jg_store_duplicates(struct jg_store *store, const char *class_name,
                    void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque)
{
    return store->vtable->duplicates(store, class_name, each, opaque);
}
