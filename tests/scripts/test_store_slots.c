/* SPDX-License-Identifier: Apache-2.0 */
/* Capacity slots in many small random worlds: a start never makes more slots than the number of who starts it; a slot
 * is its job's while that runs, unless it was freed; and nobody's when its time is over.
 *
 * A world has some jobs of a class, instances that think differently of how many slots there are, and the operations of
 * the store in memory (which store_compare shows to be the same as those on Redis). Consumers die, jobs are delivered
 * again, releases come early, late, twice or never, time passes, the store loses its data or goes back to an old state.
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

#define JOBS 8
#define INSTANCES 3
#define STEPS 120
#define RUN_TTL_MS 1000
#define SLOT_TTL_MS 2500

struct run {
    char jid[JG_JID_CHARS + 1];
    bool running;
    unsigned instance, life; /* of the consumer: another one is another member */
    int64_t epoch;
    bool has_slot;      /* by what was answered since the store last lost data */
    int64_t expires_ms; /* of the run */
};

struct world {
    struct story story;
    struct jg_memory_class class;
    struct jg_memory_class *snapshot;
    int64_t now_ms;
    int step;
    struct run runs[JOBS];
};

struct tally {
    unsigned starts, holds, frees, unknown, back, full;
};

static const int64_t capacities[INSTANCES] = {2, 3, 4};

static void
judge(struct world *world, bool holds, const char *promise)
{
    if (holds)
        return;
    fprintf(stderr, "%sbroken: %s\n", world->story.history, promise);
    fail();
}

static bool
is_taken(struct world *world, const char *jid)
{
    for (struct jg_map_entry *slot = NULL; (slot = jg_map_next(&world->class.slots, slot));)
        if (strcmp(slot->key, jid) == 0)
            return slot->expires_ms > world->now_ms;
    return false;
}

static int64_t
taken(struct world *world)
{
    int64_t count = 0;
    for (struct jg_map_entry *slot = NULL; (slot = jg_map_next(&world->class.slots, slot));)
        count += slot->expires_ms > world->now_ms;
    return count;
}

static struct jg_op
operate(struct world *world, enum jg_op_kind kind, struct run *run)
{
    char member[JG_MEMBER_MAX_BYTES];
    snprintf(member, sizeof member, "%s@%u.%u@jobs/0/%u", run->jid, run->instance, run->life,
             (unsigned)(run - world->runs));
    struct jg_op op = {.kind = kind,
                       .class_name = "Class",
                       .key = "00000000000000000000000000000007",
                       .jid = run->jid,
                       .dedup_ttl_ms = 1000,
                       .dedup_provisional_ms = 1000,
                       .run_ttl_ms = RUN_TTL_MS,
                       .capacity = capacities[run->instance],
                       .slot_ttl_ms = SLOT_TTL_MS,
                       .done_ttl_ms = 100,
                       .grace_ms = RUN_TTL_MS / 2,
                       .resumed = kind == JG_OP_ADMIT && pick(&world->story, 2),
                       .last_try = true,
                       .member = member,
                       .epoch_in = run->epoch};
    int64_t before = taken(world), most = before > op.capacity ? before : op.capacity;
    if (kind == JG_OP_FREE)
        op.member = NULL;
    /* Every operation may be repeated at once: its first answer was lost. */
    for (unsigned again = 1 + !pick(&world->story, 6); again; again--) {
        assert_int_equal(jg_memory_apply(&world->class, world->now_ms, &op), JG_OK);
        judge(world, taken(world) <= most, "no more slots than the number of who starts a job");
    }
    op.member = NULL;
    return op;
}

static void
admit(struct world *world, struct tally *tally, struct run *run)
{
    run->instance = pick(&world->story, INSTANCES);
    run->life += pick(&world->story, 2);
    struct jg_op op = operate(world, JG_OP_ADMIT, run);
    note(&world->story, "%d: admit %s on %u.%u: %d %s, %d slots\n", world->step, run->jid + 48, run->instance,
         run->life, op.verdict, jg_reason_name(op.reason), (int)taken(world));
    run->running = op.verdict == JG_RUN;
    tally->starts += op.verdict == JG_RUN;
    tally->holds += op.verdict == JG_HOLD && op.reason == JG_REASON_CAPACITY;
    tally->full += taken(world) == capacities[run->instance];
    if (!run->running)
        return;
    run->epoch = op.epoch;
    run->has_slot = is_taken(world, run->jid);
    run->expires_ms = world->now_ms + RUN_TTL_MS;
}

static void
renew(struct world *world, struct tally *tally, struct run *run)
{
    if (!run->running)
        return;
    bool had = is_taken(world, run->jid);
    struct jg_op op = operate(world, JG_OP_RENEW, run);
    note(&world->story, "%d: renew %s: %d\n", world->step, run->jid + 48, op.changed);
    run->running = op.changed;
    run->epoch = op.epoch;
    run->expires_ms = world->now_ms + RUN_TTL_MS;
    run->has_slot = op.changed && is_taken(world, run->jid);
    tally->back += !had && run->has_slot;
}

