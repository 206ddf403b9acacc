/* SPDX-License-Identifier: Apache-2.0 */
/* Promise 3, by key, in many small random worlds: of one value of limit.key no more jobs run at live consumers than who
 * admits the next one allows, and no more of the class than its limit.
 *
 * A world has a few tenants, jobs, and consumers whose settings differ, on the operations in memory (which
 * store_compare shows to be the same as those on Redis). Jobs start, end, leave, are held, resumed and marked in any
 * order; answers get lost; consumers die; time passes, in which those that live renew what they run; the store
 * restarts, is emptied, or is taken back to an old snapshot. At each start an omniscient judge counts.
 *
 * JOBGATE_WORLDS sets how many worlds, JOBGATE_SEED which. A failure prints the world's history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory_rewind.h"
#include "store_support.h"
#include "story.h"

#define JOBS 14
#define TENANTS 3
#define CONSUMERS 3
#define STEPS 160
#define RUN_TTL_MS 6000
#define RENEW_MS (RUN_TTL_MS / 3)
#define GRACE_MS (RUN_TTL_MS / 3 + 2000)
#define MOST_STEP_MS 700

enum place { QUEUED, HELD, RESUMED, RUNNING, ENDED };

struct job {
    char jid[JG_JID_CHARS + 1];
    char limit_key[JG_KEY_CHARS + 1];
    unsigned tenant;
    enum place place;
    unsigned consumer; /* that runs it */
    char member[JG_MEMBER_MAX_BYTES];
    int64_t epoch, renewed_ms;
};

struct world {
    struct story story;
    struct jg_memory_class class;
    struct jg_memory_class *snapshot;
    int64_t now_ms;
    int step;
    struct job jobs[JOBS];
    int64_t per_key[CONSUMERS], limit[CONSUMERS];
    unsigned lives[CONSUMERS]; /* counts deaths: another life is another instance */
};

struct tally {
    unsigned runs, holds, grants, keys, struck;
};

static void
judge(struct world *world, bool holds, const char *promise, const struct job *job)
{
    if (holds)
        return;
    fprintf(stderr, "%sbroken for job %d: %s\n", world->story.history, (int)(job - world->jobs), promise);
    fail();
}

/* Every operation may be repeated at once: its first answer was lost. */
static void
apply(struct world *world, struct jg_op *op)
{
    for (unsigned again = 1 + !pick(&world->story, 6); again; again--)
        assert_int_equal(jg_memory_apply(&world->class, world->now_ms, op), JG_OK);
}

static struct jg_op
operation(const struct world *world, const struct job *job, enum jg_op_kind kind, unsigned consumer)
{
    static char key[JG_KEY_CHARS + 1];
    snprintf(key, sizeof key, "%.*s", JG_KEY_CHARS, job->jid);
    return (struct jg_op){.kind = kind,
                          .class_name = "Class",
                          .key = key,
                          .jid = job->jid,
                          .member = job->member,
                          .dedup = JG_DEDUP_NONE,
                          .dedup_ttl_ms = 60000,
                          .dedup_provisional_ms = 60000,
                          .run_ttl_ms = RUN_TTL_MS,
                          .grace_ms = GRACE_MS,
                          .epoch_in = job->epoch,
                          .limit = world->limit[consumer],
                          .limit_key = job->limit_key,
                          .per_key = world->per_key[consumer]};
}

static void
count_runs(const struct world *world, const struct job *but, int64_t *of_tenant, int64_t *of_class)
{
    *of_tenant = *of_class = 0;
    for (int i = 0; i < JOBS; i++) {
        const struct job *job = &world->jobs[i];
        if (job->place != RUNNING || job == but)
            continue;
        ++*of_class;
        *of_tenant += job->tenant == but->tenant;
    }
}

