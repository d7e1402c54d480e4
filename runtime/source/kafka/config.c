/* SPDX-License-Identifier: Apache-2.0 */
/* What of the program's configuration is klane's, and what is refused.
 *
 * Upholds: a setting that klane needs otherwise is never overridden silently (one that was set to
 * its default cannot be told from one that was not set); nothing that loads code, starts
 * programs, or trusts strangers passes without the program's word. Of values only those of
 * klane's own settings appear in a text. */
#include "source/kafka/config.h"

#include "base/assert.h"
#include "base/errstr.h"
#include "base/given.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE 512
#define SETTINGS 10
#define MESSAGE_BYTES 300 /* of a message in librdkafka's queue, beside its own bytes; measured */

/* The number is text when the table is used. */
struct owned {
    const char *name;
    const char *value;
    const char *instead; /* what the program should do */
};

/* What klane sets; numbers follow from the options. */
struct settings {
    char queued_min_messages[24];
    char queued_max_messages_kbytes[24];
    char fetch_max_bytes[24];
    char fetch_message_max_bytes[24];
    struct owned owned[SETTINGS];
    size_t count;
};

static klane_err_t refuse(char *errstr, size_t errstr_size, const char *name, const char *why)
{
    return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "%s: %s", name, why);
}

/* False: there is no such setting, or it is longer than any that is looked at. */
static bool value_of(const rd_kafka_conf_t *conf, const char *name, char value[VALUE_SIZE])
{
    size_t size = VALUE_SIZE;

    value[0] = '\0';
    return rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK && size <= VALUE_SIZE;
}

int64_t kafka_config_number(const rd_kafka_conf_t *conf, const char *name, int64_t fallback)
{
    char value[VALUE_SIZE];

    return value_of(conf, name, value) && value[0] != '\0' ? strtoll(value, NULL, 10) : fallback;
}

bool kafka_config_names(const rd_kafka_conf_t *conf, const char *name, const char *word)
{
    char value[VALUE_SIZE];

    return value_of(conf, name, value) && strstr(value, word) != NULL;
}

bool kafka_config_has_callback(const rd_kafka_conf_t *conf, const char *name)
{
    char value[VALUE_SIZE];

    /* As librdkafka shows a pointer: nothing, or an address. */
    return value_of(conf, name, value) && value[0] != '\0' && strcmp(value, "(nil)") != 0;
}

static void own(struct settings *settings, const char *name, const char *value,
                const char *instead)
{
    KLANE_ASSERT(settings->count < SETTINGS);
    settings->owned[settings->count++] = (struct owned){name, value, instead};
}

/* A response may not be smaller than a message may be. */
static int64_t response_of(uint32_t queue_bytes, int64_t record_bytes)
{
    return queue_bytes / 2 > record_bytes ? queue_bytes / 2 : record_bytes;
}

uint64_t kafka_config_buffer(uint32_t queue_records, uint32_t queue_bytes, int64_t record_bytes,
                             unsigned responses)
{
    return queue_bytes + (uint64_t)queue_records * MESSAGE_BYTES +
           (uint64_t)response_of(queue_bytes, record_bytes) * responses;
}

static void settings_init(struct settings *settings, const rd_kafka_conf_t *conf,
                          const struct klane_kafka_options *options, int version)
{
    /* Small fetches of many partitions keep the queue within its limit, and in the cache. */
    int64_t message_bytes = kafka_config_number(conf, "message.max.bytes", 1000000);
    int64_t response_bytes = response_of(options->queue_bytes, message_bytes);
    uint32_t fetch_bytes = options->queue_bytes / 64;
    const char *by_options = "klane sets it from klane_kafka_options and message.max.bytes";

    if (fetch_bytes < 64U << 10)
        fetch_bytes = 64U << 10;
    if (fetch_bytes > 1U << 20)
        fetch_bytes = 1U << 20;
    settings->count = 0;
    snprintf(settings->queued_min_messages, sizeof settings->queued_min_messages, "%" PRIu32,
             options->queue_records);
    snprintf(settings->queued_max_messages_kbytes, sizeof settings->queued_max_messages_kbytes,
             "%" PRIu32, options->queue_bytes >> 10);
    snprintf(settings->fetch_max_bytes, sizeof settings->fetch_max_bytes, "%" PRId64,
             response_bytes);
    snprintf(settings->fetch_message_max_bytes, sizeof settings->fetch_message_max_bytes,
             "%" PRIu32, fetch_bytes);
    own(settings, "enable.auto.commit", "false", "klane commits what is finished");
    own(settings, "enable.auto.offset.store", "false", "klane commits what is finished");
    own(settings, "enable.partition.eof", "true", "klane needs to know where a log ends");
    own(settings, "check.crcs", "true", "klane hands over nothing that is damaged");
    own(settings, "auto.offset.reset", "error",
        "begin and out_of_range of klane_topic say where to read");
    own(settings, "queued.min.messages", settings->queued_min_messages, by_options);
    own(settings, "queued.max.messages.kbytes", settings->queued_max_messages_kbytes, by_options);
    own(settings, "fetch.max.bytes", settings->fetch_max_bytes, by_options);
    own(settings, "fetch.message.max.bytes", settings->fetch_message_max_bytes, by_options);
    if (version >= KAFKA_VERSION_BACKOFF)
        own(settings, "fetch.queue.backoff.ms", "1", "klane keeps fetching by itself");
}

