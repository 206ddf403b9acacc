/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A number as our scripts write it: 19 digits at most, a sign at most. */
static bool
parse_integer(const char *text, int64_t *out)
{
    const char *digits = *text == '-' ? text + 1 : text;
    size_t length = strspn(digits, "0123456789");
    if (length == 0 || length > 18 || digits[length])
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

bool
jg_reply_is_array(const redisReply *reply, size_t count)
{
    return reply && reply->type == REDIS_REPLY_ARRAY && (count == JG_REPLY_ANY || reply->elements == count);
}

bool
jg_reply_text(const redisReply *reply, char *out, size_t out_bytes)
{
    if (reply && reply->type == REDIS_REPLY_NIL) {
        out[0] = '\0';
        return true;
    }
    if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
        return false;
    size_t size = (size_t)reply->len;
    if (size >= out_bytes || memchr(reply->str, '\0', size))
        return false;
    memcpy(out, reply->str, size);
    out[size] = '\0';
    return true;
}

bool
jg_reply_integer(const redisReply *reply, int64_t *out)
{
    char text[32];
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        *out = reply->integer;
        return true;
    }
    if (!jg_reply_text(reply, text, sizeof text))
        return false;
    *out = 0;
    return !text[0] || parse_integer(text, out);
}

bool
jg_reply_time(const redisReply *reply, int64_t *now_ms)
{
    int64_t seconds, micros;
    if (!jg_reply_is_array(reply, 2) || !jg_reply_integer(reply->element[0], &seconds) ||
        !jg_reply_integer(reply->element[1], &micros) || seconds < 0 || seconds > INT32_MAX * INT64_C(100))
        return false;
    *now_ms = seconds * 1000 + micros / 1000;
    return true;
}

bool
jg_reply_state(const char *text, enum jg_claim_state *out)
{
    static const char letters[] = {[JG_CLAIM_NONE] = 'n',
                                   [JG_CLAIM_PROVISIONAL] = 'p',
                                   [JG_CLAIM_QUEUED] = 'q',
                                   [JG_CLAIM_HELD] = 'h',
                                   [JG_CLAIM_RUNNING] = 'r'};
    for (size_t i = 0; i < sizeof letters; i++) {
        if (text[0] == letters[i] && !text[1]) {
            *out = (enum jg_claim_state)i;
            return true;
        }
    }
    return false;
}

/* An integer that is 0 or 1. */
static bool
read_flag(const redisReply *reply, bool *out)
{
    if (!reply || reply->type != REDIS_REPLY_INTEGER || (reply->integer != 0 && reply->integer != 1))
        return false;
    *out = reply->integer == 1;
    return true;
}

bool
jg_reply_claim(const redisReply *reply, struct jg_op *op)
{
    static const char *const words[] = {
        [JG_ORIGINAL] = "original", [JG_DUPLICATE] = "duplicate", [JG_CANDIDATE] = "candidate"};
    char word[16], state_text[4], original[JG_JID_CHARS + 1];
    enum jg_claim_state state;
    int64_t since_ms, follow_up;
    if (!jg_reply_is_array(reply, 5) || !jg_reply_text(reply->element[0], word, sizeof word) ||
        !jg_reply_text(reply->element[1], original, sizeof original) ||
        !jg_reply_text(reply->element[2], state_text, sizeof state_text) || !jg_reply_state(state_text, &state) ||
        !jg_reply_integer(reply->element[3], &since_ms) || !jg_reply_integer(reply->element[4], &follow_up) ||
        follow_up < 0 || (follow_up && strcmp(word, words[JG_CANDIDATE]) != 0))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        /* Who is turned away is told by whom. */
        if (i != JG_ORIGINAL && !jg_jid_valid(original, strlen(original)))
            return false;
        op->claimed = (enum jg_claimed)i;
        op->original_state = state;
        op->original_since_ms = since_ms;
        op->follow_up = follow_up;
        strcpy(op->original, original);
        return true;
    }
    return false;
}

bool
jg_reply_changed(const redisReply *reply, struct jg_op *op)
{
    return jg_reply_is_array(reply, 1) && read_flag(reply->element[0], &op->changed);
}

static bool
read_verdict(const redisReply *reply, enum jg_verdict *out)
{
    static const char *const words[] = {[JG_RUN] = "run", [JG_HOLD] = "hold", [JG_SKIP] = "skip", [JG_LATER] = "later"};
    char word[8];
    if (!jg_reply_text(reply, word, sizeof word))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum jg_verdict)i;
            return true;
        }
    }
    return false;
}

