/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static void
expect_grants(struct jg_op op, int64_t granted, int64_t tickets)
{
    assert_int_equal(op.granted, granted);
    assert_int_equal(op.tickets, tickets);
}

void
a_job_runs_while_there_is_a_slot_and_is_held_when_there_is_none(void **state)
{
    (void)state;
    expect_run(admit_limited('a', 2));
    expect_run(admit_limited('b', 2));
    expect_hold(admit_limited('c', 2), JG_REASON_LIMIT);
    assert_int_equal(class_report().running, 2);
    assert_int_equal(class_report().held, 1);
    assert_true(complete_on('a', 1));
    assert_int_equal(class_report().running, 1);
}

/* Also while others are held, and when the class is paused or the slots are fewer by now: it has its slot. */
void
the_same_run_is_told_run_again(void **state)
{
    (void)state;
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    expect_run(admit_limited('a', 1));
    set_override(true, -1);
    expect_run(admit_limited('a', 1));
    assert_int_equal(class_report().running, 1);
}

void
a_newcomer_goes_behind_what_is_held_or_on_its_way_back(void **state)
{
    (void)state;
    tell(2, 0);
    expect_run(admit_limited('a', 2));
    expect_run(admit_limited('b', 2));
    expect_hold(admit_limited('c', 2), JG_REASON_LIMIT);
    assert_true(complete_on('a', 1));
    expect_hold(admit_limited('d', 2), JG_REASON_BEHIND);
    expect_grants(take("cd", 2), 1, 1);
    /* Nothing is held as far as anybody knows, but c is on its way back. */
    expect_grants(take("", 0), 0, 1);
    assert_int_equal(class_report().held, 0);
    expect_hold(admit_limited('e', 2), JG_REASON_BEHIND);
    expect_grants(take("", 0), 0, 1);
    expect_run(admit_resumed('c', 2));
    expect_grants(take("", 0), 0, 0);
    assert_true(complete_on('b', 1));
    expect_run(admit_limited('f', 2));
}

void
a_job_that_says_it_was_resumed_and_has_no_ticket_is_a_newcomer(void **state)
{
    (void)state;
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    assert_true(complete_on('a', 1));
    expect_hold(admit_resumed('c', 1), JG_REASON_BEHIND);
}

void
a_ticketed_job_goes_before_newcomers(void **state)
{
    (void)state;
    tell(1, 0);
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    expect_hold(admit_limited('c', 1), JG_REASON_BEHIND);
    assert_true(complete_on('a', 1));
    expect_grants(take("b", 2), 1, 1);
    expect_hold(admit_limited('d', 1), JG_REASON_BEHIND);
    expect_run(admit_resumed('b', 1));
    assert_int_equal(class_report().tickets, 0);
}

void
a_ticketed_job_without_a_slot_waits_and_is_then_held(void **state)
{
    (void)state;
    tell(1, 1);
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    expect_grants(take("b", 1), 1, 1);
    expect_later(admit_resumed('b', 1), JG_REASON_LIMIT);
    assert_int_equal(class_report().tickets, 1);
    struct jg_op op = resumed('b', 1);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_LIMIT);
    assert_int_equal(class_report().tickets, 0);
    assert_int_equal(class_report().held, 1);
}

void
a_paused_class_holds_everything(void **state)
{
    (void)state;
    tell(1, 0);
    expect_grants(take("a", 1), 1, 1);
    expect_hold(admit_paused('b'), JG_REASON_PAUSED);
    expect_hold(admit_resumed('a', -1), JG_REASON_PAUSED);
    assert_int_equal(class_report().tickets, 0);
    tell(-1, 5);
    expect_grants(take("a", 1), 0, 0);
}

void
an_override_goes_over_the_settings_until_it_is_taken_back(void **state)
{
    (void)state;
    tell(1, 0);
    set_override(true, 2);
    expect_run(admit_limited('a', 1));
    expect_run(admit_limited('b', 1));
    expect_hold(admit_limited('c', 1), JG_REASON_LIMIT);
    assert_int_equal(take("", 0).limit_now, 2);
    set_override(true, -1);
    expect_hold(admit_limited('d', 1), JG_REASON_PAUSED);
    /* No limit at all; but a run of such a class stays known. */
    set_override(true, 0);
    expect_run(admit_limited('d', 1));
    assert_int_equal(class_report().running, 3);
    set_override(false, 0);
    assert_int_equal(take("", 0).limit_now, 1);
    expect_hold(admit_limited('e', 1), JG_REASON_LIMIT);
    assert_false(class_report().override.set);
    /* A class without a limit is not concerned. */
    set_override(true, -1);
    expect_run(admit('f', EXECUTING));
}

