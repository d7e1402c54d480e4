/* SPDX-License-Identifier: Apache-2.0 */
/* What tests see of the calls that klane makes to librdkafka: the linker puts the wraps between
 * the two, in programs that ask for them (see CMakeLists.txt). */
#ifndef KLANE_TESTS_KAFKA_KAFKA_WRAP_H
#define KLANE_TESTS_KAFKA_KAFKA_WRAP_H

#include <librdkafka/rdkafka.h>

typedef void (*kafka_commit_cb)(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                rd_kafka_topic_partition_list_t *offsets, void *opaque);

rd_kafka_resp_err_t __real_rd_kafka_commit_queue(rd_kafka_t *rk,
                                                 const rd_kafka_topic_partition_list_t *offsets,
                                                 rd_kafka_queue_t *queue, kafka_commit_cb cb,
                                                 void *opaque);
rd_kafka_resp_err_t __wrap_rd_kafka_commit_queue(rd_kafka_t *rk,
                                                 const rd_kafka_topic_partition_list_t *offsets,
                                                 rd_kafka_queue_t *queue, kafka_commit_cb cb,
                                                 void *opaque);
rd_kafka_resp_err_t __real_rd_kafka_committed(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *partitions,
                                              int timeout_ms);
rd_kafka_resp_err_t __wrap_rd_kafka_committed(rd_kafka_t *rk,
                                              rd_kafka_topic_partition_list_t *partitions,
                                              int timeout_ms);
rd_kafka_event_t *__real_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms);
rd_kafka_event_t *__wrap_rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms);

/* klane's own, which librdkafka calls. */
void __real_kafka_group_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                     rd_kafka_topic_partition_list_t *list, void *opaque);
void __wrap_kafka_group_rebalance_cb(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                                     rd_kafka_topic_partition_list_t *list, void *opaque);

#endif
