/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/fork.h"

#include <stddef.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct jg_fork_guard *guards;

static void
before_fork(void)
{
    pthread_mutex_lock(&lock);
    for (struct jg_fork_guard *guard = guards; guard; guard = guard->next)
        guard->before(guard->opaque);
}

static void
after_fork_in_parent(void)
{
    for (struct jg_fork_guard *guard = guards; guard; guard = guard->next)
        guard->parent(guard->opaque);
    pthread_mutex_unlock(&lock);
}

static void
after_fork_in_child(void)
{
    for (struct jg_fork_guard *guard = guards; guard; guard = guard->next)
        guard->child(guard->opaque);
    pthread_mutex_unlock(&lock);
}

/* Cannot be undone: the library is linked with -z nodelete. */
static void
install(void)
{
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void
jg_fork_add(struct jg_fork_guard *guard)
{
    pthread_once(&once, install);
    pthread_mutex_lock(&lock);
    guard->next = guards;
    guards = guard;
    pthread_mutex_unlock(&lock);
}

void
jg_fork_remove(struct jg_fork_guard *guard)
{
    pthread_mutex_lock(&lock);
    struct jg_fork_guard **at = &guards;
    while (*at != guard)
        at = &(*at)->next;
    *at = guard->next;
    pthread_mutex_unlock(&lock);
}

static void
take_lock(void *opaque)
{
    pthread_mutex_lock(opaque);
}

static void
drop_lock(void *opaque)
{
    pthread_mutex_unlock(opaque);
}

void
jg_fork_add_lock(struct jg_fork_guard *guard, pthread_mutex_t *of)
{
    *guard = (struct jg_fork_guard){.before = take_lock, .parent = drop_lock, .child = drop_lock, .opaque = of};
    jg_fork_add(guard);
}
