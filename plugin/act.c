/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/act.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/counters.h"
#include "plugin/jobgate.h"

#define TEXTS_MAX 64

/* Reasons that messages point to. An application may look at them until it destroys the message, so they are kept for
 * good: there are few different ones. */
static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;
static char *texts[TEXTS_MAX];
static size_t text_count;

static const char *
keep_text(const char *reason)
{
    const char *kept = NULL;
    pthread_mutex_lock(&texts_lock);
    for (size_t i = 0; i < text_count && !kept; i++)
        if (strcmp(texts[i], reason) == 0)
            kept = texts[i];
    if (!kept && text_count < TEXTS_MAX && (texts[text_count] = strdup(reason)) != NULL)
        kept = texts[text_count++];
    pthread_mutex_unlock(&texts_lock);
    return kept ? kept : "jobgate: nothing can be decided about this message, see the log";
}

bool
jg_act_reject(struct jg_gate *gate, rd_kafka_message_t *rkmessage)
{
    if (gate->client.transactional || jg_rdk_within(gate->rdk, JG_FRAME_PRODUCE_BATCH))
        return false;
    rkmessage->partition = INT32_MAX;
    jg_count(JG_COUNT_REJECTED, 1);
    return true;
}

static void
become_error(rd_kafka_message_t *rkmessage, rd_kafka_resp_err_t err, const char *text)
{
    rkmessage->err = err;
    rkmessage->payload = (void *)(uintptr_t)text; /* librdkafka frees only what it allocated itself */
    rkmessage->len = strlen(text);
}

void
jg_act_skip(struct jg_gate *gate, rd_kafka_message_t *rkmessage)
{
    become_error(rkmessage, gate->client.skip_err, JOBGATE_SKIP_TEXT ": a duplicate of another job");
    jg_count(JG_COUNT_SKIPPED, 1);
}

/* In a batch call the seek also purges what this call has gathered of the partition already, and nothing tells where
 * the call began: go back to where a crash would, the committed offset. */
static int64_t
batch_start(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset)
{
    pthread_mutex_lock(&gate->lock);
    const struct jg_partition *seen = jg_offsets_find(&gate->offsets, topic, partition);
    if (seen)
        offset = seen->committed > seen->first ? seen->committed : seen->first;
    pthread_mutex_unlock(&gate->lock);
    return offset;
}

void
jg_act_hold_back(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *reason, bool batch)
{
    const char *topic = gate->rdk->topic_name(rkmessage->rkt);
    int64_t offset = rkmessage->offset;
    if (batch)
        offset = batch_start(gate, topic, rkmessage->partition, offset);
    /* The seek outdates at once what was fetched after the message; it does not wait. */
    gate->rdk->seek(rkmessage->rkt, rkmessage->partition, offset, 0);
    become_error(rkmessage, RD_KAFKA_RESP_ERR__STATE, keep_text(reason));
    jg_count(JG_COUNT_SOUGHT_BACK, 1);
}
