/* SPDX-License-Identifier: Apache-2.0 */
/* Which lane a held job is in. */
#include "connectors/kafka/lanes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SLOTS 64
#define LEFT_MOST 5000
#define RANDOM_BYTES (JG_JID_RANDOM_CHARS / 2)
#define KEY_BYTES (JG_KEY_CHARS / 2)

/* --- jids, in a third of their size --- */

static unsigned char
nibble(char digit)
{
    return (unsigned char)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void
pack_hex(const char *text, size_t count, unsigned char *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (unsigned char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
}

static void
pack_jid(const char *jid, unsigned char *out)
{
    int64_t number = jg_jid_number(jid);
    pack_hex(jid, KEY_BYTES, out);
    pack_hex(jid + JG_KEY_CHARS + 1, RANDOM_BYTES, out + KEY_BYTES);
    for (int i = 0; i < JG_LANES_JID_BYTES - KEY_BYTES - RANDOM_BYTES; i++)
        out[KEY_BYTES + RANDOM_BYTES + i] = (unsigned char)(number >> (8 * i));
}

void
jg_entry_jid(const struct jg_entry *entry, char *out)
{
    static const char digits[] = "0123456789abcdef";
    int64_t number = 0;
    char *at = out;
    for (int i = 0; i < KEY_BYTES + RANDOM_BYTES; i++) {
        *at++ = digits[entry->jid[i] >> 4];
        *at++ = digits[entry->jid[i] & 15];
        if (i == KEY_BYTES - 1)
            *at++ = '-';
    }
    *at = '\0';
    for (int i = JG_LANES_JID_BYTES - 1; i >= KEY_BYTES + RANDOM_BYTES; i--)
        number = number << 8 | entry->jid[i];
    if (number)
        snprintf(at, JG_JID_CHARS + 1 - JG_CHAIN_CHARS, "-%" PRId64, number);
}

bool
jg_lanes_has(const struct jg_lanes *lanes, const char *jid)
{
    unsigned char packed[JG_LANES_JID_BYTES];
    const struct jg_entry *entry;
    if (!jg_jid_valid(jid, strlen(jid)))
        return false;
    pack_jid(jid, packed);
    for (int i = 0; i < lanes->row_count; i++) {
        size_t at = lanes->rows[i].begin;
        while ((entry = jg_row_each(&lanes->rows[i], &at)) != NULL)
            if (!entry->foreign && memcmp(entry->jid, packed, sizeof packed) == 0)
                return true;
    }
    return false;
}

/* --- keys --- */

static uint64_t
mix(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 29;
}

static size_t
key_slot(const struct jg_lanes *lanes, const char *text)
{
    return mix(UINT64_C(0xcbf29ce484222325), text, strlen(text)) & (lanes->key_slot_count - 1);
}

/* Twice as many slots when they are full; a table that cannot grow works on. */
static void
grow_keys(struct jg_lanes *lanes)
{
    size_t before = lanes->key_slot_count, count = before ? before * 2 : LEAST_SLOTS;
    struct jg_lane_key **old = lanes->key_slots;
    struct jg_lane_key **slots = lanes->key_count >= before ? calloc(count, sizeof(struct jg_lane_key *)) : NULL;
    if (!slots)
        return;
    lanes->key_slots = slots;
    lanes->key_slot_count = count;
    for (size_t i = 0; i < before; i++) {
        for (struct jg_lane_key *key = old[i], *next; key; key = next) {
            size_t at = key_slot(lanes, key->text);
            next = key->same_hash;
            key->same_hash = slots[at];
            slots[at] = key;
        }
    }
    free(old);
}

static struct jg_lane_key *
find_key(const struct jg_lanes *lanes, const char *text, bool of_job)
{
    struct jg_lane_key *key = lanes->key_slot_count ? lanes->key_slots[key_slot(lanes, text)] : NULL;
    while (key && (key->of_job != of_job || strcmp(key->text, text) != 0))
        key = key->same_hash;
    return key;
}

/* NULL: out of memory, or no key of the store's. */
static struct jg_lane_key *
get_key(struct jg_lanes *lanes, const char *text, bool of_job)
{
    grow_keys(lanes);
    struct jg_lane_key *key = find_key(lanes, text, of_job);
    if (key || !lanes->key_slot_count || strlen(text) != JG_KEY_CHARS)
        return key;
    key = calloc(1, sizeof *key);
    if (!key)
        return NULL;
    size_t at = key_slot(lanes, text);
    memcpy(key->text, text, sizeof key->text);
    key->of_job = of_job;
    key->same_hash = lanes->key_slots[at];
    lanes->key_slots[at] = key;
    lanes->key_count++;
    return key;
}

/* The store may be told that no job of it is held. What does not fit is forgotten by itself. */
static void
note_left(struct jg_lanes *lanes, const struct jg_lane_key *key)
{
    if (!lanes->left)
        lanes->left = calloc(LEFT_MOST, sizeof *lanes->left);
    if (lanes->left && lanes->left_count < LEFT_MOST)
        memcpy(lanes->left[lanes->left_count++].text, key->text, sizeof key->text);
}

static void
drop_key(struct jg_lanes *lanes, struct jg_lane_key *key)
{
    if (!key || key->lanes > 0)
        return;
    struct jg_lane_key **link = &lanes->key_slots[key_slot(lanes, key->text)];
    while (*link != key)
        link = &(*link)->same_hash;
    *link = key->same_hash;
    lanes->key_count--;
    note_left(lanes, key);
    free(key);
}

size_t
jg_lanes_left(struct jg_lanes *lanes, struct jg_lane_name *out, size_t most)
{
    size_t count = 0;
    while (lanes->left_count > 0 && count < most) {
        const struct jg_lane_name *left = &lanes->left[--lanes->left_count];
        if (!find_key(lanes, left->text, false) && !find_key(lanes, left->text, true)) /* others came meanwhile */
            out[count++] = *left;
    }
    return count;
}

size_t
jg_lanes_marks(struct jg_lanes *lanes, int64_t before_ms, int64_t now_ms, size_t *at, struct jg_lane_name *out,
               size_t most)
{
    size_t count = 0;
    for (; *at < lanes->key_slot_count; (*at)++) {
        for (struct jg_lane_key *key = lanes->key_slots[*at]; key; key = key->same_hash) {
            if (key->marked_ms >= before_ms && key->marked_ms)
                continue;
            if (count == most)
                return count;
            key->marked_ms = now_ms;
            memcpy(out[count++].text, key->text, sizeof key->text);
        }
    }
    return count;
}

/* --- lanes --- */

static size_t
lane_slot(const struct jg_lanes *lanes, const struct jg_lane *lane)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &lane->row->number, sizeof lane->row->number);
    hash = mix(hash, &lane->key, sizeof lane->key);
    return mix(hash, lane->job_key, sizeof lane->job_key) & (lanes->lane_slot_count - 1);
}

