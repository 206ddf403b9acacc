/* SPDX-License-Identifier: Apache-2.0 */
/* Promise 5 in many small random worlds: no duplicate is dropped but for an equal job that starts (until_executing) or
 * ends (until_executed) after the duplicate was produced.
 *
 * A world has one job key, some jobs, two partitions and the store's operations on memory (which store_compare shows to
 * be the same as those on Redis). Whatever can happen in between does, in any order: answers get lost, acknowledgements
 * are seen late or never, deliveries fail that did not, producers die, consumers crash and get messages again, time
 * passes, the store starts a new epoch, is emptied, or is taken back to an old snapshot. At the end everything in the
 * log is consumed, and an omniscient judge looks at every job that was dropped.
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

#define JOBS 9
#define PARTITIONS 2
#define MOST_LOGGED (8 * JOBS) /* in a partition; a held job is logged once more */
#define MOST_HELD 64
#define STEPS 90
#define GRACE_MS 300
#define PROVISIONAL_MS 1000
#define TTL_MS 4000
#define RUN_TTL_MS 2000

enum fate { UNBORN, SENT, DROPPED };
enum report { UNREPORTED, ACKED, FAILED };

struct message {
    char jid[JG_JID_CHARS + 1];
    enum jg_dedup mode;
    enum fate fate;
    enum report report;
    bool unclaimed;    /* the answer to its claim was lost */
    int candidate_of;  /* job, or -1 */
    int64_t follow_up; /* its number; 0: it is none */
    bool persisted;
    bool pending;                /* confirm or release is still to be carried out */
    int produced_at, dropped_at; /* steps; -1: never */
    int started_at;              /* likewise, last */
    bool skipped;                /* when it came up last */
    bool running;
    unsigned instance; /* that runs it */
    int64_t epoch;
};

struct world {
    struct story story;
    struct jg_memory_class class;
    struct jg_memory_class *snapshot;
    int64_t now_ms;
    int step;
    bool paused; /* the class is: whatever comes up is held */
    bool follows_up;
    int held[MOST_HELD]; /* as follow-ups; until the resumer brings them back */
    int held_count;
    struct message jobs[JOBS];
    int job_count;
    int log[PARTITIONS][MOST_LOGGED];
    int length[PARTITIONS], position[PARTITIONS];
    unsigned instances;
    int last_start, last_end; /* steps in which a job last started, ended */
    char key[JG_KEY_CHARS + 1];
};

struct tally {
    unsigned duplicates, skips, runs, holds, passed, follow_ups, waits;
};

static void
judge(struct world *world, bool holds, const char *promise, int job)
{
    if (holds)
        return;
    print_error("%sbroken for job %d: %s\n", world->story.history, job, promise);
    fail();
}

static struct jg_op
operate(struct world *world, enum jg_op_kind kind, int job)
{
    struct message *message = &world->jobs[job];
    char member[JG_MEMBER_MAX_BYTES];
    snprintf(member, sizeof member, "%s@%u@jobs/0/0", message->jid, message->instance);
    struct jg_op op = {.kind = kind,
                       .class_name = "Class",
                       .key = world->key,
                       .jid = message->jid,
                       .dedup = message->mode,
                       .dedup_ttl_ms = TTL_MS,
                       .dedup_provisional_ms = PROVISIONAL_MS,
                       .run_ttl_ms = RUN_TTL_MS,
                       .member = member,
                       .epoch_in = message->epoch,
                       .follows_up = world->follows_up,
                       .follow_up = kind == JG_OP_CLAIM ? 0 : message->follow_up,
                       .grace_ms = world->follows_up ? GRACE_MS : 0,
                       .done_ttl_ms = world->follows_up ? TTL_MS : 0};
    if (kind == JG_OP_ADMIT && message->candidate_of >= 0)
        op.candidate_of = world->jobs[message->candidate_of].jid;
    op.limit = kind == JG_OP_ADMIT && world->paused ? -1 : 0;
    /* Every operation may be repeated at once: its first answer was lost. */
    for (unsigned again = 1 + !pick(&world->story, 6); again; again--)
        assert_int_equal(jg_memory_apply(&world->class, world->now_ms, &op), JG_OK);
    op.member = NULL;
    return op;
}

