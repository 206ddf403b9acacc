/* SPDX-License-Identifier: Apache-2.0 */
/* Which holding topics there are, and what waits in them: of each partition a small window in memory, read from a queue
 * of its own, so that a long backlog of one class costs no more than a short one, and stands in nobody's way. Where
 * jobs wait for something of their own key the window goes on, up to hold.window, with what is needed to ask for them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holding.h"
#include "connectors/kafka/resumer_impl.h"
#include "plugin/counters.h"
#include "plugin/successor.h"

#define WINDOW_ALL 8192 /* jobs that wait for nothing but their class, over all partitions */
#define WINDOW_MOST 512
#define WINDOW_LEAST 8
#define ENTRIES_ALL 500000 /* jobs that are known, over all partitions */
#define FILL_MOST 4000     /* read of one partition before other work has its turn */

/* --- topics come and go --- */

static struct jg_held_topic *
find(struct jg_resumer *resumer, const char *name)
{
    struct jg_held_topic *topic = resumer->topics;
    while (topic && strcmp(topic->name, name) != 0)
        topic = topic->next_topic;
    return topic;
}

static void
destroy(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    jg_loads_leave(resumer, topic);
    for (int i = 0; i < topic->partition_count; i++) {
        struct jg_held_partition *partition = &topic->partitions[i];
        size_t at = partition->row->begin;
        struct jg_entry *entry;
        while ((entry = jg_row_each(partition->row, &at)) != NULL)
            jg_load_drop(resumer, entry);
        if (partition->queue)
            resumer->own.rdk->queue_destroy(partition->queue);
    }
    resumer->entry_count -= topic->lanes.count;
    jg_lanes_clear(&topic->lanes);
    free(topic->partitions);
    free(topic->name);
    free(topic->origin);
    free(topic);
}

static struct jg_held_topic *
new_topic(const char *name, const char *origin, int partition_count)
{
    struct jg_held_topic *topic = calloc(1, sizeof *topic);
    if (!topic)
        return NULL;
    topic->name = strdup(name);
    topic->origin = strdup(origin);
    topic->partitions = calloc((size_t)partition_count, sizeof *topic->partitions);
    if (!topic->name || !topic->origin || !topic->partitions || !jg_lanes_init(&topic->lanes, partition_count)) {
        free(topic->name);
        free(topic->origin);
        free(topic->partitions);
        free(topic);
        return NULL;
    }
    topic->partition_count = partition_count;
    for (int i = 0; i < partition_count; i++)
        topic->partitions[i] = (struct jg_held_partition){.topic = topic, .number = i, .row = &topic->lanes.rows[i]};
    return topic;
}

/* As it was committed. Metadata that is not of our making says nothing. */
static enum jg_err
restore(struct jg_resumer *resumer, struct jg_held_partition *partition, const rd_kafka_topic_partition_t *committed)
{
    struct jg_passed gone = {.runs = NULL};
    if (committed->offset < 0)
        return JG_OK;
    enum jg_err err = jg_passed_parse(committed->metadata, committed->metadata_size, partition->topic->name,
                                      partition->number, committed->offset, &gone);
    if (err == JG_EINVAL) {
        jg_count(JG_COUNT_AHEAD_LOST, 1);
        jg_log_rated(resumer->options.log, &resumer->rate, JG_LOG_WARNING, "RESUME",
                     "%s/%d in group %s: the metadata of offset %lld is not jobgate's, or damaged; jobs behind that "
                     "offset that were resumed already may come again",
                     partition->topic->name, (int)partition->number, resumer->group, (long long)committed->offset);
    }
    jg_row_restore(partition->row, committed->offset, &gone);
    return err == JG_ENOMEM ? err : JG_OK;
}

