/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/rdk.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "connectors/fork.h"
#include "plugin/symtab.h"

#define OLDEST_VERSION 0x02000000 /* older ones were never run with jobgate */
#define MOST_COPIES 16            /* copies of librdkafka in one process */

static pthread_mutex_t copies_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jg_rdk *copies[MOST_COPIES];
static size_t copy_count;

static const char *const frame_names[JG_FRAMES] = {
    [JG_FRAME_PRODUCE_BATCH] = "rd_kafka_produce_batch",
    [JG_FRAME_CONSUME_BATCH_QUEUE] = "rd_kafka_consume_batch_queue",
    [JG_FRAME_CONSUME_BATCH] = "rd_kafka_consume_batch",
    [JG_FRAME_CONSUMER_CLOSE] = "rd_kafka_consumer_close",
    [JG_FRAME_EVENT_MESSAGE_NEXT] = "rd_kafka_event_message_next",
};

/* Where a copy's functions are looked up: in what it exports, else in the symbol table of its file. */
struct source {
    void *library;
    const void *base;
    struct jg_symtab table;
    const char *missing; /* the first function that was found in neither; NULL: none */
    struct jg_error no_table;
};

struct function {
    uintptr_t begin, end; /* 0, 0: not found */
};

/* What the copy exports itself, not one of the same name that was loaded before it. */
static struct function
find_exported(const struct source *source, const char *name)
{
    Dl_info info;
    void *entry = NULL;
    void *address = dlsym(source->library, name);
    if (!address || !dladdr1(address, &info, &entry, RTLD_DL_SYMENT) || info.dli_fbase != source->base || !entry)
        return (struct function){0, 0};
    return (struct function){(uintptr_t)address, (uintptr_t)address + ((const ElfW(Sym) *)entry)->st_size};
}

static struct function
find(const struct source *source, const char *name)
{
    struct function found = find_exported(source, name);
    const struct jg_symbol *symbol = found.begin ? NULL : jg_symtab_find(&source->table, name);
    if (symbol)
        found = (struct function){symbol->address, symbol->address + symbol->size_bytes};
    return found;
}

static void
resolve_function(struct source *source, const char *name, void *field)
{
    struct function found = find(source, name);
    memcpy(field, &found.begin, sizeof found.begin);
    if (!found.begin && !source->missing)
        source->missing = name;
}

static void
resolve_functions(struct jg_rdk *rdk, struct source *source)
{
    source->missing = NULL;
#define RESOLVE(name) resolve_function(source, "rd_kafka_" #name, &rdk->name);
    JG_RDK_FUNCTIONS(RESOLVE)
    const char *missing = source->missing;
    source->missing = NULL;
    JG_RDK_ADMIN_FUNCTIONS(RESOLVE)
#undef RESOLVE
    rdk->no_admin = source->missing;
    source->missing = missing;
}

static void
resolve_all(struct jg_rdk *rdk, const void *caller, struct source *source)
{
    resolve_functions(rdk, source);
    if ((source->missing || rdk->no_admin) &&
        jg_symtab_read(caller, "rd_kafka_", &source->table, &source->no_table) == JG_OK)
        resolve_functions(rdk, source);
    for (size_t i = 0; i < JG_FRAMES; i++) {
        struct function found = find(source, frame_names[i]);
        rdk->frames[i].begin = found.begin;
        rdk->frames[i].end = found.end;
    }
    jg_symtab_clear(&source->table);
}

/* A handle on the already loaded object that holds `info`; the main program has no path to open it by. */
static void *
open_loaded(const Dl_info *info)
{
    void *library = dlopen(info->dli_fname, RTLD_NOW | RTLD_NOLOAD);
    return library ? library : dlopen(NULL, RTLD_NOW);
}

static void
tell_missing(const struct source *source, const char *path, struct jg_error *error)
{
    if (source->no_table.text[0]) /* what helps comes first: Go shows 127 bytes */
        snprintf(error->text, sizeof error->text,
                 "jobgate: %.150s, or link with -rdynamic, or use the shared librdkafka.so.1, 2.0 or later (Go: -tags "
                 "dynamic). librdkafka is linked into %.180s, which exports no %s",
                 source->no_table.text, path, source->missing);
    else
        snprintf(error->text, sizeof error->text,
                 "jobgate finds no %s in %s, which loads it: its librdkafka is older than 2.0, or the linker has left "
                 "it out. Use librdkafka 2.0 or later; where it is linked statically, link all of it "
                 "(-Wl,--whole-archive librdkafka.a)",
                 source->missing, path);
}

