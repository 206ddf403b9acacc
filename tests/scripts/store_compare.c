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

struct comparison {
    struct subject sides[2]; /* by subject_kind */
    int64_t epochs[2][EPOCHS];
    unsigned epoch_count;
    uint64_t random;
    uint64_t seed;
    char history[HISTORY][256];
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
    if (memory->kind == JG_OP_ADMIT || memory->kind == JG_OP_RENEW)
        compare_epochs(cmp, memory->epoch, redis->epoch);
}

/* What both sides are asked; `epoch` is the index of the one that the caller remembers. */
static struct jg_op
random_op(struct comparison *cmp, unsigned *key, unsigned *epoch)
{
    static const enum jg_op_kind kinds[] = {JG_OP_CLAIM,   JG_OP_CLAIM, JG_OP_CLAIM,   JG_OP_CONFIRM,
                                            JG_OP_CONFIRM, JG_OP_KEEP,  JG_OP_RELEASE, JG_OP_ADMIT,
                                            JG_OP_ADMIT,   JG_OP_RENEW, JG_OP_COMPLETE};
    *key = pick(cmp, KEYS);
    *epoch = cmp->epoch_count ? cmp->epoch_count - 1 - pick(cmp, cmp->epoch_count < 2 ? 1 : 2) : 0;
    struct jg_op op = {.kind = kinds[pick(cmp, sizeof kinds / sizeof kinds[0])]};
    op.key = key_of(*key);
    op.jid = jid_of(*key, pick(cmp, JOBS));
    op.member = member_of(op.jid, pick(cmp, INSTANCES));
    op.dedup = pick(cmp, 2) ? JG_DEDUP_UNTIL_EXECUTING : JG_DEDUP_UNTIL_EXECUTED;
    op.action = pick(cmp, 2) ? JG_DUP_MARK : JG_DUP_REJECT;
    op.candidate_of = op.kind == JG_OP_ADMIT && pick(cmp, 2) ? jid_of(*key, pick(cmp, JOBS)) : NULL;
    op.dedup_ttl_ms = 3 * UNIT_MS + UNIT_MS / 2;
    op.dedup_provisional_ms = 1 * UNIT_MS + UNIT_MS / 2;
    op.run_ttl_ms = 2 * UNIT_MS + UNIT_MS / 2;
    return op;
}

static void
step_operation(struct comparison *cmp)
{
    static const char *const names[JG_OP_KINDS] = {"claim", "confirm", "keep", "release", "admit", "renew", "complete"};
    unsigned key, epoch;
    struct jg_op op = random_op(cmp, &key, &epoch), answers[2];
    note(cmp, "%-8s %s of key %u, %s, candidate_of=%s, on %.9s, epoch %u", names[op.kind], op.jid + JG_JID_CHARS - 1,
         key, jg_dedup_name(op.dedup), op.candidate_of ? op.candidate_of + JG_JID_CHARS - 1 : "-",
         op.member + JG_JID_CHARS + 1, epoch);
    for (int side = 0; side < 2; side++) {
        answers[side] = op;
        answers[side].class_name = cmp->sides[side].class_name;
        answers[side].epoch_in = cmp->epochs[side][epoch];
        check(cmp, !jg_store_exec(cmp->sides[side].store, &answers[side], 1), "an operation that failed");
    }
    compare_answers(cmp, &answers[SUBJECT_MEMORY], &answers[SUBJECT_REDIS]);
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
    unsigned fate = pick(cmp, 16);
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
    for (int side = 0; side < 2; side++)
        subject_close(&cmp.sides[side]);
    printf("%u steps, seed %" PRIu64 ": no difference\n", steps, cmp.seed);
    return 0;
}
