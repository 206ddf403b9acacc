/* SPDX-License-Identifier: Apache-2.0 */
/* Avro jobs: decoded by the writer's schema, equal to the same job in JSON, and safe whatever the bytes claim. Payloads
 * are written by an encoder of the test's own; the frozen one was written by avro-c. */
#include "identify_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "identify_model.h"

/* A spec with the schema in `text`, by way of a file. */
static enum jg_err
load_text(const char *text, struct jg_schema **schema, struct jg_error *error)
{
    char path[] = "/tmp/jobgate-schema-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    enum jg_err err = jg_schema_load(path, schema, error);
    unlink(path);
    return err;
}

static struct jg_topic_spec
avro_spec(const char *schema, const char *class_selector, const char *args_selector)
{
    struct jg_topic_spec spec = spec_of(JG_FORMAT_AVRO, class_selector, args_selector, NULL);
    struct jg_error error;
    if (load_text(schema, &spec.schema, &error) != JG_OK)
        fail_msg("%s", error.text);
    assert_int_equal(jg_topic_spec_check(&spec, &error), JG_OK);
    return spec;
}

static struct jg_topic_spec
job_spec(void)
{
    struct jg_topic_spec spec = spec_of(JG_FORMAT_AVRO, NULL, NULL, NULL);
    struct jg_error error;
    if (jg_schema_load(JG_SCHEMAS "/job.avsc", &spec.schema, &error) != JG_OK)
        fail_msg("%s", error.text);
    return spec;
}

static const char frozen[] =
    "\x16\x45\x6d\x61\x69\x6c\x57\x6f\x72\x6b\x65\x72\x0e\x08\x06\x62\x6f\x62\x04\xff\xc7\xaf\xa0\x25\x06\x9a\x99\x99"
    "\x99\x99\x99\xb9\x3f\x00\x02\x01\x0a\x02\x04\x02\x00\x0c\x04\x02\x62\x06\x00\x00\x00\x00\x00\x00\xf0\x3f\x02\x61"
    "\x08\x04\xc3\xa9\x00\x00\x02\x06\x6a\x2d\x31\x02\xf6\xb9\x92\xb3\x83\x64";

