/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Looks at the dead letters in a topic of an embedded log, and sends them back.
 *
 *     letters LOG TOPIC list     one line for each: where it was, how often it failed, why
 *     letters LOG TOPIC show     the same with all of its headers, and its value
 *     letters LOG TOPIC send     append each again to the topic that it came from, unless that was
 *                                done before; what cannot be is named, and the exit status is 1
 *
 * To look is to read as a group of its own, which is forgotten afterwards; to send back is to read
 * as the group "letters", whose commits say what was sent. A crash in between sends one twice.
 */
#include <klane/sqlite.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS 5000
#define PREFIX "__connect.errors."
#define HEADERS_MAX 1000

struct work {
    pthread_mutex_t lock; /* handlers of several keys at once */
    struct klane_sqlite *log;
    bool is_full; /* show */
    bool is_left; /* send: one was not sent back */
};

/** A header as text; "?" if there is none. */
static void text_of(const struct klane_record *record, const char *name, char *text, size_t size)
{
    const void *value;
    size_t value_size;

    if (klane_header(record, name, &value, &value_size) != KLANE_OK || value == NULL)
        value = "?", value_size = 1;
    snprintf(text, size, "%.*s", (int)value_size, (const char *)value);
}

static void print_all(const struct klane_record *record)
{
    const char *name;
    const void *value;
    size_t size;

    for (size_t i = 0; klane_header_at(record, i, &name, &value, &size) == KLANE_OK; i++)
        printf("    %s: %.*s\n", name, (int)size, value == NULL ? "" : (const char *)value);
    printf("    %.*s\n", (int)record->value_size,
           record->value == NULL ? "" : (const char *)record->value);
}

static enum klane_outcome look(const struct klane_record *record, void *context)
{
    struct work *work = context;
    char topic[256], partition[16], offset[24], attempts[16], reason[256];

    text_of(record, PREFIX "topic", topic, sizeof topic);
    text_of(record, PREFIX "partition", partition, sizeof partition);
    text_of(record, PREFIX "offset", offset, sizeof offset);
    text_of(record, PREFIX "attempts", attempts, sizeof attempts);
    text_of(record, PREFIX "exception.message", reason, sizeof reason);
    pthread_mutex_lock(&work->lock);
    printf("%s [%s] offset %s, key %.*s: %s attempts, %s\n", topic, partition, offset,
           (int)record->key_size, record->key == NULL ? "" : (const char *)record->key, attempts,
           reason);
    if (work->is_full)
        print_all(record);
    pthread_mutex_unlock(&work->lock);
    return KLANE_DONE;
}

/** It stays where it is, in the topic of dead letters. */
static enum klane_outcome leave(struct work *work, const struct klane_record *record,
                                const char *why)
{
    pthread_mutex_lock(&work->lock);
    fprintf(stderr, "not sent back: offset %lld, %s\n", (long long)record->offset, why);
    work->is_left = true;
    pthread_mutex_unlock(&work->lock);
    return klane_skip(record, why);
}

static enum klane_outcome send_back(const struct klane_record *record, void *context)
{
    struct work *work = context;
    struct klane_header_in headers[HEADERS_MAX];
    char topic[256];
    struct klane_sqlite_record back = {.topic = topic,
                                       .key = record->key,
                                       .key_size = record->key_size,
                                       .value = record->value,
                                       .value_size = record->value_size,
                                       .timestamp_ms = -1,
                                       .partition = -1,
                                       .headers = headers};
    enum klane_outcome outcome = KLANE_DONE;

    text_of(record, PREFIX "topic", topic, sizeof topic);
    if (strcmp(topic, "?") == 0)
        return leave(work, record, "it does not say which topic it came from");
    for (size_t i = 0; i < record->header_count; i++) {
        struct klane_header_in *header = &headers[back.header_count];

        if (back.header_count == HEADERS_MAX)
            return leave(work, record, "it has too many headers");
        klane_header_at(record, i, &header->name, &header->value, &header->size);
        if (strncmp(header->name, PREFIX, strlen(PREFIX)) != 0)
            back.header_count++;
    }
    pthread_mutex_lock(&work->lock);
    if (klane_sqlite_append(work->log, &back, NULL) != KLANE_OK)
        outcome = klane_retry(record, 1000, klane_sqlite_errmsg(work->log));
    else
        printf("sent back to %s: key %.*s\n", topic, (int)record->key_size,
               record->key == NULL ? "" : (const char *)record->key);
    pthread_mutex_unlock(&work->lock);
    return outcome;
}

/** Read the topic to its end. */
static klane_err_t read_all(const char *path, const char *group, const char *topic,
                            klane_handler_fn handler, struct work *work)
{
    struct klane_options options;
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    char why[256];
    klane_err_t err;

    klane_options_init(&options, sizeof options);
    options.stop_when_caught_up = true;
    err = klane_sqlite_create(path, group, KLANE_SQLITE_REFUSE, &source, why, sizeof why);
    if (err == KLANE_OK)
        err = klane_create(&options, source, &runtime, why, sizeof why);
    if (err != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        klane_source_destroy(source);
        return err;
    }
    err = klane_handle(runtime, topic, handler, work);
    if (err == KLANE_OK)
        err = klane_run(runtime);
    if (klane_destroy(runtime) != KLANE_OK)
        exit(EXIT_FAILURE); /* A handler is out: the log stays open until the process ends. */
    return err;
}

int main(int argc, char **argv)
{
    struct work work = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const char *what = argc == 4 ? argv[3] : "";
    bool is_send = strcmp(what, "send") == 0;
    char group[64] = "letters", why[256];
    klane_err_t err;

    work.is_full = strcmp(what, "show") == 0;
    if (!is_send && !work.is_full && strcmp(what, "list") != 0) {
        fprintf(stderr, "usage: letters LOG TOPIC list|show|send\n");
        return 2;
    }
    if (klane_sqlite_open(argv[1], BUSY_MS, &work.log, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILURE;
    }
    if (!is_send)
        snprintf(group, sizeof group, "letters-of-%ld", (long)getpid());
    err = read_all(argv[1], group, argv[2], is_send ? send_back : look, &work);
    if (!is_send)
        klane_sqlite_forget(work.log, group);
    klane_sqlite_close(work.log);
    if (err != KLANE_OK)
        fprintf(stderr, "%s\n", klane_strerror(err));
    return err == KLANE_OK && !work.is_left ? EXIT_SUCCESS : EXIT_FAILURE;
}
