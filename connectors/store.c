/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/store.h"

#include <stdio.h>
#include <string.h>

#include "connectors/store_impl.h"

const char *const jg_tally_names[JG_TALLIES] = {
    [JG_TALLY_CLAIMED] = "claimed",
    [JG_TALLY_DUPLICATES] = "duplicates",
    [JG_TALLY_CANDIDATES] = "candidates",
    [JG_TALLY_CONFIRMED] = "confirmed",
    [JG_TALLY_PASSED] = "passed",
    [JG_TALLY_RELEASED] = "released",
    [JG_TALLY_ADMITTED] = "admitted",
    [JG_TALLY_SKIPPED] = "skipped",
    [JG_TALLY_COMPLETED] = "completed",
    [JG_TALLY_HELD] = "held",
    [JG_TALLY_RESUMED] = "resumed",
    [JG_TALLY_BURIED] = "buried",
    [JG_TALLY_NOOPS] = "noops",
    [JG_TALLY_REENQUEUED] = "reenqueued",
    [JG_TALLY_FAILED] = "failed",
    [JG_TALLY_RUNS_LOST] = "runs_lost",
    [JG_TALLY_LEASES_LOST] = "leases_lost",
    [JG_TALLY_MISSED] = "missed",
    [JG_TALLY_SLOTS_FREED] = "slots_freed",
    [JG_TALLY_SLOTS_UNKNOWN] = "slots_unknown",
    [JG_TALLY_FOLLOW_UPS] = "follow_ups",
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

/* What each kind of operation needs. */
struct needs {
    bool job, ttl, provisional, member, run_ttl, items, jid;
};

static const struct needs needs_of[JG_OP_KINDS] = {
    [JG_OP_CLAIM] = {.job = true, .provisional = true},
    [JG_OP_CONFIRM] = {.job = true, .ttl = true},
    [JG_OP_KEEP] = {.job = true, .provisional = true},
    [JG_OP_RELEASE] = {.job = true, .ttl = true, .provisional = true},
    [JG_OP_ADMIT] = {.job = true, .ttl = true, .member = true, .run_ttl = true},
    [JG_OP_RENEW] = {.job = true, .ttl = true, .member = true, .run_ttl = true},
    [JG_OP_COMPLETE] = {.job = true, .ttl = true, .member = true},
    [JG_OP_TAKE] = {.items = true},
    [JG_OP_PLACE] = {.items = true},
    [JG_OP_DROP] = {.items = true},
    [JG_OP_BURY] = {.job = true, .ttl = true, .provisional = true},
    [JG_OP_MARK] = {.items = true},
    [JG_OP_SYNC] = {.job = false},
    [JG_OP_LEAD] = {.member = true},
    [JG_OP_GROUP] = {.job = false},
    [JG_OP_ANNOUNCE] = {.job = false},
    [JG_OP_FREE] = {.jid = true},
};

static bool
job_is_sound(const struct jg_op *op)
{
    if (!op->key || !op->jid || strlen(op->key) != JG_KEY_CHARS || !op->jid[0] ||
        strlen(op->jid) >= JG_MEMBER_MAX_BYTES)
        return false;
    if (op->kind == JG_OP_CLAIM && !jg_jid_valid(op->jid, strlen(op->jid)))
        return false;
    if (op->follow_up < 0 || (op->kind == JG_OP_ADMIT && op->follow_up && !op->candidate_of) ||
        (op->kind == JG_OP_CLAIM && op->follows_up && op->dedup_ttl_ms <= 0))
        return false;
    return !op->candidate_of || jg_jid_valid(op->candidate_of, strlen(op->candidate_of));
}

/* Of a limit by its key; NULL: there is none. */
static bool
key_is_sound(const char *key)
{
    return !key || (strlen(key) == JG_KEY_CHARS && strspn(key, "0123456789abcdef") == JG_KEY_CHARS);
}

static bool
items_are_sound(const struct jg_op *op)
{
    if (op->item_count > JG_OP_MAX_ITEMS || (op->item_count && !op->items) ||
        (op->kind == JG_OP_PLACE && op->item_count % 2))
        return false;
    for (size_t i = 0; i < op->item_count; i++)
        if (!op->items[i] || !op->items[i][0] || strlen(op->items[i]) >= JG_MEMBER_MAX_BYTES)
            return false;
    for (size_t i = 0; op->kind == JG_OP_MARK && i < op->item_count; i++)
        if (!key_is_sound(op->items[i]))
            return false;
    if (op->kind != JG_OP_TAKE)
        return true;
    for (size_t i = 0; i < op->item_count; i++)
        if (strchr(op->items[i], ' ') || (op->limit_keys && !key_is_sound(op->limit_keys[i])))
            return false;
    return true;
}

/* SYNC, LEAD, GROUP: whose names come back in `other`, and whose times are needed only to hold something. */
static bool
name_is_sound(const struct jg_op *op)
{
    bool named = op->member && op->member[0];
    if (op->kind == JG_OP_SYNC)
        return op->override_now || (named && strlen(op->member) < JG_MEMBER_MAX_BYTES);
    if (op->kind != JG_OP_LEAD && op->kind != JG_OP_GROUP)
        return true;
    return op->member && strlen(op->member) < sizeof op->other && (op->leave || !named || op->run_ttl_ms > 0);
}

/* Chains and successors are made of jids, a no-op or a copy may pass its claim on, and reports say the gauges' keys. */
static bool
is_sound_to_continue(const struct jg_op *op)
{
    static const size_t most_bytes = sizeof((struct jg_class_report *)NULL)->load_key;
    const char *const keys[] = {op->load_key, op->work_key};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i] && strlen(keys[i]) >= most_bytes)
            return false;
    if (op->slot_ttl_ms < 0 || op->per_key < 0 || op->capacity < 0 || op->done_ttl_ms < 0 || op->token_in < 0 ||
        (unsigned)op->lease > JG_LEASE_KEY)
        return false;
    if (op->kind != JG_OP_ADMIT && op->kind != JG_OP_RENEW && op->kind != JG_OP_COMPLETE)
        return true;
    bool valid = jg_jid_valid(op->jid, strlen(op->jid));
    if (!key_is_sound(op->limit_key) || (op->kind == JG_OP_ADMIT && !op->limit_key != !op->per_key))
        return false;
    if (!op->lease && !op->capacity && !op->done_ttl_ms && !op->failed)
        return op->kind != JG_OP_ADMIT || op->dedup_provisional_ms > 0 || !valid || !jg_jid_number(op->jid);
    return valid && (op->kind != JG_OP_ADMIT || op->dedup_provisional_ms > 0);
}