static void
grow_lanes(struct jg_lanes *lanes)
{
    size_t before = lanes->lane_slot_count, count = before ? before * 2 : LEAST_SLOTS;
    struct jg_lane **old = lanes->lane_slots;
    struct jg_lane **slots = lanes->lane_count >= before ? calloc(count, sizeof(struct jg_lane *)) : NULL;
    if (!slots)
        return;
    lanes->lane_slots = slots;
    lanes->lane_slot_count = count;
    for (size_t i = 0; i < before; i++) {
        for (struct jg_lane *lane = old[i], *next; lane; lane = next) {
            size_t at = lane_slot(lanes, lane);
            next = lane->same_hash;
            lane->same_hash = slots[at];
            slots[at] = lane;
        }
    }
    free(old);
}

static bool
is_same(const struct jg_lane *one, const struct jg_lane *other)
{
    return one->row == other->row && one->key == other->key && one->by_job_key == other->by_job_key &&
           memcmp(one->job_key, other->job_key, sizeof one->job_key) == 0;
}

static struct jg_lane *
make_lane(struct jg_lanes *lanes, const struct jg_lane *like)
{
    struct jg_lane *lane = malloc(sizeof *lane);
    if (!lane)
        return NULL;
    *lane = *like;
    if (!jg_lanes_enqueue(lanes, lane)) {
        free(lane);
        return NULL;
    }
    if (lane->key)
        lane->key->lanes++;
    if (lane->job)
        lane->job->lanes++;
    if (lane->alone)
        return lane;
    size_t at = lane_slot(lanes, lane);
    lane->same_hash = lanes->lane_slots[at];
    lanes->lane_slots[at] = lane;
    lanes->lane_count++;
    return lane;
}