static void
complete(struct world *world, struct run *run)
{
    if (!run->running)
        return;
    struct jg_op op = operate(world, JG_OP_COMPLETE, run);
    bool waits = op.load_now >= capacities[run->instance];
    judge(world, !op.next[0] || op.load_now < 0 || op.next_waits == waits, "a successor waits when there is no slot");
    note(&world->story, "%d: complete %s, load %d\n", world->step, run->jid + 48, (int)op.load_now);
    run->running = false;
    memcpy(run->jid, op.next[0] ? op.next : run->jid, sizeof run->jid);
}

static void
release(struct world *world, struct tally *tally, struct run *run)
{
    int64_t number = jg_jid_number(run->jid);
    bool former = number > 0 && pick(&world->story, 3);
    if (former) {
        struct run other = *run;
        int back = 1 + (int)pick(&world->story, number > 2 ? 3 : (unsigned)number);
        other.jid[JG_CHAIN_CHARS] = '\0';
        strcpy(other.jid, link_of_chain(other.jid, (unsigned)(number - back)));
        bool was = is_taken(world, other.jid);
        struct jg_op op = {.kind = JG_OP_FREE, .class_name = "Class", .jid = other.jid};
        assert_int_equal(jg_memory_apply(&world->class, world->now_ms, &op), JG_OK);
        judge(world, op.changed == was && !is_taken(world, other.jid), "a release frees what is taken");
        note(&world->story, "%d: free %s: %d\n", world->step, other.jid + 48, op.changed);
        tally->frees += op.changed;
        tally->unknown += !op.changed;
        return;
    }
    (void)operate(world, JG_OP_FREE, run);
    note(&world->story, "%d: free %s\n", world->step, run->jid + 48);
    run->has_slot = false;
    judge(world, !is_taken(world, run->jid), "what was freed is free");
}

static void
lose(struct world *world)
{
    switch (pick(&world->story, 4)) {
    case 0:
        memory_flush(&world->class);
        break;
    case 1:
        jg_memory_start_epoch(&world->class, ++world->now_ms);
        note(&world->story, "%d: new epoch\n", world->step);
        return;
    case 2:
        memory_snapshot_destroy(world->snapshot);
        world->snapshot = memory_snapshot(&world->class);
        return;
    default:
        if (!world->snapshot)
            return;
        memory_rewind(&world->class, world->snapshot);
        break;
    }
    jg_memory_start_epoch(&world->class, ++world->now_ms);
    note(&world->story, "%d: data lost\n", world->step);
    for (int i = 0; i < JOBS; i++)
        world->runs[i].has_slot = false; /* so far as is known */
}

static void
take_step(struct world *world, struct tally *tally)
{
    struct run *run = &world->runs[pick(&world->story, JOBS)];
    world->now_ms += 1 + pick(&world->story, 40);
    switch (pick(&world->story, 24)) {
    case 0:
        lose(world);
        return;
    case 1:
        world->now_ms += pick(&world->story, RUN_TTL_MS * 3);
        note(&world->story, "%d: now %lld\n", world->step, (long long)world->now_ms);
        return;
    case 2:
        run->running = false; /* its consumer dies */
        return;
    case 3:
    case 4:
    case 5:
        release(world, tally, run);
        return;
    case 6:
    case 7:
    case 8:
    case 9:
        complete(world, run);
        return;
    case 10:
    case 11:
        renew(world, tally, run);
        return;
    case 12:
        world->class.held = 0; /* what was held is brought back */
        return;
    default:
        admit(world, tally, run);
    }
}

static void
live(uint64_t seed, struct tally *tally)
{
    static struct world world;
    world = (struct world){.story.random = seed * 0x9e3779b97f4a7c15u + 1, .now_ms = 1700000000000};
    jg_memory_class_init(&world.class);
    note(&world.story, "seed %llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < JOBS; i++)
        snprintf(world.runs[i].jid, sizeof world.runs[i].jid, "%032x-%020x", 7u, i);
    for (; world.step < STEPS; world.step++) {
        take_step(&world, tally);
        for (int i = 0; i < JOBS; i++) {
            struct run *run = &world.runs[i];
            run->running = run->running && run->expires_ms > world.now_ms;
            judge(&world, !run->running || !run->has_slot || is_taken(&world, run->jid),
                  "a slot does not end before its run");
        }
    }
    world.now_ms += SLOT_TTL_MS;
    judge(&world, taken(&world) == 0, "every slot comes back by its TTL");
    memory_flush(&world.class);
    memory_snapshot_destroy(world.snapshot);
}

static void
slots_are_never_more_than_there_may_be_and_all_come_back(void **state)
{
    struct tally tally = {.starts = 0};
    uint64_t first = number_from("JOBGATE_SEED", 1);
    uint64_t count = number_from("JOBGATE_WORLDS", 20000);
    (void)state;
    for (uint64_t seed = first; seed < first + count; seed++)
        live(seed, &tally);
    print_message("           %u starts, %u full, %u holds, %u freed, %u unknown, %u put back\n", tally.starts,
                  tally.full, tally.holds, tally.frees, tally.unknown, tally.back);
    /* The worlds were worth the while. */
    assert_true(count < 1000 || (tally.starts > count && tally.full > count && tally.holds > count &&
                                 tally.frees > count / 5 && tally.unknown > count / 5 && tally.back > count / 50));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_never_more_than_there_may_be_and_all_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
