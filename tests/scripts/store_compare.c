/* SPDX-License-Identifier: Apache-2.0 */
/* The two stores are one: random operations over few keys, jobs and runs, with time passing and data lost or rewound
 * in between, get the same answers from Redis and from memory, and leave the same behind, step by step.
 *
 * Usage: store_compare [STEPS [SEED]]. A failure prints the seed and the last steps. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/redis/script.h"
#include "store_support.h"

#define KEYS 2
#define JOBS 4 /* a key */
#define INSTANCES 2
#define EPOCHS 64
#define HISTORY 40

/* Times are multiples of this, and an odd half of it apart: the milliseconds that the test itself takes decide nothing.
 */
#define UNIT_MS 1000000
#define SLACK_MS 300000

/* What has to come up in a long run, else it compares nothing. */
enum sight {
    SAW_LIMIT,
    SAW_BEHIND,
    SAW_PAUSED,
    SAW_LATER_LIMIT,
    SAW_GRACE,
    SAW_FULL,
    SAW_TICKETED_RUN,
    SAW_GRANT,
    SAW_TAKE_GRACE,
    SAW_PLACED,
    SAW_DROPPED,
    SAW_BURIED,
    SAW_OVERRIDE,
    SIGHTS
};
#define LONG_RUN 3000

struct comparison {
    unsigned sights[SIGHTS];
    struct subject sides[2]; /* by subject_kind */
    int64_t epochs[2][EPOCHS];
    unsigned epoch_count;
    unsigned asked_key, asked_job; /* for a ticket, last */
    int64_t override_at_ms[2];     /* as last seen */
    uint64_t random;
    uint64_t seed;
    char history[HISTORY][400];
    unsigned steps;
};

static unsigned
pick(struct comparison *cmp, unsigned below)
{
    cmp->random ^= cmp->random << 13;
    cmp->random ^= cmp->random >> 7;
    cmp->random ^= cmp->random << 17;
    return (unsigned)((cmp->random >> 11) % below);
}

static void
note(struct comparison *cmp, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(cmp->history[cmp->steps % HISTORY], sizeof cmp->history[0], fmt, args);
    va_end(args);
}

static void
check(struct comparison *cmp, bool equal, const char *what)
{
    if (equal)
        return;
    fprintf(stderr, "step %u, seed %" PRIu64 ": memory and Redis differ in: %s\n", cmp->steps, cmp->seed, what);
    unsigned first = cmp->steps < HISTORY ? 0 : cmp->steps - HISTORY + 1;
    for (unsigned step = first; step <= cmp->steps; step++)
        fprintf(stderr, "  %u: %s\n", step, cmp->history[step % HISTORY]);
    exit(1);
}

static bool
near(int64_t one, int64_t other)
{
    return llabs(one - other) < SLACK_MS;
}

/* The same epoch has another number on each side: compare which one of those seen it is. */
static unsigned
epoch_index(struct comparison *cmp, enum subject_kind kind, int64_t epoch)
{
    for (unsigned i = cmp->epoch_count; i-- > 0;)
        if (cmp->epochs[kind][i] == epoch)
            return i;
    return EPOCHS;
}

static void
compare_epochs(struct comparison *cmp, int64_t memory, int64_t redis)
{
    unsigned index = epoch_index(cmp, SUBJECT_MEMORY, memory);
    check(cmp, index == epoch_index(cmp, SUBJECT_REDIS, redis), "epoch");
    if (index < EPOCHS)
        return;
    if (cmp->epoch_count == EPOCHS) {
        memmove(cmp->epochs[0], cmp->epochs[0] + 1, (EPOCHS - 1) * sizeof cmp->epochs[0][0]);
        memmove(cmp->epochs[1], cmp->epochs[1] + 1, (EPOCHS - 1) * sizeof cmp->epochs[1][0]);
        cmp->epoch_count--;
    }
    if (cmp->epoch_count)
        check(cmp, cmp->epochs[0][cmp->epoch_count - 1] < memory && cmp->epochs[1][cmp->epoch_count - 1] < redis,
              "a new epoch that is not larger");
    cmp->epochs[SUBJECT_MEMORY][cmp->epoch_count] = memory;
    cmp->epochs[SUBJECT_REDIS][cmp->epoch_count] = redis;
    cmp->epoch_count++;
}

