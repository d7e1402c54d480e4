/* SPDX-License-Identifier: Apache-2.0 */
/* A member: a process with a runtime on the Kafka source, which writes down what it sees. It ends
 * on SIGTERM, and dies with its conductor. It sees what klane sends, and hears of the group, for
 * the functions for that are wrapped.
 *
 * Each event is written before klane can know of what it says (a handler's end, before it
 * returns), or after klane has told it (an assignment). So the order of the history is one that
 * happened. */
#include "kafka/chaos_shared.h"
#include "kafka/kafka_wrap.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define EPOCHS_MAX 65536 /* of one process */
#define LATER_MAX 1024
#define LATER_MS 2
#define RETRY_MS 5
#define LOOK_MS 10
#define VERSION_STATELESS 0x020300ff
#define GROUPLESS "group id does not exist" /* as librdkafka says it */

struct later {
    klane_token_t token;
    struct history_event event;
    uint32_t number;
};

static struct member {
    struct chaos_shared *shared; /* NULL: this process is none */
    const struct chaos_life *life;
    struct klane_runtime *runtime;
    uint8_t number;
    uint32_t workers;

    /* The history's number of klane's epochs. Relaxed: klane tells of an epoch before any handler
     * sees it. */
    _Atomic uint32_t epochs[EPOCHS_MAX];

    /* Control's. */
    uint32_t epoch[CHAOS_PARTITIONS]; /* the last */
    int64_t base[CHAOS_PARTITIONS];   /* as acknowledged, or where it began */
    int64_t next[CHAOS_PARTITIONS];   /* of the main flow */
    int64_t commits;                  /* number of the last */
    int64_t sent[CHAOS_PARTITIONS];   /* the last offsets */
    bool has_fallen;                  /* CHAOS_FALLING */
    bool is_fatal;
    bool is_groupless;
    bool was_assigned;

    _Atomic bool is_stopping;
    _Atomic bool is_loose; /* something was given up without its last commit */
    _Atomic uint32_t slow; /* slow handlers that run */
    uint32_t freezes;      /* when it was asked to stop */
    bool is_calm;          /* no slow handler ran then */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct later later[LATER_MAX]; /* a ring */
    unsigned later_first, later_count;
    bool is_answering; /* one of them, which is not in the ring any more */
} self;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "member %u: %s: %s\n", self.number, what, why);
    _exit(EXIT_FAILURE);
}

static void nap_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};

    nanosleep(&time, NULL);
}

static void add(struct history_event event)
{
    event.process = self.number;
    chaos_add(self.shared, event);
}

static void add_partition(enum history_type type, int32_t partition, uint32_t epoch,
                          int64_t offset)
{
    add((struct history_event){.type = (uint8_t)type,
                               .partition = (uint16_t)partition,
                               .epoch = epoch,
                               .offset = offset});
}

static uint32_t epoch_of(uint32_t epoch)
{
    /* Relaxed: see struct member. */
    return atomic_load_explicit(&self.epochs[epoch % EPOCHS_MAX], memory_order_relaxed);
}

/* ---- what klane sends -------------------------------------------------------------------- */

/* What a member that is not sound does to an offset before anybody sees it. */
static int64_t bent(int32_t partition, int64_t offset)
{
    int64_t last = self.sent[partition];

    self.sent[partition] = offset;
    if (self.life->defect == CHAOS_PAST && offset > 0)
        return offset + 3;
    if (self.life->defect != CHAOS_FALLING || self.has_fallen || last < 2)
        return offset;
    self.has_fallen = true;
    return last / 2;
}

static void answered(rd_kafka_resp_err_t err)
{
    add((struct history_event){.type = HISTORY_ANSWERED,
                               .value = self.commits,
                               .result = err == RD_KAFKA_RESP_ERR_NO_ERROR ? CHAOS_ACCEPTED
                                         : err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION
                                             ? CHAOS_OUTDATED
                                             : CHAOS_REFUSED});
}

