/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/kafka/deferral.h"

#include <stdlib.h>
#include <string.h>

void
jg_deferrals_push(struct jg_deferrals *list, struct jg_deferral *each)
{
    each->prev = list->tail;
    each->next = NULL;
    *(list->tail ? &list->tail->next : &list->head) = each;
    list->tail = each;
    list->count++;
}

void
jg_deferrals_insert(struct jg_deferrals *list, struct jg_deferral *from, struct jg_deferral *each)
{
    struct jg_deferral *at = from ? from->next : list->head;
    while (at && at->number < each->number)
        at = at->next;
    each->next = at;
    each->prev = at ? at->prev : list->tail;
    *(each->prev ? &each->prev->next : &list->head) = each;
    *(at ? &at->prev : &list->tail) = each;
    list->count++;
}

void
jg_deferrals_take_out(struct jg_deferrals *list, struct jg_deferral *each)
{
    *(each->prev ? &each->prev->next : &list->head) = each->next;
    *(each->next ? &each->next->prev : &list->tail) = each->prev;
    each->next = each->prev = NULL;
    list->count--;
}

struct jg_deferral *
jg_deferrals_take_first(struct jg_deferrals *list)
{
    struct jg_deferral *first = list->head;
    if (first)
        jg_deferrals_take_out(list, first);
    return first;
}

void
jg_deferral_destroy(const struct jg_rdk *rdk, struct jg_deferral *each)
{
    if (each->headers)
        rdk->headers_destroy(each->headers);
    free(each->topic);
    free(each->key);
    free(each->payload);
    free(each);
}

rd_kafka_resp_err_t
jg_deferral_produce(const struct jg_rdk *rdk, rd_kafka_t *producer, struct jg_deferral *each)
{
    rd_kafka_headers_t *headers = rdk->headers_copy(each->headers);
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = each->target->name}},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = each->partition % each->target->partitions}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {.ptr = each->key, .size = each->key_bytes}}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u = {.mem = {.ptr = each->payload, .size = each->payload_bytes}}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u = {.headers = headers}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u = {.ptr = each}},
    };
    rd_kafka_error_t *error = rdk->produceva(producer, fields, sizeof fields / sizeof fields[0]);
    rd_kafka_resp_err_t err = error ? rdk->error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error) {
        rdk->error_destroy(error);
        rdk->headers_destroy(headers);
    }
    return err;
}

bool
jg_deferral_is_of(const struct jg_deferral *each, const char *topic, int32_t partition)
{
    return !topic || (each->partition == partition && strcmp(each->topic, topic) == 0);
}

static void *
copy(const void *data, size_t size_bytes)
{
    void *made = data ? malloc(size_bytes ? size_bytes : 1) : NULL;
    if (made && size_bytes)
        memcpy(made, data, size_bytes);
    return made;
}

struct jg_deferral *
jg_deferral_new(const struct jg_rdk *rdk, const char *name_space, const rd_kafka_message_t *rkmessage,
                const char *topic, const struct jg_stamp *stamp)
{
    rd_kafka_headers_t *headers = NULL;
    struct jg_deferral *each = calloc(1, sizeof *each);
    if (!each)
        return NULL;
    each->topic = strdup(topic);
    each->partition = rkmessage->partition;
    each->offset = rkmessage->offset;
    each->key = copy(rkmessage->key, rkmessage->key_len);
    each->key_bytes = rkmessage->key_len;
    each->payload = copy(rkmessage->payload, rkmessage->len);
    each->payload_bytes = rkmessage->len;
    each->size_bytes = sizeof *each + rkmessage->key_len + rkmessage->len;
    each->stamp = *stamp;
    if (rdk->message_headers(rkmessage, &headers) || !headers)
        each->headers = rdk->headers_new(16);
    else
        each->headers = rdk->headers_copy(headers);
    bool whole = each->topic && each->headers && (each->key || !rkmessage->key) &&
                 (each->payload || !rkmessage->payload) &&
                 jg_stamp_replace(rdk, each->headers, stamp, name_space, topic) == JG_OK;
    if (whole)
        return each;
    jg_deferral_destroy(rdk, each);
    return NULL;
}

enum jg_err
jg_deferral_readdress(const struct jg_rdk *rdk, const char *name_space, struct jg_deferral *each,
                      const struct jg_stamp *stamp, enum jg_target_kind kind)
{
    each->stamp = *stamp;
    each->kind = kind;
    return jg_stamp_replace(rdk, each->headers, stamp, name_space, each->topic);
}

struct jg_deferral *
jg_deferrals_find(const struct jg_deferrals *list, const char *topic, int32_t partition, int64_t offset,
                  const char *jid)
{
    for (struct jg_deferral *each = list->head; each; each = each->next)
        if (each->offset == offset && each->partition == partition && !each->forgotten &&
            strcmp(each->topic, topic) == 0 && strcmp(each->stamp.jid, jid) == 0)
            return each;
    return NULL;
}
