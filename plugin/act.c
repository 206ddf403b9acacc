/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/act.h"

#include <stdlib.h>
#include <string.h>

#include "connectors/fork.h"
#include "plugin/counters.h"
#include "plugin/jobgate.h"

#define TEXTS_MAX 64

/* Reasons that messages point to. An application may look at them until it destroys the message, so they are kept for
 * good: there are few different ones. */
static pthread_mutex_t texts_lock = PTHREAD_MUTEX_INITIALIZER;
static char *texts[TEXTS_MAX];
static size_t text_count;

static void
guard_texts(void)
{
    static struct jg_fork_guard guard;
    jg_fork_add_lock(&guard, &texts_lock);
}

static const char *
keep_text(const char *reason)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *kept = NULL;
    pthread_once(&once, guard_texts);
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
jg_act_skip(struct jg_gate *gate, rd_kafka_message_t *rkmessage, enum jg_skip why)
{
    static const char *const whys[] = {
        [JG_SKIP_DUPLICATE] = JOBGATE_SKIP_TEXT ": a duplicate of another job",
        [JG_SKIP_HELD] = JOBGATE_SKIP_TEXT ": held until its class lets it run",
        [JG_SKIP_HOLDING_TOPIC] = JOBGATE_SKIP_TEXT ": a job that is held, or dead",
        [JG_SKIP_DONE] = JOBGATE_SKIP_TEXT ": a job that is done, or a copy of one that was started",
        [JG_SKIP_NOOP_JOB] = JOBGATE_SKIP_TEXT ": a no-op, since another job holds its lease",
    };
    become_error(rkmessage, gate->client.skip_err, whys[why]);
    jg_count(JG_COUNT_SKIPPED, why == JG_SKIP_DUPLICATE);
    jg_count(JG_COUNT_DONE_AGAIN, why == JG_SKIP_DONE);
    jg_count(JG_COUNT_NOOP, why == JG_SKIP_NOOP_JOB);
}

void
jg_act_withhold(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *reason)
{
    become_error(rkmessage, gate->client.withheld_err, keep_text(reason));
}

/* Where the partition has to go back to: the message, or a lower one that another thread holds back. */
static int64_t
hold(struct jg_gate *gate, const rd_kafka_message_t *rkmessage)
{
    int64_t offset = rkmessage->offset;
    pthread_mutex_lock(&gate->lock);
    struct jg_partition *seen =
        jg_offsets_find(&gate->offsets, gate->rdk->topic_name(rkmessage->rkt), rkmessage->partition);
    if (seen)
        offset = jg_offsets_hold(seen, offset);
    pthread_mutex_unlock(&gate->lock);
    return offset;
}

void
jg_act_hold_back(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *reason)
{
    int64_t offset;
    int64_t back = hold(gate, rkmessage);
    /* The seek outdates at once what was fetched after the message; it does not wait. Again when another thread has
     * come to hold a lower one meanwhile, whose seek ours may have followed. */
    do {
        offset = back;
        gate->rdk->seek(rkmessage->rkt, rkmessage->partition, offset, 0);
        back = hold(gate, rkmessage);
    } while (back < offset);
    jg_act_withhold(gate, rkmessage, reason);
    jg_count(JG_COUNT_SOUGHT_BACK, 1);
}