static void
compare_claim(struct comparison *cmp, unsigned key)
{
    struct jg_claim_report report[2];
    for (int side = 0; side < 2; side++)
        check(cmp,
              !jg_store_claim_report(cmp->sides[side].store, cmp->sides[side].class_name, key_of(key), &report[side]),
              "a report that failed");
    check(cmp, report[0].state == report[1].state, "state");
    if (report[0].state == JG_CLAIM_NONE)
        return;
    check(cmp, report[0].dedup == report[1].dedup, "mode");
    check(cmp, report[0].old_epoch == report[1].old_epoch, "old epoch");
    check(cmp, strcmp(report[0].owner, report[1].owner) == 0, "owner");
    check(cmp, near(report[0].since_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, report[1].since_ms), "since");
    check(cmp, near(report[0].ttl_ms, report[1].ttl_ms), "ttl");
    check(cmp, report[0].duplicates == report[1].duplicates, "count of duplicates");
    check(cmp, strcmp(report[0].member, report[1].member) == 0, "member");
    check(cmp, strcmp(report[0].newest_candidate, report[1].newest_candidate) == 0, "newest candidate");
    check(cmp, strcmp(report[0].newest_acked_candidate, report[1].newest_acked_candidate) == 0,
          "newest acknowledged candidate");
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
        check(cmp, !jg_store_duplicates(cmp->sides[side].store, cmp->sides[side].class_name, collect, &all[side]),
              "a report that failed");
    }
    check(cmp, all[0].count == all[1].count, "length of the list of duplicates");
    for (size_t i = 0; i < all[0].count; i++) {
        const struct jg_duplicate_report *memory = &all[0].entries[i], *redis = &all[1].entries[i];
        check(cmp,
              strcmp(memory->jid, redis->jid) == 0 && strcmp(memory->original, redis->original) == 0 &&
                  memory->original_state == redis->original_state && memory->action == redis->action &&
                  memory->candidate == redis->candidate,
              "the list of duplicates");
    }
}

struct tickets {
    size_t count;
    struct jg_ticket_report entries[KEYS * JOBS];
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
        check(cmp, !jg_store_tickets(cmp->sides[side].store, cmp->sides[side].class_name, collect_ticket, &all[side]),
              "a report that failed");
    }
    check(cmp, all[0].count == all[1].count && all[0].count <= KEYS * JOBS, "number of listed tickets");
    for (size_t i = 0; i < all[SUBJECT_MEMORY].count; i++) {
        const struct jg_ticket_report *memory = &all[SUBJECT_MEMORY].entries[i], *redis = NULL;
        for (size_t j = 0; j < all[SUBJECT_REDIS].count; j++)
            if (strcmp(all[SUBJECT_REDIS].entries[j].jid, memory->jid) == 0)
                redis = &all[SUBJECT_REDIS].entries[j];
        check(cmp, redis && strcmp(memory->position, redis->position) == 0, "a ticket");
        check(cmp, near(memory->taken_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, redis->taken_ms), "age of a ticket");
    }
}

static void
compare_limits(struct comparison *cmp, const struct jg_class_report *memory, const struct jg_class_report *redis)
{
    check(cmp, memory->told == redis->told && memory->limit == redis->limit, "limit as told");
    check(cmp,
          memory->override.set == redis->override.set && memory->override.limit == redis->override.limit &&
              !memory->override.at_ms == !redis->override.at_ms,
          "override");
    check(cmp, memory->tickets == redis->tickets, "number of tickets");
    check(cmp, memory->held == redis->held, "number of held");
    check(cmp, memory->oldest_held_ms == redis->oldest_held_ms, "oldest held");
    check(cmp, memory->instance_count == redis->instance_count && memory->disagree == redis->disagree, "instances");
}

static void
compare_class(struct comparison *cmp)
{
    struct jg_class_report report[2];
    bool was[2];
    for (int side = 0; side < 2; side++)
        check(cmp, !jg_store_class_report(cmp->sides[side].store, cmp->sides[side].class_name, &report[side]),
              "a report that failed");
    check(cmp, report[0].claims == report[1].claims, "number of claims");
    check(cmp, report[0].running == report[1].running, "number of runs");
    check(cmp, report[0].counter_count == report[1].counter_count, "number of counters");
    for (size_t i = 0; i < report[0].counter_count; i++)
        check(cmp, report[0].counters[i].value == report[1].counters[i].value, report[0].counters[i].name);
    for (unsigned key = 0; key < KEYS; key++) {
        compare_claim(cmp, key);
        for (unsigned job = 0; job < JOBS; job++) {
            for (int side = 0; side < 2; side++)
                check(cmp,
                      !jg_store_was(cmp->sides[side].store, cmp->sides[side].class_name, jid_of(key, job), &was[side]),
                      "a report that failed");
            check(cmp, was[0] == was[1], "was");
        }
    }
    compare_duplicates(cmp);
    compare_limits(cmp, &report[SUBJECT_MEMORY], &report[SUBJECT_REDIS]);
    compare_tickets(cmp);
}