static int
job_by_jid(const struct world *world, const char *jid)
{
    for (int job = 0; job < world->job_count; job++)
        if (strcmp(world->jobs[job].jid, jid) == 0)
            return job;
    return -1;
}

static void
produce(struct world *world, struct tally *tally, enum jg_dedup mode)
{
    static const char *const words[] = {"original", "duplicate of", "candidate of"};
    if (world->job_count == JOBS)
        return;
    int job = world->job_count++;
    struct message *message = &world->jobs[job];
    *message = (struct message){
        .mode = mode, .candidate_of = -1, .produced_at = world->step, .dropped_at = -1, .started_at = -1};
    snprintf(message->jid, sizeof message->jid, "%s-%020x", world->key, (unsigned)job);
    struct jg_op op = operate(world, JG_OP_CLAIM, job);
    int other = op.claimed == JG_ORIGINAL ? -1 : job_by_jid(world, op.original);
    message->unclaimed = !pick(&world->story, 10);
    message->fate = SENT;
    if (!message->unclaimed && op.claimed == JG_DUPLICATE) {
        message->fate = DROPPED;
        message->dropped_at = world->step;
        tally->duplicates++;
    } else if (!message->unclaimed && op.claimed == JG_CANDIDATE) {
        message->candidate_of = other;
        message->follow_up = op.follow_up;
        tally->follow_ups += op.follow_up > 0;
    }
    note(&world->story, "%d: produce %d %s: %s %d%s\n", world->step, job, jg_dedup_name(mode), words[op.claimed], other,
         message->unclaimed ? ", answer lost" : "");
}

static void
persist(struct world *world, int job)
{
    struct message *message = &world->jobs[job];
    if (message->fate != SENT || message->persisted)
        return;
    unsigned partition = pick(&world->story, PARTITIONS);
    message->persisted = true;
    world->log[partition][world->length[partition]++] = job;
    note(&world->story, "%d: persist %d on %u\n", world->step, job, partition);
}

static void
deliver_report(struct world *world, int job)
{
    struct message *message = &world->jobs[job];
    if (message->fate != SENT || message->report)
        return;
    message->report = message->persisted && pick(&world->story, 8) ? ACKED : FAILED;
    message->pending = !message->unclaimed;
    note(&world->story, "%d: %s %d\n", world->step, message->report == ACKED ? "acked" : "failed", job);
}

static void
settle(struct world *world, struct tally *tally, int job)
{
    struct message *message = &world->jobs[job];
    if (!message->pending)
        return;
    int64_t passed = world->class.tallies[JG_TALLY_PASSED];
    struct jg_op op = operate(world, message->report == ACKED ? JG_OP_CONFIRM : JG_OP_RELEASE, job);
    message->pending = false;
    tally->passed += world->class.tallies[JG_TALLY_PASSED] > passed;
    note(&world->story, "%d: %s %d: %d\n", world->step, message->report == ACKED ? "confirm" : "release", job,
         op.changed);
}

static void
keep(struct world *world, int job)
{
    struct message *message = &world->jobs[job];
    if (message->fate == SENT && !message->report && !message->unclaimed)
        (void)operate(world, JG_OP_KEEP, job);
}

static void
kill_producer(struct world *world, int job)
{
    struct message *message = &world->jobs[job];
    if (message->fate == SENT && (!message->report || message->pending))
        note(&world->story, "%d: the producer of %d dies\n", world->step, job);
    message->pending = false;
    message->unclaimed = true;
}

/* Through the holding topic, back to some partition. */
static void
come_again(struct world *world, int job)
{
    unsigned partition = pick(&world->story, PARTITIONS);
    world->log[partition][world->length[partition]++] = job;
}

