/* SPDX-License-Identifier: Apache-2.0 */
/* What the resumer reads now and then, and the `jobgate` command. */
#include <stdlib.h>
#include <string.h>

#include "connectors/memory/ops.h"

static struct jg_memory_store *
cast(struct jg_store *store)
{
    return (struct jg_memory_store *)store;
}

enum jg_err
jg_memory_classes(struct jg_store *base, void (*each)(void *opaque, const char *class_name), void *opaque)
{
    struct jg_memory_store *store = cast(base);
    struct jg_buf prefix = JG_BUF_INIT;
    struct jg_buf names = JG_BUF_INIT; /* NUL-separated: `each` must not run under the lock */
    if (jg_memory_class_key(store, "", &prefix)) {
        struct jg_map_entry *entry = NULL;
        (void)jg_memory_lock(store->memory);
        while ((entry = jg_map_next(&store->memory->classes, entry)))
            if (((struct jg_memory_class *)entry)->listed && strncmp(entry->key, prefix.data, prefix.size_bytes) == 0)
                jg_buf_append(&names, entry->key + prefix.size_bytes, strlen(entry->key) - prefix.size_bytes + 1);
        jg_memory_unlock(store->memory);
    }
    enum jg_err err = prefix.failed || names.failed ? JG_ESTORE : JG_OK;
    for (size_t at = 0; !err && at < names.size_bytes; at += strlen(names.data + at) + 1)
        each(opaque, names.data + at);
    jg_buf_clear(&prefix);
    jg_buf_clear(&names);
    return err;
}

static void
report_slots(const struct jg_memory_class *class, int64_t now_ms, struct jg_class_report *out)
{
    out->load = 0;
    for (const struct jg_map_entry *slot = NULL; (slot = jg_map_next(&class->slots, slot));) {
        if (slot->expires_ms <= now_ms)
            continue;
        if (!out->load || slot->expires_ms < out->slots_until_ms[0])
            out->slots_until_ms[0] = slot->expires_ms;
        if (slot->expires_ms > out->slots_until_ms[1])
            out->slots_until_ms[1] = slot->expires_ms;
        out->load++;
    }
}

static void
report_gauges(const struct jg_memory_class *class, int64_t now_ms, struct jg_class_report *out)
{
    enum jg_gauge trouble;
    out->slots = class->by_slots;
    if (out->slots)
        report_slots(class, now_ms, out);
    if (class->load_key[0])
        out->load = jg_memory_gauge(class, class->load_key, &out->gauge);
    if (class->work_key[0])
        out->work = jg_memory_gauge(class, class->work_key, &trouble);
}

static void
report_limits(const struct jg_memory_class *class, int64_t now_ms, struct jg_class_report *out)
{
    out->told = class->told;
    out->limit = class->limit;
    out->override = class->override;
    out->tickets = (int64_t) class->tickets.count;
    out->per_key = class->per_key;
    out->paced = class->ahead == JG_AUTO;
    out->ahead = out->paced ? class->paced : class->ahead;
    out->held = class->held;
    out->oldest_held_ms = class->oldest_held_ms;
    out->lease = class->lease;
    out->capacity = class->capacity;
    strcpy(out->load_key, class->load_key);
    strcpy(out->work_key, class->work_key);
    report_gauges(class, now_ms, out);
    for (const struct jg_map_entry *entry = NULL; (entry = jg_map_next(&class->instances, entry));) {
        const struct jg_memory_instance *instance = (const struct jg_memory_instance *)entry;
        jg_report_instance(out, entry->key, instance->limit, instance->told_ms, now_ms);
    }
}

/* Leaves expired runs to be reaped, and counted, by the operations. */
static void
count_live(struct jg_memory_class *class, int64_t now_ms, struct jg_class_report *out)
{
    const struct jg_map_entry *entry = NULL;
    jg_map_remove_expired(&class->claims, now_ms);
    out->claims = (int64_t) class->claims.count;
    while ((entry = jg_map_next(&class->claims, entry)))
        out->claim_states[((const struct jg_memory_claim *)entry)->state]++;
    while ((entry = jg_map_next(&class->run, entry)))
        out->running += entry->expires_ms > now_ms;
    const struct jg_memory_lease *lease = (struct jg_memory_lease *)jg_map_find(&class->leases, "", now_ms);
    out->lease_held = jg_memory_lease_lives(class, "", now_ms);
    out->lease_token = lease ? lease->token : 0;
    out->epoch = class->epoch;
}