/* The schema's first release wrote this: an edit of job.avsc that breaks its compatibility rule fails here. */
static void
a_payload_of_the_job_schemas_first_release_is_read(void **state)
{
    (void)state;
    struct jg_topic_spec spec = job_spec();
    struct jg_identity identity;
    jg_identity_init(&identity);
    if (identify(&spec, frozen, sizeof(frozen) - 1, &identity) != JG_IDENTIFIED)
        fail_msg("%s", identity.reason.text);
    assert_string_equal(identity.class_name, "EmailWorker");
    assert_string_equal(identity.args.data, "[\"bob\",-5000000000,0.1,null,true,[1],{\"a\":\"\xc3\xa9\",\"b\":1.0}]");
    assert_string_equal(identity.id.data, "j-1");
    assert_string_equal(identity.key, "2af9d27e52f62abae48816ba54c0ffa1");
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

static void
every_cut_of_a_payload_is_unidentified(void **state)
{
    (void)state;
    struct jg_topic_spec spec = job_spec();
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t size = 0; size < sizeof(frozen) - 1; size++) {
        char *cut = malloc(size + 1); /* so that a read beyond its end is seen */
        memcpy(cut, frozen, size);
        char *exact = realloc(cut, size ? size : 1);
        assert_int_equal(identify(&spec, exact, size, &identity), JG_UNIDENTIFIED);
        assert_non_null(strstr(identity.reason.text, "not Avro"));
        free(exact);
    }
    assert_int_equal(identify(&spec, frozen, sizeof(frozen), &identity), JG_UNIDENTIFIED);
    assert_non_null(strstr(identity.reason.text, "bytes are left"));
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

static void
put_long(struct jg_buf *out, int64_t value)
{
    uint64_t zigzag = ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
    for (; zigzag >= 0x80; zigzag >>= 7)
        jg_buf_append(out, &(unsigned char){(unsigned char)(zigzag | 0x80)}, 1);
    jg_buf_append(out, &(unsigned char){(unsigned char)zigzag}, 1);
}

static void
put_string(struct jg_buf *out, const char *text)
{
    put_long(out, (int64_t)strlen(text));
    jg_buf_text(out, text);
}

static void
put_double(struct jg_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    for (int i = 0; i < 8; i++, bits >>= 8)
        jg_buf_append(out, &(unsigned char){(unsigned char)bits}, 1);
}

static double
double_of(const struct model *model)
{
    char text[96];
    snprintf(text, sizeof(text), "%s%se%d", model->is_negative ? "-" : "", model->digits[0] ? model->digits : "0",
             model->exponent);
    return strtod(text, NULL);
}

static void
put_text(struct jg_buf *out, const struct model_text *text)
{
    struct jg_buf bytes = JG_BUF_INIT;
    for (size_t i = 0; i < text->count; i++)
        model_put_letter(&bytes, text->letters[i]);
    put_long(out, (int64_t)bytes.size_bytes);
    jg_buf_append(out, bytes.data, bytes.size_bytes);
    jg_buf_clear(&bytes);
}

static void put_arg(struct jg_buf *out, const struct model *model, struct model_random *random);

/* In one block or in several, with or without their size. */
static void
put_blocks(struct jg_buf *out, const struct model *model, struct model_random *random)
{
    for (size_t i = 0; i < model->count;) {
        struct jg_buf block = JG_BUF_INIT;
        size_t count = 1 + model_below(random, (uint32_t)(model->count - i));
        for (size_t j = i; j < i + count; j++) {
            if (model->kind == MODEL_OBJECT)
                put_text(&block, &model->names[j]);
            put_arg(&block, model->parts[j], random);
        }
        bool is_sized = model_below(random, 2);
        put_long(out, is_sized ? -(int64_t)count : (int64_t)count);
        if (is_sized)
            put_long(out, (int64_t)block.size_bytes);
        jg_buf_append(out, block.data, block.size_bytes);
        jg_buf_clear(&block);
        i += count;
    }
    put_long(out, 0);
}

/* A value of the union in job.avsc. */
static void
put_arg(struct jg_buf *out, const struct model *model, struct model_random *random)
{
    static const int branches[] = {[MODEL_NULL] = 0,  [MODEL_FALSE] = 1,  [MODEL_TRUE] = 1,  [MODEL_INTEGER] = 2,
                                   [MODEL_FLOAT] = 3, [MODEL_STRING] = 4, [MODEL_ARRAY] = 5, [MODEL_OBJECT] = 6};
    put_long(out, branches[model->kind]);
    switch (model->kind) {
    case MODEL_NULL:
        break;
    case MODEL_FALSE:
    case MODEL_TRUE:
        jg_buf_append(out, model->kind == MODEL_TRUE ? "\1" : "\0", 1);
        break;
    case MODEL_INTEGER:
        put_long(out, (model->is_negative ? -1 : 1) * strtoll(model->digits, NULL, 10));
        break;
    case MODEL_FLOAT:
        put_double(out, double_of(model));
        break;
    case MODEL_STRING:
        put_text(out, &model->text);
        break;
    default:
        put_blocks(out, model, random);
        break;
    }
}

static void
equal_jobs_have_one_key_in_json_and_avro(void **state)
{
    (void)state;
    struct jg_topic_spec avro = job_spec();
    struct jg_topic_spec json = spec_of(JG_FORMAT_JSON, NULL, NULL, NULL);
    struct jg_identity from_avro;
    struct jg_identity from_json;
    struct model_random random = {.state = 4};
    struct jg_buf bytes = JG_BUF_INIT;
    struct jg_buf text = JG_BUF_INIT;
    jg_identity_init(&from_avro);
    jg_identity_init(&from_json);
    for (int i = 0; i < 20000; i++) {
        struct model *args = model_new_job_args(&random);
        jg_buf_reset(&bytes);
        jg_buf_reset(&text);
        put_string(&bytes, "Worker");
        put_blocks(&bytes, args, &random);
        put_long(&bytes, 0);
        put_long(&bytes, 0);
        jg_buf_text(&text, "{\"class\":\"Worker\",\"args\":");
        model_spell(args, &random, &text);
        jg_buf_text(&text, "}");
        assert_int_equal(identify(&json, text.data, text.size_bytes, &from_json), JG_IDENTIFIED);
        if (identify(&avro, bytes.data, bytes.size_bytes, &from_avro) != JG_IDENTIFIED)
            fail_msg("%s: %s", text.data, from_avro.reason.text);
        assert_string_equal(from_avro.args.data, from_json.args.data);
        assert_string_equal(from_avro.key, from_json.key);
        model_destroy(args);
    }
    jg_identity_clear(&from_avro);
    jg_identity_clear(&from_json);
    jg_buf_clear(&bytes);
    jg_buf_clear(&text);
    spec_clear(&avro);
    spec_clear(&json);
}

static const char every_type[] =
    "{\"type\":\"record\",\"name\":\"Every\",\"fields\":["
    "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"Kind\",\"symbols\":[\"RESIZE\",\"CROP\"]}},"
    "{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"b\",\"type\":\"bytes\"},"
    "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"Two\",\"size\":2}},"
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"Kind\"}},"
    "{\"name\":\"n\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"Inner\",\"fields\":["
    "{\"name\":\"y\",\"type\":\"Two\"},{\"name\":\"d\",\"type\":\"double\"}]}]},"
    "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"Inner\"}},{\"name\":\"z\",\"type\":\"null\"}]}";

static const char every_payload[] = "\x02\x01\xcd\xcc\xcc\x3d\x04hi\xff\x00" /* CROP, -1, 0.1, "hi", ff00 */
                                    "\x04\x02q\x00\x02p\x02\x00"             /* {q: RESIZE, p: CROP} */
                                    "\x02zz\x00\x00\x00\x00\x00\x00\xf8\x7f" /* {y: "zz", d: NaN} */
                                    "\x02yy\x00\x00\x00\x00\x00\x00\xf0\xff" /* [{y: "yy", d: -Infinity}] */
                                    "\x00";

static void
every_type_has_its_canonical_form_and_can_be_selected(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"payload", "{\"b\":0x6869,\"f\":0.1,\"i\":-1,\"kind\":\"CROP\",\"l\":[{\"d\":-inf,\"y\":0x7979}],"
                    "\"m\":{\"p\":\"CROP\",\"q\":\"RESIZE\"},\"n\":{\"d\":nan,\"y\":0x7a7a},\"x\":0xff00,\"z\":null}"},
        {"field:n.y", "0x7a7a"},
        {"field:m.q,z,i", "[\"RESIZE\",null,-1]"},
        {"field:l.0.d", "-inf"},
    };
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct jg_topic_spec spec = avro_spec(every_type, "field:kind", known[i][0]);
        if (identify(&spec, every_payload, sizeof(every_payload) - 1, &identity) != JG_IDENTIFIED)
            fail_msg("%s", identity.reason.text);
        assert_string_equal(identity.class_name, "CROP");
        assert_string_equal(identity.args.data, known[i][1]);
        spec_clear(&spec);
    }
    jg_identity_clear(&identity);
}