static bool
read_reason(const redisReply *reply, enum jg_reason *out)
{
    char word[16];
    return jg_reply_text(reply, word, sizeof word) && jg_reason_parse(word, strlen(word), out);
}

/* The last two of a reply: load, gauge. */
struct gauge_read {
    int64_t load;
    enum jg_gauge gauge;
};

static bool
read_gauge(const redisReply *load, const redisReply *gauge, struct gauge_read *out)
{
    static const char *const words[] = {[JG_GAUGE_FINE] = "fine",
                                        [JG_GAUGE_ABSENT] = "absent",
                                        [JG_GAUGE_WRONG] = "wrong",
                                        [JG_GAUGE_WORK_WRONG] = "work_wrong"};
    char word[16];
    if (!jg_reply_integer(load, &out->load) || out->load < -1 || !jg_reply_text(gauge, word, sizeof word))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0) {
            out->gauge = (enum jg_gauge)i;
            return true;
        }
    }
    return false;
}

/* A jid, or nothing. */
static bool
read_jid(const redisReply *reply, char *out)
{
    return jg_reply_text(reply, out, JG_JID_CHARS + 1) && (!out[0] || jg_jid_valid(out, strlen(out)));
}

/* Does the verdict go with that reason? */
static bool
is_reason_of(enum jg_verdict verdict, enum jg_reason reason)
{
    bool skips = reason == JG_REASON_DONE || reason == JG_REASON_TAKEN || reason == JG_REASON_COPY;
    if (reason == JG_REASON_NONE)
        return verdict == JG_RUN || verdict == JG_SKIP;
    if (reason == JG_REASON_RETRY)
        return false;
    return skips ? verdict == JG_SKIP : verdict == JG_HOLD || verdict == JG_LATER;
}

bool
jg_reply_admit(const redisReply *reply, struct jg_op *op)
{
    char original[JG_JID_CHARS + 1], next[JG_JID_CHARS + 1];
    enum jg_verdict verdict;
    enum jg_reason reason;
    struct gauge_read gauge;
    int64_t epoch, token;
    bool waits;
    if (!jg_reply_is_array(reply, 9) || !read_verdict(reply->element[0], &verdict) ||
        !read_jid(reply->element[1], original) || !jg_reply_integer(reply->element[2], &epoch) ||
        !read_reason(reply->element[3], &reason) || epoch <= 0 || !jg_reply_integer(reply->element[4], &token) ||
        !read_jid(reply->element[5], next) || !read_flag(reply->element[6], &waits) ||
        !read_gauge(reply->element[7], reply->element[8], &gauge))
        return false;
    bool duplicate = verdict == JG_SKIP && reason == JG_REASON_NONE;
    if (!is_reason_of(verdict, reason) || duplicate != (original[0] != '\0') || token < 0 ||
        (verdict != JG_RUN && token) || (reason != JG_REASON_DONE && (next[0] || waits)) || (waits && !next[0]))
        return false;
    op->verdict = verdict;
    op->reason = reason;
    op->epoch = epoch;
    op->token = token;
    op->next_waits = waits;
    op->load_now = gauge.load;
    op->gauge = gauge.gauge;
    strcpy(op->original, original);
    strcpy(op->next, next);
    return true;
}

bool
jg_reply_complete(const redisReply *reply, struct jg_op *op)
{
    char next[JG_JID_CHARS + 1];
    struct gauge_read gauge;
    bool changed, waits;
    if (!jg_reply_is_array(reply, 5) || !read_flag(reply->element[0], &changed) || !read_jid(reply->element[1], next) ||
        !read_flag(reply->element[2], &waits) || !read_gauge(reply->element[3], reply->element[4], &gauge))
        return false;
    if (waits && !next[0])
        return false;
    op->changed = changed;
    op->next_waits = waits;
    op->load_now = gauge.load;
    op->gauge = gauge.gauge;
    strcpy(op->next, next);
    return true;
}

/* A letter for each item, of which so many are granted. */
static bool
read_grants(const redisReply *reply, const struct jg_op *op, int64_t granted)
{
    int64_t yes = 0;
    if (!reply || reply->type != REDIS_REPLY_STRING || (size_t)reply->len != op->item_count)
        return false;
    for (size_t i = 0; i < op->item_count; i++) {
        if (!memchr("nky", reply->str[i], 3))
            return false;
        yes += reply->str[i] == 'y';
    }
    for (size_t i = 0; yes == granted && op->grants && i < op->item_count; i++)
        op->grants[i] = reply->str[i] == 'y' ? JG_GRANT_YES : reply->str[i] == 'k' ? JG_GRANT_KEY : JG_GRANT_NONE;
    return yes == granted;
}