/* Begin where the group's committed offsets say, or at the beginning. */
static enum jg_err
assign(struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_error *error)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    uint64_t one = 1;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(topic->partition_count);
    for (int i = 0; i < topic->partition_count; i++)
        rdk->topic_partition_list_add(list, topic->name, i);
    rd_kafka_resp_err_t err = rdk->committed(resumer->consumer, list, jg_own_wait_ms(&resumer->own, JG_OWN_CALL_MS));
    for (int i = 0; !err && i < list->cnt; i++) {
        rd_kafka_topic_partition_t *each = &list->elems[i];
        struct jg_held_partition *partition = &topic->partitions[each->partition];
        err = each->err                                    ? each->err
              : restore(resumer, partition, each) == JG_OK ? RD_KAFKA_RESP_ERR_NO_ERROR
                                                           : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        each->offset = each->offset >= 0 ? each->offset : RD_KAFKA_OFFSET_BEGINNING;
        partition->queue = rdk->queue_get_partition(resumer->consumer, topic->name, each->partition);
        if (partition->queue) {
            rdk->queue_forward(partition->queue, NULL);
            rdk->queue_io_event_enable(partition->queue, resumer->wake_fd, &one, sizeof one);
        }
    }
    if (!err) {
        rd_kafka_error_t *refused = rdk->incremental_assign(resumer->consumer, list);
        err = refused ? rdk->error_code(refused) : RD_KAFKA_RESP_ERR_NO_ERROR;
        if (refused)
            rdk->error_destroy(refused);
    }
    rdk->topic_partition_list_destroy(list);
    if (!err)
        return JG_OK;
    snprintf(error->text, sizeof error->text, "the offsets of %.249s in group %.120s cannot be read: %s", topic->name,
             resumer->group, rdk->err2str(err));
    return JG_EHOST;
}

static void
unassign(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    const struct jg_rdk *rdk = resumer->own.rdk;
    rd_kafka_topic_partition_list_t *list = rdk->topic_partition_list_new(topic->partition_count);
    for (int i = 0; i < topic->partition_count; i++)
        rdk->topic_partition_list_add(list, topic->name, i);
    rd_kafka_error_t *refused = rdk->incremental_unassign(resumer->consumer, list);
    if (refused)
        rdk->error_destroy(refused);
    rdk->topic_partition_list_destroy(list);
}

struct look {
    struct jg_resumer *resumer;
    struct jg_error *error;
    enum jg_err err;
};

static void
look_at_topic(void *opaque, const char *name, const struct jg_own_topic *found)
{
    struct look *look = opaque;
    struct jg_resumer *resumer = look->resumer;
    char origin[JG_TOPIC_MAX_BYTES + 1];
    if (!jg_holding_parse(name, origin, sizeof origin) || !jg_conf_topic(resumer->options.conf, origin))
        return;
    struct jg_held_topic *topic = find(resumer, name);
    if (topic && topic->partition_count == found->partitions) {
        topic->seen = true;
        return;
    }
    bool elsewhere = true; /* unless the store says otherwise */
    if (!topic && (jg_clean_elsewhere(resumer, origin, &elsewhere) != JG_OK || elsewhere)) {
        resumer->skipped = true;
        return;
    }
    if (topic || look->err || found->partitions <= 0)
        return; /* more partitions than before: it is left now, and taken up again with the next look */
    topic = new_topic(name, origin, found->partitions);
    if (!topic)
        return;
    look->err = assign(resumer, topic, look->error);
    if (look->err) {
        destroy(resumer, topic);
        return;
    }
    topic->seen = true;
    topic->ask = true;
    topic->next_topic = resumer->topics;
    resumer->topics = topic;
}

static void
look_at_origin(void *opaque, const char *name, const struct jg_own_topic *found)
{
    struct look *look = opaque;
    for (struct jg_held_topic *topic = look->resumer->topics; topic; topic = topic->next_topic)
        if (strcmp(topic->origin, name) == 0)
            topic->origin_partitions = found->partitions;
}

