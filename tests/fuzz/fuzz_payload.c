/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of any bytes in every format. The first byte chooses the format and the selectors, the rest is the payload.
 * Beyond not crashing: what is identified has a class and args of the promised form, takes memory in proportion to its
 * payload, and a JSON payload's canonical text is its own canonical text. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/canon.h"
#include "plugin/identify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static struct jg_selector *
selector(const char *text)
{
    struct jg_selector *parsed = NULL;
    struct jg_error error;
    require(jg_selector_parse(text, &parsed, &error) == JG_OK, text);
    return parsed;
}

#define SPECS 7
static struct jg_topic_spec specs[SPECS];
static struct jg_topic_spec whole;
static struct jg_identity identity;
static struct jg_identity again;

/* Made once and kept for the life of the process. */
static void
prepare(void)
{
    struct jg_error error;
    specs[1] = (struct jg_topic_spec){.class_selector = selector("field:wrapped"),
                                      .args_selector = selector("field:args.0.arguments"),
                                      .id_selector = selector("field:args.0.job_id")};
    specs[2] =
        (struct jg_topic_spec){.class_selector = selector("payload"), .args_selector = selector("field:a\\.b,0.1,x")};
    specs[3] = (struct jg_topic_spec){.format = JG_FORMAT_RAW, .class_selector = selector("payload")};
    specs[4].format = specs[5].format = specs[6].format = JG_FORMAT_AVRO;
    require(jg_schema_load(JG_SCHEMAS "/job.avsc", &specs[4].schema, &error) == JG_OK, error.text);
    require(jg_schema_load(JG_FUZZ "/every.avsc", &specs[5].schema, &error) == JG_OK, error.text);
    specs[6] = specs[5];
    specs[6].args_selector = selector("field:next.args.0,class");
    whole.class_selector = selector("const:C");
    whole.args_selector = selector("payload");
    jg_identity_init(&identity);
    jg_identity_init(&again);
}

static bool
is_printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return jg_utf8_valid(text, size);
}

static void
check_identity(size_t payload_bytes)
{
    size_t class_bytes = strlen(identity.class_name);
    require(class_bytes > 0 && class_bytes <= JG_CLASS_MAX_BYTES, "a class within its bounds");
    require(is_printable(identity.class_name, class_bytes), "a printable class");
    require(is_printable(identity.args.data, identity.args.size_bytes), "printable args");
    require(!identity.id.size_bytes || is_printable(identity.id.data, identity.id.size_bytes), "a printable id");
    require(strlen(identity.key) == JG_KEY_CHARS, "a whole key");
    /* A value without bytes of its own, and a field's name, cost up to some 20 bytes in these schemas. */
    require(identity.text.size_bytes <= 40 * 1024 + 64 * payload_bytes, "memory in proportion");
}

static void
check_json(const uint8_t *payload, size_t size)
{
    struct jg_message message = {.topic = "t", .payload = payload, .payload_bytes = size};
    if (jg_identify(&whole, "n", &message, &identity) != JG_IDENTIFIED)
        return;
    require(identity.args.size_bytes <= 16 + 8 * size, "memory in proportion");
    message.payload = identity.args.data;
    message.payload_bytes = identity.args.size_bytes;
    require(jg_identify(&whole, "n", &message, &again) == JG_IDENTIFIED, "canonical text that is JSON");
    require(again.args.size_bytes == identity.args.size_bytes &&
                memcmp(again.args.data, identity.args.data, again.args.size_bytes) == 0,
            "canonical text that is its own canonical text");
    require(strcmp(again.key, identity.key) == 0, "one key");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_prepared;
    if (!is_prepared)
        prepare();
    is_prepared = true;
    if (size == 0)
        return 0;
    const struct jg_topic_spec *spec = &specs[data[0] % SPECS];
    struct jg_message message = {.topic = "t", .payload = data + 1, .payload_bytes = size - 1};
    if (jg_identify(spec, "n", &message, &identity) == JG_IDENTIFIED)
        check_identity(size - 1);
    else
        require(identity.reason.text[0] != '\0', "a reason");
    if (spec->format == JG_FORMAT_JSON)
        check_json(data + 1, size - 1);
    return 0;
}