/* The commit's name, in front of the metadata. */
static void name_entry(rd_kafka_topic_partition_t *entry)
{
    size_t size = entry->metadata_size;
    char *named = malloc(size + 32);
    int length = snprintf(named, 32, "%u/%" PRId64 " ", self.number, self.commits);

    if (size > 0)
        memcpy(named + length, entry->metadata, size);
    free(entry->metadata);
    entry->metadata = named;
    entry->metadata_size = (size_t)length + size;
}

/* And off again. */
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *partitions,
                                              int timeout_ms)
{
    rd_kafka_resp_err_t err = __real_rd_kafka_committed(rk, partitions, timeout_ms);

    for (int i = 0; i < partitions->cnt; i++) {
        rd_kafka_topic_partition_t *entry = &partitions->elems[i];
        char *metadata = entry->metadata;
        char *space =
            entry->metadata_size == 0 ? NULL : memchr(metadata, ' ', entry->metadata_size);

        if (space == NULL)
            continue;
        entry->metadata_size -= (size_t)(space + 1 - metadata);
        memmove(metadata, space + 1, entry->metadata_size);
    }
    return err;
}

/* The commit's name goes along in the metadata, so that the group's log says whose it was. */
rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *rk,
                                                 const rd_kafka_topic_partition_list_t *offsets,
                                                 rd_kafka_queue_t *queue, kafka_commit_cb cb,
                                                 void *opaque)
{
    rd_kafka_topic_partition_list_t *named = rd_kafka_topic_partition_list_copy(offsets);
    rd_kafka_resp_err_t err;

    self.commits++;
    /* Relaxed: a count. */
    atomic_fetch_add_explicit(&self.shared->commits, 1, memory_order_relaxed);
    for (int i = 0; i < named->cnt; i++) {
        rd_kafka_topic_partition_t *each = &named->elems[i];

        each->offset = bent(each->partition, each->offset);
        add((struct history_event){.type = HISTORY_SENT,
                                   .partition = (uint16_t)each->partition,
                                   .epoch = self.epoch[each->partition],
                                   .offset = each->offset,
                                   .value = self.commits});
        if (self.life->defect == CHAOS_FORGED && each->offset > 0)
            each->offset += 3;
        name_entry(each);
    }
    err = __real_rd_kafka_commit_queue(rk, named, queue, cb, opaque);
    rd_kafka_topic_partition_list_destroy(named);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        answered(err);
    return err;
}

rd_kafka_event_t *__wrap_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms)
{
    rd_kafka_event_t *event = __real_rd_kafka_queue_poll(queue, timeout_ms);

    if (self.shared != NULL && event != NULL &&
        rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT)
        answered(rd_kafka_event_error(event));
    return event;
}

/* Drains begin. */
void __wrap_kafka_group_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                     rd_kafka_topic_partition_list_t *list, void *opaque)
{
    for (int i = 0; err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && i < list->cnt; i++)
        add_partition(HISTORY_REVOKE, list->elems[i].partition,
                      self.epoch[list->elems[i].partition], 0);
    __real_kafka_group_rebalance_cb(rk, err, list, opaque);
}

/* ---- what klane tells -------------------------------------------------------------------- */

static void begin_stop(void)
{
    int64_t deadline_ms = chaos_now_ms(self.shared) + CHAOS_STOP_MS;

    /* Relaxed, all: the conductor freezes none that it has asked to stop; handlers look often. */
    self.freezes = atomic_load_explicit(&self.life->freezes, memory_order_relaxed);
    self.is_calm = atomic_load_explicit(&self.slow, memory_order_relaxed) == 0;
    atomic_store_explicit(&self.is_stopping, true, memory_order_relaxed);
    add((struct history_event){.type = HISTORY_STOP, .value = deadline_ms});
}

static void run_beside(struct history_event start)
{
    add(start);
    start.type = HISTORY_END;
    add(start);
}

