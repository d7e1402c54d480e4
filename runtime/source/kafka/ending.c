/* SPDX-License-Identifier: Apache-2.0 */
/* Edge E1: the count of users falls, acquire-release, in each of two threads: what one did with
 * the structure, before the other frees it. */
#include "source/kafka/ending.h"

#include "base/thread.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 10

/* Belongs to both the thread that ends the handle and the one that waits for it; the last frees
 * it. */
struct ending {
    rd_kafka_t *rk;
    void (*free_after)(void *context);
    void *context;
    sem_t done;
    _Atomic int users;
};

static void release(struct ending *ending)
{
    /* E1 acquire-release: the other's use of it is over before it is freed. */
    if (atomic_fetch_sub_explicit(&ending->users, 1, memory_order_acq_rel) > 1)
        return;
    sem_destroy(&ending->done);
    free(ending);
}

static void *end_main(void *argument)
{
    struct ending *ending = argument;

    rd_kafka_destroy_flags(ending->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    ending->free_after(ending->context);
    sem_post(&ending->done);
    release(ending);
    return NULL;
}

static void wait_for(struct ending *ending)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PATIENCE_S;
    while (sem_clockwait(&ending->done, CLOCK_MONOTONIC, &until) == -1 && errno == EINTR)
        continue;
}

void kafka_end(rd_kafka_t *rk, void (*free_after)(void *context), void *context)
{
    struct ending *ending = malloc(sizeof *ending);
    pthread_t thread;

    if (ending != NULL) {
        *ending = (struct ending){.rk = rk, .free_after = free_after, .context = context};
        sem_init(&ending->done, 0, 0);
        atomic_init(&ending->users, 2);
        if (thread_start(&thread, "klane-end", 0, end_main, ending)) {
            pthread_detach(thread);
            wait_for(ending);
            release(ending);
            return;
        }
        sem_destroy(&ending->done);
        free(ending);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free_after(context);
}