static void
consume(struct world *world, struct tally *tally, unsigned partition)
{
    static const char *const words[] = {[JG_RUN] = "run", [JG_HOLD] = "hold", [JG_SKIP] = "skip", [JG_LATER] = "later"};
    if (world->position[partition] == world->length[partition])
        return;
    int job = world->log[partition][world->position[partition]++];
    struct message *message = &world->jobs[job];
    message->instance = world->instances;
    struct jg_op op = operate(world, JG_OP_ADMIT, job);
    note(&world->story, "%d: admit %d on instance %u: %s\n", world->step, job, message->instance, words[op.verdict]);
    if (op.verdict == JG_LATER) {
        world->position[partition]--;
        world->now_ms += GRACE_MS;
        return;
    }
    if (op.verdict == JG_HOLD && op.reason == JG_REASON_FOLLOW_UP) {
        must(world->held_count < MOST_HELD);
        world->held[world->held_count++] = job;
        tally->waits++;
        return;
    }
    if (op.verdict == JG_HOLD) {
        come_again(world, job);
        tally->holds++;
        return;
    }
    judge(world, op.verdict == JG_RUN || message->candidate_of >= 0 || op.reason == JG_REASON_DONE,
          "an original is never skipped", job);
    message->skipped = op.verdict == JG_SKIP;
    if (op.verdict == JG_SKIP) {
        tally->skips++;
        message->dropped_at = message->produced_at;
        return;
    }
    tally->runs++;
    message->epoch = op.epoch;
    world->last_start = message->started_at = world->step;
    message->running = message->mode == JG_DEDUP_UNTIL_EXECUTED;
}

/* The resumer brings one back, when the store says so. */
static void
resume(struct world *world, int at)
{
    int job = world->held[at];
    const char *items[] = {world->jobs[job].jid};
    const bool follow_ups[] = {true};
    struct jg_op told = {.kind = JG_OP_SYNC, .member = "instance"};
    struct jg_op op = {.kind = JG_OP_TAKE,
                       .items = items,
                       .item_count = 1,
                       .follow_ups = follow_ups,
                       .held_in = world->held_count,
                       .follow_ups_in = world->held_count,
                       .grace_ms = GRACE_MS};
    assert_int_equal(jg_memory_apply(&world->class, world->now_ms, &told), JG_OK);
    assert_int_equal(jg_memory_apply(&world->class, world->now_ms, &op), JG_OK);
    note(&world->story, "%d: take %d: %d\n", world->step, job, (int)op.granted);
    if (!op.granted)
        return;
    world->held[at] = world->held[--world->held_count];
    come_again(world, job);
}

/* The consumer dies: what it ran goes on for nobody, and comes again, since no offset at or above it was committed. */
static void
crash_consumer(struct world *world)
{
    for (unsigned partition = 0; partition < PARTITIONS; partition++) {
        int most = 0;
        while (most < world->position[partition] && !world->jobs[world->log[partition][most]].running)
            most++;
        world->position[partition] = (int)pick(&world->story, (unsigned)most + 1);
    }
    for (int job = 0; job < world->job_count; job++)
        world->jobs[job].running = false;
    world->instances++;
    note(&world->story, "%d: the consumer dies, goes on at %d and %d\n", world->step, world->position[0],
         world->position[1]);
}

static void
finish(struct world *world, int job, bool crash)
{
    struct message *message = &world->jobs[job];
    if (!message->running)
        return;
    world->last_end = world->step;
    note(&world->story, "%d: finish %d\n", world->step, job);
    if (crash) {
        crash_consumer(world);
        return;
    }
    message->running = false;
    (void)operate(world, JG_OP_COMPLETE, job);
}

