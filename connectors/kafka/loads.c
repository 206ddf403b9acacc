/* SPDX-License-Identifier: Apache-2.0 */
/* What is carried over of held jobs: in memory for the first few of each lane, within bounds. Of those that may go and
 * are not in memory the records are read again, by a second consumer, before the transaction is begun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"

#define LOADS_ALL 8192 /* over all partitions */
#define BYTES_ALL (64u << 20)
#define BYTES_MORE (16u << 20) /* of those that are read again for one transaction */
#define LANE_MOST 16           /* of a lane that is not plain */
#define AGAIN_MS 1000
#define STEP_MS 50
#define NEAR 2000 /* so many records are rather read than passed over */

/* --- kept --- */

bool
jg_load_read_stamp(const struct jg_resumer *resumer, struct jg_held_topic *topic, const rd_kafka_message_t *rkmessage,
                   struct jg_stamp *out)
{
    const char *name_space = jg_conf_settings(resumer->options.conf)->name_space;
    struct jg_buf name = JG_BUF_INIT;
    if (jg_stamp_read(resumer->own.rdk, rkmessage, name_space, topic->origin, out, NULL) != JG_STAMP_OURS ||
        !out->held_since_ms)
        return false;
    jg_holding_topic(&name, topic->origin, out->class_name);
    bool own = !name.failed && strcmp(name.data, topic->name) == 0;
    jg_buf_clear(&name);
    if (own && !topic->class_name[0])
        memcpy(topic->class_name, out->class_name, sizeof topic->class_name);
    return own && strcmp(topic->class_name, out->class_name) == 0;
}

bool
jg_load_fits(const struct jg_resumer *resumer, const struct jg_lane *lane)
{
    bool plain = lane == &lane->row->plain;
    if (plain && lane->loaded == 0)
        return true;
    return resumer->load_bytes < BYTES_ALL && (plain || (lane->loaded < LANE_MOST && resumer->load_count < LOADS_ALL));
}

static void
copy_in(const void **out, char **at, const void *from, size_t bytes)
{
    *out = from ? *at : NULL;
    if (!from || !bytes)
        return;
    memcpy(*at, from, bytes);
    *at += bytes;
}

bool
jg_load_add(struct jg_resumer *resumer, struct jg_entry *entry, const rd_kafka_message_t *rkmessage,
            const struct jg_stamp *stamp)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_headers_t *headers = NULL;
    struct jg_load *load = malloc(sizeof *load + rkmessage->key_len + rkmessage->len);
    if (!load)
        return false;
    char *at = (char *)(load + 1);
    *load = (struct jg_load){.key_bytes = rkmessage->key_len, .payload_bytes = rkmessage->len};
    copy_in(&load->key, &at, rkmessage->key, rkmessage->key_len);
    copy_in(&load->payload, &at, rkmessage->payload, rkmessage->len);
    if (!entry->foreign)
        load->stamp = *stamp;
    if (!rdk->message_headers(rkmessage, &headers) && headers) {
        load->headers = rdk->headers_copy(headers);
        if (!load->headers) {
            free(load);
            return false;
        }
    }
    resumer->load_count++;
    resumer->load_bytes += load->key_bytes + load->payload_bytes;
    jg_lanes_load(entry, load);
    return true;
}

void
jg_load_drop(struct jg_resumer *resumer, struct jg_entry *entry)
{
    struct jg_load *load = entry->load;
    if (!load)
        return;
    resumer->load_count--;
    resumer->load_bytes -= load->key_bytes + load->payload_bytes;
    jg_lanes_load(entry, NULL);
    if (load->headers)
        resumer->own.rdk->headers_destroy(load->headers);
    free(load);
}

/* --- read again --- */

static bool
open_consumer(struct jg_resumer *resumer)
{
    /* It wants little, and soon. */
    /* clang-format off */
    const char *const settings[] = {
        "group.id", resumer->group,
        "enable.auto.commit", "false",
        "enable.auto.offset.store", "false",
        "isolation.level", "read_committed",
        "auto.offset.reset", "earliest",
        "max.partition.fetch.bytes", "131072",
        "queued.min.messages", "500",
        "queued.max.messages.kbytes", "2048",
        "fetch.wait.max.ms", "10",
        "fetch.error.backoff.ms", "50",
        NULL};
    /* clang-format on */
    struct jg_error error;
    if (!resumer->again.consumer)
        resumer->again.consumer = jg_own_client(&resumer->own, RD_KAFKA_CONSUMER, settings, NULL, NULL, &error);
    if (!resumer->again.consumer)
        jg_resumer_complain(resumer, "no Kafka client: %s", error.text);
    return resumer->again.consumer != NULL;
}

/* No partition is read. */
static void
leave(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    if (resumer->again.partition)
        (void)rdk->assign(resumer->again.consumer, NULL);
    if (resumer->again.queue)
        rdk->queue_destroy(resumer->again.queue);
    resumer->again.partition = NULL;
    resumer->again.queue = NULL;
}