/* Decimal numbers, each with a blank behind it. */
static bool
read_busy(const redisReply *reply, struct jg_op *op)
{
    size_t count = 0;
    const char *at = reply->str;
    if (reply->type != REDIS_REPLY_STRING)
        return false;
    for (char *end; *at; at = end + 1) {
        long number = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
        if (number < 0 || number > INT32_MAX || *end != ' ' || !op->busy || count == JG_OP_BUSY_MOST)
            return false;
        op->busy[count++] = (int32_t)number;
    }
    op->busy_count = count;
    return true;
}

bool
jg_reply_take(const redisReply *reply, struct jg_op *op)
{
    int64_t numbers[6], paced[5], per_key;
    enum jg_reason reason;
    struct gauge_read gauge;
    if (!jg_reply_is_array(reply, 17) || !read_reason(reply->element[6], &reason) ||
        !read_gauge(reply->element[7], reply->element[8], &gauge))
        return false;
    for (size_t i = 0; i < 6; i++)
        if (!jg_reply_integer(reply->element[i], &numbers[i]))
            return false;
    for (size_t i = 0; i < 5; i++)
        if (!jg_reply_integer(reply->element[11 + i], &paced[i]))
            return false;
    if (numbers[0] < 0 || numbers[0] > JG_OP_MAX_ITEMS || numbers[4] < 0 || numbers[5] < 0 ||
        !jg_reply_integer(reply->element[10], &per_key) || per_key < 0 ||
        !read_grants(reply->element[9], op, numbers[0]) || !read_busy(reply->element[16], op))
        return false;
    op->granted = numbers[0];
    op->limit_now = numbers[1];
    op->ahead_now = numbers[2];
    op->max_age_now_ms = numbers[3];
    op->running = numbers[4];
    op->tickets = numbers[5];
    op->per_key_now = per_key;
    op->now_ms = paced[0];
    op->completed_now = paced[1];
    op->missed_now = paced[2];
    op->waited_now_ms = paced[3];
    op->idle_now = paced[4];
    op->reason = reason;
    op->load_now = gauge.load;
    op->gauge = gauge.gauge;
    return true;
}

bool
jg_reply_override(const char *text, struct jg_override *out)
{
    out->limit = 0;
    out->set = strcmp(text, "default") != 0;
    return !out->set || parse_integer(text, &out->limit);
}

bool
jg_reply_numbered(const char *text, int64_t *number, const char **rest)
{
    char digits[24];
    const char *space = strchr(text, ' ');
    if (!space || (size_t)(space - text) >= sizeof digits)
        return false;
    memcpy(digits, text, (size_t)(space - text));
    digits[space - text] = '\0';
    *rest = space + 1;
    return parse_integer(digits, number);
}

bool
jg_reply_ticket(const char *rest, struct jg_ticket_report *out)
{
    size_t size = strcspn(rest, " ");
    const char *key = rest[size] ? rest + size + 1 : "";
    if (size >= sizeof out->position || (key[0] && strlen(key) != JG_KEY_CHARS))
        return false;
    memcpy(out->position, rest, size);
    out->position[size] = '\0';
    strcpy(out->limit_key, key);
    return true;
}

bool
jg_reply_sync(const redisReply *reply, struct jg_op *op)
{
    struct jg_override override;
    char text[24];
    if (!jg_reply_is_array(reply, 2) || !jg_reply_text(reply->element[0], text, sizeof text) ||
        !jg_reply_override(text, &override) || !jg_reply_integer(reply->element[1], &override.at_ms) ||
        override.at_ms < 0)
        return false;
    op->override = override;
    return true;
}

bool
jg_reply_lead(const redisReply *reply, struct jg_op *op)
{
    char other[sizeof op->other];
    int64_t left_ms, generation;
    bool changed;
    if (!jg_reply_is_array(reply, 4) || !read_flag(reply->element[0], &changed) ||
        !jg_reply_text(reply->element[1], other, sizeof other) || !jg_reply_integer(reply->element[2], &left_ms) ||
        !jg_reply_integer(reply->element[3], &generation) || left_ms < 0 || generation < 0)
        return false;
    op->changed = changed;
    op->left_ms = left_ms;
    op->generation = generation;
    strcpy(op->other, other);
    return true;
}

