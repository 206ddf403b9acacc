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
#include "store_compare.h"

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

void
compare_check(struct comparison *cmp, bool equal, const char *what)
{
    if (equal)
        return;
    fprintf(stderr, "step %u, seed %" PRIu64 ": memory and Redis differ in: %s\n", cmp->steps, cmp->seed, what);
    unsigned first = cmp->steps < HISTORY ? 0 : cmp->steps - HISTORY + 1;
    for (unsigned step = first; step <= cmp->steps; step++)
        fprintf(stderr, "  %u: %s\n", step, cmp->history[step % HISTORY]);
    exit(1);
}

bool
compare_near(int64_t one, int64_t other)
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
    compare_check(cmp, index == epoch_index(cmp, SUBJECT_REDIS, redis), "epoch");
    if (index < EPOCHS)
        return;
    if (cmp->epoch_count == EPOCHS) {
        memmove(cmp->epochs[0], cmp->epochs[0] + 1, (EPOCHS - 1) * sizeof cmp->epochs[0][0]);
        memmove(cmp->epochs[1], cmp->epochs[1] + 1, (EPOCHS - 1) * sizeof cmp->epochs[1][0]);
        cmp->epoch_count--;
    }
    if (cmp->epoch_count)
        compare_check(cmp,
                      cmp->epochs[0][cmp->epoch_count - 1] < memory && cmp->epochs[1][cmp->epoch_count - 1] < redis,
                      "a new epoch that is not larger");
    cmp->epochs[SUBJECT_MEMORY][cmp->epoch_count] = memory;
    cmp->epochs[SUBJECT_REDIS][cmp->epoch_count] = redis;
    cmp->epoch_count++;
}

/* Likewise with a token: which of those seen it is, or a larger one than those. */
static void
compare_tokens(struct comparison *cmp, unsigned lease, int64_t memory, int64_t redis)
{
    compare_check(cmp, !memory == !redis, "whether there is a token");
    if (!memory)
        return;
    for (unsigned i = 0; i < cmp->token_count; i++) {
        if (cmp->token_of[i] != lease)
            continue;
        compare_check(cmp, (cmp->tokens[0][i] == memory) == (cmp->tokens[1][i] == redis), "token");
        if (cmp->tokens[0][i] == memory)
            return;
    }
    if (cmp->token_count == TOKENS) {
        memmove(cmp->tokens[0], cmp->tokens[0] + 1, (TOKENS - 1) * sizeof cmp->tokens[0][0]);
        memmove(cmp->tokens[1], cmp->tokens[1] + 1, (TOKENS - 1) * sizeof cmp->tokens[1][0]);
        memmove(cmp->token_of, cmp->token_of + 1, (TOKENS - 1) * sizeof cmp->token_of[0]);
        cmp->token_count--;
    }
    cmp->token_of[cmp->token_count] = lease;
    cmp->tokens[0][cmp->token_count] = memory;
    cmp->tokens[1][cmp->token_count++] = redis;
}

/* The partitions that are told, in whatever order: those of the jobs here are 0 and 1. */
static size_t
busy_of(const struct jg_op *op)
{
    size_t sum = 0;
    for (size_t i = 0; op->kind == JG_OP_TAKE && i < op->busy_count; i++)
        sum += op->busy[i] == 0 ? 1 : op->busy[i] == 1 ? 1000 : 1000000;
    return sum;
}

/* Numbers of follow-ups are times, too: what counts is which are larger. */
static void
compare_numbers(struct comparison *cmp, unsigned key, const struct jg_op *memory, const struct jg_op *redis)
{
    unsigned job = (unsigned)memory->jid[JG_CHAIN_CHARS - 1] % JOBS;
    compare_check(cmp, !memory->follow_up == !redis->follow_up, "whether it is a follow-up");
    for (unsigned i = 0; memory->follow_up && i < JOBS; i++)
        compare_check(cmp,
                      (cmp->numbers[SUBJECT_MEMORY][key][i] < memory->follow_up) ==
                              (cmp->numbers[SUBJECT_REDIS][key][i] < redis->follow_up) &&
                          (cmp->numbers[SUBJECT_MEMORY][key][i] == memory->follow_up) ==
                              (cmp->numbers[SUBJECT_REDIS][key][i] == redis->follow_up),
                      "number of a follow-up");
    if (!memory->follow_up)
        return;
    cmp->numbers[SUBJECT_MEMORY][key][job] = memory->follow_up;
    cmp->numbers[SUBJECT_REDIS][key][job] = redis->follow_up;
}