/* The lane of that kind, made when there is none. NULL: out of memory. */
static struct jg_lane *
get_lane(struct jg_lanes *lanes, const struct jg_lane *like, bool *woken)
{
    grow_lanes(lanes);
    if (!lanes->lane_slot_count)
        return NULL;
    struct jg_lane *lane = like->alone ? NULL : lanes->lane_slots[lane_slot(lanes, like)];
    while (lane && !is_same(lane, like))
        lane = lane->same_hash;
    if (lane)
        return lane;
    *woken = true;
    lane = make_lane(lanes, like);
    return lane;
}

/* Its last job has left it. */
static void
drop_lane(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lane->count > 0 || lane == &lane->row->plain || lane == &lane->row->doomed)
        return;
    jg_lanes_dequeue(lanes, lane);
    if (!lane->alone) {
        struct jg_lane **link = &lanes->lane_slots[lane_slot(lanes, lane)];
        while (*link != lane)
            link = &(*link)->same_hash;
        *link = lane->same_hash;
        lanes->lane_count--;
    }
    if (lane->key)
        lane->key->lanes--;
    if (lane->job)
        lane->job->lanes--;
    drop_key(lanes, lane->key);
    drop_key(lanes, lane->job);
    free(lane);
}

static bool
is_keyed(const struct jg_lane *lane)
{
    return lane != &lane->row->plain && lane != &lane->row->doomed && !lane->alone;
}

static void
attach(struct jg_lane *lane, struct jg_entry *entry)
{
    entry->lane = lane;
    entry->next = NULL;
    entry->previous = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = entry;
    lane->last = entry;
    lane->count++;
    lane->loaded += entry->load != NULL;
    lane->row->keyed += is_keyed(lane) ? 1 : 0;
}

static void
detach(struct jg_entry *entry)
{
    struct jg_lane *lane = entry->lane;
    *(entry->previous ? &entry->previous->next : &lane->first) = entry->next;
    *(entry->next ? &entry->next->previous : &lane->last) = entry->previous;
    lane->count--;
    lane->loaded -= entry->load != NULL;
    lane->row->keyed -= is_keyed(lane) ? 1 : 0;
}

static struct jg_lane_key *
job_key_of(struct jg_lanes *lanes, const struct jg_entry *entry)
{
    char text[JG_JID_CHARS + 1];
    jg_entry_jid(entry, text);
    text[JG_KEY_CHARS] = '\0';
    return get_key(lanes, text, true);
}

/* NULL: out of memory. */
static struct jg_lane *
lane_for(struct jg_lanes *lanes, struct jg_row *row, const struct jg_entry *entry, const struct jg_lane_place *place,
         bool *woken)
{
    struct jg_lane like = {.row = row, .due_ms = place->due_ms, .alone = place->due_ms > 0};
    bool limited = place->limit_key && place->limit_key[0];
    bool by_job = place->by_job_key || lanes->by_job_key;
    like.by_job_key = by_job && !like.alone;
    if (!limited && !like.alone && !by_job)
        return &row->plain;
    if (like.by_job_key)
        memcpy(like.job_key, entry->jid, sizeof like.job_key);
    like.key = limited ? get_key(lanes, place->limit_key, false) : NULL;
    like.job = by_job ? job_key_of(lanes, entry) : NULL;
    bool complete = (!limited || like.key) && (!by_job || like.job);
    struct jg_lane *lane = complete ? get_lane(lanes, &like, woken) : NULL;
    if (!lane) {
        drop_key(lanes, like.key);
        drop_key(lanes, like.job);
    }
    return lane;
}

/* --- jobs --- */

