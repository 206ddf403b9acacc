/* SPDX-License-Identifier: Apache-2.0 */
/* In which order held jobs are asked for; and that each is resumed once, whatever is granted and whenever the resumer
 * is another one: a holding topic is made up, with what was committed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/kafka/lanes.h"

#define MOST 500

static unsigned seed = 1;

static unsigned
chance(unsigned below)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % below;
}

static void
jid_of(int key, int64_t number, char *out)
{
    snprintf(out, JG_JID_CHARS + 1, "%032x-%020llx%s", (unsigned)key, (unsigned long long)number,
             number % 3 ? "" : "-1234567890");
}

static void
name_key(int key, char *out)
{
    snprintf(out, JG_KEY_CHARS + 1, "%032x", (unsigned)key + 7);
}

/* A job of that limit.key (negative: none), held since `since`. */
static struct jg_entry *
add(struct jg_lanes *lanes, int row, int64_t offset, int limit_key, int64_t since_ms)
{
    char jid[JG_JID_CHARS + 1], key[JG_KEY_CHARS + 1] = "";
    bool woken;
    jid_of((int)offset, offset, jid);
    if (limit_key >= 0)
        name_key(limit_key, key);
    struct jg_lane_place place = {.jid = jid, .limit_key = key, .held_since_ms = since_ms};
    assert_int_equal(jg_row_read(&lanes->rows[row], offset), JG_ROW_NEW);
    struct jg_entry *entry = jg_lanes_add(lanes, &lanes->rows[row], offset, &place, &woken);
    assert_non_null(entry);
    return entry;
}

static size_t
pick(struct jg_lanes *lanes, size_t most, int64_t per_key, struct jg_entry **out)
{
    const struct jg_lanes_ask ask = {.most = most, .per_key = per_key, .wall_ms = 1000};
    jg_lanes_begin(lanes);
    return jg_lanes_pick(lanes, &ask, out);
}

static void
a_jid_is_what_it_was(void **state)
{
    struct jg_lanes lanes;
    const char *const jids[] = {"0123456789abcdef0123456789abcdef-0123456789abcdef0123",
                                "ffffffffffffffffffffffffffffffff-ffffffffffffffffffff-1",
                                "00000000000000000000000000000000-00000000000000000000-9999999999"};
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    for (int i = 0; i < 3; i++) {
        char text[JG_JID_CHARS + 1];
        bool woken;
        struct jg_lane_place place = {.jid = jids[i], .held_since_ms = 1};
        struct jg_entry *entry = jg_lanes_add(&lanes, &lanes.rows[0], i, &place, &woken);
        assert_non_null(entry);
        jg_entry_jid(entry, text);
        assert_string_equal(text, jids[i]);
        assert_true(jg_lanes_has(&lanes, jids[i]));
    }
    assert_false(jg_lanes_has(&lanes, "0123456789abcdef0123456789abcdef-0123456789abcdef0123-1"));
    assert_false(jg_lanes_has(&lanes, "nonsense"));
    jg_lanes_clear(&lanes);
}

static void
without_keys_those_held_longest_go_first_and_each_partition_in_order(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 2));
    add(&lanes, 0, 0, -1, 10);
    add(&lanes, 0, 1, -1, 5); /* was held before: it went to the end */
    add(&lanes, 1, 0, -1, 7);
    add(&lanes, 1, 1, -1, 12);
    assert_int_equal(pick(&lanes, MOST, 0, out), 4);
    const int64_t since[] = {7, 10, 5, 12};
    for (int i = 0; i < 4; i++)
        assert_int_equal(out[i]->held_since_ms, since[i]);
    assert_int_equal(pick(&lanes, 2, 0, out), 2);
    jg_lanes_clear(&lanes);
}