static void
compare_answers(struct comparison *cmp, unsigned key, const struct jg_op *memory, const struct jg_op *redis)
{
    compare_check(cmp, memory->err == JG_OK && redis->err == JG_OK, "an operation that failed");
    compare_check(cmp, memory->claimed == redis->claimed, "claimed");
    compare_check(cmp, memory->original_state == redis->original_state, "state of the original");
    compare_check(cmp, strcmp(memory->original, redis->original) == 0, "original");
    compare_check(cmp, memory->verdict == redis->verdict, "verdict");
    compare_check(cmp, memory->changed == redis->changed, "changed");
    if (memory->kind == JG_OP_CLAIM && memory->claimed != JG_ORIGINAL)
        compare_check(
            cmp,
            compare_near(memory->original_since_ms - cmp->sides[SUBJECT_MEMORY].shift_ms, redis->original_since_ms),
            "since of the original");
    compare_check(cmp, memory->reason == redis->reason, "reason");
    compare_check(cmp, strcmp(memory->next, redis->next) == 0 && memory->next_waits == redis->next_waits, "next");
    compare_check(cmp, memory->load_now == redis->load_now && memory->gauge == redis->gauge, "load or gauge");
    compare_tokens(cmp, memory->lease == JG_LEASE_KEY ? key : KEYS, memory->token, redis->token);
    if (memory->kind == JG_OP_CLAIM)
        compare_numbers(cmp, key, memory, redis);
    compare_check(cmp, memory->granted == redis->granted, "granted");
    compare_check(cmp, busy_of(memory) == busy_of(redis), "busy");
    compare_check(cmp, memory->per_key_now == redis->per_key_now, "per_key");
    for (size_t i = 0; memory->kind == JG_OP_TAKE && i < memory->item_count; i++)
        compare_check(cmp, memory->grants[i] == redis->grants[i], "grants");
    compare_check(cmp,
                  memory->limit_now == redis->limit_now && memory->ahead_now == redis->ahead_now &&
                      memory->max_age_now_ms == redis->max_age_now_ms,
                  "what counts");
    compare_check(cmp, memory->completed_now == redis->completed_now && memory->missed_now == redis->missed_now,
                  "completed or missed");
    if (memory->ahead_now == JG_AUTO)
        compare_check(cmp, compare_near(memory->waited_now_ms, redis->waited_now_ms), "waited");
    compare_check(cmp, memory->running == redis->running && memory->tickets == redis->tickets, "running or tickets");
    compare_check(cmp, memory->override.set == redis->override.set && memory->override.limit == redis->override.limit,
                  "override");
    compare_check(cmp, strcmp(memory->other, redis->other) == 0, "other");
    compare_check(cmp, compare_near(memory->left_ms, redis->left_ms), "what is left");
    compare_check(cmp, memory->generation == redis->generation, "generation");
    if (memory->kind == JG_OP_ADMIT || memory->kind == JG_OP_RENEW)
        compare_epochs(cmp, memory->epoch, redis->epoch);
}

/* The limit's key of a job: of both job keys alike. */
static const char *
limit_key_for(const char *jid)
{
    return limit_key_of((unsigned)jid[JG_CHAIN_CHARS - 1] % LIMIT_KEYS);
}

