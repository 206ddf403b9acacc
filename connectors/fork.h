/* SPDX-License-Identifier: Apache-2.0 */
/* Who has to know of a fork: the child has one thread, and descriptors that it shares with its parent. */
#ifndef JG_CONNECTORS_FORK_H
#define JG_CONNECTORS_FORK_H

#include <pthread.h>

/* Embedded in what registers. `before` and `parent` run in the parent around the fork (take and drop a lock that is
 * never held for long), `child` in the child, which has no other thread yet. */
struct jg_fork_guard {
    void (*before)(void *opaque);
    void (*parent)(void *opaque);
    void (*child)(void *opaque);
    void *opaque;
    struct jg_fork_guard *next;
};

/* Any thread. The guard stays where it is until it is removed. */
void jg_fork_add(struct jg_fork_guard *guard);
void jg_fork_remove(struct jg_fork_guard *guard);

/* A child must not find this lock held by a thread that it does not have. Once for each lock, which lives as long as
 * the process; nothing that takes a lock of another guard is done while it is held. */
void jg_fork_add_lock(struct jg_fork_guard *guard, pthread_mutex_t *of);

#endif
