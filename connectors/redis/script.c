/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/script.h"

#include <jobgate_scripts.h>
#include <stdio.h>
#include <string.h>

#include "connectors/redis/reply.h"
#include "connectors/redis/resp.h"
#include "connectors/store_impl.h"

const char *const jg_script_key_names[JG_SCRIPT_KEYS] = {
    [JG_SCRIPT_KEY_NONE] = "",
    [JG_SCRIPT_KEY_EPOCH] = "epoch",
    [JG_SCRIPT_KEY_STATS] = "stats",
    [JG_SCRIPT_KEY_CLAIM] = "claim",
    [JG_SCRIPT_KEY_DUPS] = "dups",
    [JG_SCRIPT_KEY_RUN] = "run",
    [JG_SCRIPT_KEY_WAS] = "was",
    [JG_SCRIPT_KEY_WAS_ORIGINAL] = "was_original",
    [JG_SCRIPT_KEY_TKT] = "tkt",
    [JG_SCRIPT_KEY_HELD] = "held",
    [JG_SCRIPT_KEY_LIMITS] = "limits",
    [JG_SCRIPT_KEY_INSTANCES] = "instances",
    [JG_SCRIPT_KEY_LEAD] = "lead",
    [JG_SCRIPT_KEY_ANNOUNCED] = "announced",
    [JG_SCRIPT_KEY_GROUP] = "group",
    [JG_SCRIPT_KEY_LEASE] = "lease",
    [JG_SCRIPT_KEY_DONE] = "done",
    [JG_SCRIPT_KEY_CHAIN] = "chain",
    [JG_SCRIPT_KEY_RUN_KEY] = "run_key",
    [JG_SCRIPT_KEY_HELDK] = "heldk",
    [JG_SCRIPT_KEY_CAP] = "cap",
    [JG_SCRIPT_KEY_FOL] = "fol",
    [JG_SCRIPT_KEY_DONE_ORIGINAL] = "done_original",
};

const char *const jg_script_arg_names[JG_SCRIPT_ARGS] = {
    [JG_SCRIPT_ARG_NONE] = "",
    [JG_SCRIPT_ARG_RUN_ID] = "run_id",
    [JG_SCRIPT_ARG_JID] = "jid",
    [JG_SCRIPT_ARG_MODE] = "mode",
    [JG_SCRIPT_ARG_MEMBER] = "member",
    [JG_SCRIPT_ARG_CANDIDATE_OF] = "candidate_of",
    [JG_SCRIPT_ARG_LEASE] = "lease",
    [JG_SCRIPT_ARG_LIMIT_KEY] = "limit_key",
    [JG_SCRIPT_ARG_LOAD] = "load",
    [JG_SCRIPT_ARG_WORK] = "work",
    [JG_SCRIPT_ARG_ACTION] = "action",
    [JG_SCRIPT_ARG_ORIGIN] = "origin",
    [JG_SCRIPT_ARG_TTL_MS] = "ttl_ms",
    [JG_SCRIPT_ARG_PROVISIONAL_MS] = "provisional_ms",
    [JG_SCRIPT_ARG_RUN_TTL_MS] = "run_ttl_ms",
    [JG_SCRIPT_ARG_EPOCH_IN] = "epoch_in",
    [JG_SCRIPT_ARG_LIMIT] = "limit",
    [JG_SCRIPT_ARG_RESUMED] = "resumed",
    [JG_SCRIPT_ARG_LAST_TRY] = "last_try",
    [JG_SCRIPT_ARG_FRESH] = "fresh",
    [JG_SCRIPT_ARG_GRACE_MS] = "grace_ms",
    [JG_SCRIPT_ARG_HOLD_MAX] = "hold_max",
    [JG_SCRIPT_ARG_HELD_IN] = "held_in",
    [JG_SCRIPT_ARG_OLDEST_HELD_IN] = "oldest_held_in",
    [JG_SCRIPT_ARG_AHEAD] = "ahead",
    [JG_SCRIPT_ARG_AHEAD_IN] = "ahead_in",
    [JG_SCRIPT_ARG_MAX_AGE_MS] = "max_age_ms",
    [JG_SCRIPT_ARG_OVERRIDE] = "override",
    [JG_SCRIPT_ARG_OVERRIDE_AT_MS] = "override_at_ms",
    [JG_SCRIPT_ARG_OVERRIDE_NOW] = "override_now",
    [JG_SCRIPT_ARG_LEAVE] = "leave",
    [JG_SCRIPT_ARG_FORCE] = "force",
    [JG_SCRIPT_ARG_LEASE_SKIPS] = "lease_skips",
    [JG_SCRIPT_ARG_TOKEN_IN] = "token_in",
    [JG_SCRIPT_ARG_CAPACITY] = "capacity",
    [JG_SCRIPT_ARG_FAILED] = "failed",
    [JG_SCRIPT_ARG_DONE_TTL_MS] = "done_ttl_ms",
    [JG_SCRIPT_ARG_PER_KEY] = "per_key",
    [JG_SCRIPT_ARG_SLOT_TTL_MS] = "slot_ttl_ms",
    [JG_SCRIPT_ARG_FOLLOWS_UP] = "follows_up",
    [JG_SCRIPT_ARG_FOLLOW_UP] = "follow_up",
    [JG_SCRIPT_ARG_FOLLOW_UPS_IN] = "follow_ups_in",
    [JG_SCRIPT_ARG_CHANNEL] = "channel",
    [JG_SCRIPT_ARG_ITEMS] = "items",
};

