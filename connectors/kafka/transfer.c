/* SPDX-License-Identifier: Apache-2.0 */
/* One Kafka transaction: jobs are produced where they go, and their offsets in the holding topic are committed. Both,
 * or neither. Nothing else is waited for while it is open, since an open transaction stops the readers of the origin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"

#define STEP_MS 5000
#define RETRY_MS 1000
#define APART_MS 60000
#define COMMIT_MOST_MS 20000
#define REFRESH_MS 3600000 /* committed offsets expire on brokers, after days */

/* An error's code; destroys it. *abort: the transaction has to be aborted; untouched without an error. */
static rd_kafka_resp_err_t
settle_error(const struct jg_rdk *rdk, rd_kafka_error_t *error, bool *abort)
{
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_resp_err_t err = rdk->error_code(error);
    *abort = rdk->error_txn_requires_abort(error) != 0;
    rdk->error_destroy(error);
    return err;
}

static rd_kafka_headers_t *
headers_for(struct jg_resumer *resumer, const struct jg_head *head)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    const char *name_space = jg_conf_settings(resumer->options.conf)->name_space;
    rd_kafka_headers_t *there = NULL;
    rd_kafka_headers_t *headers =
        rdk->message_headers(head->rkmessage, &there) || !there ? rdk->headers_new(4) : rdk->headers_copy(there);
    if (!headers)
        return NULL;
    if (head->doomed) {
        if (!rdk->header_add(headers, JOBGATE_HEADER_DEAD_REASON, -1, head->doomed, (ssize_t)strlen(head->doomed)))
            return headers;
    } else {
        struct jg_stamp stamp = head->stamp;
        char origin[JG_TOPIC_MAX_BYTES + 1];
        stamp.resumed += stamp.resumed < INT32_MAX;
        stamp.not_before_ms = 0; /* that is past */
        if (jg_holding_parse(resumer->own.rdk->topic_name(head->rkmessage->rkt), origin, sizeof origin) &&
            jg_stamp_replace(rdk, headers, &stamp, name_space, origin) == JG_OK)
            return headers;
    }
    rdk->headers_destroy(headers);
    return NULL;
}

static rd_kafka_resp_err_t
produce(struct jg_resumer *resumer, struct jg_transfer *each)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    const struct jg_held_topic *topic = each->partition->topic;
    const rd_kafka_message_t *message = each->head->rkmessage;
    struct jg_buf dead = JG_BUF_INIT;
    bool gone = each->head->foreign || each->head->stamp.held_partition >= topic->origin_partitions;
    int32_t partition = gone || each->head->doomed ? RD_KAFKA_PARTITION_UA : each->head->stamp.held_partition;
    rd_kafka_headers_t *headers = headers_for(resumer, each->head);
    if (each->head->doomed)
        jg_dead_topic(&dead, topic->origin);
    if (!headers || dead.failed) {
        if (headers)
            rdk->headers_destroy(headers);
        jg_buf_clear(&dead);
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = each->head->doomed ? dead.data : topic->origin}},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = partition}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {.ptr = message->key, .size = message->key_len}}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u = {.mem = {.ptr = message->payload, .size = message->len}}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u = {.headers = headers}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u = {.ptr = each}},
    };
    bool abort;
    rd_kafka_resp_err_t err =
        settle_error(rdk, rdk->produceva(resumer->producer, fields, sizeof fields / sizeof fields[0]), &abort);
    if (err)
        rdk->headers_destroy(headers);
    jg_buf_clear(&dead);
    return err;
}

static void
add_offset(const struct jg_rdk *rdk, rd_kafka_topic_partition_list_t *list, const struct jg_held_partition *partition,
           int64_t offset)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *each = &list->elems[i];
        if (each->partition == partition->number && strcmp(each->topic, partition->topic->name) == 0) {
            each->offset = offset > each->offset ? offset : each->offset;
            return;
        }
    }
    rdk->topic_partition_list_add(list, partition->topic->name, partition->number)->offset = offset;
}

/* Past every job of the transaction; now and then all others as they are, too, so that they do not expire. */
static rd_kafka_topic_partition_list_t *
offsets_after(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(16);
    if (jg_clock_ms() - resumer->refreshed_ms > REFRESH_MS)
        for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic)
            for (int i = 0; i < topic->partition_count; i++)
                if (topic->partitions[i].next >= 0)
                    add_offset(rdk, list, &topic->partitions[i], topic->partitions[i].next);
    for (size_t i = 0; i < resumer->transfer_count; i++)
        add_offset(rdk, list, resumer->transfers[i].partition, resumer->transfers[i].head->rkmessage->offset + 1);
    return list;
}