static void on_assigned(const struct klane_event *event)
{
    /* Relaxed: it is set before this life begins. */
    int64_t again =
        atomic_load_explicit(&self.shared->again[event->partition], memory_order_relaxed);
    /* Relaxed: the number only has to be unique. */
    uint32_t epoch = atomic_fetch_add_explicit(&self.shared->epochs, 1, memory_order_relaxed) + 1;

    /* Relaxed: see struct member. */
    atomic_store_explicit(&self.epochs[event->epoch % EPOCHS_MAX], epoch, memory_order_relaxed);
    self.was_assigned = true;
    /* Relaxed, both: polled. */
    atomic_store_explicit(&self.shared->lives[self.number].was_assigned, true,
                          memory_order_relaxed);
    atomic_store_explicit(&self.shared->owners[event->partition], (uint8_t)(self.number + 1),
                          memory_order_relaxed);
    self.epoch[event->partition] = epoch;
    self.base[event->partition] = event->offset;
    self.next[event->partition] = event->value;
    add((struct history_event){.type = HISTORY_ASSIGN,
                               .partition = (uint16_t)event->partition,
                               .epoch = epoch,
                               .offset = event->offset,
                               .ceiling = event->value});
    if (self.life->defect == CHAOS_AGAIN && again > 0)
        run_beside((struct history_event){.type = HISTORY_START,
                                          .partition = (uint16_t)event->partition,
                                          .epoch = epoch,
                                          .offset = again - 1,
                                          .attempt = 1});
    /* Relaxed: a count. */
    atomic_fetch_add_explicit(&self.shared->assigned, 1, memory_order_relaxed);
}

static void on_gone(const struct klane_event *event, enum history_type type)
{
    uint8_t owner = (uint8_t)(self.number + 1);

    /* Relaxed: polled. Another may have it by now. */
    atomic_compare_exchange_strong_explicit(&self.shared->owners[event->partition], &owner, 0,
                                            memory_order_relaxed, memory_order_relaxed);
    /* Relaxed: read when klane has stopped. */
    if (type == HISTORY_LOST || event->offset != self.base[event->partition])
        atomic_store_explicit(&self.is_loose, true, memory_order_relaxed);
    add_partition(type, event->partition, epoch_of(event->epoch), event->offset);
    if (self.life->defect == CHAOS_LATE)
        run_beside((struct history_event){.type = HISTORY_START,
                                          .partition = (uint16_t)event->partition,
                                          .epoch = epoch_of(event->epoch),
                                          .offset = event->offset,
                                          .attempt = 1});
}

static void on_event(const struct klane_event *event, void *context)
{
    char text[80];

    (void)context;
    snprintf(text, sizeof text, "%llu of type %d: the history would not be whole",
             (unsigned long long)event->suppressed, (int)event->type);
    /* While records are on trial each step is committed first, and a key that is behind makes one
     * step for each record: as many commits as the cluster answers. Without some of those events
     * a stop may only look looser than it was. */
    if (event->suppressed > 0 && event->type != KLANE_EVENT_COMMITTED)
        die("events were left out", text);
    switch (event->type) {
    case KLANE_EVENT_ASSIGNED:
        on_assigned(event);
        break;
    case KLANE_EVENT_REVOKED:
        on_gone(event, HISTORY_GIVEN_UP);
        break;
    case KLANE_EVENT_LOST:
        on_gone(event, HISTORY_LOST);
        break;
    case KLANE_EVENT_COMMITTED:
        self.base[event->partition] = event->offset;
        add_partition(HISTORY_COMMITTED, event->partition, epoch_of(event->epoch), event->offset);
        break;
    case KLANE_EVENT_OUT_OF_RANGE:
        die("out of range", "nothing was ever removed from this log");
        break;
    case KLANE_EVENT_PROGRESS_REFUSED:
        die("a progress map was refused", event->message);
        break;
    case KLANE_EVENT_FATAL:
        self.is_fatal = true;
        self.is_groupless = strstr(event->message, GROUPLESS) != NULL;
        /* Relaxed: only this thread and the main thread, which looks afterwards. */
        if (!atomic_load_explicit(&self.is_stopping, memory_order_relaxed))
            begin_stop();
        break;
    default:
        break;
    }
}

static void on_log(enum klane_log_level level, const char *line, void *context)
{
    (void)level, (void)context;
    fprintf(stderr, "%8" PRId64 "ms P%u: %s\n", chaos_now_ms(self.shared), self.number, line);
}

