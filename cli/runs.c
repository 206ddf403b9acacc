/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static bool
copy(char *out, size_t out_bytes, const char *from, size_t bytes)
{
    if (bytes == 0 || bytes >= out_bytes)
        return false;
    memcpy(out, from, bytes);
    out[bytes] = '\0';
    return true;
}

/* `/<number>` at the end of `text`, which is cut there. */
static bool
cut_number(char *text, int64_t *out)
{
    char *slash = strrchr(text, '/');
    char *end = NULL;
    if (!slash || slash[1] < '0' || slash[1] > '9')
        return false;
    *out = strtoll(slash + 1, &end, 10);
    *slash = '\0';
    return *end == '\0';
}

/* Neither a jid nor a topic holds an '@'. */
bool
jg_cli_run_parse(const char *member, struct jg_cli_run *out)
{
    const char *first = strchr(member, '@');
    const char *last = strrchr(member, '@');
    *out = (struct jg_cli_run){.partition = -1};
    if (!first || first == last || !copy(out->jid, sizeof out->jid, member, (size_t)(first - member)) ||
        !copy(out->instance, sizeof out->instance, first + 1, (size_t)(last - first - 1)) ||
        !copy(out->position, sizeof out->position, last + 1, strlen(last + 1)))
        return false;
    memcpy(out->topic, out->position, sizeof out->topic);
    return cut_number(out->topic, &out->offset) && cut_number(out->topic, &out->partition) && out->topic[0];
}

void
jg_cli_run_print(const char *member)
{
    struct jg_cli_run run;
    if (jg_cli_run_parse(member, &run))
        printf("job %s, on %s, at %s", run.jid, run.instance, run.position);
    else
        printf("%s", member);
}

void
jg_cli_run_left(int64_t expires_ms, char out[JG_TIME_CHARS])
{
    int64_t left_ms = expires_ms - jg_wall_ms();
    if (left_ms > 0)
        jg_cli_span(left_ms, out);
    else
        snprintf(out, JG_TIME_CHARS, "a moment");
}

static json_t *
text_json(const char *text)
{
    return jg_cli_json_text(text, strlen(text));
}

json_t *
jg_cli_run_json(const char *member, int64_t expires_ms)
{
    struct jg_cli_run run;
    if (!member[0])
        return json_null();
    json_t *value = json_pack("{s:o, s:o}", "member", text_json(member), "expires_ms",
                              expires_ms ? json_integer((json_int_t)expires_ms) : json_null());
    if (value && jg_cli_run_parse(member, &run)) {
        json_object_set_new(value, "jid", text_json(run.jid));
        json_object_set_new(value, "instance", text_json(run.instance));
        json_object_set_new(value, "topic", text_json(run.topic));
        json_object_set_new(value, "partition", json_integer((json_int_t)run.partition));
        json_object_set_new(value, "offset", json_integer((json_int_t)run.offset));
    }
    return value;
}
