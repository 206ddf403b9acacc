/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of the server, distrusted: each function takes any reply, and says false to one that is not its own. */
#ifndef JG_CONNECTORS_REDIS_REPLY_H
#define JG_CONNECTORS_REDIS_REPLY_H

#include <hiredis/hiredis.h>

#include "connectors/store_impl.h"

/* Of the scripts, into an operation's outputs, which stay untouched with false. */
JG_MUST_USE bool jg_reply_claim(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_changed(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_admit(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_complete(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_renew(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_take(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_sync(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_lead(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_group(const redisReply *reply, struct jg_op *op);
JG_MUST_USE bool jg_reply_announce(const redisReply *reply, struct jg_op *op);

/* An array of `count` elements; no count: of any. */
JG_MUST_USE bool jg_reply_is_array(const redisReply *reply, size_t count);
#define JG_REPLY_ANY ((size_t)-1)

/* A text of at most `out_bytes - 1` bytes without NUL; nil is the empty text. */
JG_MUST_USE bool jg_reply_text(const redisReply *reply, char *out, size_t out_bytes);

/* An integer, or a text that is one; nil is 0. */
JG_MUST_USE bool jg_reply_integer(const redisReply *reply, int64_t *out);

/* The answer to TIME. */
JG_MUST_USE bool jg_reply_time(const redisReply *reply, int64_t *now_ms);

/* The fields of a claim as report.c asks for them: jid st ep at mode n cn ca run. */
#define JG_REPLY_CLAIM_FIELDS 9
JG_MUST_USE bool jg_reply_claim_fields(const redisReply *reply, struct jg_claim_report *out, int64_t *epoch);

/* One entry of `dups`. */
JG_MUST_USE bool jg_reply_duplicate(const redisReply *reply, struct jg_duplicate_report *out);

/* An override as it stands in Redis: a number, or `default`. */
JG_MUST_USE bool jg_reply_override(const char *text, struct jg_override *out);

/* `<number> <rest>`: the number, and where the rest begins. */
JG_MUST_USE bool jg_reply_numbered(const char *text, int64_t *number, const char **rest);

/* What follows the time of a ticket: `[<position>][ <limit key>]`. */
JG_MUST_USE bool jg_reply_ticket(const char *rest, struct jg_ticket_report *out);

/* The value of a line `name:value` in the text of INFO; empty: there is none. */
void jg_reply_info(const redisReply *info, const char *name, char *out, size_t out_bytes);

/* A claim's state from the letter that stands in Redis. */
JG_MUST_USE bool jg_reply_state(const char *text, enum jg_claim_state *out);

#endif