static void
leave_unseen(struct jg_resumer *resumer)
{
    size_t count = 0;
    struct jg_held_topic **link = &resumer->topics;
    resumer->partition_count = 0;
    while (*link) {
        struct jg_held_topic *topic = *link;
        if (topic->seen) {
            link = &topic->next_topic;
            resumer->partition_count += topic->partition_count;
            count++;
            continue;
        }
        *link = topic->next_topic;
        unassign(resumer, topic);
        destroy(resumer, topic);
        atomic_store(&resumer->look, true);
    }
    pthread_mutex_lock(&resumer->lock);
    resumer->state.topics = count;
    pthread_mutex_unlock(&resumer->lock);
}

void
jg_heads_leave(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    struct jg_held_topic **link = &resumer->topics;
    while (*link != topic)
        link = &(*link)->next_topic;
    *link = topic->next_topic;
    resumer->partition_count -= topic->partition_count;
    unassign(resumer, topic);
    destroy(resumer, topic);
}

enum jg_err
jg_heads_look(struct jg_resumer *resumer, struct jg_error *error)
{
    struct look look = {.resumer = resumer, .error = error};
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        topic->seen = false;
        topic->origin_partitions = 0;
        topic->dead_ready = false;
    }
    resumer->skipped = false;
    enum jg_err err = jg_own_topics(&resumer->own, resumer->consumer, look_at_topic, &look, error);
    if (!err)
        err = look.err;
    if (!err)
        err =
            jg_own_topics(&resumer->own, resumer->producer, look_at_origin, &look, error); /* it learns of them, too */
    if (!err)
        leave_unseen(resumer);
    return err;
}

/* --- what waits --- */

/* Which settings say how far to look. */
static void
learn_class(struct jg_resumer *resumer, struct jg_held_topic *topic)
{
    struct jg_policy policy;
    jg_conf_policy(resumer->options.conf, topic->class_name, &policy);
    topic->window = policy.hold_window;
    if (policy.lease == JG_LEASE_KEY)
        jg_lanes_by_job_key(&topic->lanes);
}

/* How long the job has to wait for its backoff still: until then. 0: it has not. */
static int64_t
backoff_end_ms(const struct jg_resumer *resumer, const struct jg_stamp *stamp)
{
    int64_t left_ms = resumer->options.lift ? 0 : stamp->not_before_ms - jg_wall_ms();
    return left_ms > 0 && left_ms <= JG_BACKOFF_MAX_MS ? stamp->not_before_ms : 0; /* more was never meant */
}

/* False: out of memory. */
static bool
add_entry(struct jg_resumer *resumer, struct jg_held_partition *partition, const rd_kafka_message_t *rkmessage)
{
    struct jg_held_topic *topic = partition->topic;
    struct jg_stamp stamp = {.jid = ""};
    struct jg_lane_place place = {.jid = NULL};
    bool woken = false;
    if (jg_load_read_stamp(resumer, topic, rkmessage, &stamp)) {
        place.jid = stamp.jid;
        place.limit_key = stamp.limit_key;
        place.held_since_ms = stamp.held_since_ms;
        place.by_job_key = place.follow_up = stamp.held_reason == JG_REASON_FOLLOW_UP;
        place.due_ms = backoff_end_ms(resumer, &stamp);
    }
    if (topic->class_name[0] && !topic->window)
        learn_class(resumer, topic);
    struct jg_entry *entry = jg_lanes_add(&topic->lanes, partition->row, rkmessage->offset, &place, &woken);
    if (!entry)
        return false;
    if (entry->foreign)
        entry->doomed = "not written by jobgate, or for another topic, namespace or class";
    resumer->entry_count++;
    topic->ask = topic->ask || woken;
    if (!jg_load_fits(resumer, entry->lane))
        return true;
    return jg_load_add(resumer, entry, rkmessage, &stamp);
}

static void
add_record(struct jg_resumer *resumer, struct jg_held_partition *partition, rd_kafka_message_t *rkmessage)
{
    switch (jg_row_read(partition->row, rkmessage->offset)) {
    case JG_ROW_NEW:
        if (!add_entry(resumer, partition, rkmessage))
            resumer->broken = true;
        break;
    case JG_ROW_ANEW:
        resumer->broken = true;
        break;
    case JG_ROW_GONE:
        break;
    }
    resumer->own.rdk->message_destroy(rkmessage);
}

