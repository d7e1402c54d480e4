/* SPDX-License-Identifier: Apache-2.0 */
#include "source/sqlite/cleaning.h"

#include "base/thread.h"
#include "source/sqlite/cleaner.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

enum { CHECKPOINT_ROUNDS = 10 }; /* of a second */

struct cleaning {
    pthread_t thread;
    char *path;

    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool is_stopping;              /* under the lock, as is what follows */
    klane_err_t err;               /* not told yet */
    char text[DATABASE_TEXT_SIZE]; /* of it */

    struct cleaner cleaner; /* the thread's */
    bool is_open;           /* the thread's */
};

/* False: it is time to stop. */
static bool rest(void *context, int64_t ns)
{
    struct cleaning *cleaning = context;
    struct timespec until;
    int result = 0;
    bool goes_on;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += until.tv_nsec;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    pthread_mutex_lock(&cleaning->lock);
    while (!cleaning->is_stopping && result == 0)
        result = pthread_cond_timedwait(&cleaning->stopped, &cleaning->lock, &until);
    goes_on = !cleaning->is_stopping;
    pthread_mutex_unlock(&cleaning->lock);
    return goes_on;
}

static klane_err_t clean(struct cleaning *cleaning)
{
    klane_err_t err = KLANE_OK;

    if (!cleaning->is_open)
        err = cleaner_init(&cleaning->cleaner, cleaning->path);
    cleaning->is_open = err == KLANE_OK;
    return cleaning->is_open ? cleaner_run(&cleaning->cleaner) : err;
}

static void *cleaning_main(void *argument)
{
    struct cleaning *cleaning = argument;
    unsigned rounds = 0;

    do {
        klane_err_t err = clean(cleaning);

        if (err == KLANE_OK && ++rounds % CHECKPOINT_ROUNDS == 0)
            err = cleaner_checkpoint(&cleaning->cleaner);
        /* Busy is the log with others who clean, or who write for longer than it waits. */
        if (err == KLANE_OK || err == KLANE_ERR_BUSY || err == KLANE_ERR_STOPPED)
            continue;
        pthread_mutex_lock(&cleaning->lock);
        cleaning->err = err;
        memcpy(cleaning->text, cleaning->cleaner.database.text, DATABASE_TEXT_SIZE);
        pthread_mutex_unlock(&cleaning->lock);
    } while (rest(cleaning, NS_PER_S));
    if (cleaning->is_open)
        cleaner_deinit(&cleaning->cleaner);
    return NULL;
}

static void set_up(struct cleaning *cleaning)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&cleaning->stopped, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&cleaning->lock, NULL);
    cleaning->cleaner.rest = rest;
    cleaning->cleaner.context = cleaning;
}

static void tear_down(struct cleaning *cleaning)
{
    pthread_cond_destroy(&cleaning->stopped);
    pthread_mutex_destroy(&cleaning->lock);
    free(cleaning->path);
    free(cleaning);
}

struct cleaning *cleaning_start(const char *path)
{
    struct cleaning *cleaning = calloc(1, sizeof *cleaning);

    if (cleaning == NULL)
        return NULL;
    set_up(cleaning);
    cleaning->path = strdup(path);
    if (cleaning->path != NULL &&
        thread_start(&cleaning->thread, "klane-clean", 0, cleaning_main, cleaning))
        return cleaning;
    tear_down(cleaning);
    return NULL;
}

void cleaning_stop(struct cleaning *cleaning)
{
    if (cleaning == NULL)
        return;
    pthread_mutex_lock(&cleaning->lock);
    cleaning->is_stopping = true;
    pthread_cond_signal(&cleaning->stopped);
    pthread_mutex_unlock(&cleaning->lock);
    pthread_join(cleaning->thread, NULL);
    tear_down(cleaning);
}

klane_err_t cleaning_error(struct cleaning *cleaning, char text[DATABASE_TEXT_SIZE])
{
    klane_err_t err;

    if (cleaning == NULL)
        return KLANE_OK;
    pthread_mutex_lock(&cleaning->lock);
    err = cleaning->err;
    cleaning->err = KLANE_OK;
    if (err != KLANE_OK)
        memcpy(text, cleaning->text, DATABASE_TEXT_SIZE);
    pthread_mutex_unlock(&cleaning->lock);
    return err;
}