static void
bytes_never_equal_a_string(void **state)
{
    (void)state;
    struct jg_identity identity;
    char keys[2][JG_KEY_CHARS + 1];
    jg_identity_init(&identity);
    for (int i = 0; i < 2; i++) {
        struct jg_topic_spec spec = avro_spec(i ? "[\"bytes\"]" : "[\"string\"]", NULL, "payload");
        assert_int_equal(identify(&spec, "\0\4hi", 4, &identity), JG_IDENTIFIED);
        memcpy(keys[i], identity.key, sizeof(keys[i]));
        spec_clear(&spec);
    }
    assert_string_not_equal(keys[0], keys[1]);
    jg_identity_clear(&identity);
}

#define ARRAY_OF(type) "{\"type\":\"array\",\"items\":" type "}"
#define RECORD(name, type) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[{\"name\":\"f\",\"type\":" type "}]}"
#define LONGEST "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" /* 2^63 - 1 */
#define LOWEST "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  /* -2^63 */

static void
lengths_and_counts_are_never_believed(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        const char *payload;
        size_t size_bytes;
        const char *reason;
    } hostile[] = {
        {"[\"string\"]", "\0" LONGEST "x", 12, "beyond"},
        {"[\"string\"]", "\0" LOWEST "x", 12, "beyond"},
        {"[\"string\"]", "\0\1x", 3, "beyond"},
        {"[\"bytes\"]", "\0" LONGEST, 11, "beyond"},
        {"[\"string\"]", "\2\2x", 3, "index"},
        {"[\"string\"]", "\1\2x", 3, "index"},
        {"[\"string\"]", "\0\2\xff", 3, "UTF-8"},
        {"[\"int\"]", "\0\xfe\xff\xff\xff\x1f", 6, "32 bits"},
        {"[\"long\"]", "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "64 bits"},
        {"[\"long\"]", "\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "64 bits"},
        {"[\"boolean\"]", "\0\2", 2, "boolean"},
        {"[\"double\"]", "\0\0\0\0", 4, "ends too early"},
        {ARRAY_OF("\"null\""), LONGEST "\0", 11, "take no bytes"},
        {ARRAY_OF("\"null\""), LOWEST "\0\0", 12, "take no bytes"},
        {ARRAY_OF("\"long\""), LONGEST "\0", 11, "ends too early"},
        {ARRAY_OF("\"long\""), "\1\2\0\0", 4, NULL},
        {ARRAY_OF("\"long\""), "\1\4\0\0\0", 5, "another size"},
        {ARRAY_OF("\"long\""), "\1\0\0\0", 4, "another size"},
        {ARRAY_OF("\"long\""), "\1" LONGEST "\0\0", 13, "block beyond"},
        {ARRAY_OF(RECORD("N", "\"null\"")), LONGEST "\0", 11, "take no bytes"},
        {ARRAY_OF("{\"type\":\"fixed\",\"name\":\"F\",\"size\":1000000000}"), "\2\0", 2, "ends too early"},
        {"{\"type\":\"map\",\"values\":\"null\"}", LONGEST "\0", 11, "ends too early"},
        {RECORD("R", "\"R\""), "", 0, "too deep"},
        {RECORD("R", "[\"null\",\"R\"]"), "\2\2\2\0", 4, NULL},
        {RECORD("R", ARRAY_OF("\"R\"")), LONGEST LONGEST LONGEST, 30, "ends too early"},
    };
    struct jg_identity identity;
    jg_identity_init(&identity);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct jg_topic_spec spec = avro_spec(hostile[i].schema, "topic", "payload");
        int64_t start_ms = jg_clock_ms();
        enum jg_identified identified = identify(&spec, hostile[i].payload, hostile[i].size_bytes, &identity);
        assert_true(jg_clock_ms() - start_ms < 1000);
        assert_int_equal(identified, hostile[i].reason ? JG_UNIDENTIFIED : JG_IDENTIFIED);
        if (hostile[i].reason && !strstr(identity.reason.text, hostile[i].reason))
            fail_msg("%zu: '%s' is not in '%s'", i, hostile[i].reason, identity.reason.text);
        assert_true(identity.text.room_bytes < 64 * 1024);
        spec_clear(&spec);
    }
    jg_identity_clear(&identity);
}

