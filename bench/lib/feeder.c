/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/feeder.h"
#include "lib/witness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the two say to each other. */
enum { WORD_READY = 'r', WORD_GO = 'g', WORD_STOP = 's', WORD_FED = 'f' };

/* ---- the feeder's own process ---------------------------------------------------------- */

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    (void)producer, (void)opaque;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the feeder's record was not taken: %s", rd_kafka_err2str(message->err));
}

static rd_kafka_t *producer_new(void)
{
    rd_kafka_conf_t *conf = cluster_conf();
    /* A batch that is sent again, as to a leader that is new, would come behind the next one, or
     * be taken for kept as the next one is. */
    const struct cluster_setting settings[] = {
        {"enable.idempotence", "true"},
        {"max.in.flight", "1"},
        {"linger.ms", FEEDER_LINGER_MS},
        {"queue.buffering.max.messages", "1000000"},
        {NULL, NULL},
    };

    cluster_set(conf, settings, NULL);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return cluster_producer(conf);
}

static void say(int to, char word)
{
    if (write(to, &word, 1) != 1)
        bench_fail("the feeder and its arm have lost each other");
}

/* Fails when the other has ended. */
static void hear(int from, char word)
{
    char heard = 0;

    while (read(from, &heard, 1) < 0 && errno == EINTR)
        continue;
    if (heard != word)
        bench_fail("the feeder and its arm have lost each other");
}

/* The arm has said something, or has ended. */
static bool is_to_stop(int from)
{
    struct pollfd heard = {.fd = from, .events = POLLIN};

    return poll(&heard, 1, 0) > 0;
}

static void wait_until(int64_t time_ns)
{
    const struct timespec time = {(time_t)(time_ns / 1000000000), (long)(time_ns % 1000000000)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0)
        continue;
}

/* By the timetable: so many each millisecond. A record that is produced late is stamped with when
 * it was due all the same, and what comes after it is due when it ever was. Returns how many. */
static uint64_t feed(rd_kafka_t *producer, const char *name, uint64_t records, uint64_t keys,
                     int from)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, name, NULL);
    uint64_t *sequences = calloc(keys, sizeof(*sequences));
    unsigned char value[CLUSTER_VALUE_BYTES];
    int64_t due_ns = bench_now_ns();
    uint64_t sent = 0, state = 1;

    if (sequences == NULL)
        bench_fail("no memory for the keys");
    memcpy(value, drive_value, sizeof(value));
    while (records > 0 ? sent < records : !is_to_stop(from)) {
        due_ns += 1000000;
        wait_until(due_ns);
        for (int i = 0; i < FEEDER_RATE / 1000 && (records == 0 || sent < records); i++) {
            uint64_t key = drive_random(&state) % keys;

            stamp_write(value, &(struct stamp){sequences[key]++, due_ns, sent++});
            cluster_produce(producer, topic, (int32_t)(key % CLUSTER_PARTITIONS), key, value,
                            sizeof(value));
        }
        rd_kafka_poll(producer, 0);
    }
    if (rd_kafka_flush(producer, CLUSTER_CALL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        bench_fail("the feeder's records were not taken in time");
    free(sequences);
    rd_kafka_topic_destroy(topic);
    return sent;
}

static _Noreturn void feeder_main(const struct feeder *feeder, uint64_t records, uint64_t keys,
                                  int from, int to)
{
    rd_kafka_t *producer;
    uint64_t fed;

    cluster_topic_create(feeder->topic, CLUSTER_PARTITIONS);
    producer = producer_new();
    say(to, WORD_READY);
    hear(from, WORD_GO);
    fed = feed(producer, feeder->topic, records, keys, from);
    say(to, WORD_FED);
    if (write(to, &fed, sizeof(fed)) != sizeof(fed))
        bench_fail("the feeder and its arm have lost each other");
    /* Until it is ended: see feeder_end(). */
    for (;;)
        pause();
}

/* ---- for arms -------------------------------------------------------------------------- */

/* The feeder does not end by itself unless it fails, and has then said why. The arm would wait for
 * records that never come. */
static void on_child_end(int signal)
{
    (void)signal;
    _exit(1);
}

static void set_child_end(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NOCLDSTOP};

    sigaction(SIGCHLD, &action, NULL);
}

void feeder_start(struct feeder *feeder, uint64_t records, uint64_t keys)
{
    int down[2], up[2];

    cluster_name(feeder->topic, "fed");
    set_child_end(on_child_end);
    if (pipe(down) != 0 || pipe(up) != 0)
        bench_fail("no pipe");
    feeder->process = bench_fork();
    if (feeder->process == 0) {
        close(down[1]);
        close(up[0]);
        feeder_main(feeder, records, keys, down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    feeder->from = up[0];
    feeder->to = down[1];
    hear(feeder->from, WORD_READY);
}

void feeder_go(struct feeder *feeder)
{
    say(feeder->to, WORD_GO);
}

void feeder_stop(struct feeder *feeder)
{
    say(feeder->to, WORD_STOP);
}

uint64_t feeder_wait(struct feeder *feeder)
{
    uint64_t fed;

    hear(feeder->from, WORD_FED);
    if (read(feeder->from, &fed, sizeof(fed)) != sizeof(fed))
        bench_fail("the feeder and its arm have lost each other");
    return fed;
}

/* A child that its parent ignores leaves nothing to the parent's own usage, by which the harness
 * knows the arm's greatest size. */
void feeder_end(struct feeder *feeder)
{
    set_child_end(SIG_IGN);
    kill(feeder->process, SIGKILL);
    while (waitpid(feeder->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    set_child_end(SIG_DFL);
    close(feeder->from);
    close(feeder->to);
}

void feeder_settings(struct bench_run *run, uint64_t records, uint64_t keys, uint32_t workers)
{
    cluster_settings(run, records, keys, workers);
    bench_setting(run, "partitions", CLUSTER_PARTITIONS);
    bench_setting(run, "value_bytes", CLUSTER_VALUE_BYTES);
    bench_setting(run, "records_per_second", FEEDER_RATE);
    bench_setting_text(run, "producer_linger_ms", FEEDER_LINGER_MS);
}