struct jg_entry *
jg_lanes_add(struct jg_lanes *lanes, struct jg_row *row, int64_t offset, const struct jg_lane_place *place, bool *woken)
{
    struct jg_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    *woken = row->count == 0;
    entry->offset = offset;
    entry->foreign = !place->jid;
    entry->held_since_ms = place->held_since_ms;
    entry->follow_up = place->follow_up;
    if (place->jid)
        pack_jid(place->jid, entry->jid);
    struct jg_lane *lane = entry->foreign ? &row->doomed : NULL;
    if (!lane)
        lane = lane_for(lanes, row, entry, place, woken);
    if (!lane || !jg_row_append(row, entry)) {
        if (lane)
            drop_lane(lanes, lane);
        free(entry);
        return NULL;
    }
    attach(lane, entry);
    lanes->count++;
    lanes->follow_ups += entry->follow_up;
    return entry;
}

void
jg_lanes_load(struct jg_entry *entry, struct jg_load *load)
{
    entry->lane->loaded += load ? 1 : 0;
    entry->lane->loaded -= entry->load ? 1 : 0;
    entry->load = load;
}

void
jg_lanes_remove(struct jg_lanes *lanes, struct jg_entry *entry)
{
    struct jg_lane *lane = entry->lane;
    jg_row_remove(lane->row, entry);
    detach(entry);
    drop_lane(lanes, lane);
    lanes->count--;
    lanes->follow_ups -= entry->follow_up;
    free(entry);
}

void
jg_lanes_doom(struct jg_lanes *lanes, struct jg_entry *entry, const char *why)
{
    struct jg_lane *lane = entry->lane;
    if (entry->doomed)
        return;
    entry->doomed = why;
    detach(entry);
    attach(&lane->row->doomed, entry);
    drop_lane(lanes, lane);
}

const char *
jg_entry_limit_key(const struct jg_entry *entry)
{
    return entry->lane->key ? entry->lane->key->text : "";
}

/* Out of memory, it stays where it is, which costs only time. */
static void
place_by_job_key(struct jg_lanes *lanes, struct jg_entry *entry)
{
    struct jg_lane *lane = entry->lane;
    bool woken;
    if (entry->doomed || entry->foreign || lane->alone || lane->by_job_key)
        return;
    struct jg_lane_place place = {.limit_key = jg_entry_limit_key(entry), .by_job_key = true};
    struct jg_lane *better = lane_for(lanes, lane->row, entry, &place, &woken);
    if (!better)
        return;
    detach(entry);
    attach(better, entry);
    drop_lane(lanes, lane);
}

void
jg_lanes_by_job_key(struct jg_lanes *lanes)
{
    struct jg_entry *entry;
    if (lanes->by_job_key)
        return;
    lanes->by_job_key = true;
    for (int i = 0; i < lanes->row_count; i++) {
        size_t at = lanes->rows[i].begin;
        while ((entry = jg_row_each(&lanes->rows[i], &at)) != NULL)
            place_by_job_key(lanes, entry);
    }
}

bool
jg_lanes_init(struct jg_lanes *lanes, int row_count)
{
    *lanes = (struct jg_lanes){.rows = calloc((size_t)row_count, sizeof *lanes->rows), .wake = 1};
    if (!lanes->rows)
        return false;
    lanes->row_count = row_count;
    for (int i = 0; i < row_count; i++) {
        struct jg_row *row = &lanes->rows[i];
        *row = (struct jg_row){.number = i, .next = -1, .read = -1, .plain.row = row, .doomed.row = row};
    }
    return true;
}

void
jg_lanes_clear(struct jg_lanes *lanes)
{
    for (int i = 0; i < lanes->row_count; i++) {
        struct jg_row *row = &lanes->rows[i];
        struct jg_entry *entry;
        while ((entry = jg_row_first(row)) != NULL)
            jg_lanes_remove(lanes, entry);
        jg_passed_clear(&row->gone);
        jg_passed_clear(&row->gone_then);
        free(row->slots);
    }
    free(lanes->rows);
    free(lanes->sleepers);
    free((void *)lanes->lane_slots);
    free((void *)lanes->key_slots);
    free(lanes->left);
    *lanes = (struct jg_lanes){.rows = NULL};
}