static void
a_hostile_depth_ends_at_the_bound(void **state)
{
    (void)state;
    struct jg_topic_spec spec = avro_spec(RECORD("R", "[\"null\",\"R\"]"), "topic", "payload");
    struct jg_identity identity;
    char payload[100000];
    memset(payload, 2, sizeof(payload));
    jg_identity_init(&identity);
    assert_int_equal(identify(&spec, payload, sizeof(payload), &identity), JG_UNIDENTIFIED);
    assert_non_null(strstr(identity.reason.text, "too deep"));
    payload[127] = 0;
    assert_int_equal(identify(&spec, payload, 128, &identity), JG_IDENTIFIED);
    jg_identity_clear(&identity);
    spec_clear(&spec);
}

/* Each record holds the one before twice: 2^30 nulls in no bytes. */
static void
a_schema_that_unfolds_without_end_is_bounded(void **state)
{
    (void)state;
    struct jg_buf schema = JG_BUF_INIT;
    struct jg_identity identity;
    jg_buf_text(&schema, "{\"type\":\"record\",\"name\":\"Top\",\"fields\":[{\"name\":\"f0\",\"type\":"
                         "{\"type\":\"record\",\"name\":\"R0\",\"fields\":[{\"name\":\"n\",\"type\":\"null\"}]}}");
    for (int i = 1; i < 30; i++)
        jg_buf_format(&schema,
                      ",{\"name\":\"f%d\",\"type\":{\"type\":\"record\",\"name\":\"R%d\",\"fields\":["
                      "{\"name\":\"a\",\"type\":\"R%d\"},{\"name\":\"b\",\"type\":\"R%d\"}]}}",
                      i, i, i - 1, i - 1);
    jg_buf_text(&schema, "]}");
    struct jg_topic_spec spec = avro_spec(schema.data, "topic", "payload");
    jg_identity_init(&identity);
    assert_int_equal(identify(&spec, "", 0, &identity), JG_UNIDENTIFIED);
    assert_non_null(strstr(identity.reason.text, "take no bytes"));
    jg_identity_clear(&identity);
    spec_clear(&spec);
    jg_buf_clear(&schema);
}

