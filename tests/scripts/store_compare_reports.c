/* SPDX-License-Identifier: Apache-2.0 */
/* What the two stores have: by their reports. */
#include <stdlib.h>
#include <string.h>

#include "store_compare.h"

void
compare_claim(struct comparison *cmp, unsigned key)
{
    struct jg_claim_report report[2];
    for (int side = 0; side < 2; side++)
        compare_check(
            cmp,
            !jg_store_claim_report(cmp->sides[side].store, cmp->sides[side].class_name, key_of(key), &report[side]),
            "a report that failed");
    compare_check(cmp, report[0].state == report[1].state, "state");
    if (report[0].state == JG_CLAIM_NONE)
        return;
    compare_check(cmp, report[0].dedup == report[1].dedup, "mode");
    compare_check(cmp, report[0].old_epoch == report[1].old_epoch, "old epoch");
    compare_check(cmp, strcmp(report[0].owner, report[1].owner) == 0, "owner");
    compare_check(cmp, compare_near(report[0].since_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, report[1].since_ms),
                  "since");
    compare_check(cmp, compare_near(report[0].ttl_ms, report[1].ttl_ms), "ttl");
    compare_check(cmp, report[0].duplicates == report[1].duplicates, "count of duplicates");
    compare_check(cmp, strcmp(report[0].member, report[1].member) == 0, "member");
    compare_check(cmp, strcmp(report[0].newest_candidate, report[1].newest_candidate) == 0, "newest candidate");
    compare_check(cmp, strcmp(report[0].newest_acked_candidate, report[1].newest_acked_candidate) == 0,
                  "newest acknowledged candidate");
    compare_check(cmp, strcmp(report[0].newest_follow_up, report[1].newest_follow_up) == 0, "newest follow-up");
}

struct duplicates {
    size_t count;
    struct jg_duplicate_report entries[JG_DUPLICATES_KEPT + 1];
};

static void
collect(void *opaque, const struct jg_duplicate_report *duplicate)
{
    struct duplicates *all = opaque;
    if (all->count <= JG_DUPLICATES_KEPT)
        all->entries[all->count++] = *duplicate;
}

static void
compare_duplicates(struct comparison *cmp)
{
    static struct duplicates all[2];
    for (int side = 0; side < 2; side++) {
        all[side].count = 0;
        compare_check(cmp,
                      !jg_store_duplicates(cmp->sides[side].store, cmp->sides[side].class_name, collect, &all[side]),
                      "a report that failed");
    }
    compare_check(cmp, all[0].count == all[1].count, "length of the list of duplicates");
    for (size_t i = 0; i < all[0].count; i++) {
        const struct jg_duplicate_report *memory = &all[0].entries[i], *redis = &all[1].entries[i];
        compare_check(cmp,
                      strcmp(memory->jid, redis->jid) == 0 && strcmp(memory->original, redis->original) == 0 &&
                          memory->original_state == redis->original_state && memory->action == redis->action &&
                          memory->candidate == redis->candidate,
                      "the list of duplicates");
    }
}

struct tickets {
    size_t count;
    struct jg_ticket_report entries[KEYS * JOBS * LINKS];
};

static void
collect_ticket(void *opaque, const struct jg_ticket_report *ticket)
{
    struct tickets *all = opaque;
    if (all->count < sizeof all->entries / sizeof all->entries[0])
        all->entries[all->count] = *ticket;
    all->count++;
}

