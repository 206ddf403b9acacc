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

#define OFFSETS_MS 3000 /* and what its last request takes: see open_clients in lead.c */
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
headers_for(struct jg_resumer *resumer, const struct jg_held_topic *topic, const struct jg_entry *entry)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    const char *name_space = jg_conf_settings(resumer->options.conf)->name_space;
    const rd_kafka_headers_t *there = entry->load->headers;
    rd_kafka_headers_t *headers = there ? rdk->headers_copy(there) : rdk->headers_new(4);
    if (!headers)
        return NULL;
    if (entry->doomed) {
        if (!rdk->header_add(headers, JOBGATE_HEADER_DEAD_REASON, -1, entry->doomed, (ssize_t)strlen(entry->doomed)))
            return headers;
    } else {
        struct jg_stamp stamp = entry->load->stamp;
        stamp.resumed += stamp.resumed < INT32_MAX;
        stamp.not_before_ms = 0; /* that is past */
        if (jg_stamp_replace(rdk, headers, &stamp, name_space, topic->origin) == JG_OK)
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
    const struct jg_entry *entry = each->entry;
    const struct jg_load *load = entry->load;
    struct jg_buf dead = JG_BUF_INIT;
    bool gone = entry->foreign || load->stamp.held_partition >= topic->origin_partitions;
    int32_t partition = gone || entry->doomed ? RD_KAFKA_PARTITION_UA : load->stamp.held_partition;
    rd_kafka_headers_t *headers = headers_for(resumer, topic, entry);
    if (entry->doomed)
        jg_dead_topic(&dead, topic->origin);
    if (!headers || dead.failed) {
        if (headers)
            rdk->headers_destroy(headers);
        jg_buf_clear(&dead);
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    }
    rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u = {.cstr = entry->doomed ? dead.data : topic->origin}},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u = {.i32 = partition}},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u = {.i = RD_KAFKA_MSG_F_COPY}},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u = {.mem = {.ptr = (void *)(uintptr_t)load->key, .size = load->key_bytes}}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u = {.mem = {.ptr = (void *)(uintptr_t)load->payload, .size = load->payload_bytes}}},
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

/* The offset, with what was resumed ahead of it. The text stays ours: the list is not to free it. */
static bool
add_offset(const struct jg_rdk *rdk, rd_kafka_topic_partition_list_t *list, const struct jg_held_partition *partition)
{
    const struct jg_row *row = partition->row;
    const struct jg_passed *gone = partition->moved ? &row->gone_then : &row->gone;
    const char *topic = partition->topic->name;
    rd_kafka_topic_partition_t *each = rdk->topic_partition_list_add(list, topic, partition->number);
    each->offset = partition->moved ? row->next_then : row->next;
    if (gone->count == 0)
        return true;
    char *text = malloc(JG_PASSED_TEXT_MAX + 1);
    if (!text || !jg_passed_text(gone, topic, partition->number, each->offset, text)) {
        free(text);
        return false;
    }
    each->metadata = text;
    each->metadata_size = strlen(text);
    return true;
}

static void
destroy_offsets(const struct jg_rdk *rdk, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        free(list->elems[i].metadata);
        list->elems[i].metadata = NULL;
        list->elems[i].metadata_size = 0;
    }
    rdk->topic_partition_list_destroy(list);
}

/* What is resumed when the transaction is committed. */
static bool
plan(struct jg_resumer *resumer)
{
    bool planned = true;
    for (size_t i = 0; i < resumer->transfer_count && planned; i++) {
        const struct jg_transfer *each = &resumer->transfers[i];
        each->partition->moved = true;
        planned = jg_row_plan(each->partition->row, each->entry);
    }
    for (size_t i = 0; i < resumer->transfer_count && planned; i++)
        jg_row_plan_end(resumer->transfers[i].partition->row);
    return planned;
}

