/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/memory/memory.h"

void
jg_memory_wake(struct jg_memory *memory, const char *name_space)
{
    uint64_t one = 1;
    for (struct jg_memory_watch *watch = memory->watches; watch; watch = watch->next)
        if (strcmp(watch->name_space, name_space) == 0)
            /* What it refuses is one more than 2^64 - 2, by when it is readable. */
            (void)!write(watch->base.fd, &one, sizeof one);
}

static enum jg_err
memory_watch_read(struct jg_watch *base, bool *woken)
{
    uint64_t count;
    ssize_t size = read(base->fd, &count, sizeof count);
    *woken = size == (ssize_t)sizeof count;
    return *woken || errno == EAGAIN || errno == EINTR ? JG_OK : JG_ESTORE;
}

static void
memory_watch_close(struct jg_watch *base)
{
    struct jg_memory_watch *watch = (struct jg_memory_watch *)base;
    (void)jg_memory_lock(watch->memory);
    struct jg_memory_watch **at = &watch->memory->watches;
    while (*at != watch)
        at = &(*at)->next;
    *at = watch->next;
    jg_memory_unlock(watch->memory);
    close(base->fd);
    free(watch->name_space);
    free(watch);
}

enum jg_err
jg_memory_watch(struct jg_store *base, struct jg_watch **out)
{
    struct jg_memory_store *store = (struct jg_memory_store *)base;
    struct jg_memory_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return JG_ESTORE;
    watch->name_space = strdup(store->name_space);
    watch->base = (struct jg_watch){
        .read = memory_watch_read, .close = memory_watch_close, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!watch->name_space || watch->base.fd < 0) {
        if (watch->base.fd >= 0)
            close(watch->base.fd);
        free(watch->name_space);
        free(watch);
        return JG_ESTORE;
    }
    watch->memory = store->memory;
    (void)jg_memory_lock(watch->memory);
    watch->next = watch->memory->watches;
    watch->memory->watches = watch;
    jg_memory_unlock(watch->memory);
    *out = &watch->base;
    return JG_OK;
}