/* Needs what each operation names, so that neither store has to ask again. */
static bool
op_is_sound(const struct jg_op *op)
{
    if ((unsigned)op->kind >= JG_OP_KINDS || !op->class_name)
        return false;
    const struct needs *needs = &needs_of[op->kind];
    if ((needs->job && !job_is_sound(op)) || (needs->items && !items_are_sound(op)) || !name_is_sound(op))
        return false;
    if (needs->jid && (!op->jid || !jg_jid_valid(op->jid, strlen(op->jid))))
        return false;
    if (!is_sound_to_continue(op))
        return false;
    if (needs->member && (!op->member || !op->member[0] || strlen(op->member) >= JG_MEMBER_MAX_BYTES))
        return false;
    return (!needs->ttl || op->dedup_ttl_ms > 0) && (!needs->run_ttl || op->run_ttl_ms > 0) &&
           (!needs->provisional || op->dedup_provisional_ms > 0);
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

const struct jg_store_meter *
jg_store_meter(const struct jg_store *store)
{
    return &store->meter;
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
jg_store_survey(struct jg_store *store, struct jg_survey *survey)
{
    return store->vtable->survey(store, survey);
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

enum jg_err
jg_store_tickets(struct jg_store *store, const char *class_name,
                 void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque)
{
    return store->vtable->tickets(store, class_name, each, opaque);
}

enum jg_err
jg_store_leases(struct jg_store *store, const char *class_name,
                void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque)
{
    return store->vtable->leases(store, class_name, each, opaque);
}

enum jg_err
jg_store_slots(struct jg_store *store, const char *class_name,
               void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque)
{
    return store->vtable->slots(store, class_name, each, opaque);
}

enum jg_err
jg_store_job_report(struct jg_store *store, const char *class_name, const char *jid, struct jg_job_report *out)
{
    return store->vtable->job_report(store, class_name, jid, out);
}

enum jg_err
jg_store_key_report(struct jg_store *store, const char *class_name, const char *limit_key, struct jg_key_report *out)
{
    return store->vtable->key_report(store, class_name, limit_key, out);
}

enum jg_err
jg_store_check(struct jg_store *store, void (*each)(void *opaque, enum jg_log_level level, const char *text),
               void *opaque)
{
    return store->vtable->check(store, each, opaque);
}

enum jg_err
jg_store_watch(struct jg_store *store, struct jg_watch **out)
{
    return store->vtable->watch(store, out);
}

int
jg_watch_fd(const struct jg_watch *watch)
{
    return watch->fd;
}

enum jg_err
jg_watch_read(struct jg_watch *watch, bool *woken)
{
    return watch->read(watch, woken);
}

void
jg_watch_close(struct jg_watch *watch)
{
    if (watch)
        watch->close(watch);
}

void
jg_report_instance(struct jg_class_report *report, const char *name, int64_t limit, int64_t told_ms, int64_t now_ms)
{
    if (told_ms < now_ms - JG_INSTANCE_TOLD_MS)
        return;
    size_t index = report->instance_count++;
    if (index > 0 && limit != report->instances[0].limit)
        report->disagree = true;
    if (index >= JG_REPORT_INSTANCES)
        return;
    struct jg_instance_report *instance = &report->instances[index];
    snprintf(instance->name, sizeof instance->name, "%.*s", (int)sizeof instance->name - 1, name);
    instance->limit = limit;
    instance->told_ms = told_ms;
}
