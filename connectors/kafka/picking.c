/* SPDX-License-Identifier: Apache-2.0 */
/* Which held jobs are asked for next. */
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/lanes.h"
#include "plugin/successor.h"

/* --- backoffs: a heap by when they end --- */

static void
put(struct jg_lanes *lanes, size_t at, struct jg_lane *lane)
{
    lanes->sleepers[at] = lane;
    lane->sleeps_at = at;
}

static void
rise(struct jg_lanes *lanes, size_t at)
{
    struct jg_lane *lane = lanes->sleepers[at];
    for (; at > 0 && lanes->sleepers[(at - 1) / 2]->due_ms > lane->due_ms; at = (at - 1) / 2)
        put(lanes, at, lanes->sleepers[(at - 1) / 2]);
    put(lanes, at, lane);
}

static void
sink(struct jg_lanes *lanes, size_t at)
{
    struct jg_lane *lane = lanes->sleepers[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < lanes->sleeper_count && lanes->sleepers[child + 1]->due_ms < lanes->sleepers[child]->due_ms)
            child++;
        if (child >= lanes->sleeper_count || lanes->sleepers[child]->due_ms >= lane->due_ms)
            break;
        put(lanes, at, lanes->sleepers[child]);
        at = child;
    }
    put(lanes, at, lane);
}

static bool
sleep_until_due(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lanes->sleeper_count == lanes->sleeper_capacity) {
        size_t capacity = lanes->sleeper_capacity ? lanes->sleeper_capacity * 2 : 16;
        struct jg_lane **heap =
            (struct jg_lane **)realloc((void *)lanes->sleepers, capacity * sizeof(struct jg_lane *));
        if (!heap)
            return false;
        lanes->sleepers = heap;
        lanes->sleeper_capacity = capacity;
    }
    put(lanes, lanes->sleeper_count, lane);
    rise(lanes, lanes->sleeper_count++);
    return true;
}

static void
stop_sleeping(struct jg_lanes *lanes, const struct jg_lane *lane)
{
    size_t at = lane->sleeps_at;
    struct jg_lane *last = lanes->sleepers[--lanes->sleeper_count];
    if (last == lane)
        return;
    put(lanes, at, last);
    rise(lanes, at);
    sink(lanes, last->sleeps_at);
}

/* --- the queue --- */

/* Before `behind`; NULL: at the end. */
static void
insert(struct jg_lanes *lanes, struct jg_lane *lane, struct jg_lane *behind)
{
    lane->behind = behind;
    lane->before = behind ? behind->before : lanes->queue_end;
    *(lane->before ? &lane->before->behind : &lanes->queue) = lane;
    *(behind ? &behind->before : &lanes->queue_end) = lane;
    lane->queued = true;
}

static void
take_out(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lanes->asked == lane)
        lanes->asked = lane->behind;
    *(lane->before ? &lane->before->behind : &lanes->queue) = lane->behind;
    *(lane->behind ? &lane->behind->before : &lanes->queue_end) = lane->before;
    lane->queued = false;
}

/* A new one stands behind those that were not asked for yet, and before the others. */
bool
jg_lanes_enqueue(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lane->due_ms)
        return sleep_until_due(lanes, lane);
    insert(lanes, lane, lanes->asked);
    return true;
}

void
jg_lanes_dequeue(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lane->queued)
        take_out(lanes, lane);
    else
        stop_sleeping(lanes, lane);
}

/* It has had its turn. */
static void
put_last(struct jg_lanes *lanes, struct jg_lane *lane)
{
    if (lane->asked == lanes->wake || !lane->queued)
        return;
    take_out(lanes, lane);
    insert(lanes, lane, NULL);
    lane->asked = lanes->wake;
    if (!lanes->asked)
        lanes->asked = lane;
}

void
jg_lanes_wake(struct jg_lanes *lanes)
{
    lanes->wake++;
    lanes->asked = NULL;
}