static bool
go_to(struct jg_resumer *resumer, const struct jg_held_partition *partition, int64_t offset)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    struct jg_again *again = &resumer->again;
    if (again->partition == partition && again->next <= offset && offset - again->next <= NEAR)
        return true;
    leave(resumer);
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(1);
    rdk->topic_partition_list_add(list, partition->topic->name, partition->number)->offset = offset;
    again->queue = rdk->queue_get_partition(again->consumer, partition->topic->name, partition->number);
    if (again->queue)
        rdk->queue_forward(again->queue, NULL);
    rd_kafka_resp_err_t err = again->queue ? rdk->assign(again->consumer, list) : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    rdk->topic_partition_list_destroy(list);
    again->partition = partition;
    again->next = offset;
    if (!err)
        return true;
    jg_resumer_complain(resumer, "topic %s cannot be read again: %s", partition->topic->name, rdk->err2str(err));
    leave(resumer);
    return false;
}

/* It may also be what another lane wants soon. */
static void
take_in(struct jg_resumer *resumer, const struct jg_held_partition *partition, const rd_kafka_message_t *rkmessage,
        const struct jg_entry *wanted)
{
    struct jg_stamp stamp = {.jid = ""};
    struct jg_entry *entry = jg_row_find(partition->row, rkmessage->offset);
    if (!entry || entry->load || (entry != wanted && !jg_load_fits(resumer, entry->lane)))
        return;
    bool own = jg_load_read_stamp(resumer, partition->topic, rkmessage, &stamp);
    if (own == entry->foreign || !jg_load_add(resumer, entry, rkmessage, &stamp))
        resumer->broken = true; /* another log, or memory is short */
}

/* Read on until the job's record is there. False: not within its time. */
static bool
read_again(struct jg_resumer *resumer, const struct jg_transfer *wanted, int64_t until_ms)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    struct jg_again *again = &resumer->again;
    rd_kafka_message_t *rkmessage;
    while (!wanted->entry->load && !resumer->broken && jg_clock_ms() < until_ms) {
        while ((rkmessage = rdk->consumer_poll(again->consumer, 0)) != NULL)
            rdk->message_destroy(rkmessage); /* errors of brokers */
        rkmessage = rdk->consume_queue(again->queue, STEP_MS);
        if (!rkmessage)
            continue;
        if (!rkmessage->err && rkmessage->offset >= again->next) {
            again->next = rkmessage->offset + 1;
            take_in(resumer, wanted->partition, rkmessage, wanted->entry);
            /* The record is gone, as by its topic's retention: all is read anew. */
            if (rkmessage->offset > wanted->entry->offset && !wanted->entry->load)
                resumer->broken = true;
        }
        rdk->message_destroy(rkmessage);
    }
    return wanted->entry->load != NULL;
}

/* What has come already. */
static void
read_on(struct jg_resumer *resumer, const struct jg_held_partition *partition)
{
    rd_kafka_message_t *rkmessage;
    for (int left = NEAR; left > 0 && !resumer->broken; left--) {
        if (!(rkmessage = resumer->own.rdk->consume_queue(resumer->again.queue, 0)))
            return;
        if (!rkmessage->err && rkmessage->offset >= resumer->again.next) {
            resumer->again.next = rkmessage->offset + 1;
            take_in(resumer, partition, rkmessage, NULL);
        }
        resumer->own.rdk->message_destroy(rkmessage);
    }
}

static int
compare(const void *left, const void *right)
{
    const struct jg_transfer *one = left, *other = right;
    if (one->partition != other->partition)
        return one->partition < other->partition ? -1 : 1;
    return one->entry->offset < other->entry->offset ? -1 : one->entry->offset > other->entry->offset;
}

void
jg_loads_again(struct jg_resumer *resumer, struct jg_transfer *wanted, size_t count)
{
    int64_t until_ms = jg_clock_ms() + AGAIN_MS;
    if (count == 0 || !open_consumer(resumer))
        return;
    qsort(wanted, count, sizeof *wanted, compare);
    size_t bytes_most = resumer->load_bytes + BYTES_MORE;
    for (size_t i = 0; i < count && resumer->load_bytes < bytes_most && !resumer->broken; i++) {
        const struct jg_transfer *each = &wanted[i];
        if (each->entry->load)
            continue;
        if (!go_to(resumer, each->partition, each->entry->offset))
            return;
        if (!read_again(resumer, each, until_ms)) {
            if (!resumer->broken)
                jg_resumer_complain(resumer, "%s/%d/%lld cannot be read again in time: the next try follows",
                                    each->partition->topic->name, (int)each->partition->number,
                                    (long long)each->entry->offset);
            return;
        }
        if (i + 1 == count || wanted[i + 1].partition != each->partition)
            read_on(resumer, each->partition);
    }
}

void
jg_loads_leave(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    if (resumer->again.partition && (!topic || resumer->again.partition->topic == topic))
        leave(resumer);
    if (topic || !resumer->again.consumer)
        return;
    jg_own_close(&resumer->own, resumer->again.consumer);
    resumer->again.consumer = NULL;
}
