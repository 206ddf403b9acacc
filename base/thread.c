/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/clock.h"

int
jg_thread_start(pthread_t *thread, void *(*work)(void *), void *opaque)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread inherits them */
    int failure = pthread_create(thread, NULL, work, opaque);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

bool
jg_thread_join(pthread_t thread, int64_t deadline_ms)
{
    struct timespec deadline = jg_clock_timespec(deadline_ms);
    return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline) == 0;
}

void
jg_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool
jg_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_ms)
{
    struct timespec deadline = jg_clock_timespec(deadline_ms);
    return pthread_cond_timedwait(cond, lock, &deadline) != ETIMEDOUT;
}
