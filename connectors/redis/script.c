/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/script.h"

#include <jobgate_scripts.h>
#include <string.h>

#include "connectors/redis/reply.h"
#include "connectors/redis/resp.h"
#include "connectors/store_impl.h"

const char *const jg_script_key_names[JG_SCRIPT_KEYS] = {
    [JG_SCRIPT_KEY_NONE] = "",       [JG_SCRIPT_KEY_EPOCH] = "epoch",
    [JG_SCRIPT_KEY_STATS] = "stats", [JG_SCRIPT_KEY_CLAIM] = "claim",
    [JG_SCRIPT_KEY_DUPS] = "dups",   [JG_SCRIPT_KEY_RUN] = "run",
    [JG_SCRIPT_KEY_WAS] = "was",     [JG_SCRIPT_KEY_WAS_ORIGINAL] = "was_original",
};

const char *const jg_script_arg_names[JG_SCRIPT_ARGS] = {
    [JG_SCRIPT_ARG_NONE] = "",
    [JG_SCRIPT_ARG_RUN_ID] = "run_id",
    [JG_SCRIPT_ARG_JID] = "jid",
    [JG_SCRIPT_ARG_MODE] = "mode",
    [JG_SCRIPT_ARG_MEMBER] = "member",
    [JG_SCRIPT_ARG_CANDIDATE_OF] = "candidate_of",
    [JG_SCRIPT_ARG_ACTION] = "action",
    [JG_SCRIPT_ARG_TTL_MS] = "ttl_ms",
    [JG_SCRIPT_ARG_PROVISIONAL_MS] = "provisional_ms",
    [JG_SCRIPT_ARG_RUN_TTL_MS] = "run_ttl_ms",
    [JG_SCRIPT_ARG_EPOCH_IN] = "epoch_in",
};

const struct jg_script jg_scripts[JG_OP_KINDS] = {
    [JG_OP_CLAIM] = {.name = "claim",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_DUPS,
                              JG_SCRIPT_KEY_RUN},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MODE, JG_SCRIPT_ARG_PROVISIONAL_MS,
                              JG_SCRIPT_ARG_ACTION},
                     .read = jg_reply_claim},
    [JG_OP_CONFIRM] = {.name = "confirm",
                       .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM},
                       .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_TTL_MS},
                       .read = jg_reply_changed},
    [JG_OP_KEEP] = {.name = "keep",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_PROVISIONAL_MS},
                    .read = jg_reply_changed},
    [JG_OP_RELEASE] = {.name = "release",
                       .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM},
                       .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_TTL_MS,
                                JG_SCRIPT_ARG_PROVISIONAL_MS},
                       .read = jg_reply_changed},
    [JG_OP_ADMIT] = {.name = "admit",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN,
                              JG_SCRIPT_KEY_WAS, JG_SCRIPT_KEY_WAS_ORIGINAL},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MODE, JG_SCRIPT_ARG_MEMBER,
                              JG_SCRIPT_ARG_CANDIDATE_OF, JG_SCRIPT_ARG_RUN_TTL_MS, JG_SCRIPT_ARG_TTL_MS},
                     .read = jg_reply_admit},
    [JG_OP_RENEW] = {.name = "renew",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_RUN_TTL_MS,
                              JG_SCRIPT_ARG_TTL_MS, JG_SCRIPT_ARG_EPOCH_IN},
                     .read = jg_reply_renew},
    [JG_OP_COMPLETE] = {.name = "complete",
                        .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN,
                                 JG_SCRIPT_KEY_WAS},
                        .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_TTL_MS},
                        .read = jg_reply_changed},
};

static const char *
source_of(const char *name)
{
    for (size_t i = 0; i < jg_lua_count; i++)
        if (strcmp(jg_lua[i].name, name) == 0)
            return jg_lua[i].source;
    return "";
}

void
jg_script_source(enum jg_op_kind kind, struct jg_buf *out)
{
    jg_buf_text(out, source_of("prelude"));
    jg_buf_text(out, source_of(jg_scripts[kind].name));
}