static void
compare_answers(struct comparison *cmp, const struct jg_op *memory, const struct jg_op *redis)
{
    check(cmp, memory->err == JG_OK && redis->err == JG_OK, "an operation that failed");
    check(cmp, memory->claimed == redis->claimed, "claimed");
    check(cmp, memory->original_state == redis->original_state, "state of the original");
    check(cmp, strcmp(memory->original, redis->original) == 0, "original");
    check(cmp, memory->verdict == redis->verdict, "verdict");
    check(cmp, memory->changed == redis->changed, "changed");
    if (memory->kind == JG_OP_CLAIM && memory->claimed != JG_ORIGINAL)
        check(cmp, near(memory->original_since_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, redis->original_since_ms),
              "since of the original");
    check(cmp, memory->reason == redis->reason, "reason");
    check(cmp, memory->granted == redis->granted, "granted");
    check(cmp,
          memory->limit_now == redis->limit_now && memory->ahead_now == redis->ahead_now &&
              memory->max_age_now_ms == redis->max_age_now_ms,
          "what counts");
    check(cmp, memory->running == redis->running && memory->tickets == redis->tickets, "running or tickets");
    check(cmp, memory->override.set == redis->override.set && memory->override.limit == redis->override.limit,
          "override");
    check(cmp, strcmp(memory->other, redis->other) == 0, "other");
    check(cmp, near(memory->left_ms, redis->left_ms), "what is left");
    check(cmp, memory->generation == redis->generation, "generation");
    if (memory->kind == JG_OP_ADMIT || memory->kind == JG_OP_RENEW)
        compare_epochs(cmp, memory->epoch, redis->epoch);
}

/* What limits add to an operation. */
static void
add_limits(struct comparison *cmp, struct jg_op *op)
{
    static const int64_t limits[] = {0, 0, 1, 1, 1, 1, 2, -1};
    static const char *items[8];
    op->limit = limits[pick(cmp, sizeof limits / sizeof limits[0])];
    op->resumed = pick(cmp, 2);
    op->last_try = pick(cmp, 2);
    op->fresh = !pick(cmp, 8);
    op->grace_ms = UNIT_MS + UNIT_MS / 2;
    op->hold_max = pick(cmp, 3) ? 0 : 2;
    op->resume_ahead = pick(cmp, 2);
    op->hold_max_age_ms = pick(cmp, 3);
    op->held_in = (int64_t)pick(cmp, 6) - 1;
    op->oldest_held_in = pick(cmp, 3);
    op->items = items;
    op->item_count = pick(cmp, 4);
    if (op->kind == JG_OP_PLACE)
        op->item_count = 2 * pick(cmp, 3);
    for (size_t i = 0; i < op->item_count; i++) {
        unsigned key = pick(cmp, KEYS), job = pick(cmp, JOBS);
        items[i] = jid_of(key, job);
        if (op->kind == JG_OP_PLACE && i % 2)
            items[i] = pick(cmp, 2) ? "jobs/0/17" : "jobs/1/4";
        if (op->kind == JG_OP_TAKE && i == 0) {
            cmp->asked_key = key;
            cmp->asked_job = job;
        }
    }
    op->override_in.set = !pick(cmp, 4);
    op->override_in.limit = limits[pick(cmp, sizeof limits / sizeof limits[0])];
    op->override_now = op->kind == JG_OP_SYNC && !pick(cmp, 4);
}

static void
add_names(struct comparison *cmp, struct jg_op *op)
{
    static const char *const names[] = {"one", "other", ""};
    bool empty = op->kind == JG_OP_GROUP;
    if (op->kind != JG_OP_SYNC && op->kind != JG_OP_LEAD && op->kind != JG_OP_GROUP)
        return;
    op->member = names[pick(cmp, empty ? 3 : 2)];
    op->leave = !pick(cmp, 3);
    op->force = !pick(cmp, 3);
}

