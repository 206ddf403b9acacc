/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/memory/map.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_BUCKETS 4

/* FNV-1a. Keys are hashes and random ids already; class names come from settings and programs of the same process. */
static uint64_t
hash_of(const char *key)
{
    uint64_t hash = 14695981039346656037u;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 1099511628211u;
    return hash ^ (hash >> 32);
}

static struct jg_map_entry **
bucket_of(const struct jg_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->room - 1)];
}

static enum jg_err
grow(struct jg_map *map)
{
    size_t room = map->room ? map->room * 2 : 16;
    struct jg_map_entry **buckets = calloc(room, sizeof(*buckets));
    if (!buckets)
        return JG_ENOMEM;
    for (size_t i = 0; i < map->room; i++) {
        struct jg_map_entry *next;
        for (struct jg_map_entry *entry = map->buckets[i]; entry; entry = next) {
            next = entry->next;
            entry->next = buckets[entry->hash & (room - 1)];
            buckets[entry->hash & (room - 1)] = entry;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->room = room;
    return JG_OK;
}

static void
sweep_bucket(struct jg_map *map, size_t index, int64_t now_ms)
{
    struct jg_map_entry *next;
    for (struct jg_map_entry *entry = map->buckets[index]; entry; entry = next) {
        next = entry->next;
        if (entry->expires_ms <= now_ms)
            jg_map_remove(map, entry);
    }
}

struct jg_map_entry *
jg_map_find(struct jg_map *map, const char *key, int64_t now_ms)
{
    if (!map->room)
        return NULL;
    uint64_t hash = hash_of(key);
    struct jg_map_entry *entry = *bucket_of(map, hash);
    while (entry && (entry->hash != hash || strcmp(entry->key, key) != 0))
        entry = entry->next;
    if (entry && entry->expires_ms <= now_ms) {
        jg_map_remove(map, entry);
        return NULL;
    }
    return entry;
}

enum jg_err
jg_map_put(struct jg_map *map, const char *key, struct jg_map_entry *entry, int64_t now_ms)
{
    for (size_t i = 0; i < SWEEP_BUCKETS && i < map->room; i++)
        sweep_bucket(map, map->hand++ & (map->room - 1), now_ms);
    if (map->count >= map->room && grow(map))
        return JG_ENOMEM;
    entry->key = strdup(key);
    if (!entry->key)
        return JG_ENOMEM;
    entry->hash = hash_of(key);
    struct jg_map_entry **bucket = bucket_of(map, entry->hash);
    entry->next = *bucket;
    *bucket = entry;
    map->count++;
    return JG_OK;
}

struct jg_map_entry *
jg_map_make(struct jg_map *map, const char *key, size_t size_bytes, int64_t now_ms)
{
    struct jg_map_entry *entry = jg_map_find(map, key, now_ms);
    if (entry)
        return entry;
    entry = calloc(1, size_bytes);
    if (!entry)
        return NULL;
    if (jg_map_put(map, key, entry, now_ms)) {
        free(entry);
        return NULL;
    }
    return entry;
}

void
jg_map_remove(struct jg_map *map, struct jg_map_entry *entry)
{
    struct jg_map_entry **at = bucket_of(map, entry->hash);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    map->count--;
    free(entry->key);
    map->destroy(entry);
}

void
jg_map_remove_expired(struct jg_map *map, int64_t now_ms)
{
    for (size_t i = 0; i < map->room; i++)
        sweep_bucket(map, i, now_ms);
}

struct jg_map_entry *
jg_map_next(const struct jg_map *map, const struct jg_map_entry *entry)
{
    if (entry && entry->next)
        return entry->next;
    for (size_t i = entry ? (entry->hash & (map->room - 1)) + 1 : 0; i < map->room; i++)
        if (map->buckets[i])
            return map->buckets[i];
    return NULL;
}

void
jg_map_clear(struct jg_map *map)
{
    jg_map_remove_expired(map, JG_MAP_NEVER);
    free(map->buckets);
    *map = (struct jg_map){.destroy = map->destroy};
}
