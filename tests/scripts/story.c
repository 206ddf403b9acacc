/* SPDX-License-Identifier: Apache-2.0 */
#include "story.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

unsigned
pick(struct story *story, unsigned below)
{
    story->random ^= story->random << 13;
    story->random ^= story->random >> 7;
    story->random ^= story->random << 17;
    return (unsigned)((story->random >> 11) % below);
}

void
note(struct story *story, const char *fmt, ...)
{
    va_list args;
    size_t left = sizeof story->history - story->history_bytes;
    va_start(args, fmt);
    int size = vsnprintf(story->history + story->history_bytes, left, fmt, args);
    va_end(args);
    if (size > 0 && (size_t)size < left)
        story->history_bytes += (size_t)size;
}

uint64_t
number_from(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}
