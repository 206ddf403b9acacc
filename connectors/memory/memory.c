/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/memory/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/memory/ops.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jg_memory *registry;

static const struct jg_store_vtable memory_vtable;

static struct jg_memory_store *
cast(struct jg_store *store)
{
    return (struct jg_memory_store *)store;
}

/* Unix time that never steps: the wall clock of when the store was made, moved on by the monotonic one. */
static int64_t
steady_wall_ms(void *opaque)
{
    return ((struct jg_memory *)opaque)->wall_offset_ms + jg_clock_ms();
}

static void
take_lock(void *opaque)
{
    pthread_mutex_lock(&((struct jg_memory *)opaque)->lock);
}

static void
drop_lock(void *opaque)
{
    pthread_mutex_unlock(&((struct jg_memory *)opaque)->lock);
}

void
jg_memory_class_init(struct jg_memory_class *class)
{
    class->entry.expires_ms = JG_MAP_NEVER;
    class->claims.destroy = jg_memory_claim_destroy;
    class->run.destroy = jg_memory_plain_destroy;
    class->key_run.destroy = jg_memory_plain_destroy;
    class->marks.destroy = jg_memory_plain_destroy;
    class->was.destroy = jg_memory_plain_destroy;
    class->tickets.destroy = jg_memory_ticket_destroy;
    class->instances.destroy = jg_memory_plain_destroy;
    class->leases.destroy = jg_memory_plain_destroy;
    class->done.destroy = jg_memory_plain_destroy;
    class->chains.destroy = jg_memory_plain_destroy;
    class->slots.destroy = jg_memory_plain_destroy;
    class->follow_ups.destroy = jg_memory_plain_destroy;
}

void
jg_memory_class_clear(struct jg_memory_class *class)
{
    jg_map_clear(&class->claims);
    jg_map_clear(&class->run);
    jg_map_clear(&class->key_run);
    jg_map_clear(&class->marks);
    jg_map_clear(&class->was);
    jg_map_clear(&class->tickets);
    jg_map_clear(&class->instances);
    jg_map_clear(&class->leases);
    jg_map_clear(&class->done);
    jg_map_clear(&class->chains);
    jg_map_clear(&class->slots);
    jg_map_clear(&class->follow_ups);
    free(class->duplicates);
    class->duplicates = NULL;
}

static void
class_destroy(struct jg_map_entry *entry)
{
    struct jg_memory_class *class = (struct jg_memory_class *)entry;
    jg_memory_class_clear(class);
    free(class);
}

static struct jg_memory *
memory_new(const char *name)
{
    struct jg_memory *memory = calloc(1, sizeof *memory + strlen(name) + 1);
    if (!memory)
        return NULL;
    strcpy(memory->name, name);
    pthread_mutex_init(&memory->lock, NULL);
    memory->classes.destroy = class_destroy;
    memory->gauges.destroy = jg_memory_plain_destroy;
    memory->wall_offset_ms = jg_wall_ms() - jg_clock_ms();
    memory->now_ms = steady_wall_ms;
    memory->clock_opaque = memory;
    memory->guard =
        (struct jg_fork_guard){.before = take_lock, .parent = drop_lock, .child = drop_lock, .opaque = memory};
    jg_fork_add(&memory->guard);
    return memory;
}

/* NULL: out of memory. */
static struct jg_memory *
memory_by_name(const char *name)
{
    pthread_mutex_lock(&registry_lock);
    struct jg_memory *memory = registry;
    while (memory && strcmp(memory->name, name) != 0)
        memory = memory->next;
    if (!memory && (memory = memory_new(name))) {
        memory->next = registry;
        registry = memory;
    }
    pthread_mutex_unlock(&registry_lock);
    return memory;
}

void
jg_memory_set_gauge(const char *store_name, const char *key, int64_t value)
{
    struct jg_memory *memory = memory_by_name(store_name);
    if (!memory)
        return;
    (void)jg_memory_lock(memory);
    struct jg_map_entry *entry = jg_map_find(&memory->gauges, key, 0);
    if (entry)
        jg_map_remove(&memory->gauges, entry);
    struct jg_memory_gauge *gauge = value < 0 ? NULL : calloc(1, sizeof *gauge);
    if (gauge) {
        gauge->entry.expires_ms = JG_MAP_NEVER;
        gauge->value = value;
        if (jg_map_put(&memory->gauges, key, &gauge->entry, 0))
            free(gauge);
    }
    jg_memory_unlock(memory);
}

enum jg_err
jg_memory_open(const struct jg_store_options *options, struct jg_store **out, struct jg_error *error)
{
    struct jg_memory_store *store = calloc(1, sizeof *store);
    if (store) {
        store->base.vtable = &memory_vtable;
        store->log = options->log;
        store->name_space = strdup(options->name_space);
        store->memory = memory_by_name(options->url + strlen("memory:"));
    }
    if (!store || !store->name_space || !store->memory) {
        if (store)
            free(store->name_space);
        free(store);
        snprintf(error->text, sizeof error->text, "out of memory");
        return JG_ENOMEM;
    }
    *out = &store->base;
    return JG_OK;
}

static void
memory_close(struct jg_store *base)
{
    struct jg_memory_store *store = cast(base);
    free(store->name_space);
    free(store);
}

bool
jg_memory_class_key(const struct jg_memory_store *store, const char *class_name, struct jg_buf *out)
{
    jg_name_escape(out, store->name_space);
    jg_buf_text(out, ":");
    jg_buf_text(out, class_name);
    return !out->failed;
}

