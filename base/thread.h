/* SPDX-License-Identifier: Apache-2.0 */
/* Threads inside somebody else's process, and waiting with a deadline of jg_clock_ms. */
#ifndef JG_BASE_THREAD_H
#define JG_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Start a thread that gets none of the host's signals. 0, or what pthread_create says. */
JG_MUST_USE int jg_thread_start(pthread_t *thread, void *(*work)(void *), void *opaque);

/* Wait for its end. False: it has not ended by then. */
JG_MUST_USE bool jg_thread_join(pthread_t thread, int64_t deadline_ms);

/* A condition to wait on with jg_cond_wait. */
void jg_cond_init(pthread_cond_t *cond);

/* Wait, with the lock held. False: the time is up. True: woken, maybe for nothing. */
bool jg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