/* ---- versions ---------------------------------------------------------------------------- */

const char *kafka_version_warning(int version)
{
    static const struct {
        int version;
        const char *text;
    } bad[] = {
        {0x020500,
         "librdkafka 2.5.0 ends the process where a broker asks for none of the metrics "
         "that it has, unless enable.metrics.push is false; 2.5.3 does not"},
        {0x020a00, "librdkafka 2.10.0 may use memory that it has freed, or never connect again, "
                   "after all brokers were away; 2.10.1 does not"},
    };

    /* The last byte tells candidates from the release. */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (version >> 8 == bad[i].version)
            return bad[i].text;
    return NULL;
}

/* ---- refusals ---------------------------------------------------------------------------- */

static klane_err_t check_owned(const rd_kafka_conf_t *conf, const rd_kafka_conf_t *defaults,
                               const struct settings *settings, char *errstr, size_t errstr_size)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct owned *owned = &settings->owned[i];
        char value[VALUE_SIZE], usual[VALUE_SIZE], why[2 * VALUE_SIZE];

        if (!value_of(conf, owned->name, value) || strcmp(value, owned->value) == 0)
            continue;
        if (value_of(defaults, owned->name, usual) && strcmp(value, usual) == 0)
            continue;
        snprintf(why, sizeof why, "is set to %s, but %s (it would be %s)", value, owned->instead,
                 owned->value);
        return refuse(errstr, errstr_size, owned->name, why);
    }
    return KLANE_OK;
}

/* A setting that is dangerous when it holds something else than it usually does, or, with a
 * value, when it holds that. */
static const struct {
    const char *name;
    const char *value;
} unsafe[] = {
    {"plugin.library.paths", NULL},
    {"ssl.engine.location", NULL},
    {"ssl.providers", NULL},
    {"sasl.kerberos.kinit.cmd", NULL},
    {"test.mock.num.brokers", NULL},
    {"enable.ssl.certificate.verification", "false"},
    {"ssl.endpoint.identification.algorithm", "none"},
    {"enable.sasl.oauthbearer.unsecure.jwt", "true"},
    {"debug", "security"},
    {"debug", "all"},
};

/* librdkafka puts these into a command line of the shell. */
static const char *const shell_words[] = {"sasl.kerberos.principal", "sasl.kerberos.keytab",
                                          "sasl.kerberos.service.name"};

static klane_err_t check_shell_words(const rd_kafka_conf_t *conf, char *errstr,
                                     size_t errstr_size)
{
    static const char harmless[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "._-+/@:";

    for (size_t i = 0; i < sizeof shell_words / sizeof shell_words[0]; i++) {
        char value[VALUE_SIZE];
        bool is_whole = value_of(conf, shell_words[i], value);

        if ((value[0] != '\0' && !is_whole) || value[strspn(value, harmless)] != '\0')
            return refuse(errstr, errstr_size, shell_words[i],
                          "has characters that a shell may take for its own: it needs "
                          "allow_unsafe of klane_kafka_options");
    }
    return KLANE_OK;
}

static klane_err_t check_unsafe(const rd_kafka_conf_t *conf, const rd_kafka_conf_t *defaults,
                                char *errstr, size_t errstr_size)
{
    for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
        char value[VALUE_SIZE], usual[VALUE_SIZE];
        bool is_usual;

        value_of(conf, unsafe[i].name, value);
        value_of(defaults, unsafe[i].name, usual);
        is_usual = strcmp(value, usual) == 0;
        if (!is_usual && (unsafe[i].value == NULL || strstr(value, unsafe[i].value) != NULL))
            return refuse(errstr, errstr_size, unsafe[i].name,
                          "is set to something unsafe: it needs allow_unsafe of "
                          "klane_kafka_options");
    }
    return check_shell_words(conf, errstr, errstr_size);
}

static klane_err_t check_events(const rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
    const int64_t ours =
        RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_OFFSET_COMMIT;

    if (kafka_config_has_callback(conf, "rebalance_cb"))
        return refuse(errstr, errstr_size, "rebalance_cb",
                      "is set, but klane handles rebalances; its events tell of them");
    if ((kafka_config_number(conf, "enabled_events", 0) & ours) != 0)
        return refuse(errstr, errstr_size, "enabled_events",
                      "REBALANCE, FETCH and OFFSET_COMMIT are klane's");
    return KLANE_OK;
}

/* However long it is. */
static bool is_present(const rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 0;

    return rd_kafka_conf_get(conf, name, NULL, &size) == RD_KAFKA_CONF_OK && size > 1;
}