bool
jg_reply_group(const redisReply *reply, struct jg_op *op)
{
    char other[sizeof op->other];
    bool changed;
    if (!jg_reply_is_array(reply, 2) || !read_flag(reply->element[0], &changed) ||
        !jg_reply_text(reply->element[1], other, sizeof other))
        return false;
    op->changed = changed;
    strcpy(op->other, other);
    return true;
}

bool
jg_reply_announce(const redisReply *reply, struct jg_op *op)
{
    int64_t generation;
    bool changed;
    if (!jg_reply_is_array(reply, 2) || !read_flag(reply->element[0], &changed) ||
        !jg_reply_integer(reply->element[1], &generation) || generation <= 0)
        return false;
    op->changed = changed;
    op->generation = generation;
    return true;
}

bool
jg_reply_renew(const redisReply *reply, struct jg_op *op)
{
    int64_t epoch;
    bool changed;
    if (!jg_reply_is_array(reply, 2) || !read_flag(reply->element[0], &changed) ||
        !jg_reply_integer(reply->element[1], &epoch) || epoch <= 0)
        return false;
    op->changed = changed;
    op->epoch = epoch;
    return true;
}

bool
jg_reply_claim_fields(const redisReply *reply, struct jg_claim_report *out, int64_t *epoch)
{
    char state[4], mode[24];
    *out = (struct jg_claim_report){.state = JG_CLAIM_NONE};
    if (!jg_reply_is_array(reply, JG_REPLY_CLAIM_FIELDS))
        return false;
    redisReply *const *field = reply->element;
    if (field[0]->type == REDIS_REPLY_NIL)
        return true;
    return jg_reply_text(field[0], out->owner, sizeof out->owner) && jg_reply_text(field[1], state, sizeof state) &&
           jg_reply_state(state, &out->state) && jg_reply_integer(field[2], epoch) &&
           jg_reply_integer(field[3], &out->since_ms) && jg_reply_text(field[4], mode, sizeof mode) &&
           jg_dedup_parse(mode, strlen(mode), &out->dedup) && jg_reply_integer(field[5], &out->duplicates) &&
           jg_reply_text(field[6], out->newest_candidate, sizeof out->newest_candidate) &&
           jg_reply_text(field[7], out->newest_acked_candidate, sizeof out->newest_acked_candidate) &&
           jg_reply_text(field[8], out->member, sizeof out->member);
}

/* Take the next of words that single spaces separate. */
static bool
next_word(char **rest, char *out, size_t out_bytes)
{
    char *word = strsep(rest, " ");
    if (!word || !word[0] || strlen(word) >= out_bytes)
        return false;
    strcpy(out, word);
    return true;
}

bool
jg_reply_duplicate(const redisReply *reply, struct jg_duplicate_report *out)
{
    char text[256], at[24], state[4], action[8], candidate[4];
    char *rest = text;
    *out = (struct jg_duplicate_report){.at_ms = 0};
    if (!jg_reply_text(reply, text, sizeof text) || !next_word(&rest, out->jid, sizeof out->jid) ||
        !next_word(&rest, out->original, sizeof out->original) || !next_word(&rest, at, sizeof at) ||
        !parse_integer(at, &out->at_ms) || !next_word(&rest, state, sizeof state) ||
        !jg_reply_state(state, &out->original_state) || !next_word(&rest, action, sizeof action) ||
        !next_word(&rest, candidate, sizeof candidate) || rest)
        return false;
    out->action = strcmp(action, "reject") == 0 ? JG_DUP_REJECT : JG_DUP_MARK;
    out->candidate = strcmp(candidate, "1") == 0;
    return true;
}

void
jg_reply_info(const redisReply *info, const char *name, char *out, size_t out_bytes)
{
    size_t name_size = strlen(name), size = (size_t)info->len, length = 0;
    const char *at = info->str, *end = info->str + size;
    out[0] = '\0';
    while ((at = memmem(at, (size_t)(end - at), name, name_size))) {
        bool begins = at == info->str || at[-1] == '\n';
        at += name_size;
        if (begins && at < end && *at == ':')
            break;
    }
    if (!at)
        return;
    for (at++; at < end && *at != '\r' && *at != '\n' && length + 1 < out_bytes; at++)
        out[length++] = *at >= ' ' && *at < 0x7f ? *at : '?';
    out[length] = '\0';
}