static void
a_wrong_schema_is_refused_by_the_name_of_its_file(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "{",
        "{}",
        "[1]",
        "{\"type\":\"record\"}",
        "{\"type\":\"nothing\"}",
        "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"X\"}]}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}",
        "\xff\xfe"};
    struct jg_schema *schema = NULL;
    struct jg_error error;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (load_text(wrong[i], &schema, &error) != JG_EINVAL)
            fail_msg("taken: %s", wrong[i]);
        assert_null(schema);
        assert_non_null(strstr(error.text, "/tmp/jobgate-schema-"));
        assert_null(strchr(error.text, '\n'));
    }
    assert_int_equal(jg_schema_load("/nowhere/job.avsc", &schema, &error), JG_EINVAL);
    assert_non_null(strstr(error.text, "/nowhere/job.avsc"));
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(jg_schema_load(JG_SCHEMAS, &schema, &error), JG_EINVAL);
    assert_null(schema);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_of_the_job_schemas_first_release_is_read),
        cmocka_unit_test(every_cut_of_a_payload_is_unidentified),
        cmocka_unit_test(equal_jobs_have_one_key_in_json_and_avro),
        cmocka_unit_test(every_type_has_its_canonical_form_and_can_be_selected),
        cmocka_unit_test(bytes_never_equal_a_string),
        cmocka_unit_test(lengths_and_counts_are_never_believed),
        cmocka_unit_test(a_hostile_depth_ends_at_the_bound),
        cmocka_unit_test(a_schema_that_unfolds_without_end_is_bounded),
        cmocka_unit_test(a_wrong_schema_is_refused_by_the_name_of_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