static void
renew(struct world *world, int job)
{
    struct message *message = &world->jobs[job];
    if (!message->running)
        return;
    struct jg_op op = operate(world, JG_OP_RENEW, job);
    message->epoch = op.epoch;
    note(&world->story, "%d: renew %d: %d\n", world->step, job, op.changed);
}

static void
strike(struct world *world)
{
    switch (pick(&world->story, 12)) {
    case 0:
        note(&world->story, "%d: new epoch\n", world->step);
        world->now_ms++;
        jg_memory_start_epoch(&world->class, world->now_ms);
        return;
    case 1:
        note(&world->story, "%d: flush\n", world->step);
        world->now_ms++;
        memory_flush(&world->class);
        return;
    case 2:
    case 3:
        note(&world->story, "%d: snapshot\n", world->step);
        memory_snapshot_destroy(world->snapshot);
        world->snapshot = memory_snapshot(&world->class);
        return;
    case 4:
    case 5:
        if (world->snapshot) {
            note(&world->story, "%d: rewind\n", world->step);
            memory_rewind(&world->class, world->snapshot);
            world->now_ms++;
            jg_memory_start_epoch(&world->class, world->now_ms);
        }
        return;
    default:
        world->now_ms += 200 + (int64_t)pick(&world->story, 1500);
        note(&world->story, "%d: now %lld\n", world->step, (long long)world->now_ms);
        return;
    }
}

/* Is there room for one more, beside those that are still to be persisted? */
static bool
may_hold(const struct world *world)
{
    for (unsigned partition = 0; partition < PARTITIONS; partition++)
        if (world->length[partition] + JOBS >= MOST_LOGGED)
            return false;
    return true;
}

static void
take_step(struct world *world, struct tally *tally, enum jg_dedup mode)
{
    int job = world->job_count ? (int)pick(&world->story, (unsigned)world->job_count) : 0;
    if (mode == JG_DEDUP_NONE)
        mode = pick(&world->story, 2) ? JG_DEDUP_UNTIL_EXECUTED : JG_DEDUP_UNTIL_EXECUTING;
    world->now_ms += 1 + pick(&world->story, 20);
    if (world->job_count == 0 || !pick(&world->story, 6)) {
        produce(world, tally, mode);
        return;
    }
    if (world->held_count && may_hold(world) && !pick(&world->story, 6)) {
        resume(world, (int)pick(&world->story, (unsigned)world->held_count));
        return;
    }
    switch (pick(&world->story, 20)) {
    case 0:
        kill_producer(world, job);
        return;
    case 1:
        crash_consumer(world);
        return;
    case 2:
        strike(world);
        return;
    case 3:
        renew(world, job);
        return;
    case 4:
        keep(world, job);
        return;
    case 5:
    case 6:
        finish(world, job, !pick(&world->story, 8));
        return;
    case 7:
    case 8:
    case 9:
        deliver_report(world, job);
        return;
    case 10:
    case 11:
    case 12:
        settle(world, tally, job);
        return;
    case 13:
    case 14:
    case 15:
    case 16:
        persist(world, job);
        return;
    default:
        world->paused = !pick(&world->story, 4) && may_hold(world);
        consume(world, tally, pick(&world->story, PARTITIONS));
        world->paused = false;
        return;
    }
}

static void
consume_all(struct world *world, struct tally *tally)
{
    for (unsigned partition = 0; partition < PARTITIONS; partition++) {
        while (world->position[partition] < world->length[partition]) {
            world->step++;
            consume(world, tally, partition);
        }
    }
    for (int job = 0; job < world->job_count; job++) {
        world->step++;
        finish(world, job, false);
    }
}

/* Nothing breaks any more: all that is in the log is consumed, to its end, and what is held comes back. */
static void
drain(struct world *world, struct tally *tally)
{
    consume_all(world, tally);
    for (int rounds = 0; world->held_count; rounds++) {
        judge(world, rounds < 1000, "what is held as a follow-up comes back", world->held[0]);
        world->now_ms += 100;
        resume(world, rounds % world->held_count);
        consume_all(world, tally);
    }
}

