/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "connectors/redis/breaker.h"

static void
a_new_breaker_is_closed(void **state)
{
    (void)state;
    struct jg_breaker breaker = {.open = false};
    assert_true(jg_breaker_may_try(&breaker, 0));
}

static void
a_failure_opens_it_for_about_the_first_pause(void **state)
{
    (void)state;
    for (uint64_t chance = 0; chance < 1000; chance++) {
        struct jg_breaker breaker = {.open = false};
        jg_breaker_failed(&breaker, true, 1000, chance);
        assert_true(breaker.open && breaker.slow);
        assert_false(jg_breaker_may_try(&breaker, 1000 + JG_BREAKER_FIRST_MS * 3 / 4 - 1));
        assert_true(jg_breaker_may_try(&breaker, 1000 + JG_BREAKER_FIRST_MS * 5 / 4 + 1));
    }
}

/* Instances that failed together must not all try together. */
static void
pauses_differ(void **state)
{
    (void)state;
    struct jg_breaker one = {.open = false}, other = {.open = false};
    jg_breaker_failed(&one, false, 0, 3);
    jg_breaker_failed(&other, false, 0, 17);
    assert_int_not_equal(one.next_try_ms, other.next_try_ms);
}

static void
pauses_double_up_to_the_longest(void **state)
{
    (void)state;
    struct jg_breaker breaker = {.open = false};
    int64_t pause_ms = JG_BREAKER_FIRST_MS;
    for (int i = 0; i < 3000; i++) {
        jg_breaker_failed(&breaker, false, 0, 0);
        assert_int_equal(breaker.next_try_ms, pause_ms - pause_ms / 4);
        pause_ms = pause_ms * 2 < JG_BREAKER_LONGEST_MS ? pause_ms * 2 : JG_BREAKER_LONGEST_MS;
    }
}

/* A server that lets us in and then refuses every operation must not be hammered. */
static void
a_connection_alone_does_not_end_the_row_of_failures(void **state)
{
    (void)state;
    struct jg_breaker breaker = {.open = false};
    for (int i = 0; i < 3; i++) {
        jg_breaker_failed(&breaker, false, 0, 0);
        jg_breaker_answered(&breaker);
        assert_false(breaker.open);
    }
    jg_breaker_failed(&breaker, false, 0, 0);
    assert_int_equal(breaker.next_try_ms, 8 * JG_BREAKER_FIRST_MS * 3 / 4);
}

static void
an_operation_carried_out_ends_the_row_of_failures(void **state)
{
    (void)state;
    struct jg_breaker breaker = {.open = false};
    for (int i = 0; i < 5; i++)
        jg_breaker_failed(&breaker, false, 0, 0);
    jg_breaker_worked(&breaker);
    assert_false(breaker.open);
    jg_breaker_failed(&breaker, false, 0, 0);
    assert_int_equal(breaker.next_try_ms, JG_BREAKER_FIRST_MS - JG_BREAKER_FIRST_MS / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_breaker_is_closed),
        cmocka_unit_test(a_failure_opens_it_for_about_the_first_pause),
        cmocka_unit_test(pauses_differ),
        cmocka_unit_test(pauses_double_up_to_the_longest),
        cmocka_unit_test(a_connection_alone_does_not_end_the_row_of_failures),
        cmocka_unit_test(an_operation_carried_out_ends_the_row_of_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