/* The record's own key: this only sees what is taken in. A pass brings records from below. */
static bool key_of(const struct klane_record *record, void *context, const void **key,
                   size_t *key_size)
{
    (void)context;
    if (record->offset >= self.next[record->partition]) {
        add_partition(HISTORY_DELIVER, record->partition, epoch_of(record->epoch),
                      record->offset);
        self.next[record->partition] = record->offset + 1;
    }
    *key = record->key;
    *key_size = record->key_size;
    return record->key != NULL;
}

/* ---- handlers ---------------------------------------------------------------------------- */

static struct history_event record_event(enum history_type type,
                                         const struct klane_record *record)
{
    return (struct history_event){.type = (uint8_t)type,
                                  .partition = (uint16_t)record->partition,
                                  .epoch = epoch_of(record->epoch),
                                  .offset = record->offset,
                                  .attempt = record->attempt};
}

static void handled(uint32_t number)
{
    /* Relaxed: the conductor polls it. */
    atomic_store_explicit(&self.shared->handled[number], 1, memory_order_relaxed);
}

static enum klane_outcome done(const struct klane_record *record, uint32_t number)
{
    struct history_event event = record_event(HISTORY_END, record);

    add(event);
    if (self.life->defect == CHAOS_UNRUN && number % 50 == 7)
        add(event);
    handled(number);
    return KLANE_DONE;
}

static enum klane_outcome retry(const struct klane_record *record)
{
    struct history_event event = record_event(HISTORY_END, record);

    event.result = HISTORY_RETRY;
    event.value = RETRY_MS;
    add(event);
    return klane_retry(record, RETRY_MS, NULL);
}

/* The thread that answers for those handlers that said later. */
static void *answer_later(void *argument)
{
    (void)argument;
    for (;;) {
        struct later later;
        klane_err_t err;

        pthread_mutex_lock(&self.lock);
        while (self.later_count == 0)
            pthread_cond_wait(&self.changed, &self.lock);
        later = self.later[self.later_first];
        self.later_first = (self.later_first + 1) % LATER_MAX;
        self.later_count--;
        self.is_answering = true;
        pthread_mutex_unlock(&self.lock);
        nap_ms(LATER_MS);
        add(later.event);
        handled(later.number);
        err = klane_finish(self.runtime, later.token, KLANE_DONE, -1, NULL);
        if (err != KLANE_OK && err != KLANE_ERR_FENCED)
            die("a token", klane_strerror(err));
        pthread_mutex_lock(&self.lock);
        self.is_answering = false;
        pthread_mutex_unlock(&self.lock);
    }
    return NULL;
}

static enum klane_outcome say_later(const struct klane_record *record, uint32_t number)
{
    struct later later = {.event = record_event(HISTORY_END, record), .number = number};
    enum klane_outcome outcome = klane_later(record, &later.token);
    bool has_room;

    /* Before the end, which may come before the handler has returned. */
    add(record_event(HISTORY_RETURN, record));
    pthread_mutex_lock(&self.lock);
    has_room = self.later_count < LATER_MAX;
    if (has_room)
        self.later[(self.later_first + self.later_count++) % LATER_MAX] = later;
    pthread_cond_signal(&self.changed);
    pthread_mutex_unlock(&self.lock);
    if (!has_room)
        die("the one who answers later", "is behind");
    return outcome;
}

/* Waits until it is let go. False: it works in vain. */
static bool linger(const struct klane_record *record, uint32_t kind)
{
    int64_t end_ms = chaos_now_ms(self.shared) + CHAOS_SLOW_MS;
    const _Atomic bool *let_go =
        kind == CHAOS_STUCK ? &self.shared->is_open : &self.shared->is_hasty;
    bool is_vain = false;
    bool is_over = false;

    /* Relaxed throughout: words that are polled, and counts. */
    atomic_fetch_add_explicit(&self.slow, 1, memory_order_relaxed);
    while (!is_over && !is_vain && !atomic_load_explicit(let_go, memory_order_relaxed)) {
        nap_ms(LOOK_MS);
        is_vain = atomic_load_explicit(&self.is_stopping, memory_order_relaxed) ||
                  (!self.life->is_stubborn && klane_cancelled(record));
        is_over = kind == CHAOS_SLOW && chaos_now_ms(self.shared) >= end_ms;
    }
    if (is_over)
        atomic_fetch_add_explicit(&self.shared->slept, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&self.slow, 1, memory_order_relaxed);
    return !is_vain;
}