const struct jg_script jg_scripts[JG_OP_KINDS] = {
    [JG_OP_CLAIM] = {.name = "claim",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_DUPS,
                              JG_SCRIPT_KEY_RUN, JG_SCRIPT_KEY_FOL},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MODE, JG_SCRIPT_ARG_PROVISIONAL_MS,
                              JG_SCRIPT_ARG_ACTION, JG_SCRIPT_ARG_FOLLOWS_UP, JG_SCRIPT_ARG_TTL_MS},
                     .read = jg_reply_claim},
    [JG_OP_CONFIRM] = {.name = "confirm",
                       .follow = true,
                       .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_FOL},
                       .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_TTL_MS, JG_SCRIPT_ARG_FOLLOW_UP},
                       .read = jg_reply_changed},
    [JG_OP_KEEP] = {.name = "keep",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_PROVISIONAL_MS},
                    .read = jg_reply_changed},
    [JG_OP_RELEASE] = {.name = "release",
                       .heirs = true,
                       .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_FOL},
                       .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_TTL_MS,
                                JG_SCRIPT_ARG_PROVISIONAL_MS, JG_SCRIPT_ARG_FOLLOWS_UP},
                       .read = jg_reply_changed},
    [JG_OP_ADMIT] = {.name = "admit",
                     .heirs = true,
                     .follow = true,
                     .runs = true,
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN,
                              JG_SCRIPT_KEY_WAS, JG_SCRIPT_KEY_WAS_ORIGINAL, JG_SCRIPT_KEY_TKT, JG_SCRIPT_KEY_HELD,
                              JG_SCRIPT_KEY_LIMITS, JG_SCRIPT_KEY_LEASE, JG_SCRIPT_KEY_DONE, JG_SCRIPT_KEY_CHAIN,
                              JG_SCRIPT_KEY_RUN_KEY, JG_SCRIPT_KEY_HELDK, JG_SCRIPT_KEY_CAP, JG_SCRIPT_KEY_FOL,
                              JG_SCRIPT_KEY_DONE_ORIGINAL},
                     .args = {JG_SCRIPT_ARG_RUN_ID,       JG_SCRIPT_ARG_JID,
                              JG_SCRIPT_ARG_MODE,         JG_SCRIPT_ARG_MEMBER,
                              JG_SCRIPT_ARG_CANDIDATE_OF, JG_SCRIPT_ARG_RUN_TTL_MS,
                              JG_SCRIPT_ARG_TTL_MS,       JG_SCRIPT_ARG_LIMIT,
                              JG_SCRIPT_ARG_RESUMED,      JG_SCRIPT_ARG_LAST_TRY,
                              JG_SCRIPT_ARG_FRESH,        JG_SCRIPT_ARG_GRACE_MS,
                              JG_SCRIPT_ARG_HOLD_MAX,     JG_SCRIPT_ARG_CHANNEL,
                              JG_SCRIPT_ARG_LEASE,        JG_SCRIPT_ARG_LEASE_SKIPS,
                              JG_SCRIPT_ARG_CAPACITY,     JG_SCRIPT_ARG_LOAD,
                              JG_SCRIPT_ARG_DONE_TTL_MS,  JG_SCRIPT_ARG_PROVISIONAL_MS,
                              JG_SCRIPT_ARG_LIMIT_KEY,    JG_SCRIPT_ARG_PER_KEY,
                              JG_SCRIPT_ARG_SLOT_TTL_MS,  JG_SCRIPT_ARG_FOLLOW_UP},
                     .read = jg_reply_admit},
    [JG_OP_RENEW] = {.name = "renew",
                     .runs = true,
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN,
                              JG_SCRIPT_KEY_HELD, JG_SCRIPT_KEY_LEASE, JG_SCRIPT_KEY_DONE, JG_SCRIPT_KEY_CHAIN,
                              JG_SCRIPT_KEY_RUN_KEY, JG_SCRIPT_KEY_CAP, JG_SCRIPT_KEY_FOL},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_RUN_TTL_MS,
                              JG_SCRIPT_ARG_TTL_MS, JG_SCRIPT_ARG_EPOCH_IN, JG_SCRIPT_ARG_CHANNEL, JG_SCRIPT_ARG_LEASE,
                              JG_SCRIPT_ARG_TOKEN_IN, JG_SCRIPT_ARG_CAPACITY, JG_SCRIPT_ARG_DONE_TTL_MS,
                              JG_SCRIPT_ARG_LIMIT_KEY, JG_SCRIPT_ARG_SLOT_TTL_MS, JG_SCRIPT_ARG_FOLLOWS_UP},
                     .read = jg_reply_renew},
    [JG_OP_COMPLETE] = {.name = "complete",
                        .runs = true,
                        .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_RUN,
                                 JG_SCRIPT_KEY_WAS, JG_SCRIPT_KEY_HELD, JG_SCRIPT_KEY_LEASE, JG_SCRIPT_KEY_DONE,
                                 JG_SCRIPT_KEY_CHAIN, JG_SCRIPT_KEY_RUN_KEY, JG_SCRIPT_KEY_HELDK, JG_SCRIPT_KEY_CAP,
                                 JG_SCRIPT_KEY_FOL},
                        .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_MODE, JG_SCRIPT_ARG_MEMBER,
                                 JG_SCRIPT_ARG_TTL_MS, JG_SCRIPT_ARG_CHANNEL, JG_SCRIPT_ARG_LEASE,
                                 JG_SCRIPT_ARG_CAPACITY, JG_SCRIPT_ARG_LOAD, JG_SCRIPT_ARG_WORK, JG_SCRIPT_ARG_FAILED,
                                 JG_SCRIPT_ARG_DONE_TTL_MS, JG_SCRIPT_ARG_EPOCH_IN, JG_SCRIPT_ARG_LEAVE,
                                 JG_SCRIPT_ARG_LIMIT_KEY, JG_SCRIPT_ARG_SLOT_TTL_MS, JG_SCRIPT_ARG_FOLLOWS_UP},
                        .read = jg_reply_complete},
    [JG_OP_TAKE] = {.name = "take",
                    .follow = true,
                    .runs = true,
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_RUN, JG_SCRIPT_KEY_TKT,
                             JG_SCRIPT_KEY_HELD, JG_SCRIPT_KEY_LIMITS, JG_SCRIPT_KEY_LEASE, JG_SCRIPT_KEY_CAP,
                             JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_FOL},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_HELD_IN, JG_SCRIPT_ARG_OLDEST_HELD_IN,
                             JG_SCRIPT_ARG_GRACE_MS, JG_SCRIPT_ARG_FRESH, JG_SCRIPT_ARG_AHEAD_IN, JG_SCRIPT_ARG_ORIGIN,
                             JG_SCRIPT_ARG_FOLLOW_UPS_IN, JG_SCRIPT_ARG_ITEMS},
                    .read = jg_reply_take},
    [JG_OP_PLACE] = {.name = "place",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_TKT},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_ITEMS},
                     .read = jg_reply_changed},
    [JG_OP_DROP] = {.name = "drop",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_TKT, JG_SCRIPT_KEY_HELD},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_CHANNEL, JG_SCRIPT_ARG_ITEMS},
                    .read = jg_reply_changed},
    [JG_OP_MARK] = {.name = "mark",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_HELDK},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_LEAVE, JG_SCRIPT_ARG_ITEMS},
                    .read = jg_reply_changed},
    [JG_OP_BURY] = {.name = "bury",
                    .heirs = true,
                    .runs = true,
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CLAIM, JG_SCRIPT_KEY_TKT,
                             JG_SCRIPT_KEY_HELD, JG_SCRIPT_KEY_CHAIN, JG_SCRIPT_KEY_FOL},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_TTL_MS,
                             JG_SCRIPT_ARG_PROVISIONAL_MS, JG_SCRIPT_ARG_CHANNEL, JG_SCRIPT_ARG_FOLLOW_UP},
                    .read = jg_reply_changed},
    [JG_OP_SYNC] = {.name = "sync",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_LIMITS, JG_SCRIPT_KEY_INSTANCES},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_LIMIT, JG_SCRIPT_ARG_RUN_TTL_MS,
                             JG_SCRIPT_ARG_AHEAD, JG_SCRIPT_ARG_MAX_AGE_MS, JG_SCRIPT_ARG_OVERRIDE,
                             JG_SCRIPT_ARG_OVERRIDE_AT_MS, JG_SCRIPT_ARG_OVERRIDE_NOW, JG_SCRIPT_ARG_CHANNEL,
                             JG_SCRIPT_ARG_LEASE, JG_SCRIPT_ARG_CAPACITY, JG_SCRIPT_ARG_LOAD, JG_SCRIPT_ARG_WORK,
                             JG_SCRIPT_ARG_PER_KEY},
                    .read = jg_reply_sync},
    [JG_OP_LEAD] = {.name = "lead",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_LEAD, JG_SCRIPT_KEY_ANNOUNCED},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_RUN_TTL_MS, JG_SCRIPT_ARG_LEAVE,
                             JG_SCRIPT_ARG_CHANNEL},
                    .read = jg_reply_lead},
    [JG_OP_GROUP] = {.name = "group",
                     .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_GROUP},
                     .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_MEMBER, JG_SCRIPT_ARG_RUN_TTL_MS, JG_SCRIPT_ARG_LEAVE,
                              JG_SCRIPT_ARG_FORCE},
                     .read = jg_reply_group},
    [JG_OP_ANNOUNCE] = {.name = "announce",
                        .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_ANNOUNCED},
                        .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_CHANNEL},
                        .read = jg_reply_announce},
    [JG_OP_FREE] = {.name = "free",
                    .keys = {JG_SCRIPT_KEY_EPOCH, JG_SCRIPT_KEY_STATS, JG_SCRIPT_KEY_CAP, JG_SCRIPT_KEY_HELD},
                    .args = {JG_SCRIPT_ARG_RUN_ID, JG_SCRIPT_ARG_JID, JG_SCRIPT_ARG_CHANNEL},
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

/* A line without the blanks that Lua does not need. */
static void
append_line(struct jg_buf *out, const char *line, const char *end)
{
    static const char apart[] = "=<>~(){}[],+*/";
    bool quoted = false;
    for (const char *at = line; at < end; at++) {
        quoted = quoted != (*at == '\'');
        bool needed = quoted || *at != ' ' || at == line || at + 1 == end;
        if (needed || (!strchr(apart, at[-1]) && !strchr(apart, at[1])))
            jg_buf_append(out, at, 1);
    }
}

/* What a server is sent, and keeps: the script's own first line says what it is, other lines that are comments become
 * empty, so that the numbers of lines stay, and blanks go. All of it would be too long: a server that wants a password
 * takes no argument of more than 16 KB without one, and drops the connection instead of saying so. */
static void
append_code(struct jg_buf *out, const char *source, bool named)
{
    const char *line = source, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        const char *code = line + strspn(line, " ");
        if (named && line == source)
            jg_buf_append(out, line, (size_t)(end - line));
        else if (strncmp(code, "--", 2) != 0)
            append_line(out, code, end);
        jg_buf_text(out, "\n");
    }
    jg_buf_text(out, line);
}