bool
jg_lanes_more(const struct jg_lanes *lanes)
{
    return lanes->queue && lanes->queue != lanes->asked;
}

void
jg_lanes_waits(struct jg_lanes *lanes, struct jg_entry *entry)
{
    put_last(lanes, entry->lane);
}

/* The clock may have been set: more than the longest backoff was never meant. */
static void
rouse(struct jg_lanes *lanes, int64_t wall_ms)
{
    while (lanes->sleeper_count) {
        struct jg_lane *lane = lanes->sleepers[0];
        if (lane->due_ms > wall_ms && lane->due_ms - wall_ms <= JG_BACKOFF_MAX_MS)
            return;
        stop_sleeping(lanes, lane);
        insert(lanes, lane, lanes->asked);
    }
}

int64_t
jg_lanes_due_ms(const struct jg_lanes *lanes)
{
    return lanes->sleeper_count ? lanes->sleepers[0]->due_ms : 0;
}

/* --- what is asked for --- */

void
jg_lanes_begin(struct jg_lanes *lanes)
{
    lanes->take++;
    lanes->left_out = 0;
    for (int i = 0; i < lanes->row_count; i++) {
        struct jg_row *row = &lanes->rows[i];
        size_t used = row->gone.count ? jg_passed_bytes(&row->gone, row->next) : 0;
        row->room = used < JG_PASSED_BYTES_MAX ? JG_PASSED_BYTES_MAX - used : 0;
        row->load_then = row->load;
    }
}

bool
jg_lanes_may_pass(struct jg_entry *entry)
{
    struct jg_row *row = entry->lane->row;
    if (entry == jg_row_first(row))
        return true;
    size_t cost = jg_passed_cost(&row->gone, row->next, entry->offset);
    if (cost > row->room)
        return false;
    row->room -= cost;
    return true;
}

/* A candidate: what is behind another in its lane does not go before it. */
struct candidate {
    struct jg_entry *entry;
    int64_t since_ms;
    size_t number;
};

struct picking {
    struct jg_lanes *lanes;
    const struct jg_lanes_ask *ask;
    struct candidate *list;
    size_t count;
};

