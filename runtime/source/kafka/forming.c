/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the group may be forming anew.
 *
 * Upholds: a commit is not given to librdkafka behind a request to join before the group has
 * formed.
 *
 * A cooperative group forms anew without a word to the program. librdkafka learns of it from a
 * response; its main thread, which acts upon responses and commits in the order in which they
 * came, then asks to join; and the coordinator looks at nothing behind that request before it has
 * answered it. So a commit is in time if librdkafka has it before such a response has come, or
 * when it is clear that the response has not led to a join.
 *
 * What can be seen is which requests were sent, on the threads of brokers, and that responses
 * came: there, and once more on the main thread, as it begins to act upon them. No heartbeat has
 * led to a join when the next one is sent: a member that is to join sends none. What waits is
 * therefore sent then, and on that thread, to which the heartbeat's response comes later. But
 * commits cannot all wait for a heartbeat. So it also counts as clear when a request to join would
 * have been sent by now. */
#include "source/kafka/forming.h"

#include "base/assert.h"
#include "base/clock.h"

/* Of Kafka's protocol. */
enum { METADATA = 3, JOIN_GROUP = 11, HEARTBEAT = 12 };

/* librdkafka does not ask to join twice in this time; then it may take as long until it looks. */
#define JOIN_INTERVAL_MS 1000

/* From a response to the request to join that it leads to, at most: two threads have to be woken.
 * Where heartbeats come often it is less, so that there is time left to commit between them. */
#define SETTLE_MS 100
#define SETTLE_PART 4

static int64_t max_ms(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void kafka_forming_init(struct kafka_forming *forming, int64_t heartbeat_ms)
{
    forming->settle_ms =
        heartbeat_ms / SETTLE_PART < SETTLE_MS ? heartbeat_ms / SETTLE_PART : SETTLE_MS;
    pthread_mutex_init(&forming->lock, NULL);
}

void kafka_forming_deinit(struct kafka_forming *forming)
{
    pthread_mutex_destroy(&forming->lock);
}

/* ---- under the lock ---------------------------------------------------------------------- */

static int64_t due_ms(const struct kafka_forming *forming)
{
    return forming->is_joining ? KAFKA_NEVER_MS : max_ms(forming->clear_ms, forming->quiet_ms);
}

static void send_commit(struct kafka_forming *forming)
{
    rd_kafka_resp_err_t err =
        rd_kafka_commit_queue(forming->rk, forming->parked, forming->answers, NULL, NULL);

    /* It is only given to the main thread, which answers; there is a group. */
    KLANE_ASSERT(err == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(forming->parked);
    forming->parked = NULL;
}

/* Returns when to do this again. */
static int64_t send_if_due(struct kafka_forming *forming)
{
    if (forming->parked == NULL)
        return KAFKA_NEVER_MS;
    if (clock_now_ms() < due_ms(forming))
        return due_ms(forming);
    send_commit(forming);
    return KAFKA_NEVER_MS;
}

/* ---- what librdkafka does ---------------------------------------------------------------- */

void kafka_forming_sent(struct kafka_forming *forming, int16_t request)
{
    if (request != JOIN_GROUP && request != HEARTBEAT)
        return;
    pthread_mutex_lock(&forming->lock);
    if (request == JOIN_GROUP) {
        forming->is_joining = true;
        forming->joined_ms = clock_now_ms();
    } else {
        forming->clear_ms = 0;
        send_if_due(forming);
    }
    pthread_mutex_unlock(&forming->lock);
}

static void heartbeat_came(struct kafka_forming *forming, rd_kafka_resp_err_t err)
{
    int64_t clear_ms = clock_now_ms() + forming->settle_ms;

    /* The coordinator is gone, and a request to join waits until it is back. */
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        clear_ms = KAFKA_NEVER_MS;
    else if (clear_ms < forming->joined_ms + JOIN_INTERVAL_MS + forming->settle_ms)
        clear_ms = forming->joined_ms + 2 * JOIN_INTERVAL_MS + forming->settle_ms;
    forming->clear_ms = max_ms(forming->clear_ms, clear_ms);
}

/* A join that has nothing to do with heartbeats may follow, at once. */
static void stay_quiet(struct kafka_forming *forming)
{
    forming->quiet_ms = clock_now_ms() + forming->settle_ms;
}

void kafka_forming_came(struct kafka_forming *forming, int16_t request, rd_kafka_resp_err_t err)
{
    if (request != HEARTBEAT && request != METADATA)
        return;
    pthread_mutex_lock(&forming->lock);
    if (request == HEARTBEAT)
        heartbeat_came(forming, err);
    else
        stay_quiet(forming);
    pthread_mutex_unlock(&forming->lock);
}

/* ---- what control does ------------------------------------------------------------------- */

void kafka_forming_answered(struct kafka_forming *forming)
{
    pthread_mutex_lock(&forming->lock);
    stay_quiet(forming);
    pthread_mutex_unlock(&forming->lock);
}

void kafka_forming_done(struct kafka_forming *forming)
{
    pthread_mutex_lock(&forming->lock);
    forming->is_joining = false;
    forming->clear_ms = 0;
    pthread_mutex_unlock(&forming->lock);
}

int64_t kafka_forming_commit(struct kafka_forming *forming,
                             rd_kafka_topic_partition_list_t *offsets, bool at_once)
{
    int64_t again_ms;

    pthread_mutex_lock(&forming->lock);
    KLANE_ASSERT(forming->parked == NULL);
    forming->parked = offsets;
    if (at_once)
        send_commit(forming);
    again_ms = send_if_due(forming);
    if (forming->parked != NULL)
        KLANE_MARK("kafka: a commit waits for the group");
    pthread_mutex_unlock(&forming->lock);
    return again_ms;
}

int64_t kafka_forming_work(struct kafka_forming *forming)
{
    int64_t again_ms;

    pthread_mutex_lock(&forming->lock);
    again_ms = send_if_due(forming);
    pthread_mutex_unlock(&forming->lock);
    return again_ms;
}

bool kafka_forming_has_joined(struct kafka_forming *forming)
{
    bool has_joined;

    pthread_mutex_lock(&forming->lock);
    has_joined = forming->joined_ms != 0;
    pthread_mutex_unlock(&forming->lock);
    return has_joined;
}

bool kafka_forming_take_back(struct kafka_forming *forming)
{
    bool has_waited;

    pthread_mutex_lock(&forming->lock);
    has_waited = forming->parked != NULL;
    if (has_waited)
        rd_kafka_topic_partition_list_destroy(forming->parked);
    forming->parked = NULL;
    pthread_mutex_unlock(&forming->lock);
    return has_waited;
}