static void
come_up(struct world *world, struct tally *tally, struct job *job, unsigned consumer)
{
    int64_t of_tenant, of_class;
    snprintf(job->member, sizeof job->member, "%s@consumer%u-%u@jobs/0/%d", job->jid, consumer, world->lives[consumer],
             world->step);
    struct jg_op op = operation(world, job, JG_OP_ADMIT, consumer);
    op.resumed = job->place == RESUMED;
    op.last_try = pick(&world->story, 2);
    op.hold_max = pick(&world->story, 4) ? 0 : 3;
    apply(world, &op);
    note(&world->story, "%d: job %d of tenant %u at consumer %u (%d of a key, %d): %d, %s\n", world->step,
         (int)(job - world->jobs), job->tenant, consumer, (int)op.per_key, (int)op.limit, op.verdict,
         jg_reason_name(op.reason));
    if (op.verdict == JG_HOLD) {
        job->place = HELD;
        tally->holds++;
        tally->keys += op.reason == JG_REASON_KEY;
        return;
    }
    if (op.verdict != JG_RUN)
        return;
    count_runs(world, job, &of_tenant, &of_class);
    judge(world, of_tenant < op.per_key, "more of a key run than who admits it allows", job);
    judge(world, op.limit == 0 || of_class < op.limit, "more of the class run than its limit", job);
    job->place = RUNNING;
    job->consumer = consumer;
    job->epoch = op.epoch;
    job->renewed_ms = world->now_ms;
    tally->runs++;
}

static void
finish(struct world *world, struct job *job)
{
    struct jg_op op = operation(world, job, JG_OP_COMPLETE, job->consumer);
    op.leave = !pick(&world->story, 5);
    apply(world, &op);
    note(&world->story, "%d: job %d %s\n", world->step, (int)(job - world->jobs), op.leave ? "leaves" : "ends");
    job->place = op.leave ? QUEUED : ENDED;
}

/* As a resumer that knows some of the held jobs' keys. */
static void
resume(struct world *world, struct tally *tally)
{
    const char *items[JOBS], *keys[JOBS];
    unsigned char grants[JOBS];
    struct job *held[JOBS];
    struct jg_op op = {.kind = JG_OP_TAKE,
                       .class_name = "Class",
                       .items = items,
                       .limit_keys = keys,
                       .grants = grants,
                       .grace_ms = GRACE_MS};
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &world->jobs[i];
        if (job->place != HELD)
            continue;
        held[op.item_count] = job;
        items[op.item_count] = job->jid;
        keys[op.item_count++] = pick(&world->story, 8) ? job->limit_key : NULL;
    }
    op.held_in = (int64_t)op.item_count;
    apply(world, &op);
    for (size_t i = 0; i < op.item_count; i++) {
        if (grants[i] != JG_GRANT_YES || !pick(&world->story, 5)) /* its resumer died */
            continue;
        held[i]->place = RESUMED;
        tally->grants++;
    }
    note(&world->story, "%d: %d of %d are granted\n", world->step, (int)op.granted, (int)op.item_count);
}

static void
mark(struct world *world)
{
    const char *const items[] = {world->jobs[pick(&world->story, JOBS)].limit_key};
    struct jg_op op = {.kind = JG_OP_MARK, .class_name = "Class", .items = items, .item_count = 1};
    op.leave = pick(&world->story, 3);
    apply(world, &op);
}

/* Its jobs come again, when somebody notices. */
static void
die(struct world *world, unsigned consumer)
{
    note(&world->story, "%d: consumer %u dies\n", world->step, consumer);
    world->lives[consumer]++;
    for (int i = 0; i < JOBS; i++)
        if (world->jobs[i].place == RUNNING && world->jobs[i].consumer == consumer)
            world->jobs[i].place = QUEUED;
}

static void
pass_time(struct world *world)
{
    world->now_ms += 1 + pick(&world->story, MOST_STEP_MS);
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &world->jobs[i];
        if (job->place != RUNNING || world->now_ms - job->renewed_ms < RENEW_MS)
            continue;
        struct jg_op op = operation(world, job, JG_OP_RENEW, job->consumer);
        apply(world, &op);
        judge(world, op.changed, "who renews in time keeps its slot", job);
        job->epoch = op.epoch;
        job->renewed_ms = world->now_ms;
    }
}