void
jg_script_key_text(struct jg_buf *out, const char *prefix, const char *class_name, const char *what, const char *id)
{
    jg_buf_text(out, prefix);
    jg_buf_text(out, "{");
    jg_name_escape(out, class_name);
    jg_buf_text(out, "}:");
    jg_buf_text(out, what);
    jg_buf_text(out, id);
}

/* `key` holds `<prefix>{<class>}:`, the same for all keys of an operation, and holds it again afterwards. */
static void
append_key(struct jg_buf *out, enum jg_script_key which, struct jg_buf *key, const struct jg_op *op)
{
    static const char *const whats[JG_SCRIPT_KEYS] = {
        [JG_SCRIPT_KEY_EPOCH] = "epoch",       [JG_SCRIPT_KEY_STATS] = "stats", [JG_SCRIPT_KEY_CLAIM] = "claim:",
        [JG_SCRIPT_KEY_DUPS] = "dups",         [JG_SCRIPT_KEY_RUN] = "run",     [JG_SCRIPT_KEY_WAS] = "was:",
        [JG_SCRIPT_KEY_WAS_ORIGINAL] = "was:",
    };
    size_t stem_bytes = key->size_bytes;
    jg_buf_text(key, whats[which]);
    if (which == JG_SCRIPT_KEY_CLAIM)
        jg_buf_text(key, op->key);
    else if (which == JG_SCRIPT_KEY_WAS)
        jg_buf_text(key, op->jid);
    else if (which == JG_SCRIPT_KEY_WAS_ORIGINAL && op->candidate_of)
        jg_buf_text(key, op->candidate_of);
    if (!key->failed)
        jg_resp_bytes(out, key->data, key->size_bytes);
    key->size_bytes = stem_bytes;
}

static void
append_arg(struct jg_buf *out, enum jg_script_arg arg, const char *run_id, const struct jg_op *op)
{
    switch (arg) {
    case JG_SCRIPT_ARG_RUN_ID:
        jg_resp_text(out, run_id);
        return;
    case JG_SCRIPT_ARG_JID:
        jg_resp_text(out, op->jid);
        return;
    case JG_SCRIPT_ARG_MODE:
        jg_resp_text(out, jg_dedup_name(op->dedup));
        return;
    case JG_SCRIPT_ARG_MEMBER:
        jg_resp_text(out, op->member);
        return;
    case JG_SCRIPT_ARG_CANDIDATE_OF:
        jg_resp_text(out, op->candidate_of ? op->candidate_of : "");
        return;
    case JG_SCRIPT_ARG_ACTION:
        jg_resp_text(out, op->action == JG_DUP_REJECT ? "reject" : "mark");
        return;
    case JG_SCRIPT_ARG_TTL_MS:
        jg_resp_number(out, op->dedup_ttl_ms);
        return;
    case JG_SCRIPT_ARG_PROVISIONAL_MS:
        jg_resp_number(out, op->dedup_provisional_ms);
        return;
    case JG_SCRIPT_ARG_RUN_TTL_MS:
        jg_resp_number(out, op->run_ttl_ms);
        return;
    case JG_SCRIPT_ARG_EPOCH_IN:
        jg_resp_number(out, op->epoch_in);
        return;
    case JG_SCRIPT_ARG_NONE:
    case JG_SCRIPT_ARGS:
        break;
    }
}

void
jg_script_call(struct jg_buf *out, const char *prefix, const char *sha, const char *run_id, const struct jg_op *op)
{
    const struct jg_script *script = &jg_scripts[op->kind];
    struct jg_buf key = JG_BUF_INIT;
    size_t keys = 0, args = 0;
    while (keys < JG_SCRIPT_MAX_KEYS && script->keys[keys])
        keys++;
    while (args < JG_SCRIPT_MAX_ARGS && script->args[args])
        args++;
    jg_script_key_text(&key, prefix, op->class_name, "", "");
    jg_resp_begin(out, 3 + keys + args);
    jg_resp_text(out, "EVALSHA");
    jg_resp_text(out, sha);
    jg_resp_number(out, (int64_t)keys);
    for (size_t i = 0; i < keys; i++)
        append_key(out, script->keys[i], &key, op);
    for (size_t i = 0; i < args; i++)
        append_arg(out, script->args[i], run_id, op);
    out->failed = out->failed || key.failed;
    jg_buf_clear(&key);
}