/* A follow-up that does not run stands behind one that does, after it was produced, and is no older. */
static void
judge_follow_up(struct world *world, int job)
{
    const struct message *message = &world->jobs[job];
    bool newer = false;
    for (int other = job; other < world->job_count; other++)
        newer = newer || world->jobs[other].started_at > message->produced_at;
    judge(world, newer || !message->follow_up || !message->skipped, "a newer follow-up runs in the place of this", job);
}

static void
live(uint64_t seed, enum jg_dedup mode, bool follows_up, struct tally *tally)
{
    static struct world world;
    world = (struct world){.story.random = seed * 0x9e3779b97f4a7c15u + 1,
                           .now_ms = 1700000000000,
                           .last_start = -1,
                           .last_end = -1,
                           .follows_up = follows_up};
    jg_memory_class_init(&world.class);
    snprintf(world.key, sizeof world.key, "%032x", 7u);
    note(&world.story, "seed %llu\n", (unsigned long long)seed);
    for (; world.step < STEPS; world.step++)
        take_step(&world, tally, mode);
    drain(&world, tally);
    for (int job = 0; job < world.job_count; job++) {
        const struct message *message = &world.jobs[job];
        judge_follow_up(&world, job);
        if (message->dropped_at < 0)
            continue;
        if (message->mode == JG_DEDUP_UNTIL_EXECUTING)
            judge(&world, world.last_start > message->dropped_at, "an equal job starts after a dropped one", job);
        else
            judge(&world, world.last_start > message->dropped_at || world.last_end > message->dropped_at,
                  "an equal job's work was unfinished when this was dropped", job);
    }
    memory_flush(&world.class);
    memory_snapshot_destroy(world.snapshot);
}

static void
try_worlds(enum jg_dedup mode, bool follows_up)
{
    struct tally tally = {.runs = 0};
    uint64_t first = number_from("JOBGATE_SEED", 1);
    uint64_t count = number_from("JOBGATE_WORLDS", 20000);
    for (uint64_t seed = first; seed < first + count; seed++)
        live(seed, mode, follows_up, &tally);
    print_message(
        "           %u runs, %u holds, %u duplicates, %u skips, %u claims passed on, %u follow-ups, %u held\n",
        tally.runs, tally.holds, tally.duplicates, tally.skips, tally.passed, tally.follow_ups, tally.waits);
    /* The worlds were worth the while. */
    assert_true(count < 1000 || (tally.duplicates > count / 10 && tally.holds > count / 10 &&
                                 tally.skips > count / 100 && tally.passed > count / 50));
    assert_true(count < 1000 || !follows_up || (tally.follow_ups > count / 10 && tally.waits > count / 50));
}

static void
no_until_executing_duplicate_is_dropped_unless_an_equal_job_starts_later(void **state)
{
    (void)state;
    try_worlds(JG_DEDUP_UNTIL_EXECUTING, false);
}

static void
no_until_executed_duplicate_is_dropped_unless_equal_work_is_unfinished(void **state)
{
    (void)state;
    try_worlds(JG_DEDUP_UNTIL_EXECUTED, false);
}

static void
no_follow_up_is_dropped_unless_one_that_is_no_older_starts_later(void **state)
{
    (void)state;
    try_worlds(JG_DEDUP_UNTIL_EXECUTED, true);
}

static void
no_duplicate_is_dropped_wrongly_where_both_modes_meet(void **state)
{
    (void)state;
    try_worlds(JG_DEDUP_NONE, false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_until_executing_duplicate_is_dropped_unless_an_equal_job_starts_later),
        cmocka_unit_test(no_until_executed_duplicate_is_dropped_unless_equal_work_is_unfinished),
        cmocka_unit_test(no_follow_up_is_dropped_unless_one_that_is_no_older_starts_later),
        cmocka_unit_test(no_duplicate_is_dropped_wrongly_where_both_modes_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
