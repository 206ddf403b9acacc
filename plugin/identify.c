/* SPDX-License-Identifier: Apache-2.0 */
/* A message's identity: the payload becomes canonical text once, where anything reads it; selectors then cut class,
 * args and id out of that text. */
#include "plugin/identify.h"

#include <stdio.h>
#include <string.h>

#include "plugin/canon.h"
#include "plugin/identify_format.h"
#include "plugin/selector.h"

/* Before a payload that stands in for args: else a payload that lacks args could equal another one's args. */
#define WHOLE_PAYLOAD "payload:"

static enum jg_err
misfit(struct jg_error *error, const char *setting, const struct jg_selector *selector, const char *why)
{
    snprintf(error->text, sizeof(error->text), "%s '%s': %s", setting, selector->text, why);
    return JG_EINVAL;
}

enum jg_err
jg_topic_spec_check(const struct jg_topic_spec *spec, struct jg_error *error)
{
    const struct {
        const char *setting;
        const struct jg_selector *selector;
        bool may_be_list;
    } checks[] = {
        {"class", spec->class_selector, false}, {"args", spec->args_selector, true}, {"id", spec->id_selector, false}};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        const struct jg_selector *selector = checks[i].selector;
        if (!selector || selector->kind != JG_SELECT_FIELD)
            continue;
        if (spec->format == JG_FORMAT_RAW)
            return misfit(error, checks[i].setting, selector,
                          "a raw payload has no fields: set format to json or avro");
        if (selector->path_count > 1 && !checks[i].may_be_list)
            return misfit(error, checks[i].setting, selector, "only args can be a list of fields");
    }
    if (spec->format == JG_FORMAT_AVRO && !spec->schema) {
        snprintf(error->text, sizeof(error->text), "format avro needs a schema: set it to the path of an .avsc file");
        return JG_EINVAL;
    }
    if (spec->format != JG_FORMAT_AVRO && spec->schema) {
        snprintf(error->text, sizeof(error->text), "a schema is of use with format avro only");
        return JG_EINVAL;
    }
    return JG_OK;
}

void
jg_identity_init(struct jg_identity *identity)
{
    *identity =
        (struct jg_identity){.args = JG_BUF_INIT, .id = JG_BUF_INIT, .text = JG_BUF_INIT, .scratch = JG_BUF_INIT};
}

void
jg_identity_clear(struct jg_identity *identity)
{
    jg_buf_clear(&identity->args);
    jg_buf_clear(&identity->id);
    jg_buf_clear(&identity->text);
    jg_buf_clear(&identity->scratch);
}

static bool
because(struct jg_identity *out, const char *what, const struct jg_selector *selector, const char *why)
{
    if (selector)
        snprintf(out->reason.text, sizeof(out->reason.text), "%s: %s %s", what, selector->text, why);
    else
        snprintf(out->reason.text, sizeof(out->reason.text), "%s %s", what, why);
    return false;
}

/* Is the payload's content needed? Sidekiq's `jid` alone is not worth parsing for. */
static bool
needs_payload(const struct jg_topic_spec *spec)
{
    bool has_fields = spec->format != JG_FORMAT_RAW;
    if (spec->class_selector ? jg_selector_reads_payload(spec->class_selector) : has_fields)
        return true;
    if (!spec->args_selector || jg_selector_reads_payload(spec->args_selector))
        return true;
    return spec->id_selector && jg_selector_reads_payload(spec->id_selector);
}

/* The payload's canonical text, into out->text. */
static bool
read_payload(const struct jg_topic_spec *spec, const struct jg_message *message, struct jg_identity *out)
{
    struct jg_canon canon;
    bool is_read = true;
    jg_canon_init(&canon, &out->text, &out->scratch);
    switch (spec->format) {
    case JG_FORMAT_JSON:
        is_read = jg_identify_json(message->payload, message->payload_bytes, &canon, &out->reason);
        break;
    case JG_FORMAT_AVRO:
        is_read = jg_identify_avro(spec->schema, message->payload, message->payload_bytes, &canon, &out->reason);
        break;
    case JG_FORMAT_RAW:
        jg_canon_string_or_bytes(&canon, message->payload, message->payload_bytes);
        break;
    }
    if (is_read && !jg_canon_ok(&canon))
        is_read = because(out, "payload", NULL, "could not be read: out of memory");
    jg_canon_clear(&canon);
    return is_read;
}

/* Take the class from its canonical text. As class names hold no control characters, the only escapes are of a quote
 * and of a backslash. */
static bool
take_class(const struct jg_selector *selector, struct jg_span text, struct jg_identity *out)
{
    const char *at = text.text + 1;
    const char *end = text.text + text.size_bytes - 1;
    size_t size = 0;
    if (text.size_bytes < 2 || text.text[0] != '"')
        return because(out, "class", selector, "is not text");
    if (at == end)
        return because(out, "class", selector, "is empty");
    for (; at < end; at++) {
        if (size == JG_CLASS_MAX_BYTES)
            return because(out, "class", selector, "is too long");
        if (*at == '\\' && *++at != '"' && *at != '\\')
            return because(out, "class", selector, "holds control characters");
        out->class_name[size++] = *at;
    }
    out->class_name[size] = '\0';
    return true;
}