void
of_two_overrides_the_later_one_counts(void **state)
{
    (void)state;
    struct jg_override first = set_override(true, 5), second = set_override(true, 7);
    assert_true(second.at_ms > first.at_ms);
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.limit = 1;
    op.override_in = first;
    op = done(op);
    assert_int_equal(op.override.limit, 7);
    assert_true(op.override.at_ms == second.at_ms);
    op.override_in = (struct jg_override){.set = false, .at_ms = second.at_ms + 1};
    op = done(op);
    assert_false(op.override.set);
    assert_true(op.override.at_ms == second.at_ms + 1);
    /* Whoever sets one now is later still. */
    assert_true(set_override(true, 9).at_ms > second.at_ms + 1);
    assert_int_equal(class_report().override.limit, 9);
}

void
an_override_outlives_the_stores_data(void **state)
{
    (void)state;
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.override_in = set_override(true, 4);
    subject_lose(&subject);
    assert_false(class_report().override.set);
    assert_int_equal(done(op).override.limit, 4);
    assert_int_equal(class_report().override.limit, 4);
}

void
a_full_holding_topic_pushes_newcomers_back(void **state)
{
    (void)state;
    struct jg_op op = limited('c', 1);
    op.hold_max = 1;
    tell(1, 1);
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    expect_later(done(op), JG_REASON_FULL);
    expect_later(done(op), JG_REASON_FULL);
    assert_int_equal(class_report().held, 1);
    /* What was held already is, again: there is no other place for it. */
    op = resumed('b', 1);
    op.hold_max = 1;
    expect_hold(done(op), JG_REASON_BEHIND);
    expect_grants(take("b", 5), 1, 1);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_LIMIT);
}

void
a_held_claim_turns_duplicates_away_and_its_time_starts_again(void **state)
{
    (void)state;
    for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
        subject_flush(&subject);
        arrange(JG_CLAIM_QUEUED, mode);
        subject_advance(&subject, TTL_MS - 1000);
        expect_hold(admit_paused('a'), JG_REASON_PAUSED);
        assert_in_range(report().ttl_ms, TTL_MS - 1000, TTL_MS);
        expect_claimed(claim('b', mode), JG_DUPLICATE, 'a', JG_CLAIM_HELD);
        struct jg_op candidate = operation(JG_OP_ADMIT, 'c');
        candidate.candidate_of = job('a');
        expect_skip(done(candidate), 'a');
        assert_false(release('a'));
        expect_claim(JG_CLAIM_HELD, 'a');
        subject_new_epoch(&subject);
        expect_claimed(claim('d', mode), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
        /* Held once more, in the new epoch: certain again. */
        expect_hold(admit_paused('a'), JG_REASON_PAUSED);
        expect_claimed(claim('e', mode), JG_DUPLICATE, 'a', JG_CLAIM_HELD);
    }
}

void
a_candidate_that_is_held_stays_a_candidate(void **state)
{
    (void)state;
    arrange(JG_CLAIM_PROVISIONAL, EXECUTING);
    expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
    struct jg_op op = operation(JG_OP_ADMIT, 'b');
    op.candidate_of = job('a');
    op.limit = -1;
    expect_hold(done(op), JG_REASON_PAUSED);
    assert_string_equal(report().newest_candidate, job('b'));
    assert_true(release('a'));
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
}

void
a_take_grants_what_is_free_and_ahead_and_the_same_again(void **state)
{
    (void)state;
    tell(3, 1);
    expect_run(admit_limited('a', 3));
    for (int again = 0; again < 2; again++) {
        struct jg_op op = take("bcdef", 5);
        expect_grants(op, 3, 3);
        assert_int_equal(op.limit_now, 3);
        assert_int_equal(op.ahead_now, 1);
        assert_int_equal(op.max_age_now_ms, 60000);
        assert_int_equal(op.running, 1);
        assert_int_equal(class_report().held, 2);
        assert_int_equal(class_report().oldest_held_ms, 17);
    }
    expect_grants(take("ef", 2), 0, 3);
    expect_grants(take("ef", -1), 0, 3);
    assert_int_equal(class_report().held, 2);
}

/* ... which happens when it is lowered. */
void
a_class_that_runs_more_than_its_limit_still_grants_ahead(void **state)
{
    (void)state;
    tell(1, 1);
    for (char letter = 'a'; letter <= 'c'; letter++)
        expect_run(admit_limited(letter, 3));
    expect_grants(take("de", 2), 1, 1);
}

