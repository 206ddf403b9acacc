/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/pending.h"

#include <stdlib.h>
#include <string.h>

static size_t
text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *
copy_text(char **to, const char *text)
{
    if (!text)
        return NULL;
    char *copy = *to;
    size_t size_bytes = strlen(text) + 1;
    memcpy(copy, text, size_bytes);
    *to += size_bytes;
    return copy;
}

struct jg_pending *
jg_pending_new(const struct jg_op *op)
{
    size_t size_bytes = text_bytes(op->class_name) + text_bytes(op->key) + text_bytes(op->jid) +
                        text_bytes(op->member) + text_bytes(op->limit_key);
    struct jg_pending *pending = calloc(1, sizeof *pending + size_bytes);
    if (!pending)
        return NULL;
    char *to = pending->text;
    pending->op = *op;
    pending->op.class_name = copy_text(&to, op->class_name);
    pending->op.key = copy_text(&to, op->key);
    pending->op.jid = copy_text(&to, op->jid);
    pending->op.member = copy_text(&to, op->member);
    pending->op.limit_key = copy_text(&to, op->limit_key);
    pending->op.candidate_of = NULL;
    return pending;
}

struct jg_pending *
jg_pending_complete(struct jg_run *run)
{
    struct jg_pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        return NULL;
    pending->op = jg_run_complete_op(run);
    pending->run = run;
    return pending;
}

void
jg_pending_destroy(struct jg_pending *pending)
{
    if (!pending)
        return;
    jg_run_destroy(pending->run);
    free(pending);
}

void
jg_queue_push(struct jg_queue *queue, struct jg_pending *pending)
{
    pending->prev = queue->tail;
    pending->next = NULL;
    if (queue->tail)
        queue->tail->next = pending;
    else
        queue->head = pending;
    queue->tail = pending;
    queue->count++;
}

static void
unlink_from(struct jg_queue *queue, struct jg_pending *pending)
{
    if (pending->prev)
        pending->prev->next = pending->next;
    else
        queue->head = pending->next;
    if (pending->next)
        pending->next->prev = pending->prev;
    else
        queue->tail = pending->prev;
    pending->next = pending->prev = NULL;
    queue->count--;
}

struct jg_pending *
jg_queue_pop(struct jg_queue *queue)
{
    struct jg_pending *pending = queue->head;
    if (pending)
        unlink_from(queue, pending);
    return pending;
}

void
jg_queue_clear(struct jg_queue *queue)
{
    struct jg_pending *pending = queue->head;
    *queue = (struct jg_queue){.head = NULL};
    while (pending) {
        struct jg_pending *next = pending->next;
        jg_pending_destroy(pending);
        pending = next;
    }
}

/* The random part of a jid is hex from the kernel: its digits spread as they are. */
static size_t
bucket_of(const struct jg_unacked *unacked, const char *jid)
{
    size_t hash = 5381;
    for (const char *c = jid + JG_KEY_CHARS; *c; c++)
        hash = hash * 33 ^ (unsigned char)*c;
    return hash & (unacked->bucket_count - 1);
}

static enum jg_err
grow(struct jg_unacked *unacked)
{
    size_t count = unacked->bucket_count ? unacked->bucket_count * 2 : 64;
    struct jg_pending **buckets = calloc(count, sizeof(struct jg_pending *));
    if (!buckets)
        return JG_ENOMEM;
    free(unacked->buckets);
    unacked->buckets = buckets;
    unacked->bucket_count = count;
    for (struct jg_pending *each = unacked->order.head; each; each = each->next) {
        size_t at = bucket_of(unacked, each->op.jid);
        each->chain = buckets[at];
        buckets[at] = each;
    }
    return JG_OK;
}

enum jg_err
jg_unacked_add(struct jg_unacked *unacked, struct jg_pending *pending)
{
    if (unacked->order.count >= unacked->bucket_count && grow(unacked) != JG_OK)
        return JG_ENOMEM;
    size_t at = bucket_of(unacked, pending->op.jid);
    pending->chain = unacked->buckets[at];
    unacked->buckets[at] = pending;
    jg_queue_push(&unacked->order, pending);
    int64_t keep_every_ms = pending->op.dedup_provisional_ms / 3;
    if (!unacked->keep_every_ms || keep_every_ms < unacked->keep_every_ms)
        unacked->keep_every_ms = keep_every_ms;
    return JG_OK;
}

static void
unlink_from_table(struct jg_unacked *unacked, struct jg_pending *pending)
{
    struct jg_pending **link = &unacked->buckets[bucket_of(unacked, pending->op.jid)];
    while (*link != pending)
        link = &(*link)->chain;
    *link = pending->chain;
    pending->chain = NULL;
    unlink_from(&unacked->order, pending);
}

struct jg_pending *
jg_unacked_take(struct jg_unacked *unacked, const char *jid)
{
    if (!unacked->bucket_count)
        return NULL;
    struct jg_pending *pending = unacked->buckets[bucket_of(unacked, jid)];
    while (pending && strcmp(pending->op.jid, jid) != 0)
        pending = pending->chain;
    if (pending)
        unlink_from_table(unacked, pending);
    return pending;
}

void
jg_unacked_clear(struct jg_unacked *unacked)
{
    jg_queue_clear(&unacked->order);
    free(unacked->buckets);
    *unacked = (struct jg_unacked){.buckets = NULL};
}

struct jg_pending *
jg_unacked_due(struct jg_unacked *unacked, int64_t now_ms, size_t *dropped)
{
    struct jg_pending *oldest = unacked->order.head;
    while (oldest && oldest->give_up_ms <= now_ms) {
        struct jg_pending *next = oldest->next;
        unlink_from_table(unacked, oldest);
        jg_pending_destroy(oldest);
        oldest = next;
        (*dropped)++;
    }
    if (!oldest || now_ms - oldest->kept_ms < unacked->keep_every_ms)
        return NULL;
    struct jg_op op = oldest->op;
    op.kind = JG_OP_KEEP;
    oldest->kept_ms = now_ms;
    unlink_from(&unacked->order, oldest);
    jg_queue_push(&unacked->order, oldest);
    return jg_pending_new(&op);
}
