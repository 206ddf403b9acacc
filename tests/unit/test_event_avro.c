/* SPDX-License-Identifier: Apache-2.0 */
/* Events as Avro records: what is written is read back, whatever it is; what is damaged is told from it. That another
 * implementation reads them, too, is shown in tests/live/test_event_topic.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "jobgate_schemas.h"
#include "plugin/avro_canon.h"
#include "plugin/event_avro.h"

#define TEXTS(record)                                                                                                  \
    {                                                                                                                  \
        &(record)->event.class_name, &(record)->event.jid, &(record)->event.key, &(record)->event.topic,               \
            &(record)->event.duplicate_of, &(record)->event.next, &(record)->event.reason,                             \
            &(record)->source.name_space, &(record)->source.instance, &(record)->source.group,                         \
            &(record)->source.client_id, &(record)->source.host, &(record)->source.version                             \
    }
#define TEXT_COUNT 13
#define HEAD_BYTES 10

static void
assert_same_text(const char *wanted, const char *found)
{
    if (wanted && *wanted)
        assert_string_equal(wanted, found);
    else
        assert_null(found);
}

static void
write_record(const struct jg_event_record *record, struct jg_buf *out)
{
    struct jg_event_writer *writer = jg_event_writer_new();
    assert_non_null(writer);
    assert_int_equal(jg_event_write(writer, record, out), JG_OK);
    jg_event_writer_destroy(writer);
}

static void
assert_comes_back(struct jg_event_record *record)
{
    struct jg_buf bytes = JG_BUF_INIT, texts = JG_BUF_INIT;
    struct jg_event_record found;
    uint64_t fingerprint = 0;
    write_record(record, &bytes);
    assert_int_equal(jg_event_read(bytes.data, bytes.size_bytes, &found, &texts, &fingerprint), JG_EVENT_READ);
    assert_true(fingerprint == jg_event_fingerprint());
    const char **wanted_texts[] = TEXTS(record), **found_texts[] = TEXTS(&found);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        assert_same_text(*wanted_texts[i], *found_texts[i]);
    assert_int_equal(found.event.time_ms, record->event.time_ms);
    assert_int_equal(found.event.kind, record->event.kind);
    assert_int_equal(found.event.partition, record->event.partition);
    assert_int_equal(found.event.offset, record->event.offset);
    assert_int_equal(found.event.token, record->event.token);
    assert_int_equal(found.event.attempt, record->event.attempt);
    assert_int_equal(found.event.waited_ms, record->event.waited_ms);
    assert_int_equal(found.event.ran_ms, record->event.ran_ms);
    assert_int_equal(found.source.pid, record->source.pid);
    jg_buf_clear(&bytes);
    jg_buf_clear(&texts);
}

static void
every_kind_comes_back_with_nothing_and_with_everything(void **state)
{
    (void)state;
    char *large = calloc(1, 100001);
    assert_non_null(large);
    memset(large, 'x', 100000);
    const char *const values[] = {NULL, "", "a", "\xE2\x82\xAC \xF0\x9F\x98\x80", "\x1b[31m\n", large};
    for (int kind = 0; kind < JG_EVENTS; kind++) {
        struct jg_event_record record = {.event = JG_EVENT_INIT((enum jg_event_kind)kind)};
        assert_comes_back(&record);
        const char **texts[] = TEXTS(&record);
        for (size_t value = 0; value < sizeof values / sizeof *values; value++) {
            for (size_t i = 0; i < TEXT_COUNT; i++)
                *texts[i] = values[value];
            assert_comes_back(&record);
        }
    }
    free(large);
}

static void
numbers_come_back_to_their_last_bit(void **state)
{
    (void)state;
    static const int64_t numbers[] = {1, 63, 64, 127, 128, INT32_MAX, (int64_t)INT32_MAX + 1, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t number = numbers[i];
        struct jg_event_record record = {
            .event = {.kind = JG_EVENT_START,
                      .time_ms = number,
                      .partition = number > INT32_MAX ? INT32_MAX : (int32_t)number,
                      .offset = number,
                      .token = number,
                      .attempt = number,
                      .waited_ms = number,
                      .ran_ms = number},
            .source = {.pid = number},
        };
        assert_comes_back(&record);
    }
    struct jg_event_record least = {.event.time_ms = INT64_MIN};
    assert_comes_back(&least);
}

static void
a_text_that_is_no_utf8_is_written_as_utf8(void **state)
{
    (void)state;
    struct jg_buf bytes = JG_BUF_INIT, texts = JG_BUF_INIT;
    struct jg_event_record record = {.event = JG_EVENT_INIT(JG_EVENT_HELD)}, found;
    uint64_t fingerprint;
    record.event.class_name = "a\xffz\x80";
    record.event.jid = "jid";
    write_record(&record, &bytes);
    assert_int_equal(jg_event_read(bytes.data, bytes.size_bytes, &found, &texts, &fingerprint), JG_EVENT_READ);
    assert_string_equal(found.event.class_name, "a?z?");
    assert_string_equal(found.event.jid, "jid");
    jg_buf_clear(&bytes);
    jg_buf_clear(&texts);
}

static void
what_is_cut_or_too_long_is_told_from_an_event(void **state)
{
    (void)state;
    struct jg_buf bytes = JG_BUF_INIT, texts = JG_BUF_INIT;
    struct jg_event_record record = {.event = JG_EVENT_INIT(JG_EVENT_DONE)}, found;
    uint64_t fingerprint;
    record.event.class_name = "Mail";
    record.source.version = "1";
    write_record(&record, &bytes);
    for (size_t size = 0; size < bytes.size_bytes; size++) {
        void *exact = malloc(size ? size : 1); /* so that a sanitizer sees what is read behind it */
        assert_non_null(exact);
        memcpy(exact, bytes.data, size);
        assert_int_equal(jg_event_read(exact, size, &found, &texts, &fingerprint),
                         size < HEAD_BYTES ? JG_EVENT_FOREIGN : JG_EVENT_CORRUPT);
        free(exact);
    }
    assert_int_equal(jg_event_read(bytes.data, bytes.size_bytes + 1, &found, &texts, &fingerprint), JG_EVENT_CORRUPT);
    bytes.data[5] ^= 1;
    assert_int_equal(jg_event_read(bytes.data, bytes.size_bytes, &found, &texts, &fingerprint), JG_EVENT_OTHER);
    assert_true(fingerprint == (jg_event_fingerprint() ^ UINT64_C(1) << 24));
    jg_buf_clear(&bytes);
    jg_buf_clear(&texts);
}