static enum jg_err
resolve(const Dl_info *info, const void *caller, struct jg_rdk **out, struct jg_error *error)
{
    struct source source = {.library = open_loaded(info), .base = info->dli_fbase};
    struct jg_rdk *rdk = calloc(1, sizeof *rdk);
    enum jg_err err = JG_EHOST;
    if (!source.library || !rdk) {
        snprintf(error->text, sizeof error->text, "jobgate cannot open the librdkafka that loads it (%s)",
                 info->dli_fname);
        err = source.library ? JG_ENOMEM : JG_EHOST;
        goto out;
    }
    rdk->base = info->dli_fbase;
    resolve_all(rdk, caller, &source);
    if (source.missing) {
        tell_missing(&source, info->dli_fname, error);
        goto out;
    }
    if (rdk->version() < OLDEST_VERSION) {
        snprintf(error->text, sizeof error->text, "jobgate needs librdkafka 2.0 or later, %s is 0x%08x",
                 info->dli_fname, (unsigned)rdk->version());
        goto out;
    }
    *out = rdk;
    return JG_OK;
out:
    free(rdk);
    return err;
}

static void
guard_copies(void)
{
    static struct jg_fork_guard guard;
    jg_fork_add_lock(&guard, &copies_lock);
}

enum jg_err
jg_rdk_of(const void *caller, const struct jg_rdk **out, struct jg_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    Dl_info info;
    pthread_once(&once, guard_copies);
    if (!dladdr(caller, &info) || !info.dli_fname) {
        snprintf(error->text, sizeof error->text, "jobgate cannot tell which librdkafka loads it");
        return JG_EHOST;
    }
    enum jg_err err = JG_OK;
    struct jg_rdk *rdk = NULL;
    pthread_mutex_lock(&copies_lock);
    for (size_t i = 0; i < copy_count && !rdk; i++)
        if (copies[i]->base == info.dli_fbase)
            rdk = copies[i];
    if (!rdk && copy_count == MOST_COPIES) {
        snprintf(error->text, sizeof error->text, "more than %d copies of librdkafka in this process", MOST_COPIES);
        err = JG_EHOST;
    } else if (!rdk) {
        err = resolve(&info, caller, &rdk, error);
        if (err == JG_OK)
            copies[copy_count++] = rdk;
    }
    pthread_mutex_unlock(&copies_lock);
    *out = rdk;
    return err;
}

struct search {
    const struct jg_rdk *rdk;
    unsigned wanted; /* bit per enum jg_rdk_frame */
    enum jg_rdk_frame found;
};

static _Unwind_Reason_Code
look_at_frame(struct _Unwind_Context *context, void *opaque)
{
    struct search *search = opaque;
    uintptr_t at = _Unwind_GetIP(context);
    for (unsigned i = 0; i < JG_FRAMES; i++) {
        if (!(search->wanted & (1u << i)))
            continue;
        if (at > search->rdk->frames[i].begin && at <= search->rdk->frames[i].end) {
            search->found = (enum jg_rdk_frame)i;
            return _URC_END_OF_STACK;
        }
    }
    return _URC_NO_REASON;
}

/* The innermost of the wanted ones; JG_FRAMES: none. */
static enum jg_rdk_frame
find_frame(const struct jg_rdk *rdk, unsigned wanted)
{
    struct search search = {.rdk = rdk, .wanted = wanted, .found = JG_FRAMES};
    _Unwind_Backtrace(look_at_frame, &search);
    return search.found;
}

bool
jg_rdk_within(const struct jg_rdk *rdk, enum jg_rdk_frame frame)
{
    return find_frame(rdk, 1u << frame) == frame;
}

enum jg_rdk_call
jg_rdk_consume_call(const struct jg_rdk *rdk)
{
    switch (find_frame(rdk, 1u << JG_FRAME_CONSUME_BATCH_QUEUE | 1u << JG_FRAME_CONSUME_BATCH |
                                1u << JG_FRAME_EVENT_MESSAGE_NEXT)) {
    case JG_FRAME_CONSUME_BATCH_QUEUE:
    case JG_FRAME_CONSUME_BATCH:
        return JG_CALL_BATCH;
    case JG_FRAME_EVENT_MESSAGE_NEXT:
        return JG_CALL_EVENT;
    default:
        return JG_CALL_ONE;
    }
}

const char *
jg_rdk_config_value(const struct jg_rdk *rdk, const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rdk->ConfigResource_configs(resource, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rdk->ConfigEntry_name(entries[i]), name) == 0)
            return rdk->ConfigEntry_value(entries[i]);
    return NULL;
}
