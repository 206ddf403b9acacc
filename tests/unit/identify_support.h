/* SPDX-License-Identifier: Apache-2.0 */
/* What the identity tests share: making specs and messages, and identifying in one line. */
#ifndef JG_TESTS_UNIT_IDENTIFY_SUPPORT_H
#define JG_TESTS_UNIT_IDENTIFY_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "plugin/identify.h"

/* Parse a selector that must be valid; NULL stays NULL. */
static inline struct jg_selector *
selector(const char *text)
{
    struct jg_selector *parsed = NULL;
    struct jg_error error;
    if (text && jg_selector_parse(text, &parsed, &error) != JG_OK)
        fail_msg("%s", error.text);
    return parsed;
}

static inline struct jg_topic_spec
spec_of(enum jg_format format, const char *class_selector, const char *args_selector, const char *id_selector)
{
    return (struct jg_topic_spec){.format = format,
                                  .class_selector = selector(class_selector),
                                  .args_selector = selector(args_selector),
                                  .id_selector = selector(id_selector)};
}

static inline void
spec_clear(struct jg_topic_spec *spec)
{
    jg_selector_destroy(spec->class_selector);
    jg_selector_destroy(spec->args_selector);
    jg_selector_destroy(spec->id_selector);
    jg_schema_destroy(spec->schema);
}

/* Identify a payload on the topic "jobs" in the namespace "test". */
static inline enum jg_identified
identify(const struct jg_topic_spec *spec, const void *payload, size_t size_bytes, struct jg_identity *out)
{
    struct jg_message message = {.topic = "jobs", .payload = payload, .payload_bytes = size_bytes};
    return jg_identify(spec, "test", &message, out);
}

static inline enum jg_identified
identify_text(const struct jg_topic_spec *spec, const char *payload, struct jg_identity *out)
{
    return identify(spec, payload, strlen(payload), out);
}

#endif