enum jg_err
jg_memory_class_report(struct jg_store *base, const char *class_name, struct jg_class_report *out)
{
    struct jg_memory_store *store = cast(base);
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    *out = (struct jg_class_report){.counter_count = JG_TALLIES};
    if (class) {
        count_live(class, now_ms, out);
        report_limits(class, now_ms, out);
    }
    for (size_t i = 0; i < JG_TALLIES; i++) {
        out->counters[i].name = jg_tally_names[i];
        out->counters[i].value = class ? class->tallies[i] : 0;
    }
    jg_memory_unlock(store->memory);
    return JG_OK;
}

struct survey_walk {
    struct jg_store *store;
    struct jg_survey *survey;
};

static void
survey_class(void *opaque, const char *class_name)
{
    const struct survey_walk *walk = opaque;
    struct jg_survey *survey = walk->survey;
    struct jg_class_report class;
    survey->known++;
    if ((survey->most && survey->known > survey->most) || jg_memory_class_report(walk->store, class_name, &class))
        return;
    survey->each(survey->opaque, class_name, &class);
}

enum jg_err
jg_memory_survey(struct jg_store *base, struct jg_survey *survey)
{
    struct jg_memory *memory = cast(base)->memory;
    struct survey_walk walk = {.store = base, .survey = survey};
    survey->known = 0;
    survey->store = (struct jg_store_report){.now_ms = jg_memory_lock(memory),
                                             .uptime_s = -1,
                                             .evicted_keys = -1,
                                             .memory_bytes = -1,
                                             .memory_max_bytes = -1};
    jg_memory_unlock(memory);
    if (!survey->names)
        return jg_memory_classes(base, survey_class, &walk);
    for (size_t i = 0; i < survey->count; i++)
        survey_class(&walk, survey->names[i]);
    return JG_OK;
}

enum jg_err
jg_memory_claim_report(struct jg_store *base, const char *class_name, const char *key, struct jg_claim_report *out)
{
    struct jg_memory_store *store = cast(base);
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    struct jg_memory_claim *claim = class ? (struct jg_memory_claim *)jg_map_find(&class->claims, key, now_ms) : NULL;
    *out = (struct jg_claim_report){.state = JG_CLAIM_NONE};
    if (claim) {
        out->state = claim->state;
        out->old_epoch = claim->epoch != class->epoch;
        out->dedup = claim->dedup;
        out->since_ms = claim->since_ms;
        out->ttl_ms = claim->entry.expires_ms - now_ms;
        out->duplicates = claim->duplicates;
        strcpy(out->owner, claim->owner);
        strcpy(out->newest_candidate, claim->newest);
        strcpy(out->newest_acked_candidate, claim->newest_acked);
        const struct jg_memory_fol *fol = (struct jg_memory_fol *)jg_map_find(&class->follow_ups, key, now_ms);
        if (fol && strcmp(fol->newest, claim->owner) != 0)
            strcpy(out->newest_follow_up, fol->newest);
        if (claim->state == JG_CLAIM_RUNNING && claim->member)
            strcpy(out->member, claim->member);
    }
    jg_memory_unlock(store->memory);
    return JG_OK;
}

enum jg_err
jg_memory_was(struct jg_store *base, const char *class_name, const char *jid, bool *out)
{
    struct jg_memory_store *store = cast(base);
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    *out = class && jg_map_find(&class->was, jid, now_ms);
    jg_memory_unlock(store->memory);
    return JG_OK;
}

enum jg_err
jg_memory_duplicates(struct jg_store *base, const char *class_name,
                     void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque)
{
    struct jg_memory_store *store = cast(base);
    struct jg_duplicate_report *copy = calloc(JG_DUPLICATES_KEPT, sizeof(*copy));
    size_t count = 0;
    if (!copy)
        return JG_ESTORE;
    (void)jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    for (; class && count < class->duplicate_count && count < JG_DUPLICATES_KEPT; count++)
        copy[count] = class->duplicates[(class->duplicate_count - 1 - count) % JG_DUPLICATES_KEPT];
    jg_memory_unlock(store->memory);
    for (size_t i = 0; i < count; i++)
        each(opaque, &copy[i]);
    free(copy);
    return JG_OK;
}

enum jg_err
jg_memory_tickets(struct jg_store *base, const char *class_name,
                  void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque)
{
    struct jg_memory_store *store = cast(base);
    struct jg_buf tickets = JG_BUF_INIT; /* of jg_ticket_report: `each` must not run under the lock */
    (void)jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    for (const struct jg_map_entry *entry = NULL; class && (entry = jg_map_next(&class->tickets, entry));) {
        const struct jg_memory_ticket *ticket = (const struct jg_memory_ticket *)entry;
        struct jg_ticket_report report = {.taken_ms = ticket->taken_ms};
        if (strlen(entry->key) >= sizeof report.jid)
            continue;
        strcpy(report.jid, entry->key);
        strcpy(report.position, ticket->position ? ticket->position : "");
        strcpy(report.limit_key, ticket->limit_key);
        jg_buf_append(&tickets, &report, sizeof report);
    }
    jg_memory_unlock(store->memory);
    enum jg_err err = tickets.failed ? JG_ESTORE : JG_OK;
    for (size_t at = 0; !err && at < tickets.size_bytes; at += sizeof(struct jg_ticket_report)) {
        struct jg_ticket_report report;
        memcpy(&report, tickets.data + at, sizeof report);
        each(opaque, &report);
    }
    jg_buf_clear(&tickets);
    return err;
}