/* What both sides are asked; `epoch` is the index of the one that the caller remembers. */
static struct jg_op
random_op(struct comparison *cmp, unsigned *key, unsigned *epoch)
{
    static const enum jg_op_kind kinds[] = {
        JG_OP_CLAIM,   JG_OP_CLAIM, JG_OP_CLAIM, JG_OP_CLAIM, JG_OP_CONFIRM, JG_OP_CONFIRM,  JG_OP_CONFIRM,
        JG_OP_KEEP,    JG_OP_ADMIT, JG_OP_ADMIT, JG_OP_ADMIT, JG_OP_ADMIT,   JG_OP_ADMIT,    JG_OP_RENEW,
        JG_OP_RENEW,   JG_OP_TAKE,  JG_OP_TAKE,  JG_OP_PLACE, JG_OP_DROP,    JG_OP_COMPLETE, JG_OP_COMPLETE,
        JG_OP_RELEASE, JG_OP_BURY,  JG_OP_SYNC,  JG_OP_LEAD,  JG_OP_GROUP,   JG_OP_ANNOUNCE, JG_OP_TAKE,
        JG_OP_TAKE,    JG_OP_PLACE, JG_OP_PLACE, JG_OP_DROP,  JG_OP_SYNC};
    *key = pick(cmp, KEYS);
    *epoch = cmp->epoch_count ? cmp->epoch_count - 1 - pick(cmp, cmp->epoch_count < 2 ? 1 : 2) : 0;
    struct jg_op op = {.kind = kinds[pick(cmp, sizeof kinds / sizeof kinds[0])]};
    bool comes_again = op.kind == JG_OP_ADMIT && pick(cmp, 2);
    if (comes_again)
        *key = cmp->asked_key;
    op.key = key_of(*key);
    op.jid = jid_of(*key, comes_again ? cmp->asked_job : pick(cmp, JOBS));
    op.member = member_of(op.jid, pick(cmp, INSTANCES));
    op.dedup = pick(cmp, 2) ? JG_DEDUP_UNTIL_EXECUTING : JG_DEDUP_UNTIL_EXECUTED;
    op.action = pick(cmp, 2) ? JG_DUP_MARK : JG_DUP_REJECT;
    op.candidate_of = op.kind == JG_OP_ADMIT && pick(cmp, 2) ? jid_of(*key, pick(cmp, JOBS)) : NULL;
    op.dedup_ttl_ms = 3 * UNIT_MS + UNIT_MS / 2;
    op.dedup_provisional_ms = 1 * UNIT_MS + UNIT_MS / 2;
    op.run_ttl_ms = 2 * UNIT_MS + UNIT_MS / 2;
    add_limits(cmp, &op);
    op.resumed = op.resumed || comes_again;
    add_names(cmp, &op);
    return op;
}

static void
note_op(struct comparison *cmp, const struct jg_op *op, unsigned key, unsigned epoch)
{
    char items[32] = "";
    for (size_t i = 0; i < op->item_count && i < 8; i++)
        snprintf(items + 3 * i, sizeof items - 3 * i, " %.2s", op->items[i] + strlen(op->items[i]) - 2);
    note(cmp,
         "%-8s %s of key %u, %s, candidate_of=%s, on %.9s, epoch %u, limit %d%s%s%s hold_max %d held_in %d override "
         "%d:%d%s%s%s items%s",
         jg_scripts[op->kind].name, op->jid + JG_JID_CHARS - 1, key, jg_dedup_name(op->dedup),
         op->candidate_of ? op->candidate_of + JG_JID_CHARS - 1 : "-",
         strlen(op->member) > JG_JID_CHARS ? op->member + JG_JID_CHARS + 1 : op->member, epoch, (int)op->limit,
         op->resumed ? " resumed" : "", op->last_try ? " last_try" : "", op->fresh ? " fresh" : "", (int)op->hold_max,
         (int)op->held_in, op->override_in.set, (int)op->override_in.limit, op->override_now ? " now" : "",
         op->leave ? " leave" : "", op->force ? " force" : "", items);
}

