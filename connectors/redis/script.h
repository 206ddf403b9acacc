/* SPDX-License-Identifier: Apache-2.0 */
/* The operations as scripts: what each is given, and what it answers. One row per script in one table; a test compares
 * it with the header of each file in scripts/. */
#ifndef JG_CONNECTORS_REDIS_SCRIPT_H
#define JG_CONNECTORS_REDIS_SCRIPT_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "connectors/store.h"

#define JG_SCRIPT_SHA_CHARS 40
#define JG_SCRIPT_MAX_KEYS 17
#define JG_SCRIPT_MAX_ARGS 24

enum jg_script_key {
    JG_SCRIPT_KEY_NONE,
    JG_SCRIPT_KEY_EPOCH,
    JG_SCRIPT_KEY_STATS,
    JG_SCRIPT_KEY_CLAIM,
    JG_SCRIPT_KEY_DUPS,
    JG_SCRIPT_KEY_RUN,
    JG_SCRIPT_KEY_WAS,
    JG_SCRIPT_KEY_WAS_ORIGINAL,
    JG_SCRIPT_KEY_TKT,
    JG_SCRIPT_KEY_HELD,
    JG_SCRIPT_KEY_LIMITS,
    JG_SCRIPT_KEY_INSTANCES,
    JG_SCRIPT_KEY_LEAD,
    JG_SCRIPT_KEY_ANNOUNCED,
    JG_SCRIPT_KEY_GROUP,
    JG_SCRIPT_KEY_LEASE,
    JG_SCRIPT_KEY_DONE,
    JG_SCRIPT_KEY_DONE_ORIGINAL,
    JG_SCRIPT_KEY_CHAIN,
    JG_SCRIPT_KEY_RUN_KEY,
    JG_SCRIPT_KEY_HELDK,
    JG_SCRIPT_KEY_CAP,
    JG_SCRIPT_KEY_FOL,
    JG_SCRIPT_KEYS
};

enum jg_script_arg {
    JG_SCRIPT_ARG_NONE,
    JG_SCRIPT_ARG_RUN_ID,
    JG_SCRIPT_ARG_JID,
    JG_SCRIPT_ARG_MODE,
    JG_SCRIPT_ARG_MEMBER,
    JG_SCRIPT_ARG_CANDIDATE_OF,
    JG_SCRIPT_ARG_LEASE,
    JG_SCRIPT_ARG_LIMIT_KEY,
    JG_SCRIPT_ARG_LOAD,
    JG_SCRIPT_ARG_WORK,
    JG_SCRIPT_ARG_ACTION,
    JG_SCRIPT_ARG_ORIGIN,
    JG_SCRIPT_ARG_TTL_MS,
    JG_SCRIPT_ARG_PROVISIONAL_MS,
    JG_SCRIPT_ARG_RUN_TTL_MS,
    JG_SCRIPT_ARG_EPOCH_IN,
    JG_SCRIPT_ARG_LIMIT,
    JG_SCRIPT_ARG_RESUMED,
    JG_SCRIPT_ARG_LAST_TRY,
    JG_SCRIPT_ARG_FRESH,
    JG_SCRIPT_ARG_GRACE_MS,
    JG_SCRIPT_ARG_HOLD_MAX,
    JG_SCRIPT_ARG_HELD_IN,
    JG_SCRIPT_ARG_OLDEST_HELD_IN,
    JG_SCRIPT_ARG_AHEAD,
    JG_SCRIPT_ARG_AHEAD_IN,
    JG_SCRIPT_ARG_MAX_AGE_MS,
    JG_SCRIPT_ARG_OVERRIDE,
    JG_SCRIPT_ARG_OVERRIDE_AT_MS,
    JG_SCRIPT_ARG_OVERRIDE_NOW,
    JG_SCRIPT_ARG_LEAVE,
    JG_SCRIPT_ARG_FORCE,
    JG_SCRIPT_ARG_LEASE_SKIPS,
    JG_SCRIPT_ARG_TOKEN_IN,
    JG_SCRIPT_ARG_CAPACITY,
    JG_SCRIPT_ARG_FAILED,
    JG_SCRIPT_ARG_DONE_TTL_MS,
    JG_SCRIPT_ARG_PER_KEY,
    JG_SCRIPT_ARG_SLOT_TTL_MS,
    JG_SCRIPT_ARG_FOLLOWS_UP,
    JG_SCRIPT_ARG_FOLLOW_UP,
    JG_SCRIPT_ARG_FOLLOW_UPS_IN,
    JG_SCRIPT_ARG_CHANNEL,
    JG_SCRIPT_ARG_ITEMS, /* the last: as many as the operation has */
    JG_SCRIPT_ARGS
};

struct jg_script {
    const char *name;         /* of the file */
    bool heirs, follow, runs; /* it needs those files' functions too */
    enum jg_script_key keys[JG_SCRIPT_MAX_KEYS];
    enum jg_script_arg args[JG_SCRIPT_MAX_ARGS];
    /* Read a reply into the operation's outputs. False: not a reply of this script; the outputs are untouched. */
    bool (*read)(const redisReply *reply, struct jg_op *op);
};

extern const struct jg_script jg_scripts[JG_OP_KINDS];
extern const char *const jg_script_key_names[JG_SCRIPT_KEYS];
extern const char *const jg_script_arg_names[JG_SCRIPT_ARGS];

/* Append the whole source: the prelude, what else it needs, then the script; without most of the comments. */
void jg_script_source(enum jg_op_kind kind, struct jg_buf *out);

/* What is published on `<prefix><JG_SCRIPT_CHANNEL>` wakes watches. */
#define JG_SCRIPT_CHANNEL "wake"

/* Append the EVALSHA of `op`. `prefix` is `jg1:<namespace>:`. */
void jg_script_call(struct jg_buf *out, const char *prefix, const char *sha, const char *run_id,
                    const struct jg_op *op);

/* Append `<prefix>{<class>}:<what><id>`, a key. */
void jg_script_key_text(struct jg_buf *out, const char *prefix, const char *class_name, const char *what,
                        const char *id);

#endif
