/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/breaker.h"

void
jg_breaker_failed(struct jg_breaker *breaker, bool slow, int64_t now_ms, uint64_t chance)
{
    int64_t pause_ms = JG_BREAKER_FIRST_MS;
    for (unsigned i = 0; i < breaker->failures && pause_ms < JG_BREAKER_LONGEST_MS; i++)
        pause_ms *= 2;
    if (pause_ms > JG_BREAKER_LONGEST_MS)
        pause_ms = JG_BREAKER_LONGEST_MS;
    breaker->open = true;
    breaker->slow = slow;
    breaker->failures += breaker->failures < 1000 ? 1 : 0;
    breaker->next_try_ms = now_ms + pause_ms - pause_ms / 4 + (int64_t)(chance % (uint64_t)(pause_ms / 2 + 1));
}

void
jg_breaker_answered(struct jg_breaker *breaker)
{
    breaker->open = false;
}

void
jg_breaker_worked(struct jg_breaker *breaker)
{
    breaker->open = false;
    breaker->failures = 0;
}

bool
jg_breaker_may_try(const struct jg_breaker *breaker, int64_t now_ms)
{
    return !breaker->open || now_ms >= breaker->next_try_ms;
}