/* A worker does the jobs of its partition one after the other. */
static void
those_that_come_up_behind_nobody_go_first(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 3));
    lanes.rows[0].load = 1; /* one runs there */
    add(&lanes, 0, 0, -1, 1);
    add(&lanes, 1, 0, -1, 2);
    add(&lanes, 1, 1, -1, 3);
    add(&lanes, 2, 0, 1, 4); /* with a key and without */
    add(&lanes, 2, 1, 2, 5);
    for (int round = 0; round < 2; round++) { /* what was picked and not resumed is not behind itself */
        assert_int_equal(pick(&lanes, MOST, 1, out), 5);
        const int64_t since[] = {2, 4, 1, 3, 5};
        for (int i = 0; i < 5; i++)
            assert_int_equal(out[i]->held_since_ms, since[i]);
    }
    jg_lanes_clear(&lanes);
}

static void
of_each_key_as_many_are_asked_for_as_may_run(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    for (int i = 0; i < 100; i++)
        add(&lanes, 0, i, i < 99 ? 1 : 2, i);
    assert_int_equal(pick(&lanes, MOST, 0, out), 2);
    assert_int_equal(out[0]->offset, 0);
    assert_int_equal(out[1]->offset, 99);
    assert_int_equal(pick(&lanes, MOST, 3, out), 4);
    assert_int_equal(out[2]->offset, 2);
    jg_lanes_by_job_key(&lanes); /* one of each job key, and of their limit's key as many as may run */
    assert_int_equal(pick(&lanes, MOST, 3, out), 4);
    jg_lanes_clear(&lanes);
}

/* In a class whose jobs wait for nothing of their own key else. */
static void
a_follow_up_that_waits_stands_in_nobodys_way(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    char jid[JG_JID_CHARS + 1];
    bool woken;
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    jid_of(7, 0, jid);
    struct jg_lane_place place = {.jid = jid, .by_job_key = true, .follow_up = true, .held_since_ms = 1};
    assert_int_equal(jg_row_read(&lanes.rows[0], 0), JG_ROW_NEW);
    struct jg_entry *entry = jg_lanes_add(&lanes, &lanes.rows[0], 0, &place, &woken);
    assert_true(entry && woken && entry->follow_up);
    add(&lanes, 0, 1, -1, 5);
    assert_int_equal(lanes.follow_ups, 1);
    assert_int_equal(pick(&lanes, MOST, 0, out), 2);
    assert_ptr_equal(out[0], entry);
    jg_lanes_waits(&lanes, entry);
    assert_int_equal(pick(&lanes, MOST, 0, out), 1);
    assert_int_equal(out[0]->offset, 1);
    jg_lanes_wake(&lanes);
    assert_int_equal(pick(&lanes, 1, 0, out), 1);
    assert_ptr_equal(out[0], entry);
    jg_lanes_remove(&lanes, entry);
    assert_int_equal(lanes.follow_ups, 0);
    jg_lanes_clear(&lanes);
}

/* However often it is woken, and however few are asked for at once. */
static void
no_lane_is_starved(void **state)
{
    enum { LANES = 3000, AT_ONCE = 100 };
    static int asked[LANES];
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    for (int i = 0; i < LANES; i++)
        add(&lanes, 0, i, i, LANES - i);
    for (int round = 0; round < 2 * LANES / AT_ONCE; round++) {
        jg_lanes_wake(&lanes);
        assert_int_equal(pick(&lanes, AT_ONCE, 1, out), AT_ONCE);
        for (int i = 0; i < AT_ONCE; i++) {
            assert_true(i == 0 || out[i - 1]->held_since_ms <= out[i]->held_since_ms);
            asked[out[i]->offset]++;
            jg_lanes_waits(&lanes, out[i]);
        }
        assert_true(jg_lanes_more(&lanes));
    }
    for (int i = 0; i < LANES; i++)
        assert_int_equal(asked[i], 2);
    jg_lanes_clear(&lanes);
}

