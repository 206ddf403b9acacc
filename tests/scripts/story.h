/* SPDX-License-Identifier: Apache-2.0 */
/* What the random worlds share: where their chance comes from, and what is told of them when a promise is broken. */
#ifndef JG_TESTS_STORY_H
#define JG_TESTS_STORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct story {
    uint64_t random; /* not 0 */
    char history[32768];
    size_t history_bytes;
};

/* A number below that. */
unsigned pick(struct story *story, unsigned below);
/* Add to the history; what has no room is left out. */
void note(struct story *story, const char *fmt, ...) JG_PRINTF(2, 3);
/* The number in an environment variable. */
uint64_t number_from(const char *variable, uint64_t otherwise);

#endif
