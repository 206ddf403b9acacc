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
};

/* Look `name` up in `library` and check that it is that copy's own, not one of the same name loaded before it. */
static void *
own_symbol(void *library, const void *base, const char *name)
{
    Dl_info info;
    void *address = dlsym(library, name);
    if (address && dladdr(address, &info) && info.dli_fbase == base)
        return address;
    return NULL;
}

static const char *
resolve_functions(struct jg_rdk *rdk, void *library)
{
    void *address;
#define RESOLVE(name)                                                                                                  \
    address = own_symbol(library, rdk->base, "rd_kafka_" #name);                                                       \
    if (!address)                                                                                                      \
        return "rd_kafka_" #name;                                                                                      \
    memcpy(&rdk->name, &address, sizeof address);
    JG_RDK_FUNCTIONS(RESOLVE)
#undef RESOLVE
    return NULL;
}

static void
resolve_frames(struct jg_rdk *rdk, void *library)
{
    for (size_t i = 0; i < JG_FRAMES; i++) {
        Dl_info info;
        void *entry = NULL;
        void *address = own_symbol(library, rdk->base, frame_names[i]);
        if (!address || !dladdr1(address, &info, &entry, RTLD_DL_SYMENT) || !entry)
            continue;
        const ElfW(Sym) *symbol = entry;
        rdk->frames[i].begin = (uintptr_t)address;
        rdk->frames[i].end = (uintptr_t)address + symbol->st_size;
    }
}

/* A handle on the already loaded object that holds `info`; the main program has no path to open it by. */
static void *
open_loaded(const Dl_info *info)
{
    void *library = dlopen(info->dli_fname, RTLD_NOW | RTLD_NOLOAD);
    return library ? library : dlopen(NULL, RTLD_NOW);
}

static enum jg_err
resolve(const Dl_info *info, struct jg_rdk **out, struct jg_error *error)
{
    void *library = open_loaded(info);
    struct jg_rdk *rdk = calloc(1, sizeof *rdk);
    if (!library || !rdk) {
        free(rdk);
        snprintf(error->text, sizeof error->text, "jobgate cannot open the librdkafka that loads it (%s)",
                 info->dli_fname);
        return library ? JG_ENOMEM : JG_EHOST;
    }
    rdk->base = info->dli_fbase;
    const char *missing = resolve_functions(rdk, library);
    if (missing) {
        snprintf(error->text, sizeof error->text,
                 "jobgate finds no %s in %s, which loads it: librdkafka is older than 2.0, or linked statically into "
                 "this program without exporting its functions. Use the shared library librdkafka.so.1 (2.0 or "
                 "later), or link all of it in and export it (-rdynamic -Wl,--whole-archive librdkafka.a)",
                 missing, info->dli_fname);
        free(rdk);
        return JG_EHOST;
    }
    if (rdk->version() < OLDEST_VERSION) {
        snprintf(error->text, sizeof error->text, "jobgate needs librdkafka 2.0 or later, %s is 0x%08x",
                 info->dli_fname, (unsigned)rdk->version());
        free(rdk);
        return JG_EHOST;
    }
    resolve_frames(rdk, library);
    *out = rdk;
    return JG_OK;
}

enum jg_err
jg_rdk_of(const void *caller, const struct jg_rdk **out, struct jg_error *error)
{
    Dl_info info;
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
        err = resolve(&info, &rdk, error);
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
    bool found;
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
            search->found = true;
            return _URC_END_OF_STACK;
        }
    }
    return _URC_NO_REASON;
}

static bool
within(const struct jg_rdk *rdk, unsigned wanted)
{
    struct search search = {.rdk = rdk, .wanted = wanted, .found = false};
    _Unwind_Backtrace(look_at_frame, &search);
    return search.found;
}

bool
jg_rdk_within(const struct jg_rdk *rdk, enum jg_rdk_frame frame)
{
    return within(rdk, 1u << frame);
}

bool
jg_rdk_within_consume_batch(const struct jg_rdk *rdk)
{
    return within(rdk, 1u << JG_FRAME_CONSUME_BATCH_QUEUE | 1u << JG_FRAME_CONSUME_BATCH);
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