static void
what_was_asked_in_vain_is_not_asked_again_before_the_next_wake_and_what_is_new_is(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    add(&lanes, 0, 0, 1, 1);
    add(&lanes, 0, 1, 2, 2);
    assert_int_equal(pick(&lanes, MOST, 1, out), 2);
    jg_lanes_waits(&lanes, out[0]);
    assert_true(jg_lanes_more(&lanes)); /* the class had no room for the other */
    assert_int_equal(pick(&lanes, MOST, 1, out), 1);
    assert_int_equal(out[0]->offset, 1);
    jg_lanes_waits(&lanes, out[0]);
    assert_false(jg_lanes_more(&lanes));
    assert_int_equal(pick(&lanes, MOST, 1, out), 0);
    add(&lanes, 0, 2, 3, 3);
    assert_int_equal(pick(&lanes, MOST, 1, out), 1);
    assert_int_equal(out[0]->offset, 2);
    jg_lanes_wake(&lanes);
    assert_int_equal(pick(&lanes, MOST, 1, out), 3);
    jg_lanes_clear(&lanes);
}

static void
a_backoff_stops_nobody_else_and_ends(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    char jid[JG_JID_CHARS + 1];
    bool woken;
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    for (int i = 0; i < 50; i++) {
        jid_of(i, i, jid);
        struct jg_lane_place place = {.jid = jid, .held_since_ms = i, .due_ms = 1001 + (i * 37) % 50};
        assert_int_equal(jg_row_read(&lanes.rows[0], i), JG_ROW_NEW);
        assert_non_null(jg_lanes_add(&lanes, &lanes.rows[0], i, &place, &woken));
    }
    add(&lanes, 0, 50, -1, 50);
    assert_int_equal(pick(&lanes, MOST, 0, out), 1);
    assert_int_equal(out[0]->offset, 50);
    assert_int_equal(lanes.rows[0].keyed, 0);
    for (int64_t now_ms = 1001; now_ms < 1051; now_ms++) {
        struct jg_lanes_ask ask = {.most = MOST, .wall_ms = now_ms};
        assert_int_equal(jg_lanes_due_ms(&lanes), now_ms);
        jg_lanes_begin(&lanes);
        assert_int_equal(jg_lanes_pick(&lanes, &ask, out), now_ms - 1001 + 2);
    }
    assert_int_equal(jg_lanes_due_ms(&lanes), 0);
    jg_lanes_clear(&lanes);
}

static void
what_is_held_for_too_long_is_doomed_when_its_turn_comes(void **state)
{
    struct jg_lanes lanes;
    struct jg_entry *out[MOST];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    add(&lanes, 0, 0, 1, 5);
    add(&lanes, 0, 1, 1, 50);
    add(&lanes, 0, 2, 2, 5);
    add(&lanes, 0, 3, -1, 5);
    const struct jg_lanes_ask ask = {.most = MOST, .wall_ms = 1000, .held_after_ms = 10, .too_old = "too old"};
    jg_lanes_begin(&lanes);
    assert_int_equal(jg_lanes_pick(&lanes, &ask, out), 1);
    assert_int_equal(out[0]->offset, 1);
    assert_int_equal(lanes.rows[0].doomed.count, 3);
    assert_string_equal(lanes.rows[0].doomed.first->doomed, "too old");
    jg_lanes_clear(&lanes);
}

static void
the_store_is_told_of_each_key_once_in_its_time_and_when_its_last_job_went(void **state)
{
    struct jg_lanes lanes;
    struct jg_lane_name names[10];
    char key[JG_KEY_CHARS + 1];
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    struct jg_entry *first = add(&lanes, 0, 0, 1, 1), *second = add(&lanes, 0, 1, 1, 1);
    struct jg_entry *other = add(&lanes, 0, 2, 2, 1);
    add(&lanes, 0, 3, -1, 1);
    size_t at = 0;
    assert_int_equal(jg_lanes_marks(&lanes, 50, 100, &at, names, 1), 1);
    assert_int_equal(jg_lanes_marks(&lanes, 50, 100, &at, names, 10), 1);
    assert_int_equal(jg_lanes_marks(&lanes, 50, 100, &at, names, 10), 0);
    at = 0;
    assert_int_equal(jg_lanes_marks(&lanes, 100, 150, &at, names, 10), 0);
    assert_int_equal(jg_lanes_marks(&lanes, 101, 150, (size_t[]){0}, names, 10), 2);
    jg_lanes_remove(&lanes, first);
    assert_int_equal(jg_lanes_left(&lanes, names, 10), 0);
    jg_lanes_remove(&lanes, second);
    assert_int_equal(jg_lanes_left(&lanes, names, 10), 1);
    name_key(1, key);
    assert_string_equal(names[0].text, key);
    jg_lanes_remove(&lanes, other);
    add(&lanes, 0, 4, 2, 1); /* another of it came before the store was told */
    assert_int_equal(jg_lanes_left(&lanes, names, 10), 0);
    jg_lanes_by_job_key(&lanes);
    assert_int_equal(jg_lanes_marks(&lanes, 200, 250, (size_t[]){0}, names, 10), 3); /* 2, and two job keys */
    jg_lanes_clear(&lanes);
}

