/* SPDX-License-Identifier: Apache-2.0 */
/* What librdkafka and the plugin do with threads and locks, made visible to ThreadSanitizer.
 *
 * Debian's librdkafka uses glibc's thrd_, mtx_ and cnd_ functions, and the plugin pthread_clockjoin_np. ThreadSanitizer
 * intercepts none of them: it would not know librdkafka's threads, nor that a queue's lock or a join orders what two
 * threads do, and would report races that are none. A host that defines these functions comes first in symbol lookup,
 * so all of it uses these.
 *
 * tsan.supp tells ThreadSanitizer to ignore what librdkafka calls itself; so the read-write locks, which it does
 * intercept, go through here as well: the call then comes from the host. Destroying a lock does nothing, here as in
 * glibc: librdkafka knows by an atomic count that it is the last user, which ThreadSanitizer does not. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))
#define NANOSECONDS 1000000000L

/* glibc gives both families the same objects; so these casts are what it does itself. */
_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "mtx_t is a pthread_mutex_t");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "cnd_t is a pthread_cond_t");

static pthread_mutex_t *
mutex_of(mtx_t *mutex)
{
    return (pthread_mutex_t *)(void *)mutex;
}

static pthread_cond_t *
cond_of(cnd_t *cond)
{
    return (pthread_cond_t *)(void *)cond;
}

struct start {
    thrd_start_t run;
    void *arg;
};

static void *
start_thread(void *opaque)
{
    struct start start = *(struct start *)opaque;
    free(opaque);
    return (void *)(intptr_t)start.run(start.arg);
}

EXPORTED int
thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return thrd_nomem;
    *start = (struct start){.run = run, .arg = arg};
    pthread_t id;
    if (pthread_create(&id, NULL, start_thread, start) != 0) {
        free(start);
        return thrd_error;
    }
    *thread = (thrd_t)id;
    return thrd_success;
}

EXPORTED int
thrd_join(thrd_t thread, int *result)
{
    void *value = NULL;
    if (pthread_join((pthread_t)thread, &value) != 0)
        return thrd_error;
    if (result)
        *result = (int)(intptr_t)value;
    return thrd_success;
}

EXPORTED int
thrd_detach(thrd_t thread)
{
    return pthread_detach((pthread_t)thread) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
pthread_clockjoin_np(pthread_t thread, void **result, clockid_t clock, const struct timespec *until)
{
    struct timespec now;
    struct timespec wall;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &wall);
    wall.tv_sec += until->tv_sec - now.tv_sec;
    wall.tv_nsec += until->tv_nsec - now.tv_nsec;
    if (wall.tv_nsec < 0) {
        wall.tv_nsec += NANOSECONDS;
        wall.tv_sec--;
    } else if (wall.tv_nsec >= NANOSECONDS) {
        wall.tv_nsec -= NANOSECONDS;
        wall.tv_sec++;
    }
    return pthread_timedjoin_np(thread, result, &wall);
}

EXPORTED int
mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    int err = pthread_mutex_init(mutex_of(mutex), &attr);
    pthread_mutexattr_destroy(&attr);
    return err == 0 ? thrd_success : thrd_error;
}

EXPORTED void
mtx_destroy(mtx_t *mutex)
{
    (void)mutex;
}

EXPORTED int
mtx_lock(mtx_t *mutex)
{
    return pthread_mutex_lock(mutex_of(mutex)) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
mtx_trylock(mtx_t *mutex)
{
    return pthread_mutex_trylock(mutex_of(mutex)) == 0 ? thrd_success : thrd_busy;
}

EXPORTED int
mtx_unlock(mtx_t *mutex)
{
    return pthread_mutex_unlock(mutex_of(mutex)) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
cnd_init(cnd_t *cond)
{
    return pthread_cond_init(cond_of(cond), NULL) == 0 ? thrd_success : thrd_error;
}

EXPORTED void
cnd_destroy(cnd_t *cond)
{
    (void)cond;
}

EXPORTED int
cnd_signal(cnd_t *cond)
{
    return pthread_cond_signal(cond_of(cond)) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
cnd_broadcast(cnd_t *cond)
{
    return pthread_cond_broadcast(cond_of(cond)) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return pthread_cond_wait(cond_of(cond), mutex_of(mutex)) == 0 ? thrd_success : thrd_error;
}

EXPORTED int
cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    int err = pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), until);
    if (err == 0)
        return thrd_success;
    return err == ETIMEDOUT ? thrd_timedout : thrd_error;
}

/* ThreadSanitizer's own, of which the plain names are weak aliases. */
int __interceptor_pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr);
int __interceptor_pthread_rwlock_rdlock(pthread_rwlock_t *lock);
int __interceptor_pthread_rwlock_wrlock(pthread_rwlock_t *lock);
int __interceptor_pthread_rwlock_unlock(pthread_rwlock_t *lock);

EXPORTED int
pthread_rwlock_init(pthread_rwlock_t *restrict lock, const pthread_rwlockattr_t *restrict attr)
{
    return __interceptor_pthread_rwlock_init(lock, attr);
}

EXPORTED int
pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
    (void)lock;
    return 0;
}

EXPORTED int
pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    return __interceptor_pthread_rwlock_rdlock(lock);
}

EXPORTED int
pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    return __interceptor_pthread_rwlock_wrlock(lock);
}

EXPORTED int
pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    return __interceptor_pthread_rwlock_unlock(lock);
}