static void
strike(struct world *world, struct tally *tally)
{
    unsigned fate = pick(&world->story, 4);
    static const char *const names[] = {"restarts", "is emptied", "is copied", "is taken back"};
    note(&world->story, "%d: the store %s\n", world->step, names[fate]);
    tally->struck++;
    if (fate == 2) {
        memory_snapshot_destroy(world->snapshot);
        world->snapshot = memory_snapshot(&world->class);
        return;
    }
    if (fate == 1)
        memory_flush(&world->class);
    if (fate == 3 && world->snapshot)
        memory_rewind(&world->class, world->snapshot);
    world->now_ms++;
    jg_memory_start_epoch(&world->class, world->now_ms);
    /* What instances tell again. */
    struct jg_op op = {.kind = JG_OP_SYNC, .class_name = "Class", .member = "consumer0", .run_ttl_ms = RUN_TTL_MS};
    op.per_key = world->per_key[0];
    op.limit = world->limit[0];
    apply(world, &op);
}

static void
take_step(struct world *world, struct tally *tally)
{
    struct job *job = &world->jobs[pick(&world->story, JOBS)];
    switch (pick(&world->story, 12)) {
    case 0:
        if (!pick(&world->story, 8))
            strike(world, tally);
        return;
    case 1:
        if (!pick(&world->story, 4))
            die(world, pick(&world->story, CONSUMERS));
        return;
    case 2:
        mark(world);
        return;
    case 3:
    case 4:
        resume(world, tally);
        return;
    case 5:
    case 6:
    case 7:
        pass_time(world);
        return;
    default:
        if (job->place == RUNNING)
            finish(world, job);
        else if (job->place == QUEUED || job->place == RESUMED)
            come_up(world, tally, job, pick(&world->story, CONSUMERS));
    }
}

static void
live(uint64_t seed, struct tally *tally)
{
    static struct world world;
    static const int64_t limits[] = {0, 0, 2, 4};
    world = (struct world){.story.random = seed * 0x9e3779b97f4a7c15u + 1, .now_ms = 1700000000000};
    jg_memory_class_init(&world.class);
    note(&world.story, "seed %llu\n", (unsigned long long)seed);
    int64_t limit = limits[pick(&world.story, 4)];
    for (unsigned i = 0; i < CONSUMERS; i++) {
        world.per_key[i] = 1 + (int64_t)pick(&world.story, 2);
        world.limit[i] = limit;
    }
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &world.jobs[i];
        job->tenant = pick(&world.story, TENANTS);
        snprintf(job->jid, sizeof job->jid, "%s", jid_of((unsigned)i, 1));
        snprintf(job->limit_key, sizeof job->limit_key, "%s", limit_key_of(job->tenant));
    }
    jg_memory_start_epoch(&world.class, world.now_ms);
    for (; world.step < STEPS; world.step++)
        take_step(&world, tally);
    memory_flush(&world.class);
    memory_snapshot_destroy(world.snapshot);
}

static void
no_more_of_a_key_run_than_who_admits_the_next_one_allows(void **state)
{
    struct tally tally = {.runs = 0};
    uint64_t first = number_from("JOBGATE_SEED", 1), count = number_from("JOBGATE_WORLDS", 10000);
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++)
        live(seed, &tally);
    print_message("           %u runs, %u holds, %u for their key, %u tickets, %u strokes\n", tally.runs, tally.holds,
                  tally.keys, tally.grants, tally.struck);
    /* The worlds were worth the while. */
    assert_true(count < 1000 ||
                (tally.runs > 4 * count && tally.keys > count && tally.grants > count && tally.struck > count));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_of_a_key_run_than_who_admits_the_next_one_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
