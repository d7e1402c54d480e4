/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The log between the process that is fed the history and those that consume it. There are two
 * kinds: the embedded log, and a topic of a Kafka cluster. Only log_sqlite.c and log_kafka.c know
 * which it is; all the rest of the program is the same.
 */
#ifndef KLANE_QUICKSTART_LOG_H
#define KLANE_QUICKSTART_LOG_H

#include <klane/klane.h>

#define LOG_PARTITIONS 8
#define LOG_NAME_SIZE 64

/** Who consumes. Where a log has room for one process only, that is FIRST. */
enum member { FIRST, SECOND, MEMBERS };

/** One log, of this run alone. */
struct log {
    const struct log_kind *kind;
    const char *at; /**< A file, or the addresses of brokers. */
    char topic[LOG_NAME_SIZE];
    char group[LOG_NAME_SIZE];
    bool is_made; /**< There is something that has to be removed. */
};

/** A record to be appended. */
struct log_record {
    const void *key;
    const void *value;
    size_t key_size;
    size_t value_size;
};

struct log_writer;

struct log_kind {
    /** Whether several processes may share the partitions. */
    bool is_shared;

    /* What is false or NULL here has been told on stderr. */

    /** Make the topic and open it for appending. */
    struct log_writer *(*open)(struct log *log);
    /** Append a record; its bytes are copied. It may wait for others before it is sent. */
    bool (*append)(struct log_writer *writer, const struct log_record *record);
    /** Returns true when everything that was appended is in the log for good. */
    bool (*flush)(struct log_writer *writer);
    void (*close)(struct log_writer *writer);
    /** Remove the topic. */
    void (*remove)(struct log *log);

    /** What a consuming process reads; the rest of it is klane. */
    klane_err_t (*source)(const struct log *log, enum member member, struct klane_source **source,
                          char *why, size_t why_size);
};

/** The embedded log in this file. */
void log_sqlite(struct log *log, const char *file);

#ifdef QUICKSTART_KAFKA
/** A new topic on these brokers, "host:port" or several of them. */
void log_kafka(struct log *log, const char *brokers);
#endif

#endif