void
without_a_limit_everything_is_granted_and_needs_no_ticket(void **state)
{
    (void)state;
    tell(0, 0);
    expect_grants(take("abc", 3), 3, 0);
    assert_int_equal(class_report().held, 0);
    expect_run(admit_resumed('a', 0));
}

void
of_a_class_that_nobody_told_anything_of_nothing_is_granted(void **state)
{
    (void)state;
    expect_grants(take("abc", 3), 0, 0);
    assert_int_equal(class_report().held, 3);
    assert_false(class_report().told);
}

void
a_run_that_is_not_renewed_frees_its_slot(void **state)
{
    (void)state;
    tell(1, 0);
    expect_run(admit_limited('a', 1));
    subject_advance(&subject, RUN_TTL_MS - 1000);
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    int64_t epoch = admit_limited('a', 1).epoch;
    subject_advance(&subject, RUN_TTL_MS - 1000);
    assert_true(renew_on('a', 1, epoch).changed);
    subject_advance(&subject, RUN_TTL_MS - 1000);
    expect_grants(take("b", 1), 0, 0);
    subject_advance(&subject, 1000);
    expect_grants(take("b", 1), 1, 1);
    expect_run(admit_resumed('b', 1));
    assert_false(renew_on('a', 1, epoch).changed);
    assert_int_equal(class_report().running, 1);
}

void
after_a_loss_nobody_gets_a_slot_until_the_grace_is_over(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        subject_flush(&subject);
        expect_run(admit_limited('a', 2));
        (lost ? subject_lose : subject_new_epoch)(&subject);
        tell(2, 0);
        expect_later(admit_limited('b', 2), JG_REASON_GRACE);
        struct jg_op op = take("b", 1);
        expect_grants(op, 0, 0);
        assert_int_equal(op.limit_now, 2);
        /* What needs no slot goes on. */
        expect_run(admit('c', EXECUTING));
        expect_hold(admit_paused('d'), JG_REASON_PAUSED);
        subject_advance(&subject, GRACE_MS / 2);
        expect_later(admit_limited('b', 2), JG_REASON_GRACE);
        subject_advance(&subject, GRACE_MS / 2 + 1000);
        expect_grants(take("", 0), 0, 0);
        expect_run(admit_limited('b', 2));
    }
}

void
a_group_that_never_ran_anything_gets_slots_at_once(void **state)
{
    (void)state;
    (void)claim('a', EXECUTING);
    subject_new_epoch(&subject);
    expect_later(admit_limited('b', 1), JG_REASON_GRACE);
    struct jg_op op = limited('b', 1);
    int64_t epoch = done(op).epoch;
    /* What was known of an epoch before says nothing of this one. */
    op.fresh = epoch - 1;
    expect_later(done(op), JG_REASON_GRACE);
    op.fresh = epoch;
    expect_run(done(op));
    expect_hold(admit_limited('c', 1), JG_REASON_LIMIT);
}

void
runs_that_are_put_back_after_a_loss_count(void **state)
{
    (void)state;
    int64_t epoch = admit_limited('a', 1).epoch;
    subject_lose(&subject);
    expect_later(admit_limited('b', 1), JG_REASON_GRACE);
    struct jg_op renewed = renew_on('a', 1, epoch);
    assert_true(renewed.changed);
    assert_true(renewed.epoch > epoch);
    subject_advance(&subject, GRACE_MS + 1000);
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
}

struct ticket_list {
    size_t count;
    struct jg_ticket_report last;
};

static void
look_at_ticket(void *opaque, const struct jg_ticket_report *ticket)
{
    struct ticket_list *list = opaque;
    list->count++;
    list->last = *ticket;
}

static struct ticket_list
tickets(void)
{
    struct ticket_list list = {.count = 0};
    assert_int_equal(jg_store_tickets(subject.store, subject.class_name, look_at_ticket, &list), JG_OK);
    return list;
}

static bool
place(char letter, const char *position)
{
    const char *items[] = {job(letter), position};
    struct jg_op op = operation(JG_OP_PLACE, letter);
    op.items = items;
    op.item_count = 2;
    return done(op).changed;
}

void
a_ticket_has_its_position_until_it_is_dropped(void **state)
{
    (void)state;
    tell(1, 0);
    expect_grants(take("a", 1), 1, 1);
    assert_string_equal(tickets().last.position, "");
    int64_t taken_ms = tickets().last.taken_ms;
    subject_advance(&subject, 5000);
    assert_true(place('a', "jobs/3/99"));
    assert_false(place('b', "jobs/3/100"));
    assert_int_equal(tickets().count, 1);
    assert_string_equal(tickets().last.jid, job('a'));
    assert_string_equal(tickets().last.position, "jobs/3/99");
    assert_in_range(tickets().last.taken_ms, taken_ms - 5001, taken_ms);
    expect_grants(take("a", 1), 1, 1);
    assert_string_equal(tickets().last.position, "jobs/3/99");
    assert_true(drop('a'));
    assert_false(drop('a'));
    assert_int_equal(tickets().count, 0);
    /* Its job is a newcomer. */
    expect_run(admit_resumed('a', 1));
}