enum jg_err
jg_memory_leases(struct jg_store *base, const char *class_name,
                 void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque)
{
    struct jg_memory_store *store = cast(base);
    struct jg_buf leases = JG_BUF_INIT; /* of jg_lease_report: `each` must not run under the lock */
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    for (const struct jg_map_entry *entry = NULL; class && (entry = jg_map_next(&class->leases, entry));) {
        const struct jg_memory_lease *lease = (const struct jg_memory_lease *)entry;
        const struct jg_map_entry *owner = jg_memory_member(class, lease->member, now_ms);
        struct jg_lease_report report = {.token = lease->token, .expires_ms = owner ? owner->expires_ms : 0};
        if (entry->expires_ms <= now_ms || (entry->key[0] && class->lease != JG_LEASE_KEY) ||
            strlen(entry->key) >= sizeof report.key)
            continue;
        strcpy(report.key, entry->key);
        strcpy(report.member, owner ? lease->member : "");
        jg_buf_append(&leases, &report, sizeof report);
    }
    jg_memory_unlock(store->memory);
    enum jg_err err = leases.failed ? JG_ESTORE : JG_OK;
    for (size_t at = 0; !err && at < leases.size_bytes; at += sizeof(struct jg_lease_report)) {
        struct jg_lease_report report;
        memcpy(&report, leases.data + at, sizeof report);
        each(opaque, &report);
    }
    jg_buf_clear(&leases);
    return err;
}

/* Of several live runs the one that expires last. */
static void
report_run(const struct jg_memory_class *class, const char *jid, int64_t now_ms, struct jg_job_report *out)
{
    size_t size = strlen(jid);
    for (const struct jg_map_entry *entry = NULL; (entry = jg_map_next(&class->run, entry));) {
        bool its = strncmp(entry->key, jid, size) == 0 && entry->key[size] == '@';
        if (!its || entry->expires_ms <= now_ms || entry->expires_ms <= out->expires_ms ||
            strlen(entry->key) >= sizeof out->member)
            continue;
        strcpy(out->member, entry->key);
        out->expires_ms = entry->expires_ms;
    }
}

enum jg_err
jg_memory_job_report(struct jg_store *base, const char *class_name, const char *jid, struct jg_job_report *out)
{
    struct jg_memory_store *store = cast(base);
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    *out = (struct jg_job_report){.chain_number = -1};
    if (class) {
        const struct jg_memory_done *done = jg_memory_find_done(class, jid, now_ms);
        const struct jg_memory_chain *chain = jg_memory_find_chain(class, jid, now_ms);
        report_run(class, jid, now_ms, out);
        out->ticket = jg_map_find(&class->tickets, jid, now_ms);
        out->done = done;
        const struct jg_map_entry *slot = jg_memory_find_slot(class, jid, now_ms);
        out->slot_expires_ms = slot ? slot->expires_ms : 0;
        if (done)
            strcpy(out->next, done->next);
        if (chain) {
            out->chain_number = chain->number;
            strcpy(out->chain_member, chain->member);
        }
    }
    jg_memory_unlock(store->memory);
    return JG_OK;
}

enum jg_err
jg_memory_key_report(struct jg_store *base, const char *class_name, const char *limit_key, struct jg_key_report *out)
{
    struct jg_memory_store *store = cast(base);
    int64_t now_ms = jg_memory_lock(store->memory);
    struct jg_memory_class *class = jg_memory_class(store, class_name);
    *out = (struct jg_key_report){.running = 0};
    if (class) {
        out->running = jg_memory_key_runs(class, limit_key, now_ms);
        out->tickets = jg_memory_key_tickets(class, limit_key);
        out->marked = jg_map_find(&class->marks, limit_key, now_ms);
    }
    jg_memory_unlock(store->memory);
    return JG_OK;
}

enum jg_err
jg_memory_check(struct jg_store *base, void (*each)(void *opaque, enum jg_log_level level, const char *text),
                void *opaque)
{
    (void)base;
    each(opaque, JG_LOG_NOTICE, "the memory store serves one process, and ends with it; use redis:// for more");
    return JG_OK;
}
