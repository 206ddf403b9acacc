/* SPDX-License-Identifier: Apache-2.0 */
/* What the leading resumer tells of itself: how it stands, and what each holding topic has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/resumer_impl.h"

#define NOTE_EVERY_MS 200

static size_t
count_topics(const struct jg_resumer *resumer)
{
    size_t count = 0;
    for (const struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic)
        count++;
    return count;
}

/* Counting walks over all partitions, and a leader is woken at every end of a job. */
void
jg_resumer_note_if_due(struct jg_resumer *resumer, int64_t now_ms)
{
    int64_t held = 0;
    bool known = true;
    size_t count = 0;
    if (now_ms - resumer->noted_ms < NOTE_EVERY_MS)
        return;
    resumer->noted_ms = now_ms;
    struct jg_resumer_topic *notes = calloc(count_topics(resumer) + 1, sizeof *notes);
    for (const struct jg_held_topic *topic = resumer->topics; topic; topic = topic->next_topic) {
        int64_t here = jg_heads_count(resumer, topic);
        known = known && here >= 0;
        held += here > 0 ? here : 0;
        if (!notes || here < 0)
            continue;
        struct jg_resumer_topic *note = &notes[count++];
        note->held = here;
        note->oldest_ms = jg_heads_oldest(topic);
        snprintf(note->origin, sizeof note->origin, "%s", topic->origin);
        snprintf(note->class_name, sizeof note->class_name, "%s", topic->class_name);
    }
    pthread_mutex_lock(&resumer->lock);
    resumer->state.held = held;
    resumer->state.caught_up = known && held == 0 && resumer->looked_ms;
    free(resumer->notes);
    resumer->notes = notes;
    resumer->note_count = count;
    pthread_mutex_unlock(&resumer->lock);
}

enum jg_transferred
jg_resumer_transfer(struct jg_resumer *resumer)
{
    int64_t began_us = jg_clock_us();
    enum jg_transferred how = jg_transfer_all(resumer);
    jg_histogram_add(&resumer->took, jg_clock_us() - began_us);
    pthread_mutex_lock(&resumer->lock);
    resumer->state.committed += how == JG_TRANSFERRED;
    resumer->state.aborted += how == JG_TRANSFER_AGAIN;
    resumer->state.broken += how == JG_TRANSFER_BROKEN;
    pthread_mutex_unlock(&resumer->lock);
    return how;
}

void
jg_resumer_forget_notes(struct jg_resumer *resumer)
{
    pthread_mutex_lock(&resumer->lock);
    free(resumer->notes);
    resumer->notes = NULL;
    resumer->note_count = 0;
    resumer->state.held = 0;
    pthread_mutex_unlock(&resumer->lock);
}

size_t
jg_resumer_topics(struct jg_resumer *resumer, struct jg_resumer_topic **out)
{
    size_t count = 0;
    pthread_mutex_lock(&resumer->lock);
    *out = resumer->note_count ? calloc(resumer->note_count, sizeof **out) : NULL;
    if (*out) {
        count = resumer->note_count;
        memcpy(*out, resumer->notes, count * sizeof **out);
    }
    pthread_mutex_unlock(&resumer->lock);
    return count;
}

const struct jg_histogram *
jg_resumer_took(const struct jg_resumer *resumer)
{
    return &resumer->took;
}