/* The partitions of a topic in whatever order, each as many times as it is told. */
static void
expect_busy(const char *origin, size_t none, size_t third)
{
    int32_t busy[JG_OP_BUSY_MOST];
    size_t found[4] = {0};
    struct jg_op op = operation(JG_OP_TAKE, 'a');
    op.origin = origin;
    op.busy = busy;
    op = done(op);
    for (size_t i = 0; i < op.busy_count; i++) {
        assert_in_range(busy[i], 0, 3);
        found[busy[i]]++;
    }
    assert_int_equal(found[0], none);
    assert_int_equal(found[3], third);
    assert_int_equal(found[1] + found[2], 0);
}

void
a_take_tells_where_jobs_run_and_have_come_back_to(void **state)
{
    (void)state;
    tell(3, 2);
    expect_busy("jobs", 0, 0);
    expect_run(admit_limited('a', 3)); /* in jobs/0 */
    expect_grants(take("bcd", 3), 3, 3);
    expect_busy("jobs", 1, 0); /* no ticket is placed yet */
    assert_true(place('b', "jobs/3/99") && place('c', "jobs/3/100") && place('d', "jobs.more/3/101"));
    expect_busy("jobs", 1, 2);
    expect_busy("jobs.more", 0, 1);
    expect_busy("job", 0, 0);
    assert_int_equal(take("", 0).busy_count, 0); /* nobody asked */
    assert_true(complete_on('a', 1) && drop('b'));
    expect_busy("jobs", 0, 1);
}

void
a_buried_job_leaves_its_claim_to_an_heir_or_ends_it(void **state)
{
    (void)state;
    tell(1, 0);
    arrange(JG_CLAIM_PROVISIONAL, EXECUTING);
    expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
    expect_hold(admit_paused('a'), JG_REASON_PAUSED);
    expect_grants(take("a", 1), 1, 1);
    assert_true(done(operation(JG_OP_BURY, 'a')).changed);
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
    assert_int_equal(tickets().count, 0);
    assert_false(done(operation(JG_OP_BURY, 'a')).changed);
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
    assert_true(confirm('b'));
    expect_hold(admit_paused('b'), JG_REASON_PAUSED);
    assert_true(done(operation(JG_OP_BURY, 'b')).changed);
    expect_no_claim();
}

/* In any order of what can happen while every run is renewed in time. */
void
no_interleaving_exceeds_the_limit(void **state)
{
    (void)state;
    enum { JOBS = 12, LIMIT = 3 };
    uint32_t random = 12345;
    int64_t epoch = 0;
    bool runs[JOBS] = {false};
    unsigned most = 0;
    tell(LIMIT, 1);
    for (int step = 0; step < 600; step++) {
        random = random * 1664525 + 1013904223;
        char letter = (char)('a' + (random >> 8) % JOBS);
        const char list[] = {letter, (char)('a' + (random >> 14) % JOBS), '\0'};
        struct jg_op op = limited(letter, LIMIT);
        op.resumed = random >> 20 & 1;
        op.last_try = random >> 21 & 1;
        switch ((random >> 24) % 8) {
        case 0:
            (void)take(list, (int)(random >> 22 & 3) - 1);
            break;
        case 1:
            if (runs[letter - 'a'])
                assert_true(complete_on(letter, 1));
            runs[letter - 'a'] = false;
            break;
        case 2:
            (void)drop(letter);
            break;
        case 3:
            subject_advance(&subject, RUN_TTL_MS / 2);
            if (!(random >> 16 & 7))
                subject_lose(&subject);
            for (int i = 0; i < JOBS; i++)
                if (runs[i])
                    assert_true(renew_on((char)('a' + i), 1, epoch).changed);
            tell(LIMIT, 1);
            break;
        default:
            op = done(op);
            epoch = op.epoch;
            runs[letter - 'a'] = runs[letter - 'a'] || op.verdict == JG_RUN;
        }
        unsigned running = 0;
        for (int i = 0; i < JOBS; i++)
            running += runs[i];
        assert_true(running <= LIMIT);
        assert_int_equal(class_report().running, running);
        most = running > most ? running : most;
    }
    assert_int_equal(most, LIMIT);
}