/* What limits by key add to an operation, which has its items. */
static void
add_keys(struct comparison *cmp, struct jg_op *op)
{
    static const char *limit_keys[ITEMS], *marks[ITEMS];
    op->per_key = pick(cmp, 2) ? 0 : 1 + (int64_t)pick(cmp, 2);
    if (pick(cmp, 4))
        op->per_key = cmp->usual.per_key;
    else if (!pick(cmp, 4))
        cmp->usual.per_key = op->per_key;
    if (op->per_key && pick(cmp, 2)) {
        op->capacity = 0;
        op->lease = JG_LEASE_NONE;
        op->limit = op->limit < 0 ? 0 : op->limit;
    }
    if (op->per_key || (op->kind != JG_OP_ADMIT && !pick(cmp, 3)))
        op->limit_key = limit_key_for(op->jid);
    for (size_t i = 0; op->kind == JG_OP_TAKE && i < op->item_count; i++)
        limit_keys[i] = pick(cmp, 4) ? limit_key_for(op->items[i]) : NULL;
    op->limit_keys = pick(cmp, 4) ? limit_keys : NULL;
    if (op->kind != JG_OP_MARK)
        return;
    for (size_t i = 0; i < op->item_count; i++)
        marks[i] = pick(cmp, 2) ? limit_key_of(pick(cmp, LIMIT_KEYS)) : key_of(pick(cmp, KEYS));
    op->items = marks;
    op->leave = pick(cmp, 3);
}