/* By partition, and there by how long they are held. */
static int
compare(const void *left, const void *right)
{
    const struct candidate *one = left, *other = right;
    const struct jg_row *row = one->entry->lane->row, *other_row = other->entry->lane->row;
    if (row != other_row)
        return row->number < other_row->number ? -1 : 1;
    if (one->since_ms != other->since_ms)
        return one->since_ms < other->since_ms ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

/* Its front, when that is not too old. NULL: nothing is left of the lane, which may be gone. */
static struct jg_entry *
front_of(const struct picking *picking, struct jg_lane *lane)
{
    struct jg_entry *entry = lane->first;
    size_t left = lane->count;
    while (entry && entry->held_since_ms < picking->ask->held_after_ms) {
        struct jg_entry *next = entry->next;
        jg_lanes_doom(picking->lanes, entry, picking->ask->too_old);
        entry = --left ? next : NULL;
    }
    return entry;
}

/* How many of the lane's jobs may be asked for in this take. */
static int64_t
offers_of(const struct picking *picking, struct jg_lane *lane)
{
    struct jg_lane_key *key = lane->key;
    int64_t most = 1;
    if (picking->ask->all)
        return (int64_t)lane->count;
    if (!key)
        return most;
    if (key->take != picking->lanes->take)
        key->offers = 0;
    key->take = picking->lanes->take;
    int64_t of_key = picking->ask->per_key > 0 ? picking->ask->per_key : 1;
    if (!lane->by_job_key && !lane->alone)
        most = of_key;
    return of_key - key->offers < most ? of_key - key->offers : most;
}

static void
pick_from(struct picking *picking, struct jg_lane *lane)
{
    struct jg_lane_key *key = lane->key;
    struct jg_entry *entry = front_of(picking, lane);
    int64_t since_ms = INT64_MIN;
    bool any = false;
    if (!entry)
        return;
    for (int64_t left = offers_of(picking, lane); entry && left > 0 && picking->count < picking->ask->most; left--) {
        if (!jg_lanes_may_pass(entry)) {
            picking->lanes->left_out++;
            break;
        }
        since_ms = entry->held_since_ms > since_ms ? entry->held_since_ms : since_ms;
        picking->list[picking->count] =
            (struct candidate){.entry = entry, .since_ms = since_ms, .number = picking->count};
        picking->count++;
        if (key)
            key->offers++;
        any = true;
        entry = entry->next;
    }
    if (!any)
        put_last(picking->lanes, lane);
}

/* Those that had no turn since the wake. */
static void
pick_keyed(struct picking *picking)
{
    struct jg_lane *lane = picking->lanes->queue;
    while (lane && lane->asked != picking->lanes->wake && picking->count < picking->ask->most) {
        struct jg_lane *behind = lane->behind;
        pick_from(picking, lane);
        lane = behind;
    }
}

/* The row's next candidate. NULL: it has none, or a plain job goes first. */
static struct candidate *
candidate_of(const struct picking *picking, const struct jg_row *row)
{
    struct candidate *next = row->candidate < picking->count ? &picking->list[row->candidate] : NULL;
    if (!next || next->entry->lane->row != row || (row->cursor && row->cursor->held_since_ms < next->since_ms))
        return NULL;
    return next;
}

/* The row whose next job comes up soonest where it goes back to: a worker does its partition's jobs one after the
 * other. Of several, the one whose job is held longest. NULL: none has one. */
static struct jg_row *
next_row(const struct picking *picking)
{
    struct jg_row *best = NULL;
    int64_t best_since_ms = 0;
    for (int i = 0; i < picking->lanes->row_count; i++) {
        struct jg_row *row = &picking->lanes->rows[i];
        const struct candidate *candidate = candidate_of(picking, row);
        if (!candidate && !row->cursor)
            continue;
        int64_t since_ms = candidate ? candidate->since_ms : row->cursor->held_since_ms;
        if (!best || row->load_then < best->load_then ||
            (row->load_then == best->load_then && since_ms < best_since_ms)) {
            best = row;
            best_since_ms = since_ms;
        }
    }
    return best;
}

static size_t
merge(struct picking *picking, struct jg_entry **out)
{
    size_t count = 0;
    struct jg_row *row;
    for (int i = 0; i < picking->lanes->row_count; i++) {
        row = &picking->lanes->rows[i];
        row->cursor = front_of(picking, &row->plain);
        row->candidate = picking->count;
    }
    for (size_t i = picking->count; i-- > 0;)
        picking->list[i].entry->lane->row->candidate = i;
    while (count < picking->ask->most && (row = next_row(picking))) {
        const struct candidate *candidate = candidate_of(picking, row);
        if (candidate) {
            out[count++] = candidate->entry;
            row->candidate++;
        } else if (jg_lanes_may_pass(row->cursor)) {
            out[count++] = row->cursor;
            row->cursor = row->cursor->next;
        } else {
            picking->lanes->left_out++;
            row->cursor = NULL;
            continue;
        }
        row->load_then++;
    }
    return count;
}

size_t
jg_lanes_pick(struct jg_lanes *lanes, const struct jg_lanes_ask *ask, struct jg_entry **out)
{
    struct candidate *list = malloc((ask->most + 1) * sizeof *list);
    struct picking picking = {.lanes = lanes, .ask = ask, .list = list};
    if (!list)
        return 0;
    rouse(lanes, ask->wall_ms);
    pick_keyed(&picking);
    if (picking.count)
        qsort(list, picking.count, sizeof *list, compare);
    size_t count = merge(&picking, out);
    free(list);
    return count;
}