/* Most errors pass. A topic that was deleted is seen with the next look, and one that came back in its place then too.
 */
static void
tell_error(struct jg_resumer *resumer, const struct jg_held_topic *topic, rd_kafka_message_t *rkmessage)
{
    if (rkmessage->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        jg_resumer_complain(resumer, "topic %s cannot be read: allow this client Read on it", topic->name);
    else if (rkmessage->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        resumer->broken = true;
    resumer->own.rdk->message_destroy(rkmessage);
}

/* A partition of a class that has no reason to wait which belongs to a key is read no further than what can go next. */
static bool
wants_more(const struct jg_resumer *resumer, const struct jg_held_partition *partition, size_t window)
{
    const struct jg_row *row = partition->row;
    if (row->count == 0)
        return true;
    if (row->count >= WINDOW_LEAST && resumer->entry_count >= ENTRIES_ALL)
        return false;
    if (partition->topic->window && row->count >= (size_t)partition->topic->window)
        return false;
    return row->keyed > 0 || (row->plain.count + row->doomed.count < window && jg_load_fits(resumer, &row->plain));
}

static void
fill_partition(struct jg_resumer *resumer, struct jg_held_partition *partition, size_t window)
{
    rd_kafka_message_t *rkmessage = NULL;
    size_t left = FILL_MOST;
    while (partition->queue && !resumer->broken && left > 0 && wants_more(resumer, partition, window) &&
           (rkmessage = resumer->own.rdk->consume_queue(partition->queue, 0)) != NULL) {
        if (rkmessage->err)
            tell_error(resumer, partition->topic, rkmessage);
        else
            add_record(resumer, partition, rkmessage);
        left--;
    }
    resumer->reading = resumer->reading || left == 0;
}

void
jg_heads_fill(struct jg_resumer *resumer)
{
    size_t window = WINDOW_ALL / (size_t)(resumer->partition_count + 1);
    if (window > WINDOW_MOST)
        window = WINDOW_MOST;
    if (window < WINDOW_LEAST)
        window = WINDOW_LEAST;
    resumer->reading = false;
    for (struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic)
        for (int i = 0; i < topic->partition_count; i++)
            fill_partition(resumer, &topic->partitions[i], window);
}

void
jg_heads_remove(struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_entry *entry)
{
    jg_load_drop(resumer, entry);
    jg_lanes_remove(&topic->lanes, entry);
    resumer->entry_count--;
}

int64_t
jg_heads_count(struct jg_resumer *resumer, const struct jg_held_topic *topic)
{
    int64_t held = 0;
    for (int i = 0; i < topic->partition_count; i++) {
        const struct jg_held_partition *partition = &topic->partitions[i];
        int64_t low = -1, high = -1;
        if (resumer->own.rdk->get_watermark_offsets(resumer->consumer, topic->name, partition->number, &low, &high) ||
            high < 0)
            return -1;
        const struct jg_row *row = partition->row;
        int64_t next = row->next >= 0 ? row->next : low > 0 ? low : 0;
        int64_t waiting = high > next ? high - next - row->gone.total : 0;
        held += waiting > (int64_t)row->count ? waiting : (int64_t)row->count;
    }
    return held;
}

int64_t
jg_heads_oldest(const struct jg_held_topic *topic)
{
    int64_t oldest_ms = 0;
    for (int i = 0; i < topic->partition_count; i++) {
        const struct jg_entry *first = jg_row_first(topic->partitions[i].row);
        if (first && !first->foreign && (!oldest_ms || first->held_since_ms < oldest_ms))
            oldest_ms = first->held_since_ms;
    }
    return oldest_ms;
}

void
jg_heads_clear(struct jg_resumer *resumer)
{
    while (resumer->topics) {
        struct jg_held_topic *next = resumer->topics->next_topic;
        destroy(resumer, resumer->topics);
        resumer->topics = next;
    }
    resumer->partition_count = 0;
}