static void
note_sights(struct comparison *cmp, const struct jg_op *op)
{
    bool admit = op->kind == JG_OP_ADMIT, take = op->kind == JG_OP_TAKE;
    const bool seen[SIGHTS] = {
        [SAW_LIMIT] = admit && op->verdict == JG_HOLD && op->reason == JG_REASON_LIMIT,
        [SAW_BEHIND] = admit && op->reason == JG_REASON_BEHIND,
        [SAW_PAUSED] = admit && op->reason == JG_REASON_PAUSED,
        [SAW_LATER_LIMIT] = admit && op->verdict == JG_LATER && op->reason == JG_REASON_LIMIT,
        [SAW_GRACE] = admit && op->reason == JG_REASON_GRACE,
        [SAW_FULL] = admit && op->reason == JG_REASON_FULL,
        [SAW_TICKETED_RUN] = admit && op->verdict == JG_RUN && op->limit > 0 && op->resumed,
        [SAW_GRANT] = take && op->granted > 0 && op->limit_now > 0,
        [SAW_TAKE_GRACE] = take && op->reason == JG_REASON_GRACE,
        [SAW_PLACED] = op->kind == JG_OP_PLACE && op->changed,
        [SAW_DROPPED] = op->kind == JG_OP_DROP && op->changed,
        [SAW_BURIED] = op->kind == JG_OP_BURY && op->changed,
        [SAW_OVERRIDE] = op->kind == JG_OP_SYNC && op->override.set,
    };
    for (int i = 0; i < SIGHTS; i++)
        cmp->sights[i] += seen[i];
}

static void
step_operation(struct comparison *cmp)
{
    unsigned key, epoch;
    struct jg_op op = random_op(cmp, &key, &epoch), answers[2];
    bool seen = pick(cmp, 2);
    note_op(cmp, &op, key, epoch);
    for (int side = 0; side < 2; side++) {
        answers[side] = op;
        answers[side].class_name = cmp->sides[side].class_name;
        answers[side].epoch_in = cmp->epochs[side][epoch];
        answers[side].override_in.at_ms = seen ? cmp->override_at_ms[side] : 0;
        check(cmp, !jg_store_exec(cmp->sides[side].store, &answers[side], 1), "an operation that failed");
        if (op.kind == JG_OP_SYNC && answers[side].override.at_ms)
            cmp->override_at_ms[side] = answers[side].override.at_ms;
    }
    compare_answers(cmp, &answers[SUBJECT_MEMORY], &answers[SUBJECT_REDIS]);
    note_sights(cmp, &answers[SUBJECT_MEMORY]);
    compare_claim(cmp, key);
}

static void
step_fate(struct comparison *cmp)
{
    static const struct {
        const char *name;
        void (*act)(struct subject *subject);
    } fates[] = {{"new epoch", subject_new_epoch},
                 {"snapshot", subject_snapshot},
                 {"snapshot", subject_snapshot},
                 {"rewind", subject_rewind},
                 {"flush", subject_flush}};
    unsigned fate = pick(cmp, 40);
    int64_t ms = (int64_t)(1 + pick(cmp, 2)) * UNIT_MS;
    if (fate < sizeof fates / sizeof fates[0])
        note(cmp, "%s", fates[fate].name);
    else
        note(cmp, "%" PRId64 " ms pass", ms);
    for (int side = 0; side < 2; side++) {
        if (fate < sizeof fates / sizeof fates[0])
            fates[fate].act(&cmp->sides[side]);
        else
            subject_advance(&cmp->sides[side], ms);
    }
    compare_class(cmp);
}

int
main(int argc, char **argv)
{
    static struct comparison cmp;
    unsigned steps = argc > 1 ? (unsigned)atoi(argv[1]) : 5000;
    cmp.seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    cmp.random = cmp.seed * 0x9e3779b97f4a7c15u + 1;
    for (int side = 0; side < 2; side++)
        subject_open(&cmp.sides[side], (enum subject_kind)side);
    for (; cmp.steps < steps; cmp.steps++) {
        if (pick(&cmp, 8))
            step_operation(&cmp);
        else
            step_fate(&cmp);
    }
    cmp.steps--;
    compare_class(&cmp);
    for (int i = 0; i < SIGHTS; i++) {
        printf("%u ", cmp.sights[i]);
        check(&cmp, cmp.sights[i] || steps < LONG_RUN, "nothing: something never came up");
    }
    printf("\n");
    for (int side = 0; side < 2; side++)
        subject_close(&cmp.sides[side]);
    printf("%u steps, seed %" PRIu64 ": no difference\n", steps, cmp.seed);
    return 0;
}
