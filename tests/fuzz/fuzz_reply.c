/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a server sends: no crash, no hang, no memory beyond a small multiple of it, and outputs only with success.
 * The first byte picks who reads the replies, the rest is what arrives. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/redis/conn.h"
#include "connectors/redis/reply.h"
#include "connectors/redis/script.h"
#include "connectors/redis/trouble.h"

static void
demand(bool holds)
{
    if (!holds)
        abort();
}

/* An operation's outputs stay as they were unless the reply was accepted; then they are sound. */
static void
read_as_script(enum jg_op_kind kind, const redisReply *reply)
{
    struct jg_op op, before;
    unsigned char grants[3] = {0x55, 0x55, 0x55};
    memset(&op, 0x55, sizeof op);
    op.grants = grants;
    op.item_count = sizeof grants;
    before = op;
    op.kind = before.kind = kind;
    if (!jg_scripts[kind].read(reply, &op)) {
        const void *found = &op, *wanted = &before;
        demand(memcmp(found, wanted, sizeof op) == 0);
        for (size_t i = 0; i < sizeof grants; i++)
            demand(grants[i] == 0x55);
        return;
    }
    if (kind == JG_OP_CLAIM) {
        demand(op.claimed <= JG_CANDIDATE && op.original_state <= JG_CLAIM_RUNNING);
        demand(op.claimed == JG_ORIGINAL || jg_jid_valid(op.original, strlen(op.original)));
    }
    if (kind == JG_OP_ADMIT) {
        bool duplicate = op.verdict == JG_SKIP && op.reason == JG_REASON_NONE;
        demand(op.verdict <= JG_LATER && op.reason <= JG_REASON_COPY && op.reason != JG_REASON_RETRY);
        demand(duplicate ? jg_jid_valid(op.original, strlen(op.original)) : !op.original[0]);
        demand(op.reason < JG_REASON_DONE || op.verdict == JG_SKIP);
        demand((op.verdict == JG_RUN) <= (op.reason == JG_REASON_NONE));
        demand(op.verdict == JG_RUN || op.verdict == JG_SKIP || op.reason != JG_REASON_NONE);
        demand(op.epoch > 0 && (op.verdict == JG_RUN ? op.token >= 0 : op.token == 0));
        demand(!op.next[0] || op.reason == JG_REASON_DONE);
    }
    if (kind == JG_OP_ADMIT || kind == JG_OP_COMPLETE) {
        demand(op.next[0] ? jg_jid_valid(op.next, strlen(op.next)) : !op.next_waits);
        demand(op.load_now >= -1 && op.gauge <= JG_GAUGE_WORK_WRONG);
    }
    if (kind == JG_OP_TAKE) {
        int64_t yes = 0;
        for (size_t i = 0; i < sizeof grants; i++) {
            demand(grants[i] <= JG_GRANT_YES);
            yes += grants[i] == JG_GRANT_YES;
        }
        demand(yes == op.granted && op.per_key_now >= 0);
        demand(op.load_now >= -1 && op.gauge <= JG_GAUGE_WORK_WRONG && op.granted >= 0 &&
               op.granted <= JG_OP_MAX_ITEMS && op.running >= 0 && op.tickets >= 0);
    }
    if (kind == JG_OP_LEAD || kind == JG_OP_GROUP)
        demand(memchr(op.other, 0, sizeof op.other));
    if (kind == JG_OP_SYNC)
        demand(op.override.at_ms >= 0 && (op.override.set || op.override.limit == 0));
}

static void
read_as_report(unsigned which, const redisReply *reply)
{
    struct jg_claim_report claim;
    struct jg_duplicate_report duplicate;
    struct jg_trouble trouble;
    char run_id[JG_RUN_ID_MAX_CHARS + 1];
    int64_t epoch = 0;
    if (which == 0 && jg_reply_claim_fields(reply, &claim, &epoch))
        demand(memchr(claim.owner, 0, sizeof claim.owner) && memchr(claim.member, 0, sizeof claim.member));
    if (which == 1 && jg_reply_duplicate(reply, &duplicate))
        demand(memchr(duplicate.jid, 0, sizeof duplicate.jid) && memchr(duplicate.original, 0, sizeof duplicate.jid));
    if (reply->type != REDIS_REPLY_ERROR && reply->type != REDIS_REPLY_STRING)
        return;
    if (jg_conn_parse_run_id(reply->str, (size_t)reply->len, run_id))
        demand(run_id[0] && strlen(run_id) <= JG_RUN_ID_MAX_CHARS);
    jg_trouble_from_reply(&trouble, reply->str, (size_t)reply->len, which & 1);
    demand(trouble.kind != JG_TROUBLE_NONE && memchr(trouble.error.text, 0, sizeof trouble.error.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned reader_of = data[0] % (JG_OP_KINDS + 2);
    redisReader *reader = jg_conn_reader();
    void *reply = NULL;
    if (!reader)
        return 0;
    (void)redisReaderFeed(reader, (const char *)data + 1, size - 1);
    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        if (reader_of < JG_OP_KINDS)
            read_as_script((enum jg_op_kind)reader_of, reply);
        else
            read_as_report(reader_of - JG_OP_KINDS, reply);
        freeReplyObject(reply);
        reply = NULL;
    }
    redisReaderFree(reader);
    return 0;
}
