/* SPDX-License-Identifier: Apache-2.0 */
/* Claims that wait for an acknowledgement: found by jid, kept alive in time, given up in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/pending.h"

#define KEY "0123456789abcdef0123456789abcdef"

static struct jg_pending *
claim(int number, int64_t provisional_ms, int64_t give_up_ms)
{
    char jid[JG_JID_CHARS + 1];
    snprintf(jid, sizeof jid, KEY "-%020d", number);
    struct jg_op op = {
        .kind = JG_OP_CLAIM, .class_name = "Email", .key = KEY, .jid = jid, .dedup_provisional_ms = provisional_ms};
    struct jg_pending *pending = jg_pending_new(&op);
    assert_non_null(pending);
    pending->give_up_ms = give_up_ms;
    return pending;
}

static void
every_claim_is_found_once_by_its_jid(void **state)
{
    enum { CLAIMS = 1000 };
    struct jg_unacked unacked = {.bucket_count = 0};
    (void)state;
    for (int i = 0; i < CLAIMS; i++)
        assert_int_equal(jg_unacked_add(&unacked, claim(i, 30000, INT64_MAX)), JG_OK);
    for (int i = CLAIMS - 1; i >= 0; i--) {
        char jid[JG_JID_CHARS + 1];
        snprintf(jid, sizeof jid, KEY "-%020d", i);
        struct jg_pending *found = jg_unacked_take(&unacked, jid);
        assert_non_null(found);
        assert_string_equal(found->op.jid, jid);
        jg_pending_destroy(found);
        assert_null(jg_unacked_take(&unacked, jid));
    }
    jg_unacked_clear(&unacked);
}

static void
a_claim_is_kept_alive_every_third_of_its_provisional_time(void **state)
{
    struct jg_unacked unacked = {.bucket_count = 0};
    size_t dropped = 0;
    (void)state;
    assert_int_equal(jg_unacked_add(&unacked, claim(1, 30000, INT64_MAX)), JG_OK);
    assert_int_equal(jg_unacked_add(&unacked, claim(2, 3000, INT64_MAX)), JG_OK); /* behind a slower one */
    assert_null(jg_unacked_due(&unacked, 999, &dropped));
    bool kept[3] = {false};
    struct jg_pending *keep;
    while ((keep = jg_unacked_due(&unacked, 1000, &dropped)) != NULL) {
        assert_int_equal(keep->op.kind, JG_OP_KEEP);
        kept[keep->op.jid[JG_CHAIN_CHARS - 1] - '0'] = true;
        jg_pending_destroy(keep);
    }
    assert_true(kept[2]);
    assert_null(jg_unacked_due(&unacked, 1999, &dropped));
    assert_int_equal(dropped, 0);
    jg_unacked_clear(&unacked);
}

static void
a_claim_is_given_up_at_its_time(void **state)
{
    struct jg_unacked unacked = {.bucket_count = 0};
    size_t dropped = 0;
    (void)state;
    assert_int_equal(jg_unacked_add(&unacked, claim(1, 30000, 5000)), JG_OK);
    assert_null(jg_unacked_due(&unacked, 5000, &dropped));
    assert_int_equal(dropped, 1);
    jg_unacked_clear(&unacked);
}

static void
a_commit_ends_the_runs_below_it_and_no_others(void **state)
{
    struct jg_inflight inflight = {.count = 0};
    (void)state;
    for (int64_t i = 0; i < 10; i++)
        jg_inflight_add(&inflight, jg_run_new("jobs", (int32_t)(i % 2), i));
    struct jg_run *ended = jg_inflight_take(&inflight, "jobs", 0, 0, 5);
    int count = 0;
    while (ended) {
        struct jg_run *next = ended->next;
        assert_int_equal(ended->partition, 0);
        assert_int_equal(ended->offset, 2 * count++);
        jg_run_destroy(ended);
        ended = next;
    }
    assert_int_equal(count, 3);
    assert_int_equal(inflight.count, 7);
    jg_inflight_clear(&inflight);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_claim_is_found_once_by_its_jid),
        cmocka_unit_test(a_claim_is_kept_alive_every_third_of_its_provisional_time),
        cmocka_unit_test(a_claim_is_given_up_at_its_time),
        cmocka_unit_test(a_commit_ends_the_runs_below_it_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