static void
compare_tickets(struct comparison *cmp)
{
    static struct tickets all[2];
    for (int side = 0; side < 2; side++) {
        all[side].count = 0;
        compare_check(
            cmp, !jg_store_tickets(cmp->sides[side].store, cmp->sides[side].class_name, collect_ticket, &all[side]),
            "a report that failed");
    }
    compare_check(cmp, all[0].count == all[1].count && all[0].count <= KEYS * JOBS * LINKS, "number of listed tickets");
    for (size_t i = 0; i < all[SUBJECT_MEMORY].count; i++) {
        const struct jg_ticket_report *memory = &all[SUBJECT_MEMORY].entries[i], *redis = NULL;
        for (size_t j = 0; j < all[SUBJECT_REDIS].count; j++)
            if (strcmp(all[SUBJECT_REDIS].entries[j].jid, memory->jid) == 0)
                redis = &all[SUBJECT_REDIS].entries[j];
        compare_check(cmp,
                      redis && strcmp(memory->position, redis->position) == 0 &&
                          strcmp(memory->limit_key, redis->limit_key) == 0,
                      "a ticket");
        compare_check(cmp, compare_near(memory->taken_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, redis->taken_ms),
                      "age of a ticket");
    }
}

static void
compare_expiry(struct comparison *cmp, int64_t memory_ms, int64_t redis_ms)
{
    compare_check(cmp, !memory_ms == !redis_ms, "whether a run lives");
    if (memory_ms)
        compare_check(cmp, compare_near(memory_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, redis_ms), "end of a run");
}

static void
compare_limits(struct comparison *cmp, const struct jg_class_report *memory, const struct jg_class_report *redis)
{
    compare_check(cmp, memory->told == redis->told && memory->limit == redis->limit, "limit as told");
    compare_check(cmp,
                  memory->override.set == redis->override.set && memory->override.limit == redis->override.limit &&
                      !memory->override.at_ms == !redis->override.at_ms,
                  "override");
    compare_check(cmp, memory->tickets == redis->tickets, "number of tickets");
    compare_check(cmp, memory->per_key == redis->per_key, "limit by key as told");
    compare_check(cmp,
                  memory->lease == redis->lease && memory->capacity == redis->capacity &&
                      strcmp(memory->load_key, redis->load_key) == 0 && strcmp(memory->work_key, redis->work_key) == 0,
                  "lease and capacity as told");
    compare_check(cmp, memory->load == redis->load && memory->work == redis->work && memory->gauge == redis->gauge,
                  "gauges");
    compare_check(cmp, memory->slots == redis->slots, "whether the load is by slots");
    for (int i = 0; i < 2; i++)
        compare_expiry(cmp, memory->slots_until_ms[i], redis->slots_until_ms[i]);
    compare_check(cmp, memory->held == redis->held, "number of held");
    compare_check(cmp, memory->lease_held == redis->lease_held && !memory->lease_token == !redis->lease_token,
                  "the class's lease");
    compare_check(cmp, memory->oldest_held_ms == redis->oldest_held_ms, "oldest held");
    compare_check(cmp, memory->instance_count == redis->instance_count && memory->disagree == redis->disagree,
                  "instances");
}

struct leases {
    size_t count;
    struct jg_lease_report entries[KEYS + 1];
};

static void
collect_lease(void *opaque, const struct jg_lease_report *lease)
{
    struct leases *all = opaque;
    if (all->count <= KEYS)
        all->entries[all->count] = *lease;
    all->count++;
}

static void
compare_leases(struct comparison *cmp)
{
    static struct leases all[2];
    for (int side = 0; side < 2; side++) {
        all[side].count = 0;
        compare_check(cmp,
                      !jg_store_leases(cmp->sides[side].store, cmp->sides[side].class_name, collect_lease, &all[side]),
                      "a report that failed");
    }
    compare_check(cmp, all[0].count == all[1].count && all[0].count <= KEYS + 1, "number of leases");
    for (size_t i = 0; i < all[SUBJECT_MEMORY].count; i++) {
        const struct jg_lease_report *memory = &all[SUBJECT_MEMORY].entries[i], *redis = NULL;
        for (size_t j = 0; j < all[SUBJECT_REDIS].count; j++)
            if (strcmp(all[SUBJECT_REDIS].entries[j].key, memory->key) == 0)
                redis = &all[SUBJECT_REDIS].entries[j];
        compare_check(cmp, redis && strcmp(memory->member, redis->member) == 0, "a lease");
        compare_check(cmp, redis && memory->token > 0 && redis->token > 0, "the token of a lease");
        compare_expiry(cmp, memory->expires_ms, redis->expires_ms);
    }
}