void
jg_script_source(enum jg_op_kind kind, struct jg_buf *out)
{
    append_code(out, source_of("prelude"), false);
    if (jg_scripts[kind].heirs)
        append_code(out, source_of("heirs"), false);
    if (jg_scripts[kind].follow)
        append_code(out, source_of("follow"), false);
    if (jg_scripts[kind].runs)
        append_code(out, source_of("runs"), false);
    append_code(out, source_of(jg_scripts[kind].name), true);
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

/* What follows the name in a key: ":<id>", or nothing. `chain` has JG_CHAIN_CHARS + 1 bytes. */
static const char *
id_of(enum jg_script_key which, const struct jg_op *op, char *chain)
{
    switch (which) {
    case JG_SCRIPT_KEY_CLAIM:
    case JG_SCRIPT_KEY_FOL:
        return op->kind != JG_OP_TAKE ? op->key : NULL;
    case JG_SCRIPT_KEY_WAS:
    case JG_SCRIPT_KEY_DONE:
        return op->jid;
    case JG_SCRIPT_KEY_WAS_ORIGINAL:
    case JG_SCRIPT_KEY_DONE_ORIGINAL:
        return op->candidate_of ? op->candidate_of : "";
    case JG_SCRIPT_KEY_CHAIN:
        snprintf(chain, JG_CHAIN_CHARS + 1, "%s", op->jid);
        return chain;
    case JG_SCRIPT_KEY_RUN_KEY:
        return op->limit_key;
    case JG_SCRIPT_KEY_LEASE:
        return op->lease == JG_LEASE_KEY && op->kind != JG_OP_TAKE ? op->key : NULL;
    default:
        return NULL;
    }
}

/* `key` holds `<prefix>{<class>}:`, the same for all keys of an operation, and holds it again afterwards. */
static void
append_key(struct jg_buf *out, enum jg_script_key which, struct jg_buf *key, const struct jg_op *op)
{
    char chain[JG_CHAIN_CHARS + 1];
    const char *id = id_of(which, op, chain);
    size_t stem_bytes = key->size_bytes;
    jg_buf_text(key, which == JG_SCRIPT_KEY_WAS_ORIGINAL    ? "was"
                     : which == JG_SCRIPT_KEY_DONE_ORIGINAL ? "done"
                     : which == JG_SCRIPT_KEY_RUN_KEY       ? "run"
                                                            : jg_script_key_names[which]);
    if (id) {
        jg_buf_text(key, ":");
        jg_buf_text(key, id);
    }
    if (!key->failed)
        jg_resp_bytes(out, key->data, key->size_bytes);
    key->size_bytes = stem_bytes;
}

static void
append_text(struct jg_buf *out, enum jg_script_arg arg, const char *prefix, const char *run_id, const struct jg_op *op)
{
    struct jg_buf channel = JG_BUF_INIT;
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
        jg_resp_text(out, op->member ? op->member : "");
        return;
    case JG_SCRIPT_ARG_CANDIDATE_OF:
        jg_resp_text(out, op->candidate_of ? op->candidate_of : "");
        return;
    case JG_SCRIPT_ARG_LEASE:
        jg_resp_text(out, jg_lease_name(op->lease));
        return;
    case JG_SCRIPT_ARG_LIMIT_KEY:
        jg_resp_text(out, op->limit_key ? op->limit_key : "");
        return;
    case JG_SCRIPT_ARG_LOAD:
        jg_resp_text(out, jg_op_has_slots(op) ? JG_LOAD_SLOTS : op->load_key ? op->load_key : "");
        return;
    case JG_SCRIPT_ARG_WORK:
        jg_resp_text(out, op->work_key ? op->work_key : "");
        return;
    case JG_SCRIPT_ARG_ACTION:
        jg_resp_text(out, op->action == JG_DUP_REJECT ? "reject" : "mark");
        return;
    case JG_SCRIPT_ARG_ORIGIN:
        jg_resp_text(out, op->origin ? op->origin : "");
        return;
    case JG_SCRIPT_ARG_CHANNEL:
        jg_buf_text(&channel, prefix);
        jg_buf_text(&channel, JG_SCRIPT_CHANNEL);
        if (channel.failed)
            out->failed = true;
        else
            jg_resp_bytes(out, channel.data, channel.size_bytes);
        jg_buf_clear(&channel);
        return;
    default:
        break;
    }
}

