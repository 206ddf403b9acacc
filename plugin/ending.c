/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/ending.h"

#include <stdlib.h>
#include <string.h>

static bool
is_at(const struct jg_ending *each, const char *topic, int32_t partition, int64_t offset)
{
    return !topic ||
           (each->partition == partition && (offset < 0 || each->offset == offset) && strcmp(each->topic, topic) == 0);
}

enum jg_err
jg_ending_add(struct jg_ending **list, const char *topic, int32_t partition, int64_t offset)
{
    size_t size_bytes = strlen(topic) + 1;
    struct jg_ending *each = malloc(sizeof *each + size_bytes);
    if (!each)
        return JG_ENOMEM;
    each->partition = partition;
    each->offset = offset;
    memcpy(each->topic, topic, size_bytes);
    each->next = *list;
    *list = each;
    return JG_OK;
}

bool
jg_ending_has(const struct jg_ending *list, const char *topic, int32_t partition, int64_t offset)
{
    while (list && !is_at(list, topic, partition, offset))
        list = list->next;
    return list;
}

void
jg_ending_remove(struct jg_ending **list, const char *topic, int32_t partition, int64_t offset)
{
    while (*list) {
        struct jg_ending *each = *list;
        if (!is_at(each, topic, partition, offset)) {
            list = &each->next;
            continue;
        }
        *list = each->next;
        free(each);
    }
}
