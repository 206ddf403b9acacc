/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/holding.h"

#include <string.h>

#include "connectors/store_impl.h"

#define HELD ".held."
#define DEAD ".dead"

void
jg_holding_topic(struct jg_buf *out, const char *topic, const char *class_name)
{
    jg_buf_text(out, topic);
    jg_buf_text(out, HELD);
    jg_name_escape(out, class_name);
}

void
jg_dead_topic(struct jg_buf *out, const char *topic)
{
    jg_buf_text(out, topic);
    jg_buf_text(out, DEAD);
}

static bool
copy_origin(const char *name, size_t size_bytes, char *topic, size_t topic_bytes)
{
    if (size_bytes == 0 || size_bytes >= topic_bytes)
        return false;
    memcpy(topic, name, size_bytes);
    topic[size_bytes] = '\0';
    return true;
}

/* An escaped class holds no dot, so the last mark is the one. */
bool
jg_holding_parse(const char *name, char *topic, size_t topic_bytes)
{
    const char *mark = NULL;
    for (const char *at = strstr(name, HELD); at; at = strstr(at + 1, HELD))
        mark = at;
    if (!mark || !mark[sizeof HELD - 1] || strchr(mark + sizeof HELD - 1, '.'))
        return false;
    return copy_origin(name, (size_t)(mark - name), topic, topic_bytes);
}

bool
jg_dead_parse(const char *name, char *topic, size_t topic_bytes)
{
    size_t size_bytes = strlen(name);
    size_t tail = sizeof DEAD - 1;
    if (size_bytes <= tail || strcmp(name + size_bytes - tail, DEAD) != 0)
        return false;
    return copy_origin(name, size_bytes - tail, topic, topic_bytes);
}