static bool
is_text(enum jg_script_arg arg)
{
    return arg == JG_SCRIPT_ARG_CHANNEL || (arg >= JG_SCRIPT_ARG_RUN_ID && arg <= JG_SCRIPT_ARG_ORIGIN);
}

/* What stands in an operation as a number or as a flag. */
static int64_t
number_of(enum jg_script_arg arg, const struct jg_op *op)
{
    const int64_t numbers[JG_SCRIPT_ARGS] = {
        [JG_SCRIPT_ARG_TTL_MS] = op->dedup_ttl_ms,
        [JG_SCRIPT_ARG_PROVISIONAL_MS] = op->dedup_provisional_ms,
        [JG_SCRIPT_ARG_RUN_TTL_MS] = op->run_ttl_ms,
        [JG_SCRIPT_ARG_EPOCH_IN] = op->epoch_in,
        [JG_SCRIPT_ARG_LIMIT] = op->limit,
        [JG_SCRIPT_ARG_RESUMED] = op->resumed,
        [JG_SCRIPT_ARG_LAST_TRY] = op->last_try,
        [JG_SCRIPT_ARG_FRESH] = op->fresh,
        [JG_SCRIPT_ARG_GRACE_MS] = op->grace_ms,
        [JG_SCRIPT_ARG_HOLD_MAX] = op->hold_max,
        [JG_SCRIPT_ARG_HELD_IN] = op->held_in,
        [JG_SCRIPT_ARG_OLDEST_HELD_IN] = op->oldest_held_in,
        [JG_SCRIPT_ARG_AHEAD] = op->resume_ahead,
        [JG_SCRIPT_ARG_AHEAD_IN] = op->ahead_in,
        [JG_SCRIPT_ARG_MAX_AGE_MS] = op->hold_max_age_ms,
        [JG_SCRIPT_ARG_OVERRIDE] = op->override_in.limit,
        [JG_SCRIPT_ARG_OVERRIDE_AT_MS] = op->override_in.at_ms,
        [JG_SCRIPT_ARG_OVERRIDE_NOW] = op->override_now,
        [JG_SCRIPT_ARG_LEAVE] = op->leave,
        [JG_SCRIPT_ARG_FORCE] = op->force,
        [JG_SCRIPT_ARG_LEASE_SKIPS] = op->lease_skips,
        [JG_SCRIPT_ARG_TOKEN_IN] = op->token_in,
        [JG_SCRIPT_ARG_CAPACITY] = op->capacity,
        [JG_SCRIPT_ARG_FAILED] = op->failed,
        [JG_SCRIPT_ARG_DONE_TTL_MS] = op->done_ttl_ms,
        [JG_SCRIPT_ARG_PER_KEY] = op->per_key,
        [JG_SCRIPT_ARG_SLOT_TTL_MS] = jg_op_has_slots(op) ? op->slot_ttl_ms : 0,
        [JG_SCRIPT_ARG_FOLLOWS_UP] = op->follows_up,
        [JG_SCRIPT_ARG_FOLLOW_UP] = op->follow_up,
        [JG_SCRIPT_ARG_FOLLOW_UPS_IN] = op->follow_ups_in,
    };
    return numbers[arg];
}

