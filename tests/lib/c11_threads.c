/* SPDX-License-Identifier: Apache-2.0 */
/* What orders librdkafka's threads, made visible to the race detector.
 *
 * It knows POSIX's threads only, while librdkafka as it is packaged uses C11's: here these are
 * made of POSIX's. Programs that link this have librdkafka use it, too. In glibc both kinds of
 * mutex and of condition are the same bytes.
 *
 * What librdkafka calls by itself is left out of the search for races (.ci/tsan.supp), so its
 * read-write locks lead through here as well. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "the same bytes");
_Static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "the same bytes");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "the same bytes");

static int result_of(int err)
{
    return err == 0 ? thrd_success : err == ETIMEDOUT ? thrd_timedout : thrd_error;
}

/* ---- threads ----------------------------------------------------------------------------- */

struct start {
    thrd_start_t entry;
    void *argument;
};

static void *thread_main(void *argument)
{
    struct start start = *(struct start *)argument;

    free(argument);
    return (void *)(intptr_t)start.entry(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t entry, void *argument)
{
    struct start *start = malloc(sizeof *start);

    if (start == NULL)
        return thrd_nomem;
    *start = (struct start){entry, argument};
    return result_of(pthread_create(thread, NULL, thread_main, start));
}

thrd_t thrd_current(void)
{
    return pthread_self();
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned;
    int err = pthread_join(thread, &returned);

    if (err == 0 && result != NULL)
        *result = (int)(intptr_t)returned;
    return result_of(err);
}

/* ---- mutexes and conditions -------------------------------------------------------------- */

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    int err;

    pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    err = pthread_mutex_init((pthread_mutex_t *)(void *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(err);
}

/* Nothing has to be done in glibc; that nobody uses it any more is known by counting references,
 * which the detector does not see. */
void mtx_destroy(mtx_t *mutex)
{
    (void)mutex;
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)(void *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)(void *)mutex));
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)(void *)condition, NULL));
}

/* As mtx_destroy(): nobody waits any more. */
void cnd_destroy(cnd_t *condition)
{
    (void)condition;
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)(void *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)(void *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(
        pthread_cond_wait((pthread_cond_t *)(void *)condition, (pthread_mutex_t *)(void *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait((pthread_cond_t *)(void *)condition,
                                            (pthread_mutex_t *)(void *)mutex, until));
}

/* ---- once -------------------------------------------------------------------------------- */

void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)(void *)flag, function);
}

/* ---- read-write locks -------------------------------------------------------------------- */

/* The detector's own, which these stand in front of. */
typedef int (*rwlock_fn)(pthread_rwlock_t *lock);

static int call_next(const char *name, pthread_rwlock_t *lock)
{
    rwlock_fn next;

    /* As POSIX says that a function is had from dlsym(). */
    *(void **)(void *)&next = dlsym(RTLD_NEXT, name);
    return next(lock);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    return call_next("pthread_rwlock_rdlock", lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    return call_next("pthread_rwlock_wrlock", lock);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    return call_next("pthread_rwlock_unlock", lock);
}