static void
any_byte_that_changes_harms_nothing(void **state)
{
    (void)state;
    struct jg_buf bytes = JG_BUF_INIT, texts = JG_BUF_INIT;
    struct jg_event_record record = {.event = JG_EVENT_INIT(JG_EVENT_DONE)}, found;
    uint64_t fingerprint;
    record.event.class_name = "Mail";
    record.event.offset = 1000000;
    record.source.pid = 7;
    write_record(&record, &bytes);
    for (size_t i = HEAD_BYTES; i < bytes.size_bytes; i++) {
        for (int value = 0; value < 256; value++) {
            char before = bytes.data[i];
            bytes.data[i] = (char)value;
            int result = (int)jg_event_read(bytes.data, bytes.size_bytes, &found, &texts, &fingerprint);
            assert_true(result == JG_EVENT_READ || result == JG_EVENT_CORRUPT);
            bytes.data[i] = before;
        }
    }
    jg_buf_clear(&bytes);
    jg_buf_clear(&texts);
}

/* The reader goes by numbers, the schema by names. */
static void
the_schema_has_the_kinds_in_their_order(void **state)
{
    (void)state;
    json_t *schema = json_loads(jg_schemas[0].source, 0, NULL);
    json_t *kind = json_object_get(json_array_get(json_object_get(schema, "fields"), 1), "type");
    json_t *symbols = json_object_get(kind, "symbols");
    assert_int_equal(json_array_size(symbols), JG_EVENTS + 1);
    assert_string_equal(json_string_value(json_array_get(symbols, 0)), jg_event_name(JG_EVENTS));
    for (int i = 0; i < JG_EVENTS; i++) {
        const char *name = json_string_value(json_array_get(symbols, (size_t)i + 1));
        assert_string_equal(name, jg_event_name((enum jg_event_kind)i));
        assert_int_equal(jg_event_kind_of(name), i);
    }
    assert_int_equal(jg_event_kind_of("nonsense"), JG_EVENTS);
    json_decref(schema);
}