/* Of TAKE a jid with what else is known of the job, see take.lua; else as it is. */
static void
append_item(struct jg_buf *out, const struct jg_op *op, size_t index)
{
    char text[JG_MEMBER_MAX_BYTES + JG_KEY_CHARS + 8];
    const char *key = op->kind == JG_OP_TAKE && op->limit_keys ? op->limit_keys[index] : NULL;
    bool follows = op->kind == JG_OP_TAKE && op->follow_ups && op->follow_ups[index];
    if (!key && !follows) {
        jg_resp_text(out, op->items[index]);
        return;
    }
    snprintf(text, sizeof text, "%s %s%s", op->items[index], key ? key : "-", follows ? " 1" : "");
    jg_resp_text(out, text);
}

static void
append_arg(struct jg_buf *out, enum jg_script_arg arg, const char *prefix, const char *run_id, const struct jg_op *op)
{
    if (arg == JG_SCRIPT_ARG_ITEMS) {
        for (size_t i = 0; i < op->item_count; i++)
            append_item(out, op, i);
    } else if (is_text(arg)) {
        append_text(out, arg, prefix, run_id, op);
    } else if (arg == JG_SCRIPT_ARG_OVERRIDE && !op->override_in.set) {
        jg_resp_text(out, "default");
    } else if (arg == JG_SCRIPT_ARG_AHEAD && op->resume_ahead == JG_AUTO) {
        jg_resp_text(out, "auto"); /* older versions take it for 0 */
    } else {
        jg_resp_number(out, number_of(arg, op));
    }
}

void
jg_script_call(struct jg_buf *out, const char *prefix, const char *sha, const char *run_id, const struct jg_op *op)
{
    const struct jg_script *script = &jg_scripts[op->kind];
    struct jg_buf key = JG_BUF_INIT;
    size_t keys = 0, args = 0, count;
    while (keys < JG_SCRIPT_MAX_KEYS && script->keys[keys])
        keys++;
    while (args < JG_SCRIPT_MAX_ARGS && script->args[args])
        args++;
    jg_script_key_text(&key, prefix, op->class_name, "", "");
    count = 3 + keys + args;
    if (args && script->args[args - 1] == JG_SCRIPT_ARG_ITEMS)
        count += op->item_count - 1;
    jg_resp_begin(out, count);
    jg_resp_text(out, "EVALSHA");
    jg_resp_text(out, sha);
    jg_resp_number(out, (int64_t)keys);
    for (size_t i = 0; i < keys; i++)
        append_key(out, script->keys[i], &key, op);
    for (size_t i = 0; i < args; i++)
        append_arg(out, script->args[i], prefix, run_id, op);
    out->failed = out->failed || key.failed;
    jg_buf_clear(&key);
}
