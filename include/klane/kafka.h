/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Kafka as a source: the topics for which the runtime has handlers are read as a member of the
 * consumer group that the program's own configuration of librdkafka names. Eager and cooperative
 * assignors, static membership, and from librdkafka 2.12 on group.protocol=consumer, are a matter
 * of that configuration. librdkafka 2.0.2 and newer, also where that is newer than its header was
 * that klane was built with.
 *
 * With group.protocol=consumer the cluster says how long it waits for a member and who gets which
 * partition: session.timeout.ms, heartbeat.interval.ms and partition.assignment.strategy are
 * refused by name. A second member of one group.instance.id is then what is refused, not the
 * first: its runtime stops as KLANE_ERR_FATAL, with KLANE_ERR_FENCED in the event.
 *
 * A topic that begins with ^ is a pattern, as for rd_kafka_subscribe(): an extended regular
 * expression (regex.h) of topic names. A record's topic is the real one. A topic that several
 * match is taken by the one of exactly this name, else by the pattern registered first.
 *
 * Delivery: klane reads and commits, so these settings are klane's. A value that is neither
 * librdkafka's default nor the one that klane would set is refused by name. One that is
 * librdkafka's default cannot be told from none, and is as if it were not set: that is so of
 * auto.offset.reset=latest and of enable.auto.commit=true.
 *
 *   enable.auto.commit, enable.auto.offset.store   off: klane commits what is finished
 *   enable.partition.eof                           on: the end of a partition is an event
 *   check.crcs                                     on: nothing damaged is handed over
 *   auto.offset.reset                              error: see begin and out_of_range of
 *                                                  struct klane_topic
 *   queued.min.messages, queued.max.messages.kbytes, fetch.max.bytes, fetch.message.max.bytes
 *                                                  follow from struct klane_kafka_options and from
 *                                                  message.max.bytes
 *   fetch.queue.backoff.ms                         1, from librdkafka 2.2 on
 *   rebalance_cb, and the events REBALANCE, FETCH and OFFSET_COMMIT of rd_kafka_conf_set_events()
 *
 * Everything else is the program's: its opaque, and its callbacks for tokens, statistics, logs,
 * throttling and errors, which run on the control thread (logs on any of librdkafka's). Where
 * the program has set an error_cb, errors of connections and of authentication go there and not
 * to KLANE_EVENT_SOURCE_ERROR.
 *
 * When the log has to be read again, for the first lane that is parked or restored, a second
 * handle of librdkafka is made of the same configuration, which only fetches. Callbacks for
 * tokens, logs and throttling may then come with that handle too; statistics, errors and the
 * events of rd_kafka_conf_set_events() do not come from it.
 *
 * TLS, passwords and rights are a matter of that configuration too. What is refused is told by
 * KLANE_EVENT_SOURCE_ERROR and tried again, so that the runtime goes on once it is mended at the
 * brokers; it never ends the runtime. KLANE_ERR_DENIED: the cluster refuses who the program is, or
 * what it may do. KLANE_ERR_UNREACHABLE: there is no connection, which a certificate or TLS itself
 * may be the reason of; message says which. So that it can, a callback of klane's looks at what
 * OpenSSL found wrong with a certificate, and accepts nothing that OpenSSL does not, unless the
 * program has set rd_kafka_conf_set_ssl_cert_verify_cb(), which then decides alone. No text has a
 * password or a passphrase in it.
 *
 * A rebalance waits for handlers: drain_ms, and three times as long for the last commit. Both
 * together have to stay below max.poll.interval.ms, or klane_start() refuses. Handlers may take
 * longer than that: klane keeps polling.
 */
#ifndef KLANE_KAFKA_H
#define KLANE_KAFKA_H

#include <klane/klane.h>

#include <librdkafka/rdkafka.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Fill it with klane_kafka_options_init() first. Grows only at its end. */
struct klane_kafka_options {
    uint32_t struct_size;
    uint32_t queue_records; /**< Records fetched ahead, all partitions together, 1,000 to
                                 1,000,000; at 300 bytes each beside the record. What is read again
                                 for parked lanes may be a quarter of that on top, and 1,000 at
                                 least. Default 32,768. */
    uint32_t queue_bytes;   /**< Bytes of their values, 1 MiB to 1 GiB; two responses of each
                                 broker, of half of that or message.max.bytes each, as they are
                                 compressed, may come on top, a quarter for parked lanes, 1 MiB
                                 at least, and about as much of keys and headers. Default
                                 16 MiB. */
    bool allow_unsafe;      /**< Allow settings that load code, start programs, or switch off the
                            checking of certificates: plugin.library.paths, ssl.engine.location,
                            ssl.providers, sasl.kerberos.kinit.cmd, test.mock.num.brokers,
                            enable.ssl.certificate.verification=false,
                            enable.sasl.oauthbearer.unsecure.jwt=true,
                            ssl.endpoint.identification.algorithm=none, debug=security and
                            debug=all, which print secrets, and what a shell would take for its
                            own in sasl.kerberos.principal, .keytab and .service.name, which
                            librdkafka puts into a command line. librdkafka loads a plugin while
                            it is being set, so this only says that it was meant. Default false. */
};

/** Set every default. options_size: sizeof(struct klane_kafka_options) as the caller knows it. */
KLANE_API void klane_kafka_options_init(struct klane_kafka_options *options, size_t options_size);

/**
 * Make a source from a configuration, as rd_kafka_new() would make a consumer: on success conf is
 * klane's, on an error but SYSTEM still the program's and as it was. group.id and
 * bootstrap.servers have to be set. options NULL: the defaults. Nothing is joined before
 * klane_start(), but librdkafka's threads start here, and those of the second handle later: fork()
 * before. Thread: any. Blocks: for some milliseconds, as a handle is tried on a copy of conf
 * first. errstr (may be NULL) says which setting is wrong; no value that may be secret appears in
 * it. Errors: INVALID, NOMEM, VERSION (of librdkafka), SYSTEM (there are no threads; conf is
 * lost).
 */
KLANE_API klane_err_t klane_kafka_create(rd_kafka_conf_t *conf,
                                         const struct klane_kafka_options *options,
                                         struct klane_source **source, char *errstr,
                                         size_t errstr_size);

/**
 * A place for dead letters in a topic, by a producer of this configuration: on success conf is
 * klane's, on an error still the program's. bootstrap.servers has to be set. dr_cb, dr_msg_cb,
 * background_event_cb and events are klane's and refused by name, as are
 * delivery.report.only.error and transactional.id; the other callbacks run on librdkafka's
 * background thread. options (may be NULL): of them only allow_unsafe counts. A dead letter is
 * kept when the broker has acknowledged it as acks says; with enable.idempotence=true
 * librdkafka's own new attempts make none of them twice. One that librdkafka takes for kept only
 * because a later one was is sent again, as it may be in no log, and may then be there twice.
 * message.timeout.ms is how long one attempt may take, and, where no broker is reached, until the
 * log says why not; copies of what is on its way are bounded by queue.buffering.max.kbytes.
 * errstr: as above. Errors: INVALID, NOMEM, VERSION, SYSTEM.
 */
KLANE_API klane_err_t klane_kafka_letters(struct klane_runtime *runtime, rd_kafka_conf_t *conf,
                                          const struct klane_kafka_options *options,
                                          const char *topic, struct klane_letters **letters,
                                          char *errstr, size_t errstr_size);

#ifdef __cplusplus
}
#endif

#endif
