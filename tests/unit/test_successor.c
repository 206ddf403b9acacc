/* SPDX-License-Identifier: Apache-2.0 */
/* What a job is enqueued again as. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/successor.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define FIRST KEY "-0123456789abcdef0123"
#define NOW_MS INT64_C(1700000000000)

static const struct jg_stamp original = {
    .jid = FIRST,
    .key = KEY,
    .class_name = "Enqueuer",
    .dedup = JG_DEDUP_UNTIL_EXECUTING,
    .candidate_of = KEY "-ffffffffffffffffffff",
    .unclaimed = true,
};

static struct jg_stamp
again(const struct jg_stamp *from, const char *next, bool waits, bool failed, int64_t now_ms)
{
    const struct jg_successor again = {
        .jid = next,
        .waits = waits,
        .failed = failed,
        .retry_ms = 1000,
        .partition = 3,
        .offset = 45,
        .time_ms = 1690000000000,
    };
    struct jg_stamp out;
    jg_successor_stamp(from, &again, now_ms, &out);
    return out;
}

static void
a_successor_below_capacity_is_an_ordinary_job_of_its_chain(void **state)
{
    (void)state;
    struct jg_stamp held = again(&original, FIRST "-1", true, false, NOW_MS);
    held.resumed = 2;
    struct jg_stamp next = again(&held, FIRST "-2", false, false, NOW_MS);
    assert_string_equal(next.jid, FIRST "-2");
    assert_string_equal(next.key, KEY);
    assert_string_equal(next.class_name, "Enqueuer");
    assert_int_equal(next.dedup, JG_DEDUP_UNTIL_EXECUTING);
    assert_string_equal(next.candidate_of, "");
    assert_false(next.unclaimed);
    assert_int_equal(next.held_since_ms, 0);
    assert_int_equal(next.resumed, 0);
    assert_int_equal(next.attempt, 0);
}

static void
a_successor_at_capacity_is_held_from_now_on(void **state)
{
    (void)state;
    struct jg_stamp next = again(&original, FIRST "-1", true, false, NOW_MS);
    assert_int_equal(next.held_reason, JG_REASON_CAPACITY);
    assert_int_equal(next.held_since_ms, NOW_MS);
    assert_int_equal(next.held_partition, 3);
    assert_int_equal(next.held_offset, 45);
    assert_int_equal(next.held_time_ms, INT64_C(1690000000000));
    assert_int_equal(next.not_before_ms, 0);
    next = again(&next, FIRST "-2", true, false, NOW_MS + 5000);
    assert_int_equal(next.held_since_ms, NOW_MS + 5000);
}

static void
a_job_that_failed_waits_for_its_backoff_and_keeps_its_age(void **state)
{
    (void)state;
    struct jg_stamp once = again(&original, FIRST "-1", true, true, NOW_MS);
    assert_int_equal(once.held_reason, JG_REASON_RETRY);
    assert_int_equal(once.attempt, 1);
    assert_int_equal(once.not_before_ms, NOW_MS + 1000);
    struct jg_stamp twice = again(&once, FIRST "-2", true, true, NOW_MS + 1500);
    assert_int_equal(twice.attempt, 2);
    assert_int_equal(twice.not_before_ms, NOW_MS + 1500 + 2000);
    assert_int_equal(twice.held_since_ms, NOW_MS);
    struct jg_stamp well = again(&twice, FIRST "-3", true, false, NOW_MS + 9000);
    assert_int_equal(well.attempt, 0);
    assert_int_equal(well.not_before_ms, 0);
}

static void
the_backoff_doubles_up_to_a_minute(void **state)
{
    (void)state;
    assert_int_equal(jg_successor_backoff_ms(1000, 1), 1000);
    assert_int_equal(jg_successor_backoff_ms(1000, 2), 2000);
    assert_int_equal(jg_successor_backoff_ms(1000, 6), 32000);
    assert_int_equal(jg_successor_backoff_ms(1000, 7), JG_BACKOFF_MAX_MS);
    assert_int_equal(jg_successor_backoff_ms(1000, INT64_MAX), JG_BACKOFF_MAX_MS);
    assert_int_equal(jg_successor_backoff_ms(60000, 1), JG_BACKOFF_MAX_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_successor_below_capacity_is_an_ordinary_job_of_its_chain),
        cmocka_unit_test(a_successor_at_capacity_is_held_from_now_on),
        cmocka_unit_test(a_job_that_failed_waits_for_its_backoff_and_keeps_its_age),
        cmocka_unit_test(the_backoff_doubles_up_to_a_minute),
    };
    return cmocka_run_group_tests_name("successor", tests, NULL, NULL);
}