static void
assert_canon(const char *avsc, const char *wanted)
{
    struct jg_buf out = JG_BUF_INIT;
    assert_int_equal(jg_avro_canon(&out, avsc), JG_OK);
    assert_string_equal(out.data, wanted);
    jg_buf_clear(&out);
}

/* What Avro's specification says of the form. */
static void
a_schema_has_one_canonical_form(void **state)
{
    (void)state;
    assert_canon("\"int\"", "\"int\"");
    assert_canon("{ \"type\" : \"int\", \"x\": 1 }", "\"int\"");
    assert_canon("[\"null\", {\"type\": \"map\", \"values\": \"long\"}]",
                 "[\"null\",{\"type\":\"map\",\"values\":\"long\"}]");
    assert_canon(
        "{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"size\":16,\"name\":\"md5\",\"namespace\":\"a.b\"}}",
        "{\"type\":\"array\",\"items\":{\"name\":\"a.b.md5\",\"type\":\"fixed\",\"size\":16}}");
    assert_canon(
        "{\"type\":\"record\",\"name\":\"x.Node\",\"namespace\":\"ignored\",\"doc\":\"d\",\"fields\":[{\"doc\":\"d\","
        "\"type\":[\"null\",\"Node\"],\"default\":null,\"name\":\"next\"},{\"name\":\"kind\",\"type\":{\"symbols\":"
        "[\"A\",\"B\"],\"name\":\"Kind\",\"type\":\"enum\",\"default\":\"A\"}}]}",
        "{\"name\":\"x.Node\",\"type\":\"record\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"x.Node\"]},"
        "{\"name\":\"kind\",\"type\":{\"name\":\"x.Kind\",\"type\":\"enum\",\"symbols\":[\"A\",\"B\"]}}]}");
    static const char *const wrong[] = {
        "", "{", "1", "{}", "{\"type\":\"record\"}", "{\"type\":\"enum\",\"name\":\"x\"}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct jg_buf out = JG_BUF_INIT;
        assert_int_equal(jg_avro_canon(&out, wrong[i]), JG_EINVAL);
        jg_buf_clear(&out);
    }
}

static void
the_fingerprint_is_avros(void **state)
{
    (void)state;
    assert_true(jg_avro_crc64("", 0) == UINT64_C(0xc15d213aa4d7a795));
    assert_true(jg_avro_crc64("\"null\"", 6) == UINT64_C(0x63dd24e7cc258f8a));
    assert_true(jg_avro_crc64("\"boolean\"", 9) == UINT64_C(0x9f42fc78a4d4f764));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_with_nothing_and_with_everything),
        cmocka_unit_test(numbers_come_back_to_their_last_bit),
        cmocka_unit_test(a_text_that_is_no_utf8_is_written_as_utf8),
        cmocka_unit_test(what_is_cut_or_too_long_is_told_from_an_event),
        cmocka_unit_test(any_byte_that_changes_harms_nothing),
        cmocka_unit_test(the_schema_has_the_kinds_in_their_order),
        cmocka_unit_test(a_schema_has_one_canonical_form),
        cmocka_unit_test(the_fingerprint_is_avros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
