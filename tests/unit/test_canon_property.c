/* SPDX-License-Identifier: Apache-2.0 */
/* Equal arguments give one key, however they are spelled; different ones never do. Generated values are spelled at
 * random and identified; an equality on the values themselves says what ought to come out. Half of the different ones
 * are made from an equal one by a small change, so that look-alikes are met: 1 and "1" and 1.0, ["a","b"] and ["a,b"].
 */
#include "identify_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "identify_model.h"

#define CASES 20000
#define POOL 1500

struct fixture {
    struct jg_topic_spec spec;
    struct jg_identity identity;
    struct jg_buf json;
    struct model_random random;
};

static void
setup(struct fixture *fixture, uint64_t seed)
{
    fixture->spec = spec_of(JG_FORMAT_JSON, "const:Class", "field:args", NULL);
    jg_identity_init(&fixture->identity);
    fixture->json = (struct jg_buf)JG_BUF_INIT;
    fixture->random.state = seed;
}

static void
teardown(struct fixture *fixture)
{
    spec_clear(&fixture->spec);
    jg_identity_clear(&fixture->identity);
    jg_buf_clear(&fixture->json);
}

/* The key of a random spelling of `model`. */
static void
key_of(struct fixture *fixture, const struct model *model, char *key)
{
    jg_buf_reset(&fixture->json);
    jg_buf_text(&fixture->json, "{\"args\":");
    model_spell(model, &fixture->random, &fixture->json);
    jg_buf_text(&fixture->json, "}");
    if (identify(&fixture->spec, fixture->json.data, fixture->json.size_bytes, &fixture->identity) != JG_IDENTIFIED)
        fail_msg("%s: %s", fixture->json.data, fixture->identity.reason.text);
    memcpy(key, fixture->identity.key, JG_KEY_CHARS + 1);
}

static void
equal_arguments_in_any_spelling_give_one_key(void **state)
{
    (void)state;
    struct fixture fixture;
    setup(&fixture, 1);
    for (int i = 0; i < CASES; i++) {
        char first[JG_KEY_CHARS + 1];
        char second[JG_KEY_CHARS + 1];
        struct model *model = model_new(&fixture.random, i % 4);
        key_of(&fixture, model, first);
        struct jg_buf spelling = fixture.json;
        fixture.json = (struct jg_buf)JG_BUF_INIT;
        key_of(&fixture, model, second);
        if (strcmp(first, second) != 0)
            fail_msg("equal, but two keys:\n%s\n%s", spelling.data, fixture.json.data);
        jg_buf_clear(&spelling);
        model_destroy(model);
    }
    teardown(&fixture);
}

static void
a_small_change_of_the_arguments_changes_the_key(void **state)
{
    (void)state;
    struct fixture fixture;
    int changed = 0;
    setup(&fixture, 2);
    for (int i = 0; i < CASES; i++) {
        char first[JG_KEY_CHARS + 1];
        char second[JG_KEY_CHARS + 1];
        struct model *model = model_new(&fixture.random, i % 4);
        struct model *other = model_copy(model);
        model_change(other, &fixture.random);
        bool is_equal = model_equal(model, other);
        changed += !is_equal;
        key_of(&fixture, model, first);
        key_of(&fixture, other, second);
        if ((strcmp(first, second) == 0) != is_equal)
            fail_msg("%s, but %s: %s", is_equal ? "equal" : "different", is_equal ? "two keys" : "one key",
                     fixture.json.data);
        model_destroy(model);
        model_destroy(other);
    }
    assert_true(changed > CASES / 2);
    teardown(&fixture);
}

/* Every value against every other. */
static void
keys_are_equal_exactly_when_arguments_are(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct model *models[POOL];
    static char keys[POOL][JG_KEY_CHARS + 1];
    int equal = 0;
    setup(&fixture, 3);
    for (int i = 0; i < POOL; i++) {
        models[i] = model_new(&fixture.random, i % 3);
        key_of(&fixture, models[i], keys[i]);
    }
    for (int i = 0; i < POOL; i++) {
        for (int j = 0; j < i; j++) {
            bool is_equal = model_equal(models[i], models[j]);
            equal += is_equal;
            assert_int_equal(strcmp(keys[i], keys[j]) == 0, is_equal);
        }
    }
    assert_true(equal > POOL);
    for (int i = 0; i < POOL; i++)
        model_destroy(models[i]);
    teardown(&fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_arguments_in_any_spelling_give_one_key),
        cmocka_unit_test(a_small_change_of_the_arguments_changes_the_key),
        cmocka_unit_test(keys_are_equal_exactly_when_arguments_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