/* All is as it was. */
static void
forget_plan(struct jg_resumer *resumer)
{
    for (size_t i = 0; i < resumer->transfer_count; i++) {
        const struct jg_transfer *each = &resumer->transfers[i];
        each->partition->moved = false;
        each->entry->going = false;
        jg_row_abort(each->partition->row);
    }
}

/* Past every job of the transaction; now and then all others as they are, too, so that they do not expire. NULL: out of
 * memory, or the metadata is too long, which jg_lanes_may_pass is to keep from happening. */
static rd_kafka_topic_partition_list_t *
offsets_after(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(16);
    bool refresh = jg_clock_ms() - resumer->refreshed_ms > REFRESH_MS;
    bool good = true;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        for (int i = 0; i < topic->partition_count && good; i++) {
            const struct jg_held_partition *partition = &topic->partitions[i];
            if (partition->moved || (refresh && partition->row->next >= 0))
                good = add_offset(rdk, list, partition);
        }
    }
    if (good)
        return list;
    destroy_offsets(rdk, list);
    return NULL;
}

static rd_kafka_resp_err_t
send_offsets(struct jg_resumer *resumer, bool *abort)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = offsets_after(resumer);
    if (!list)
        return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
    rd_kafka_consumer_group_metadata_t *group = rdk->consumer_group_metadata(resumer->consumer);
    rd_kafka_resp_err_t err = settle_error(
        rdk,
        rdk->send_offsets_to_transaction(resumer->producer, list, group, jg_own_wait_ms(&resumer->own, OFFSETS_MS)),
        abort);
    rdk->consumer_group_metadata_destroy(group);
    destroy_offsets(rdk, list);
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
        if (each->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && !each->entry->doomed && resumer->transfer_count > 1) {
            resumer->one_by_one = JG_RESUME_MOST;
            continue;
        }
        topic->retry_ms = jg_clock_ms() + RETRY_MS;
        jg_resumer_complain(resumer, "a job of class %.100s cannot go back to topic %.100s: %s", topic->class_name,
                            topic->origin, resumer->own.rdk->err2str(each->err));
        if (each->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            jg_lanes_doom(&topic->lanes, each->entry, "too large for its topic, with jobgate's headers");
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
    err = settle_error(rdk, rdk->abort_transaction(resumer->producer, jg_own_wait_ms(&resumer->own, JG_OWN_CALL_MS)),
                       &abort);
    return err ? JG_TRANSFER_BROKEN : JG_TRANSFER_AGAIN;
}

static enum jg_transferred
commit(struct jg_resumer *resumer)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    int64_t deadline_ms = jg_clock_ms() + COMMIT_MOST_MS, left_ms;
    bool abort = false;
    rd_kafka_resp_err_t err;
    /* A call that timed out goes on where it was. */
    do {
        int step_ms = jg_own_wait_ms(&resumer->own, JG_OWN_CALL_MS);
        err = settle_error(rdk, rdk->commit_transaction(resumer->producer, step_ms), &abort);
        left_ms = jg_own_wait_ms(&resumer->own, deadline_ms - jg_clock_ms());
    } while (err == RD_KAFKA_RESP_ERR__TIMED_OUT && !abort && left_ms > 0);
    if (!err)
        return JG_TRANSFERRED;
    if (abort)
        return give_up(resumer, err, "a transaction was refused");
    jg_resumer_complain(resumer, "a transaction cannot be committed: %s", rdk->err2str(err));
    return JG_TRANSFER_BROKEN;
}

static enum jg_transferred
transfer(struct jg_resumer *resumer)
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

enum jg_transferred
jg_transfer_all(struct jg_resumer *resumer)
{
    if (!plan(resumer)) {
        jg_resumer_complain(resumer, "out of memory");
        return JG_TRANSFER_BROKEN;
    }
    enum jg_transferred how = transfer(resumer);
    if (how == JG_TRANSFER_AGAIN)
        forget_plan(resumer);
    return how;
}