/* What limits add to an operation. */
static void
add_limits(struct comparison *cmp, struct jg_op *op)
{
    static const int64_t limits[] = {0, 0, 1, 1, 1, 1, 2, -1};
    static const int64_t held[] = {-1, 0, 0, 0, 0, 1, 2, 4};
    static const char *items[ITEMS];
    op->limit = limits[pick(cmp, sizeof limits / sizeof limits[0])];
    op->resumed = pick(cmp, 2);
    op->last_try = pick(cmp, 2);
    op->fresh = !pick(cmp, 8);
    op->grace_ms = UNIT_MS + UNIT_MS / 2;
    op->hold_max = pick(cmp, 3) ? 0 : 2;
    op->resume_ahead = (int64_t)pick(cmp, 3) - 1;
    op->ahead_in = pick(cmp, 2);
    op->hold_max_age_ms = pick(cmp, 3);
    op->held_in = held[pick(cmp, sizeof held / sizeof held[0])];
    op->oldest_held_in = pick(cmp, 3);
    op->items = items;
    op->item_count = pick(cmp, 5);
    op->origin = pick(cmp, 3) ? "jobs" : NULL;
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

/* What follow-ups add to an operation. True: it is one's. */
static bool
add_follow_ups(struct comparison *cmp, struct jg_op *op)
{
    static bool follow_ups[ITEMS];
    for (size_t i = 0; i < op->item_count; i++)
        follow_ups[i] = pick(cmp, 2);
    op->follow_ups = op->kind == JG_OP_TAKE && pick(cmp, 4) ? follow_ups : NULL;
    op->follow_ups_in = pick(cmp, 3);
    op->follows_up = pick(cmp, 4);
    if (op->kind == JG_OP_RELEASE || op->kind == JG_OP_CLAIM || op->kind == JG_OP_TAKE || op->kind == JG_OP_COMPLETE)
        return false;
    return pick(cmp, 4);
}

/* What leases, chains and capacities add to an operation. */
static void
add_more(struct comparison *cmp, struct jg_op *op, unsigned *token)
{
    static const enum jg_lease leases[] = {JG_LEASE_NONE, JG_LEASE_NONE, JG_LEASE_CLASS, JG_LEASE_CLASS, JG_LEASE_KEY};
    op->lease = leases[pick(cmp, sizeof leases / sizeof leases[0])];
    op->lease_skips = pick(cmp, 2);
    op->capacity = pick(cmp, 2) ? 0 : 2;
    op->slot_ttl_ms = pick(cmp, 2) ? 0 : UNIT_MS + UNIT_MS / 2 + (int64_t)pick(cmp, 3) * UNIT_MS;
    op->load_key = pick(cmp, 5) ? cmp->load_key : NULL;
    op->work_key = pick(cmp, 3) ? cmp->work_key : NULL;
    op->failed = op->kind == JG_OP_COMPLETE && !pick(cmp, 8);
    op->done_ttl_ms = pick(cmp, 3) ? 2 * UNIT_MS + UNIT_MS / 2 : 0;
    if (pick(cmp, 4)) {
        op->limit = cmp->usual.limit;
        op->lease = cmp->usual.lease;
        op->capacity = cmp->usual.capacity;
        op->slot_ttl_ms = cmp->usual.slot_ttl_ms;
    } else if (!pick(cmp, 8)) {
        cmp->usual = *op;
    }
    *token = cmp->token_count ? cmp->token_count - 1 - pick(cmp, cmp->token_count < 4 ? 1 : 4) : 0;
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

/* The last one that took a slot, whose consumer has died. */
static void
come_again(struct comparison *cmp, struct jg_op *op, unsigned *key)
{
    static char text[JG_MEMBER_MAX_BYTES];
    const char *position = strrchr(cmp->ran_member, '/') + 1;
    *key = cmp->ran_key;
    op->key = key_of(*key);
    op->jid = link_of_chain(cmp->ran_jid, (unsigned)jg_jid_number(cmp->ran_jid));
    op->member = strcpy(text, member_at(op->jid, pick(cmp, INSTANCES), (unsigned)atoi(position)));
    op->candidate_of = NULL;
    op->resumed = false;
    op->limit = cmp->ran.limit;
    op->lease = cmp->ran.lease;
    op->capacity = 1;
    op->slot_ttl_ms = cmp->ran.slot_ttl_ms;
    op->done_ttl_ms = cmp->ran.done_ttl_ms;
    op->limit_key = NULL;
    op->per_key = 0;
}

/* What both sides are asked; `epoch` is the index of the one that the caller remembers. */
static struct jg_op
random_op(struct comparison *cmp, unsigned *key, unsigned *epoch, unsigned *token)
{
    static const enum jg_op_kind kinds[] = {
        JG_OP_CLAIM,   JG_OP_CLAIM,    JG_OP_CLAIM, JG_OP_CLAIM, JG_OP_CONFIRM, JG_OP_CONFIRM,  JG_OP_CONFIRM,
        JG_OP_KEEP,    JG_OP_ADMIT,    JG_OP_ADMIT, JG_OP_ADMIT, JG_OP_ADMIT,   JG_OP_ADMIT,    JG_OP_RENEW,
        JG_OP_RENEW,   JG_OP_TAKE,     JG_OP_TAKE,  JG_OP_PLACE, JG_OP_DROP,    JG_OP_COMPLETE, JG_OP_COMPLETE,
        JG_OP_RELEASE, JG_OP_BURY,     JG_OP_SYNC,  JG_OP_LEAD,  JG_OP_GROUP,   JG_OP_ANNOUNCE, JG_OP_TAKE,
        JG_OP_TAKE,    JG_OP_PLACE,    JG_OP_PLACE, JG_OP_DROP,  JG_OP_SYNC,    JG_OP_ADMIT,    JG_OP_ADMIT,
        JG_OP_ADMIT,   JG_OP_COMPLETE, JG_OP_MARK,  JG_OP_MARK,  JG_OP_FREE,    JG_OP_FREE};
    static char member[JG_MEMBER_MAX_BYTES];
    *key = pick(cmp, KEYS);
    *epoch = cmp->epoch_count ? cmp->epoch_count - 1 - pick(cmp, cmp->epoch_count < 2 ? 1 : 2) : 0;
    struct jg_op op = {.kind = kinds[pick(cmp, sizeof kinds / sizeof kinds[0])]};
    bool comes_again = op.kind == JG_OP_ADMIT && pick(cmp, 2);
    if (comes_again)
        *key = cmp->asked_key;
    op.key = key_of(*key);
    op.jid = jid_of(*key, comes_again ? cmp->asked_job : pick(cmp, JOBS));
    if (op.kind != JG_OP_CLAIM && !comes_again && !pick(cmp, 3))
        op.jid = link_of_chain(op.jid, pick(cmp, LINKS));
    op.member = member_at(op.jid, pick(cmp, INSTANCES), pick(cmp, 3) ? 17 : 18);
    bool goes_on = op.kind == JG_OP_RENEW || op.kind == JG_OP_COMPLETE || op.kind == JG_OP_FREE;
    if (goes_on && cmp->ran_jid[0] && pick(cmp, 2)) {
        *key = cmp->ran_key;
        op.key = key_of(*key);
        op.jid = link_of_chain(cmp->ran_jid, (unsigned)jg_jid_number(cmp->ran_jid));
        op.member = strcpy(member, cmp->ran_member);
    }
    op.dedup = pick(cmp, 2) ? JG_DEDUP_UNTIL_EXECUTING : JG_DEDUP_UNTIL_EXECUTED;
    op.action = pick(cmp, 2) ? JG_DUP_MARK : JG_DUP_REJECT;
    op.candidate_of = op.kind == JG_OP_ADMIT && pick(cmp, 2) ? jid_of(*key, pick(cmp, JOBS)) : NULL;
    op.dedup_ttl_ms = 3 * UNIT_MS + UNIT_MS / 2;
    op.dedup_provisional_ms = 1 * UNIT_MS + UNIT_MS / 2;
    op.run_ttl_ms = 2 * UNIT_MS + UNIT_MS / 2;
    add_limits(cmp, &op);
    add_more(cmp, &op, token);
    op.leave = op.kind == JG_OP_COMPLETE && !pick(cmp, 8);
    op.resumed = op.resumed || comes_again;
    add_names(cmp, &op);
    add_keys(cmp, &op);
    op.follow_up = add_follow_ups(cmp, &op);
    if (op.kind == JG_OP_ADMIT && jg_op_has_slots(&cmp->ran) && !pick(cmp, 5)) {
        op.follow_up = 0;
        come_again(cmp, &op, key);
    }
    if (op.follow_up)
        op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    return op;
}

static void
note_op(struct comparison *cmp, const struct jg_op *op, unsigned key, unsigned epoch, unsigned token)
{
    char items[32] = "";
    for (size_t i = 0; i < op->item_count && i < 8; i++)
        snprintf(items + 3 * i, sizeof items - 3 * i, " %.2s", op->items[i] + strlen(op->items[i]) - 2);
    note(cmp,
         "%-8s %s of key %u, %s, candidate_of=%s, on %s, epoch %u, limit %d%s%s%s hold_max %d held_in %d override "
         "%d:%d%s%s%s items%s, lease %s%s token %u capacity %d slot_ttl_ms %d%s%s%s done_ttl_ms %d limit_key %s of "
         "%d%s%s%s",
         jg_scripts[op->kind].name, op->jid + JG_CHAIN_CHARS - 1, key, jg_dedup_name(op->dedup),
         op->candidate_of ? op->candidate_of + JG_CHAIN_CHARS - 1 : "-",
         strchr(op->member, '@') ? strchr(op->member, '@') + 1 : op->member, epoch, (int)op->limit,
         op->resumed ? " resumed" : "", op->last_try ? " last_try" : "", op->fresh ? " fresh" : "", (int)op->hold_max,
         (int)op->held_in, op->override_in.set, (int)op->override_in.limit, op->override_now ? " now" : "",
         op->leave ? " leave" : "", op->force ? " force" : "", items, jg_lease_name(op->lease),
         op->lease_skips ? " skips" : "", token, (int)op->capacity, (int)op->slot_ttl_ms, op->load_key ? " load" : "",
         op->work_key ? " work" : "", op->failed ? " failed" : "", (int)op->done_ttl_ms,
         op->limit_key ? op->limit_key + JG_KEY_CHARS - 1 : "-", (int)op->per_key, op->limit_keys ? " keys" : "",
         op->follows_up ? " follows up" : "", op->follow_up ? " follow-up" : "");
}

static void
note_sights(struct comparison *cmp, const struct jg_op *op)
{
    bool admit = op->kind == JG_OP_ADMIT, take = op->kind == JG_OP_TAKE, complete = op->kind == JG_OP_COMPLETE;
    bool hold = admit && op->verdict == JG_HOLD, later = admit && op->verdict == JG_LATER;
    bool renew = op->kind == JG_OP_RENEW && op->lease, slots = jg_op_has_slots(op);
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
        [SAW_TOKEN] = admit && op->token > 0,
        [SAW_LEASE] = hold && op->reason == JG_REASON_LEASE,
        [SAW_TAKEN] = admit && op->reason == JG_REASON_TAKEN,
        [SAW_CAPACITY] = hold && op->reason == JG_REASON_CAPACITY,
        [SAW_LATER_MORE] = later && (op->reason == JG_REASON_CAPACITY || op->reason == JG_REASON_LEASE),
        [SAW_DONE] = admit && op->reason == JG_REASON_DONE && !op->next[0],
        [SAW_DONE_NEXT] = admit && op->reason == JG_REASON_DONE && op->next[0],
        [SAW_COPY] = admit && op->reason == JG_REASON_COPY,
        [SAW_NEXT] = complete && op->next[0] && !op->next_waits,
        [SAW_NEXT_WAITS] = complete && op->next_waits && !op->failed,
        [SAW_NEXT_AGAIN] = complete && op->failed,
        [SAW_LEASED_AGAIN] = renew && op->changed,
        [SAW_LEASED_OVER] = renew && !op->changed,
        [SAW_KEY_GRANT] = take && op->granted > 0 && memchr(op->grants, JG_GRANT_KEY, op->item_count) != NULL,
        [SAW_KEY] = hold && op->reason == JG_REASON_KEY,
        [SAW_LATER_KEY] = later && op->reason == JG_REASON_KEY,
        [SAW_KEYED_RUN] = admit && op->verdict == JG_RUN && op->limit_key && op->limit == 0 && !op->lease,
        [SAW_KEYED_BEHIND] = hold && op->reason == JG_REASON_BEHIND && op->limit_key,
        [SAW_KEYED_GRANT] = take && op->granted > 0 && op->per_key_now > 0 && op->reason == JG_REASON_NONE,
        [SAW_MARKED] = op->kind == JG_OP_MARK && op->changed && !op->leave,
        [SAW_UNMARKED] = op->kind == JG_OP_MARK && op->changed && op->leave,
        [SAW_SLOT] = slots && admit && op->verdict == JG_RUN,
        [SAW_NO_SLOT] = slots && hold && op->reason == JG_REASON_CAPACITY,
        [SAW_OWN_SLOT] = slots && admit && op->verdict == JG_RUN && op->load_now >= op->capacity,
        [SAW_SLOT_NEXT_WAITS] = slots && complete && op->next_waits && !op->failed,
        [SAW_SLOT_FREED] = op->kind == JG_OP_FREE && op->changed,
        [SAW_SLOT_UNKNOWN] = op->kind == JG_OP_FREE && !op->changed,
        [SAW_SLOT_TAKE] = take && op->load_now > 0 && op->granted == 0,
        [SAW_FOLLOW_UP] = op->kind == JG_OP_CLAIM && op->follow_up > 0,
        [SAW_FOLLOW_UP_HELD] = hold && op->reason == JG_REASON_FOLLOW_UP,
        [SAW_FOLLOW_UP_RUN] = admit && op->verdict == JG_RUN && op->follow_up > 0,
        [SAW_FOLLOW_UP_SKIPPED] = admit && op->verdict == JG_SKIP && op->reason == JG_REASON_NONE && op->follow_up > 0,
        [SAW_FOLLOW_UP_NOTED] = op->kind == JG_OP_CONFIRM && op->changed && op->follow_up > 0,
        [SAW_FOLLOW_UP_WAITS] = take && op->reason == JG_REASON_FOLLOW_UP,
        [SAW_FOLLOW_UP_GOES] =
            take && op->granted > 0 && op->follow_ups && op->follow_ups[0] && op->grants[0] == JG_GRANT_YES,
        [SAW_LEASED_GRANT] = take && op->granted > 0 && op->limit_now == 0 && op->tickets > 0,
    };
    for (int i = 0; i < SIGHTS; i++)
        cmp->sights[i] += seen[i];
}

static void
step_operation(struct comparison *cmp)
{
    unsigned key, epoch, token;
    struct jg_op op = random_op(cmp, &key, &epoch, &token), answers[2];
    unsigned char grants[2][ITEMS];
    static int32_t busy[2][JG_OP_BUSY_MOST];
    bool seen = pick(cmp, 2);
    /* Tokens of two leases are times, which may be the same on one side only. */
    unsigned lease = op.lease == JG_LEASE_KEY ? key : KEYS;
    while (token > 0 && cmp->token_of[token] != lease)
        token--;
    bool tells = op.kind == JG_OP_RENEW && cmp->token_of[token] == lease;
    note_op(cmp, &op, key, epoch, token);
    for (int side = 0; side < 2; side++) {
        answers[side] = op;
        answers[side].grants = grants[side];
        answers[side].busy = busy[side];
        answers[side].class_name = cmp->sides[side].class_name;
        answers[side].epoch_in = cmp->epochs[side][epoch];
        if (op.follow_up)
            answers[side].follow_up = cmp->numbers[side][key][(unsigned)op.jid[JG_CHAIN_CHARS - 1] % JOBS];
        if (op.kind == JG_OP_ADMIT && answers[side].follow_up && !op.candidate_of)
            answers[side].candidate_of = jid_of(key, 0);
        answers[side].token_in = tells ? cmp->tokens[side][token] : 0;
        answers[side].override_in.at_ms = seen ? cmp->override_at_ms[side] : 0;
        compare_check(cmp, !jg_store_exec(cmp->sides[side].store, &answers[side], 1), "an operation that failed");
        if (op.kind == JG_OP_SYNC && answers[side].override.at_ms)
            cmp->override_at_ms[side] = answers[side].override.at_ms;
    }
    compare_answers(cmp, key, &answers[SUBJECT_MEMORY], &answers[SUBJECT_REDIS]);
    if (op.kind == JG_OP_ADMIT && answers[0].verdict == JG_RUN) {
        cmp->ran = op;
        cmp->ran_key = key;
        strcpy(cmp->ran_jid, op.jid);
        strcpy(cmp->ran_member, op.member);
    }
    note_sights(cmp, &answers[SUBJECT_MEMORY]);
    compare_claim(cmp, key);
}

static void
step_gauge(struct comparison *cmp)
{
    bool load = pick(cmp, 3);
    int64_t value = (int64_t)pick(cmp, 4) - 1;
    note(cmp, "the %s is %" PRId64, load ? "load" : "work", value);
    for (int side = 0; side < 2; side++)
        subject_set_gauge(&cmp->sides[side], load ? cmp->load_key : cmp->work_key, value);
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
    unsigned fate = pick(cmp, 50);
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
    snprintf(cmp.load_key, sizeof cmp.load_key, "load-of-%s", cmp.sides[1].class_name);
    snprintf(cmp.work_key, sizeof cmp.work_key, "work-of-%s", cmp.sides[1].class_name);
    for (; cmp.steps < steps; cmp.steps++) {
        if (pick(&cmp, 8))
            step_operation(&cmp);
        else if (!pick(&cmp, 3))
            step_gauge(&cmp);
        else
            step_fate(&cmp);
    }
    cmp.steps--;
    compare_class(&cmp);
    for (int i = 0; i < SIGHTS; i++) {
        printf("%u ", cmp.sights[i]);
        compare_check(&cmp, cmp.sights[i] || steps < LONG_RUN, "nothing: something never came up");
    }
    printf("\n");
    for (int side = 0; side < 2; side++)
        subject_close(&cmp.sides[side]);
    printf("%u steps, seed %" PRIu64 ": no difference\n", steps, cmp.seed);
    return 0;
}