static enum klane_outcome leave_out(const struct klane_record *record, uint32_t number)
{
    struct history_event event = record_event(HISTORY_END, record);

    event.result = HISTORY_SKIPPED;
    add(event);
    handled(number);
    return klane_skip(record, NULL);
}

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    struct history_event start = record_event(HISTORY_START, record);
    struct chaos_payload payload;

    (void)context;
    memcpy(&payload, record->value, sizeof(payload));
    if (self.life->defect == CHAOS_DROPPED && record->key == NULL)
        return KLANE_DONE;
    start.value = klane_cancelled(record);
    add(start);
    switch (payload.kind) {
    case CHAOS_RETRIED:
        if (record->attempt == 1)
            return retry(record);
        break;
    case CHAOS_SKIPPED:
        return leave_out(record, payload.number);
    case CHAOS_LATER:
        return say_later(record, payload.number);
    case CHAOS_SLOW:
    case CHAOS_STUCK:
        if (!linger(record, payload.kind))
            return retry(record);
        break;
    default:
        break;
    }
    /* Some take their time, so that death finds records unfinished below finished ones. */
    if (payload.number % 16 == 0)
        nap_ms(1);
    return done(record, payload.number);
}

/* ---- life -------------------------------------------------------------------------------- */

static void must(klane_err_t err, const char *what, const char *why)
{
    if (err != KLANE_OK)
        die(what, why != NULL && why[0] != '\0' ? why : klane_strerror(err));
}

void chaos_conf_soon(rd_kafka_conf_t *conf)
{
    kafka_kit_set(conf, "socket.timeout.ms", "1500");
    kafka_kit_set(conf, "socket.connection.setup.timeout.ms", "1000");
}

static rd_kafka_conf_t *conf_of(const struct chaos_life *life)
{
    rd_kafka_conf_t *conf;
    char text[16];

    kafka_kit_use(self.shared->bootstrap);
    conf = kafka_kit_consumer_conf(self.shared->group);
    kafka_kit_set_classic(conf, "partition.assignment.strategy", life->assignor);
    if (getenv("KLANE_CHAOS_DEBUG") != NULL) {
        kafka_kit_set(conf, "debug", getenv("KLANE_CHAOS_DEBUG"));
        kafka_kit_set(conf, "log_level", "7");
    }
    if (life->instance[0] != '\0')
        kafka_kit_set(conf, "group.instance.id", life->instance);
    if (self.shared->is_cluster)
        chaos_conf_soon(conf);
    else
        /* As it is where nobody sets it. What comes while the group's leader waits for metadata
         * may cost it what it has, which the judge takes for a loss without a reason: see README.
         * Where the leaders of partitions move, they are to be found soon. */
        kafka_kit_set(conf, "topic.metadata.refresh.interval.ms", "300000");
    snprintf(text, sizeof(text), "%u", life->session_ms);
    kafka_kit_set_classic(conf, "session.timeout.ms", text);
    snprintf(text, sizeof(text), "%d", CHAOS_POLL_MS);
    kafka_kit_set(conf, "max.poll.interval.ms", text);
    return conf;
}

static void start(const struct chaos_life *life)
{
    struct klane_options options;
    struct klane_topic topic;
    struct klane_source *source = NULL;
    char why[512] = "";

    klane_options_init(&options, sizeof(options));
    options.workers = CHAOS_WORKERS;
    options.commit_interval_ms = life->commit_ms;
    options.drain_ms = life->drain_ms;
    options.stop_ms = CHAOS_STOP_MS;
    options.event = on_event;
    options.log = on_log;
    must(klane_kafka_create(conf_of(life), NULL, &source, why, sizeof(why)), "source", why);
    must(klane_create(&options, source, &self.runtime, why, sizeof(why)), "runtime", why);
    klane_topic_init(&topic, sizeof(topic));
    topic.name = self.shared->topic;
    topic.key = key_of;
    if (life->defect == CHAOS_ANY_ORDER) {
        topic.key = NULL;
        topic.order = KLANE_ORDER_NONE;
    }
    must(klane_topic(self.runtime, &topic), "topic", NULL);
    must(klane_handle(self.runtime, self.shared->topic, handle, NULL), "handler", NULL);
    add((struct history_event){.type = HISTORY_WORKERS, .value = options.workers});
    must(klane_start(self.runtime), "start", NULL);
}