static void
a_log_that_begins_anew_has_nothing_that_was_resumed(void **state)
{
    struct jg_lanes lanes;
    struct jg_passed gone = {.runs = NULL};
    (void)state;
    assert_true(jg_lanes_init(&lanes, 1));
    assert_true(jg_passed_add(&gone, 8));
    jg_row_restore(&lanes.rows[0], 5, &gone);
    assert_int_equal(jg_row_read(&lanes.rows[0], 0), JG_ROW_NEW);
    assert_int_equal(lanes.rows[0].next, 0);
    assert_int_equal(jg_row_read(&lanes.rows[0], 8), JG_ROW_NEW);
    add(&lanes, 0, 9, -1, 1);
    assert_int_equal(jg_row_read(&lanes.rows[0], 3), JG_ROW_ANEW);
    jg_lanes_clear(&lanes);
}

/* --- the whole of it --- */

enum { ROWS = 3, JOBS = 4000, KEYS = 40 };

struct world {
    struct jg_lanes lanes;
    int limit_keys[ROWS][JOBS];
    int resumed[ROWS][JOBS];
    int last_of_key[ROWS][KEYS];
    int64_t committed[ROWS];
    char metadata[ROWS][JG_PASSED_TEXT_MAX + 1];
    int64_t read[ROWS];
    size_t left;
    int64_t per_key;
    bool full; /* for want of room something had to wait */
};

static void
lead_anew(struct world *world)
{
    assert_true(jg_lanes_init(&world->lanes, ROWS));
    for (int i = 0; i < ROWS; i++) {
        struct jg_passed gone;
        assert_int_equal(
            jg_passed_parse(world->metadata[i], strlen(world->metadata[i]), "t", i, world->committed[i], &gone), JG_OK);
        jg_row_restore(&world->lanes.rows[i], world->committed[i], &gone);
        world->read[i] = world->committed[i];
    }
}

static void
read_some(struct world *world)
{
    for (int i = 0; i < ROWS; i++) {
        for (unsigned n = chance(600); n > 0 && world->read[i] < JOBS; n--) {
            int64_t offset = world->read[i]++;
            char jid[JG_JID_CHARS + 1], key[JG_KEY_CHARS + 1] = "";
            bool woken;
            if (world->limit_keys[i][offset] >= 0)
                name_key(world->limit_keys[i][offset], key);
            jid_of(i, offset, jid);
            struct jg_lane_place place = {.jid = jid, .limit_key = key, .held_since_ms = offset};
            if (jg_row_read(&world->lanes.rows[i], offset) == JG_ROW_NEW)
                assert_non_null(jg_lanes_add(&world->lanes, &world->lanes.rows[i], offset, &place, &woken));
        }
    }
}

static void
commit(struct world *world, struct jg_entry **going, size_t count)
{
    for (size_t i = 0; i < count; i++)
        jg_row_plan_end(going[i]->lane->row);
    for (size_t i = 0; i < count; i++) {
        struct jg_row *row = going[i]->lane->row;
        int number = row->number, key = world->limit_keys[number][going[i]->offset];
        if (row->planned) {
            assert_true(row->next_then >= world->committed[number]);
            world->committed[number] = row->next_then;
            assert_true(jg_passed_text(&row->gone_then, "t", number, row->next_then, world->metadata[number]));
        }
        world->resumed[number][going[i]->offset]++;
        world->left--;
        if (key >= 0) {
            assert_true(going[i]->offset > world->last_of_key[number][key]); /* its order is kept */
            world->last_of_key[number][key] = (int)going[i]->offset;
        }
        jg_row_commit(row);
        jg_lanes_remove(&world->lanes, going[i]);
    }
}

