/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/job.h"

#include <string.h>

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
    [JG_REASON_NONE] = "none",     [JG_REASON_LIMIT] = "limit", [JG_REASON_BEHIND] = "behind",
    [JG_REASON_PAUSED] = "paused", [JG_REASON_GRACE] = "grace", [JG_REASON_FULL] = "full",
};

const char *
jg_dedup_name(enum jg_dedup dedup)
{
    return dedup_names[dedup];
}

bool
jg_dedup_parse(const char *text, size_t size_bytes, enum jg_dedup *out)
{
    for (size_t i = 0; i < sizeof(dedup_names) / sizeof(dedup_names[0]); i++) {
        if (strlen(dedup_names[i]) == size_bytes && memcmp(dedup_names[i], text, size_bytes) == 0) {
            *out = (enum jg_dedup)i;
            return true;
        }
    }
    return false;
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
jg_reason_parse(const char *text, size_t size_bytes, enum jg_reason *out)
{
    for (size_t i = 0; i < sizeof(reason_names) / sizeof(reason_names[0]); i++) {
        if (strlen(reason_names[i]) == size_bytes && memcmp(reason_names[i], text, size_bytes) == 0) {
            *out = (enum jg_reason)i;
            return true;
        }
    }
    return false;
}

static bool
is_hex(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    return true;
}

bool
jg_jid_valid(const char *text, size_t size_bytes)
{
    return size_bytes == JG_JID_CHARS && text[JG_KEY_CHARS] == '-' && is_hex(text, JG_KEY_CHARS) &&
           is_hex(text + JG_KEY_CHARS + 1, JG_JID_RANDOM_CHARS);
}