static klane_err_t check_present(const rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
    if (!is_present(conf, "group.id"))
        return refuse(errstr, errstr_size, "group.id", "is not set");
    if (!is_present(conf, "bootstrap.servers") &&
        kafka_config_number(conf, "test.mock.num.brokers", 0) == 0)
        return refuse(errstr, errstr_size, "bootstrap.servers", "is not set");
    return KLANE_OK;
}

klane_err_t kafka_config_check(const rd_kafka_conf_t *conf,
                               const struct klane_kafka_options *options, int version,
                               char *errstr, size_t errstr_size)
{
    rd_kafka_conf_t *defaults = rd_kafka_conf_new();
    struct settings settings;
    klane_err_t err;

    /* Settings of topics have no values without it. */
    rd_kafka_conf_set_default_topic_conf(defaults, rd_kafka_topic_conf_new());
    settings_init(&settings, conf, options, version);
    err = check_owned(conf, defaults, &settings, errstr, errstr_size);
    if (err == KLANE_OK && !options->allow_unsafe)
        err = check_unsafe(conf, defaults, errstr, errstr_size);
    if (err == KLANE_OK)
        err = check_events(conf, errstr, errstr_size);
    if (err == KLANE_OK)
        err = check_present(conf, errstr, errstr_size);
    rd_kafka_conf_destroy(defaults);
    return err;
}

klane_err_t kafka_config_check_producer(const rd_kafka_conf_t *conf, bool allow_unsafe,
                                        char *errstr, size_t errstr_size)
{
    static const char *const callbacks[] = {"dr_cb", "dr_msg_cb", "background_event_cb"};
    rd_kafka_conf_t *defaults = rd_kafka_conf_new();
    klane_err_t err = KLANE_OK;
    char value[VALUE_SIZE];

    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0] && err == KLANE_OK; i++)
        if (kafka_config_has_callback(conf, callbacks[i]))
            err = refuse(errstr, errstr_size, callbacks[i],
                         "is set, but klane hears itself what became of dead letters");
    if (err == KLANE_OK && kafka_config_number(conf, "enabled_events", 0) != 0)
        err = refuse(errstr, errstr_size, "enabled_events", "are klane's");
    if (err == KLANE_OK && value_of(conf, "delivery.report.only.error", value) &&
        strcmp(value, "true") == 0)
        err = refuse(errstr, errstr_size, "delivery.report.only.error",
                     "is set to true, but klane has to hear of what is kept");
    if (err == KLANE_OK && is_present(conf, "transactional.id"))
        err = refuse(errstr, errstr_size, "transactional.id",
                     "is set, but dead letters are kept one by one");
    if (err == KLANE_OK && !is_present(conf, "bootstrap.servers"))
        err = refuse(errstr, errstr_size, "bootstrap.servers", "is not set");
    if (err == KLANE_OK && !allow_unsafe)
        err = check_unsafe(conf, defaults, errstr, errstr_size);
    rd_kafka_conf_destroy(defaults);
    return err;
}

klane_err_t kafka_config_set(rd_kafka_conf_t *conf, const struct klane_kafka_options *options,
                             int version, char *errstr, size_t errstr_size)
{
    struct settings settings;

    settings_init(&settings, conf, options, version);
    for (size_t i = 0; i < settings.count; i++) {
        char why[VALUE_SIZE];

        if (rd_kafka_conf_set(conf, settings.owned[i].name, settings.owned[i].value, why,
                              sizeof why) != RD_KAFKA_CONF_OK)
            return refuse(errstr, errstr_size, settings.owned[i].name, why);
    }
    return KLANE_OK;
}

/* ---- options ----------------------------------------------------------------------------- */

void klane_kafka_options_init(struct klane_kafka_options *options, size_t options_size)
{
    const struct klane_kafka_options defaults = {
        .queue_records = 32768,
        .queue_bytes = 16U << 20,
    };

    given_init(options, options_size, &defaults, sizeof defaults);
}

klane_err_t kafka_options_take(struct klane_kafka_options *options,
                               const struct klane_kafka_options *given, char *errstr,
                               size_t errstr_size)
{
    klane_kafka_options_init(options, sizeof *options);
    if (given != NULL && !given_copy(options, sizeof *options, given))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "options have a struct_size of %" PRIu32
                          "; call klane_kafka_options_init() first, and set no option that this "
                          "version does not know",
                          given->struct_size);
    if (options->queue_records < KAFKA_QUEUE_RECORDS_MIN || options->queue_records > 1000000)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "queue_records is %" PRIu32 ", must be from 1,000 to 1,000,000",
                          options->queue_records);
    if (options->queue_bytes < KAFKA_QUEUE_BYTES_MIN || options->queue_bytes > 1U << 30)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "queue_bytes is %" PRIu32 ", must be from 1 MiB to 1 GiB",
                          options->queue_bytes);
    return KLANE_OK;
}

bool kafka_can_be_topic(const char *name)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return name[0] != '\0' && name[strspn(name, legal)] == '\0' && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}
