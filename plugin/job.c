/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MOST INT64_C(9999999999)

static const char *const dedup_names[] = {
    [JG_DEDUP_NONE] = "none",
    [JG_DEDUP_UNTIL_EXECUTING] = "until_executing",
    [JG_DEDUP_UNTIL_EXECUTED] = "until_executed",
};

static const char *const claim_state_names[] = {
    [JG_CLAIM_NONE] = "none", [JG_CLAIM_PROVISIONAL] = "provisional", [JG_CLAIM_QUEUED] = "queued",
    [JG_CLAIM_HELD] = "held", [JG_CLAIM_RUNNING] = "running",
};

static const char *const reason_names[] = {
    [JG_REASON_NONE] = "none",     [JG_REASON_LIMIT] = "limit",         [JG_REASON_BEHIND] = "behind",
    [JG_REASON_PAUSED] = "paused", [JG_REASON_GRACE] = "grace",         [JG_REASON_FULL] = "full",
    [JG_REASON_LEASE] = "lease",   [JG_REASON_CAPACITY] = "capacity",   [JG_REASON_RETRY] = "retry",
    [JG_REASON_KEY] = "key",       [JG_REASON_DONE] = "done",           [JG_REASON_TAKEN] = "taken",
    [JG_REASON_COPY] = "copy",     [JG_REASON_FOLLOW_UP] = "follow-up",
};

static const char *const lease_names[] = {
    [JG_LEASE_NONE] = "none",
    [JG_LEASE_CLASS] = "class",
    [JG_LEASE_KEY] = "key",
};

static bool
find_name(const char *const *names, size_t count, const char *text, size_t size_bytes, size_t *found)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == size_bytes && memcmp(names[i], text, size_bytes) == 0) {
            *found = i;
            return true;
        }
    }
    return false;
}

const char *
jg_dedup_name(enum jg_dedup dedup)
{
    return dedup_names[dedup];
}

bool
jg_dedup_parse(const char *text, size_t size_bytes, enum jg_dedup *out)
{
    size_t found;
    if (!find_name(dedup_names, sizeof(dedup_names) / sizeof(dedup_names[0]), text, size_bytes, &found))
        return false;
    *out = (enum jg_dedup)found;
    return true;
}

const char *
jg_claim_state_name(enum jg_claim_state state)
{
    return claim_state_names[state];
}

const char *
jg_reason_name(enum jg_reason reason)
{
    return reason_names[reason];
}

bool
jg_reason_is_room(enum jg_reason reason)
{
    return reason == JG_REASON_LIMIT || reason == JG_REASON_LEASE || reason == JG_REASON_CAPACITY ||
           reason == JG_REASON_KEY;
}

bool
jg_reason_parse(const char *text, size_t size_bytes, enum jg_reason *out)
{
    size_t found;
    if (!find_name(reason_names, sizeof(reason_names) / sizeof(reason_names[0]), text, size_bytes, &found))
        return false;
    *out = (enum jg_reason)found;
    return true;
}

const char *
jg_lease_name(enum jg_lease lease)
{
    return lease_names[lease];
}

bool
jg_lease_parse(const char *text, size_t size_bytes, enum jg_lease *out)
{
    size_t found;
    if (!find_name(lease_names, sizeof(lease_names) / sizeof(lease_names[0]), text, size_bytes, &found))
        return false;
    *out = (enum jg_lease)found;
    return true;
}

static bool
is_hex(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    return true;
}

/* `-<number>` */
static bool
is_suffix(const char *text, size_t size_bytes)
{
    if (size_bytes < 2 || size_bytes > JG_JID_CHARS - JG_CHAIN_CHARS || text[0] != '-' || text[1] == '0')
        return false;
    for (size_t i = 1; i < size_bytes; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

bool
jg_jid_valid(const char *text, size_t size_bytes)
{
    return size_bytes >= JG_CHAIN_CHARS && text[JG_KEY_CHARS] == '-' && is_hex(text, JG_KEY_CHARS) &&
           is_hex(text + JG_KEY_CHARS + 1, JG_JID_RANDOM_CHARS) &&
           (size_bytes == JG_CHAIN_CHARS || is_suffix(text + JG_CHAIN_CHARS, size_bytes - JG_CHAIN_CHARS));
}

int64_t
jg_jid_number(const char *jid)
{
    return strlen(jid) > JG_CHAIN_CHARS ? strtoll(jid + JG_CHAIN_CHARS + 1, NULL, 10) : 0;
}

bool
jg_jid_next(const char *jid, char *out)
{
    int64_t number = jg_jid_number(jid) + 1;
    if (number > NUMBER_MOST)
        return false;
    char text[JG_CHAIN_CHARS + 24];
    snprintf(text, sizeof text, "%.*s-%" PRId64, JG_CHAIN_CHARS, jid, number);
    memcpy(out, text, strlen(text) + 1);
    return true;
}
