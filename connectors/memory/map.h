/* SPDX-License-Identifier: Apache-2.0 */
/* A hash map of texts to entries that may expire. Entries are embedded first in what they belong to. */
#ifndef JG_CONNECTORS_MEMORY_MAP_H
#define JG_CONNECTORS_MEMORY_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JG_MAP_NEVER INT64_MAX

struct jg_map_entry {
    struct jg_map_entry *next;
    uint64_t hash;
    char *key;          /* owned */
    int64_t expires_ms; /* from then on it is not there; JG_MAP_NEVER */
};

struct jg_map {
    struct jg_map_entry **buckets;
    size_t room; /* a power of two, or 0 */
    size_t count;
    size_t hand;                                 /* where the next sweep goes on */
    void (*destroy)(struct jg_map_entry *entry); /* frees what the entry is embedded in, not its key */
};

/* NULL: not there, or expired (it is then removed). */
struct jg_map_entry *jg_map_find(struct jg_map *map, const char *key, int64_t now_ms);

/* Put `entry` in under a key that is not there. JG_ENOMEM: it still belongs to the caller. On the way a few expired
 * ones are removed, so that what nobody asks for again goes too. */
JG_MUST_USE enum jg_err jg_map_put(struct jg_map *map, const char *key, struct jg_map_entry *entry, int64_t now_ms);

/* The entry under that key; when it is not there, a new one, zeroed but for its key, embedded in `size_bytes`, to be
 * filled in. NULL: out of memory. */
struct jg_map_entry *jg_map_make(struct jg_map *map, const char *key, size_t size_bytes, int64_t now_ms);

void jg_map_remove(struct jg_map *map, struct jg_map_entry *entry);
void jg_map_remove_expired(struct jg_map *map, int64_t now_ms);

/* The entry after `entry` (NULL: the first), in no order, expired or not; NULL at the end. */
struct jg_map_entry *jg_map_next(const struct jg_map *map, const struct jg_map_entry *entry);

/* Remove all, free the memory. The map may be used again. */
void jg_map_clear(struct jg_map *map);

#endif