/* One take, with keys that are busy, and a class that has its bar. */
static void
resume_some(struct world *world, const bool *busy)
{
    struct jg_entry *out[MOST], *going[MOST];
    size_t count = pick(&world->lanes, 1 + chance(MOST), world->per_key, out), goes = 0, bar = chance(MOST);
    world->full = world->full || world->lanes.left_out;
    for (size_t i = 0; i < count && goes < bar; i++) {
        int key = world->limit_keys[out[i]->lane->row->number][out[i]->offset];
        if (key >= 0 && busy[key])
            jg_lanes_waits(&world->lanes, out[i]);
        else
            going[goes++] = out[i];
    }
    for (size_t i = 0; i < goes; i++)
        assert_true(jg_row_plan(going[i]->lane->row, going[i]));
    if (chance(8) == 0) { /* aborted */
        for (size_t i = 0; i < goes; i++) {
            going[i]->going = false;
            jg_row_abort(going[i]->lane->row);
        }
        return;
    }
    commit(world, going, goes);
}

static void
each_job_is_resumed_once_whenever_another_resumer_leads(void **state)
{
    static struct world world;
    bool busy[KEYS], ever_full = false;
    (void)state;
    for (unsigned round = 0; round < 12; round++) {
        memset(&world, 0, sizeof world);
        seed = 100 + round;
        world.left = (size_t)ROWS * JOBS;
        world.per_key = round % 4 == 3 ? 50 : 2;
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < JOBS; j++)
                world.limit_keys[i][j] = round % 4 == 3 ? j % 2 : (int)chance(KEYS) - (chance(9) ? 0 : KEYS);
            for (int j = 0; j < KEYS; j++)
                world.last_of_key[i][j] = -1;
        }
        lead_anew(&world);
        for (int turns = 0; world.left > 0; turns++) {
            assert_true(turns < 100000);
            if (turns % 50 == 0) /* some keys are busy for long */
                for (int j = 0; j < KEYS; j++)
                    busy[j] = round % 4 == 3 ? j == 0 && turns < 500 : chance(4) == 0;
            read_some(&world);
            jg_lanes_wake(&world.lanes);
            resume_some(&world, busy);
            if (chance(20) == 0) {
                jg_lanes_clear(&world.lanes);
                lead_anew(&world);
            }
        }
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < JOBS; j++)
                assert_int_equal(world.resumed[i][j], 1);
            assert_int_equal(world.committed[i], JOBS);
            assert_string_equal(world.metadata[i], "");
        }
        jg_lanes_clear(&world.lanes);
        ever_full = ever_full || world.full;
    }
    assert_true(ever_full);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jid_is_what_it_was),
        cmocka_unit_test(without_keys_those_held_longest_go_first_and_each_partition_in_order),
        cmocka_unit_test(those_that_come_up_behind_nobody_go_first),
        cmocka_unit_test(of_each_key_as_many_are_asked_for_as_may_run),
        cmocka_unit_test(a_follow_up_that_waits_stands_in_nobodys_way),
        cmocka_unit_test(no_lane_is_starved),
        cmocka_unit_test(what_was_asked_in_vain_is_not_asked_again_before_the_next_wake_and_what_is_new_is),
        cmocka_unit_test(a_backoff_stops_nobody_else_and_ends),
        cmocka_unit_test(what_is_held_for_too_long_is_doomed_when_its_turn_comes),
        cmocka_unit_test(the_store_is_told_of_each_key_once_in_its_time_and_when_its_last_job_went),
        cmocka_unit_test(a_log_that_begins_anew_has_nothing_that_was_resumed),
        cmocka_unit_test(each_job_is_resumed_once_whenever_another_resumer_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
