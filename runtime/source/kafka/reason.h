/* SPDX-License-Identifier: Apache-2.0 */
/* Why a connection is refused, or a batch not read, where librdkafka's words leave it out. */
#ifndef KLANE_SOURCE_KAFKA_REASON_H
#define KLANE_SOURCE_KAFKA_REASON_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <sys/queue.h>

#define KAFKA_REASON_SIZE 256

/* Of one handle. */
struct kafka_reason {
    LIST_ENTRY(kafka_reason) link;
    const rd_kafka_t *rk; /* NULL: it is not watched */
    bool is_plain;        /* without TLS. Fixed before the handle is made */
    /* Under the lock. */
    int certificate;              /* OpenSSL's last verification error; 0: none */
    char said[KAFKA_REASON_SIZE]; /* what librdkafka said last of a connection; empty: nothing */
};

/* Have the handle that is to be made of this configuration tell what is wrong with certificates,
 * unless the program looks at them itself. */
void kafka_reason_ask(struct kafka_reason *reason, rd_kafka_conf_t *conf);

/* The handle that is made of it; before it has connected. */
void kafka_reason_watch(struct kafka_reason *reason, const rd_kafka_t *rk);

/* When the handle is gone, if there was one. */
void kafka_reason_deinit(struct kafka_reason *reason);

/* What librdkafka said of a connection, or of a codec that it lacks, with the reason in front of
 * it where that is known. */
void kafka_reason_text(const struct kafka_reason *reason, int version, const char *said,
                       char *text, size_t size);

/* librdkafka said this of a connection of the handle, or that is over. Any thread. */
void kafka_reason_said(const rd_kafka_t *rk, const char *said);
void kafka_reason_over(struct kafka_reason *reason);

/* All brokers are down, of which none was ever reached, and nothing was said of any connection:
 * what librdkafka says of that, with what may be the reason in front of it. */
void kafka_reason_silence(const struct kafka_reason *reason, const char *said, char *text,
                          size_t size);

/* The last of it, as above. False: there is none. */
bool kafka_reason_last(struct kafka_reason *reason, int version, char *text, size_t size);

#endif