static rd_kafka_resp_err_t
send_offsets(struct jg_resumer *resumer, bool *abort)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = offsets_after(resumer);
    rd_kafka_consumer_group_metadata_t *group = rdk->consumer_group_metadata(resumer->consumer);
    rd_kafka_resp_err_t err =
        settle_error(rdk, rdk->send_offsets_to_transaction(resumer->producer, list, group, STEP_MS), abort);
    rdk->consumer_group_metadata_destroy(group);
    rdk->topic_partition_list_destroy(list);
    return err;
}

/* What did the brokers say of each? A job that is too large to come back goes to the dead letters; which of several
 * that went in one batch it is, only one that goes alone can tell. Returns how many were blamed. */
static size_t
look_at_failures(struct jg_resumer *resumer)
{
    size_t blamed = 0;
    for (size_t i = 0; i < resumer->transfer_count; i++) {
        const struct jg_transfer *each = &resumer->transfers[i];
        struct jg_held_topic *topic = each->partition->topic;
        if (!each->err || each->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || each->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
            continue;
        blamed++;
        if (each->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !each->head->doomed && resumer->transfer_count > 1) {
            resumer->one_by_one = JG_RESUME_MOST;
            continue;
        }
        topic->retry_ms = jg_clock_ms() + RETRY_MS;
        jg_resumer_complain(resumer, "a job of class %.100s cannot go back to topic %.100s: %s", topic->class_name,
                            topic->origin, resumer->own.rdk->err2str(each->err));
        if (each->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !each->head->doomed)
            each->head->doomed = "too large for its topic, with jobgate's headers";
    }
    return blamed;
}

/* The transaction failed as a whole, as when one topic of several may not be written to. For a while each transaction
 * is of one topic, so that the others go on. */
static void
blame_all(struct jg_resumer *resumer)
{
    int64_t now_ms = jg_clock_ms();
    resumer->apart_ms = now_ms + APART_MS;
    for (size_t i = 0; i < resumer->transfer_count; i++)
        resumer->transfers[i].partition->topic->retry_ms = now_ms + RETRY_MS;
}

static enum jg_transferred
give_up(struct jg_resumer *resumer, rd_kafka_resp_err_t err, const char *step)
{
    bool abort;
    const struct jg_rdk *rdk = resumer->own.rdk;
    const char *topic = resumer->transfers[0].partition->topic->origin;
    if (look_at_failures(resumer) == 0)
        blame_all(resumer);
    if (err)
        jg_resumer_complain(resumer, "%s (topic %.100s and others): %s; allow this client Write on it", step, topic,
                            rdk->err2str(err));
    err = settle_error(rdk, rdk->abort_transaction(resumer->producer, STEP_MS), &abort);
    return err ? JG_TRANSFER_BROKEN : JG_TRANSFER_AGAIN;
}

static enum jg_transferred
commit(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    int64_t deadline_ms = jg_clock_ms() + COMMIT_MOST_MS;
    bool abort = false;
    rd_kafka_resp_err_t err;
    /* A call that timed out goes on where it was. */
    do
        err = settle_error(rdk, rdk->commit_transaction(resumer->producer, STEP_MS), &abort);
    while (err == RD_KAFKA_RESP_ERR__TIMED_OUT && !abort && jg_clock_ms() < deadline_ms);
    if (!err)
        return JG_TRANSFERRED;
    if (abort)
        return give_up(resumer, err, "a transaction was refused");
    jg_resumer_complain(resumer, "a transaction cannot be committed: %s", rdk->err2str(err));
    return JG_TRANSFER_BROKEN;
}

enum jg_transferred
jg_transfer_all(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    bool abort = false, failed = false;
    rd_kafka_resp_err_t err = settle_error(rdk, rdk->begin_transaction(resumer->producer), &abort);
    if (err) {
        jg_resumer_complain(resumer, "a transaction cannot be begun: %s", rdk->err2str(err));
        return JG_TRANSFER_BROKEN;
    }
    for (size_t i = 0; i < resumer->transfer_count && !failed; i++) {
        struct jg_transfer *each = &resumer->transfers[i];
        each->to_offset = -1;
        each->err = produce(resumer, each);
        failed = each->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (failed)
        return give_up(resumer, RD_KAFKA_RESP_ERR_NO_ERROR, "");
    err = send_offsets(resumer, &abort);
    if (err)
        return give_up(resumer, err, "offsets cannot be committed");
    if (jg_clock_ms() - resumer->refreshed_ms > REFRESH_MS)
        resumer->refreshed_ms = jg_clock_ms();
    return commit(resumer);
}
