/* SPDX-License-Identifier: Apache-2.0 */
/* Passes: a second handle of librdkafka reads ranges of partitions again. */
#ifndef KLANE_SOURCE_KAFKA_SWEEP_H
#define KLANE_SOURCE_KAFKA_SWEEP_H

#include "source/kafka/kafka.h"

/* Keep what the handle would be made of. */
void kafka_sweep_init(struct kafka_source *source, const rd_kafka_conf_t *conf,
                      const struct klane_kafka_options *options);

/* What is left of it, once its handle has ended. */
void kafka_sweep_deinit(struct kafka_source *source);

/* The handle ends, which may take a while. */
void kafka_sweep_close(struct kafka_source *source);

/* On the helper's thread: make the handle. */
void kafka_sweep_make(struct kafka_source *source);

/* That is done. */
void kafka_sweep_made(struct kafka_source *source);

/* klane_source_ops.sweep and poll_sweeps. */
void kafka_sweep_begin(struct klane_source *base, void *own, int64_t offset);
size_t kafka_sweep_poll(struct klane_source *base, size_t records_max);

/* Of every round, and when the next is due at the latest. */
void kafka_sweep_work(struct kafka_source *source, int64_t now_ms);
int64_t kafka_sweep_due_ms(const struct kafka_source *source);

/* The partition's pass is over, if it has one. */
void kafka_sweep_end(struct kafka_source *source, struct kafka_partition *partition);

#endif