static bool
find_class(const struct jg_topic_spec *spec, const struct jg_message *message, struct jg_span payload,
           struct jg_identity *out)
{
    if (!spec->class_selector) {
        struct jg_span found = jg_span_member(payload, "class", strlen("class"));
        if (found.text)
            return take_class(NULL, found, out);
        const struct jg_selector topic = {.kind = JG_SELECT_TOPIC, .text = (char[]){"topic"}};
        jg_buf_reset(&out->scratch);
        return jg_selector_find(&topic, message, payload, &out->scratch) &&
               take_class(&topic, (struct jg_span){out->scratch.data, out->scratch.size_bytes}, out);
    }
    jg_buf_reset(&out->scratch);
    if (!jg_selector_find(spec->class_selector, message, payload, &out->scratch))
        return because(out, "class", spec->class_selector, "finds nothing");
    return take_class(spec->class_selector, (struct jg_span){out->scratch.data, out->scratch.size_bytes}, out);
}

static bool
find_args(const struct jg_topic_spec *spec, const struct jg_message *message, struct jg_span payload,
          struct jg_identity *out)
{
    if (spec->args_selector) {
        if (!jg_selector_find(spec->args_selector, message, payload, &out->args))
            return because(out, "args", spec->args_selector, "finds nothing");
        return true;
    }
    struct jg_span found = payload;
    if (spec->format != JG_FORMAT_RAW) {
        found = jg_span_member(payload, "args", strlen("args"));
        if (!found.text) {
            jg_buf_text(&out->args, WHOLE_PAYLOAD);
            found = payload;
        }
    }
    jg_buf_append(&out->args, found.text, found.size_bytes);
    return out->args.failed ? because(out, "args", NULL, "could not be read: out of memory") : true;
}

/* Append an id, given as canonical text: a string without its quotes, or a number (not 0x..., not -inf). A NUL or more
 * text follows the span, so that its second byte can be looked at. */
static bool
take_id(struct jg_span text, struct jg_buf *out)
{
    bool is_string = text.size_bytes > 2 && text.text[0] == '"';
    bool is_number = !is_string && strchr("-0123456789", text.text[0]) && text.text[1] != 'x' && text.text[1] != 'i';
    if (is_string)
        jg_buf_append(out, text.text + 1, text.size_bytes - 2);
    else if (is_number)
        jg_buf_append(out, text.text, text.size_bytes);
    return is_string || is_number;
}

static bool
find_id(const struct jg_topic_spec *spec, const struct jg_message *message, struct jg_span payload,
        struct jg_identity *out)
{
    if (!spec->id_selector) {
        struct jg_span found = jg_span_member(payload, "jid", strlen("jid"));
        if (found.text)
            (void)take_id(found, &out->id);
        return true;
    }
    jg_buf_reset(&out->scratch);
    if (!jg_selector_find(spec->id_selector, message, payload, &out->scratch))
        return because(out, "id", spec->id_selector, "finds nothing");
    if (!take_id((struct jg_span){out->scratch.data, out->scratch.size_bytes}, &out->id))
        return because(out, "id", spec->id_selector, "is no text and no number");
    return true;
}

enum jg_identified
jg_identify(const struct jg_topic_spec *spec, const char *name_space, const struct jg_message *message,
            struct jg_identity *out)
{
    out->class_name[0] = '\0';
    out->key[0] = '\0';
    out->reason.text[0] = '\0';
    jg_buf_reset(&out->args);
    jg_buf_reset(&out->id);
    jg_buf_reset(&out->text);
    jg_buf_reset(&out->scratch);
    if (!message->payload)
        return JG_NO_JOB;
    struct jg_span payload = {.text = NULL, .size_bytes = 0};
    if (needs_payload(spec)) {
        if (!read_payload(spec, message, out))
            return JG_UNIDENTIFIED;
        payload = (struct jg_span){.text = out->text.data, .size_bytes = out->text.size_bytes};
    }
    if (!find_class(spec, message, payload, out) || !find_args(spec, message, payload, out) ||
        !find_id(spec, message, payload, out))
        return JG_UNIDENTIFIED;
    jg_job_key(name_space, out->class_name, out->args.data, out->args.size_bytes, out->key);
    return JG_IDENTIFIED;
}

bool
jg_identify_limit_key(const struct jg_topic_spec *spec, const char *name_space, const char *class_name,
                      const struct jg_selector *selector, const struct jg_message *message, struct jg_identity *out,
                      char *key)
{
    struct jg_span payload = {.text = NULL, .size_bytes = 0};
    out->reason.text[0] = '\0';
    jg_buf_reset(&out->args);
    jg_buf_reset(&out->text);
    jg_buf_reset(&out->scratch);
    bool is_read = message->payload != NULL;
    if (!is_read)
        (void)because(out, "limit.key", selector, "finds nothing: there is no payload");
    if (is_read && jg_selector_reads_payload(selector)) {
        is_read = read_payload(spec, message, out);
        payload = (struct jg_span){.text = out->text.data, .size_bytes = out->text.size_bytes};
    }
    if (is_read && !jg_selector_find(selector, message, payload, &out->args))
        is_read = because(out, "limit.key", selector, "finds nothing");
    /* No value is written as nothing. */
    jg_job_key(name_space, class_name, out->args.data, is_read ? out->args.size_bytes : 0, key);
    return is_read;
}