static void
compare_job(struct comparison *cmp, const char *jid)
{
    struct jg_job_report report[2];
    for (int side = 0; side < 2; side++)
        compare_check(cmp,
                      !jg_store_job_report(cmp->sides[side].store, cmp->sides[side].class_name, jid, &report[side]),
                      "a report that failed");
    const struct jg_job_report *memory = &report[SUBJECT_MEMORY], *redis = &report[SUBJECT_REDIS];
    compare_check(cmp, memory->ticket == redis->ticket, "a job's ticket");
    compare_check(cmp, strncmp(memory->member, redis->member, strlen(jid)) == 0, "a job's run");
    compare_expiry(cmp, memory->expires_ms, redis->expires_ms);
    compare_expiry(cmp, memory->slot_expires_ms, redis->slot_expires_ms);
    compare_check(cmp, memory->done == redis->done && strcmp(memory->next, redis->next) == 0, "what is done");
    compare_check(cmp,
                  memory->chain_number == redis->chain_number && strcmp(memory->chain_member, redis->chain_member) == 0,
                  "a chain");
}

static void
compare_key(struct comparison *cmp, const char *limit_key)
{
    struct jg_key_report report[2];
    for (int side = 0; side < 2; side++)
        compare_check(
            cmp, !jg_store_key_report(cmp->sides[side].store, cmp->sides[side].class_name, limit_key, &report[side]),
            "a report that failed");
    compare_check(cmp, report[0].running == report[1].running, "runs of a limit's key");
    compare_check(cmp, report[0].tickets == report[1].tickets, "tickets of a limit's key");
    compare_check(cmp, report[0].marked == report[1].marked, "mark of a key");
}

void
compare_class(struct comparison *cmp)
{
    struct jg_class_report report[2];
    bool was[2];
    for (int side = 0; side < 2; side++)
        compare_check(cmp, !jg_store_class_report(cmp->sides[side].store, cmp->sides[side].class_name, &report[side]),
                      "a report that failed");
    compare_check(cmp, report[0].claims == report[1].claims, "number of claims");
    compare_check(cmp, memcmp(report[0].claim_states, report[1].claim_states, sizeof report[0].claim_states) == 0,
                  "number of claims by state");
    compare_check(cmp, report[0].running == report[1].running, "number of runs");
    compare_check(cmp, report[0].counter_count == report[1].counter_count, "number of counters");
    for (size_t i = 0; i < report[0].counter_count; i++)
        compare_check(cmp, report[0].counters[i].value == report[1].counters[i].value, report[0].counters[i].name);
    for (unsigned key = 0; key < KEYS; key++) {
        compare_claim(cmp, key);
        for (unsigned job = 0; job < JOBS; job++) {
            for (int side = 0; side < 2; side++)
                compare_check(
                    cmp,
                    !jg_store_was(cmp->sides[side].store, cmp->sides[side].class_name, jid_of(key, job), &was[side]),
                    "a report that failed");
            compare_check(cmp, was[0] == was[1], "was");
            compare_job(cmp, link_of_chain(jid_of(key, job), job % LINKS));
        }
    }
    for (unsigned key = 0; key < LIMIT_KEYS; key++)
        compare_key(cmp, limit_key_of(key));
    for (unsigned key = 0; key < KEYS; key++)
        compare_key(cmp, key_of(key));
    compare_duplicates(cmp);
    compare_limits(cmp, &report[SUBJECT_MEMORY], &report[SUBJECT_REDIS]);
    compare_tickets(cmp);
    compare_leases(cmp);
}