struct jg_memory_class *
jg_memory_class(struct jg_memory_store *store, const char *class_name)
{
    struct jg_buf key = JG_BUF_INIT;
    struct jg_memory_class *class = NULL;
    if (jg_memory_class_key(store, class_name, &key))
        class = (struct jg_memory_class *)jg_map_find(&store->memory->classes, key.data, 0);
    jg_buf_clear(&key);
    return class;
}

/* NULL: out of memory. */
static struct jg_memory_class *
class_new(struct jg_memory_store *store, const char *class_name)
{
    struct jg_buf key = JG_BUF_INIT;
    struct jg_memory_class *class = calloc(1, sizeof *class);
    if (!class)
        return NULL;
    jg_memory_class_init(class);
    class->gauges = &store->memory->gauges;
    if (!jg_memory_class_key(store, class_name, &key) ||
        jg_map_put(&store->memory->classes, key.data, &class->entry, 0)) {
        free(class);
        class = NULL;
    } else {
        store->memory->entries++;
    }
    jg_buf_clear(&key);
    return class;
}

static size_t
entries_of(const struct jg_memory_class *class)
{
    return class->claims.count + class->run.count + class->was.count + class->tickets.count + class->instances.count +
           class->leases.count + class->done.count + class->chains.count + class->key_run.count + class->marks.count +
           class->slots.count + class->follow_ups.count;
}

/* False: at the bound even without what has expired. */
static bool
has_room(struct jg_memory *memory, int64_t now_ms)
{
    if (memory->entries < JG_MEMORY_MAX_ENTRIES)
        return true;
    memory->entries = memory->classes.count;
    struct jg_map_entry *entry = NULL;
    while ((entry = jg_map_next(&memory->classes, entry))) {
        struct jg_memory_class *class = (struct jg_memory_class *)entry;
        jg_map_remove_expired(&class->claims, now_ms);
        (void)jg_memory_reap(class, now_ms);
        jg_map_remove_expired(&class->key_run, now_ms);
        jg_map_remove_expired(&class->marks, now_ms);
        jg_map_remove_expired(&class->was, now_ms);
        jg_map_remove_expired(&class->instances, now_ms);
        jg_map_remove_expired(&class->leases, now_ms);
        jg_map_remove_expired(&class->done, now_ms);
        jg_map_remove_expired(&class->chains, now_ms);
        jg_map_remove_expired(&class->slots, now_ms);
        jg_map_remove_expired(&class->follow_ups, now_ms);
        memory->entries += entries_of(class);
    }
    return memory->entries < JG_MEMORY_MAX_ENTRIES;
}

static enum jg_err
exec_one(struct jg_memory_store *store, int64_t now_ms, struct jg_op *op)
{
    struct jg_memory_class *class = jg_memory_class(store, op->class_name);
    if (!class)
        class = class_new(store, op->class_name);
    if (!class)
        return JG_ENOMEM;
    size_t before = entries_of(class);
    enum jg_err err = jg_memory_apply(class, now_ms, op);
    store->memory->entries += entries_of(class) - before;
    if (class->woke)
        jg_memory_wake(store->memory, store->name_space);
    class->woke = false;
    return err;
}

static enum jg_err
memory_exec(struct jg_store *base, struct jg_op *ops, size_t count)
{
    static struct jg_log_rate full;
    struct jg_memory_store *store = cast(base);
    struct jg_memory *memory = store->memory;
    enum jg_err first = JG_OK;
    pthread_mutex_lock(&memory->lock);
    int64_t now_ms = memory->now_ms(memory->clock_opaque);
    bool room = has_room(memory, now_ms);
    for (size_t i = 0; i < count; i++) {
        ops[i].err = room && exec_one(store, now_ms, &ops[i]) == JG_OK ? JG_OK : JG_ESTORE;
        first = first ? first : ops[i].err;
    }
    pthread_mutex_unlock(&memory->lock);
    if (first)
        jg_log_rated(store->log, &full, JG_LOG_ERROR, "STORE",
                     "jobgate.store: the memory store is full (%d entries) or the process is out of memory; "
                     "use redis:// for more",
                     JG_MEMORY_MAX_ENTRIES);
    return first;
}

static bool
memory_wait(struct jg_store *base, int64_t timeout_ms)
{
    (void)base;
    (void)timeout_ms;
    return true;
}

static bool
memory_is_up(struct jg_store *base)
{
    (void)base;
    return true;
}

static void
memory_tend(struct jg_store *base)
{
    (void)base;
}

int64_t
jg_memory_lock(struct jg_memory *memory)
{
    pthread_mutex_lock(&memory->lock);
    return memory->now_ms(memory->clock_opaque);
}

void
jg_memory_unlock(struct jg_memory *memory)
{
    pthread_mutex_unlock(&memory->lock);
}

static const struct jg_store_vtable memory_vtable = {
    .close = memory_close,
    .exec = memory_exec,
    .wait = memory_wait,
    .is_up = memory_is_up,
    .tend = memory_tend,
    .watch = jg_memory_watch,
    .classes = jg_memory_classes,
    .class_report = jg_memory_class_report,
    .survey = jg_memory_survey,
    .claim_report = jg_memory_claim_report,
    .was = jg_memory_was,
    .tickets = jg_memory_tickets,
    .leases = jg_memory_leases,
    .slots = jg_memory_slots,
    .job_report = jg_memory_job_report,
    .key_report = jg_memory_key_report,
    .check = jg_memory_check,
    .duplicates = jg_memory_duplicates,
};