/* Until it has stopped, because it was asked to or by itself, and all are back: handlers and
 * tokens of a partition that was lost may be out for longer, until they have looked. */
static klane_err_t wait_for_end(const sigset_t *signals)
{
    struct timespec patience = {.tv_nsec = 20000000};
    int64_t busy_until_ms = INT64_MAX;
    klane_err_t err;

    do {
        if (sigtimedwait(signals, NULL, &patience) == SIGTERM) {
            begin_stop();
            klane_stop(self.runtime);
        }
        err = klane_wait(self.runtime, 0);
        if (err == KLANE_ERR_BUSY && busy_until_ms == INT64_MAX)
            busy_until_ms = chaos_now_ms(self.shared) + CHAOS_STOP_MS;
    } while (err == KLANE_ERR_TIMEOUT ||
             (err == KLANE_ERR_BUSY && chaos_now_ms(self.shared) < busy_until_ms));
    return err;
}

/* Nobody answers a token beside it. */
static klane_err_t try_to_destroy(void)
{
    klane_err_t err = KLANE_ERR_BUSY;

    pthread_mutex_lock(&self.lock);
    if (self.later_count == 0 && !self.is_answering)
        err = klane_destroy(self.runtime);
    pthread_mutex_unlock(&self.lock);
    return err;
}

/* Who answered the last token may still be about to count it. */
static klane_err_t destroy_runtime(void)
{
    int64_t due_ms = chaos_now_ms(self.shared) + CHAOS_STOP_MS;
    klane_err_t err;

    while ((err = try_to_destroy()) == KLANE_ERR_BUSY && chaos_now_ms(self.shared) < due_ms)
        nap_ms(LOOK_MS);
    return err;
}

static int end(klane_err_t err)
{
    struct klane_stats stats;
    /* Relaxed, both: klane has stopped; the conductor freezes none that stops. */
    bool is_clean =
        err == KLANE_OK && !atomic_load_explicit(&self.is_loose, memory_order_relaxed) &&
        self.is_calm &&
        self.freezes == atomic_load_explicit(&self.life->freezes, memory_order_relaxed);

    add((struct history_event){.type = HISTORY_STOPPED, .result = is_clean});
    must(klane_stats_get(self.runtime, &stats, sizeof(stats)), "statistics", NULL);
    if (err == KLANE_OK)
        add((struct history_event){.type = HISTORY_LEFT, .value = (int64_t)stats.in_memory});
    if (err == KLANE_ERR_FATAL && self.is_fatal)
        return self.is_groupless ? CHAOS_EXIT_GROUPLESS : CHAOS_EXIT_FATAL;
    must(err, "wait", NULL);
    /* librdkafka before 2.3 aborts. */
    if (self.was_assigned || strcmp(self.life->assignor, "cooperative-sticky") != 0 ||
        rd_kafka_version() >= VERSION_STATELESS)
        must(destroy_runtime(), "destroy", NULL);
    return EXIT_SUCCESS;
}

int chaos_member_main(int fd, uint8_t number)
{
    struct chaos_shared *shared = chaos_shared_map(&fd);
    pthread_t thread;
    sigset_t signals;

    if (shared == NULL)
        die("memory", "could not be mapped");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != shared->conductor)
        die("the conductor", "is gone");
    self.shared = shared;
    self.number = number;
    self.life = &shared->lives[number];
    pthread_mutex_init(&self.lock, NULL);
    pthread_cond_init(&self.changed, NULL);
    /* Blocked from before the start: see the conductor. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    if (pthread_create(&thread, NULL, answer_later, NULL) != 0)
        die("a thread", "could not be made");
    start(self.life);
    return end(wait_for_end(&signals));
}
