/* SPDX-License-Identifier: Apache-2.0 */
/* Why a connection is refused, or a batch cannot be read.
 *
 * librdkafka says of each certificate that it does not trust the same, but tells a callback what
 * OpenSSL found. That callback has the program's opaque, so the handle itself leads to its reason:
 * through a list of all that there are in the process.
 *
 * Upholds: a certificate that OpenSSL does not accept is not accepted. */
#include "source/kafka/reason.h"

#include "source/kafka/config.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, kafka_reason) watched = LIST_HEAD_INITIALIZER(watched); /* under the lock */

/* ---- certificates ------------------------------------------------------------------------ */

static struct kafka_reason *reason_of(const rd_kafka_t *rk)
{
    struct kafka_reason *reason;

    LIST_FOREACH(reason, &watched, link)
    if (reason->rk == rk)
        break;
    return reason;
}

/* By the numbers of OpenSSL's X509_V_ERR_, which do not change. */
static void certificate_text(int error, char *text, size_t size)
{
    switch (error) {
    case 9:
        snprintf(text, size, "the broker's certificate is not valid yet");
        break;
    case 10:
        snprintf(text, size, "the broker's certificate has expired");
        break;
    case 2:
    case 18:
    case 19:
    case 20:
    case 21:
        snprintf(text, size, "the authority of the broker's certificate is not known");
        break;
    case 23:
        snprintf(text, size, "the broker's certificate was revoked");
        break;
    case 62:
    case 64:
        snprintf(text, size, "the broker's certificate is for another host");
        break;
    default:
        snprintf(text, size, "the broker's certificate has OpenSSL's verification error %d",
                 error);
    }
}

/* On any of librdkafka's threads. */
static int certificate_cb(rd_kafka_t *rk, const char *broker, int32_t broker_id, int *error,
                          int depth, const char *certificate, size_t size, char *errstr,
                          size_t errstr_size, void *opaque)
{
    struct kafka_reason *reason;

    (void)broker, (void)broker_id, (void)depth, (void)certificate, (void)size, (void)opaque;
    if (*error == 0)
        return 1;
    certificate_text(*error, errstr, errstr_size);
    pthread_mutex_lock(&lock);
    reason = reason_of(rk);
    if (reason != NULL)
        reason->certificate = *error;
    pthread_mutex_unlock(&lock);
    return 0;
}

void kafka_reason_ask(struct kafka_reason *reason, rd_kafka_conf_t *conf)
{
    char protocol[32] = "";
    size_t size = sizeof protocol;

    rd_kafka_conf_get(conf, "security.protocol", protocol, &size);
    reason->is_plain = strstr(protocol, "plaintext") != NULL;
    /* It fails where librdkafka was built without TLS: then there are no certificates. */
    if (!kafka_config_has_callback(conf, "ssl.certificate.verify_cb"))
        rd_kafka_conf_set_ssl_cert_verify_cb(conf, certificate_cb);
}

void kafka_reason_watch(struct kafka_reason *reason, const rd_kafka_t *rk)
{
    pthread_mutex_lock(&lock);
    reason->rk = rk;
    LIST_INSERT_HEAD(&watched, reason, link);
    pthread_mutex_unlock(&lock);
}

void kafka_reason_deinit(struct kafka_reason *reason)
{
    pthread_mutex_lock(&lock);
    if (reason->rk != NULL)
        LIST_REMOVE(reason, link);
    reason->rk = NULL;
    pthread_mutex_unlock(&lock);
}

/* ---- what is said ------------------------------------------------------------------------ */

#define PERHAPS_TLS "the broker's listener may be one with TLS"
#define PERHAPS_PLAIN "the broker's listener may be one without TLS"
#define BUILT_WITHOUT "librdkafka was built without "

/* What part of librdkafka's words means. */
static const struct {
    const char *part;
    int before; /* only with librdkafka older than this; 0: with any */
    const char *meaning;
} meanings[] = {
    {"alert bad certificate", 0,
     "the broker refuses the client's certificate, or was given none"},
    {"certificate required", 0, "the broker was given no certificate of the client"},
    {"connecting to a SSL listener?", 0, PERHAPS_TLS},
    {"connecting to a PLAINTEXT broker listener?", 0, PERHAPS_PLAIN},
    {"unexpected eof while reading", 0, PERHAPS_PLAIN},
    {"wrong version number", 0, PERHAPS_PLAIN},
    {"SASL mechanism SCRAM", KAFKA_VERSION_SCRAM,
     "librdkafka before 2.6.1 fails so at SCRAM with Kafka 4, whatever the password"},
    {"(codec 0x1)", 0, BUILT_WITHOUT "gzip"},
    {"(codec 0x2)", 0, BUILT_WITHOUT "snappy"},
    {"(codec 0x3)", 0, BUILT_WITHOUT "lz4"},
    {"(codec 0x4)", 0, BUILT_WITHOUT "zstd"},
};

void kafka_reason_text(const struct kafka_reason *reason, int version, const char *said,
                       char *text, size_t size)
{
    char meaning[128] = "";

    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strstr(said, meanings[i].part) != NULL &&
            (meanings[i].before == 0 || version < meanings[i].before))
            snprintf(meaning, sizeof meaning, "%s", meanings[i].meaning);
    if (strstr(said, "certificate verify failed") != NULL) {
        pthread_mutex_lock(&lock);
        if (reason->certificate != 0)
            certificate_text(reason->certificate, meaning, sizeof meaning);
        pthread_mutex_unlock(&lock);
    }
    snprintf(text, size, "%s%s%s", meaning, meaning[0] == '\0' ? "" : ": ", said);
}

void kafka_reason_said(const rd_kafka_t *rk, const char *said)
{
    struct kafka_reason *reason;

    pthread_mutex_lock(&lock);
    reason = reason_of(rk);
    if (reason != NULL)
        snprintf(reason->said, sizeof reason->said, "%s", said);
    pthread_mutex_unlock(&lock);
}

void kafka_reason_over(struct kafka_reason *reason)
{
    pthread_mutex_lock(&lock);
    reason->said[0] = '\0';
    pthread_mutex_unlock(&lock);
}

/* From some version on librdkafka takes a connection that is closed during its first request for
 * nothing to speak of; so closes a listener with TLS who comes without. */
void kafka_reason_silence(const struct kafka_reason *reason, const char *said, char *text,
                          size_t size)
{
    bool is_silent;

    pthread_mutex_lock(&lock);
    is_silent = reason->is_plain && reason->said[0] == '\0';
    pthread_mutex_unlock(&lock);
    snprintf(text, size, "%s%s", is_silent ? PERHAPS_TLS ": " : "", said);
}

bool kafka_reason_last(struct kafka_reason *reason, int version, char *text, size_t size)
{
    char said[KAFKA_REASON_SIZE];

    pthread_mutex_lock(&lock);
    memcpy(said, reason->said, sizeof said);
    pthread_mutex_unlock(&lock);
    kafka_reason_text(reason, version, said, text, size);
    return said[0] != '\0';
}
