/* SPDX-License-Identifier: Apache-2.0 */
/* What librdkafka says went wrong, in klane's words. No key, value or setting appears in a
 * text. */
#include "source/kafka/error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

klane_err_t kafka_err(rd_kafka_resp_err_t err)
{
    if (err == KAFKA_FENCED_MEMBER_EPOCH || err == KAFKA_UNRELEASED_INSTANCE_ID ||
        err == KAFKA_STALE_MEMBER_EPOCH)
        return KLANE_ERR_FENCED;
    switch (err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return KLANE_OK;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return KLANE_ERR_DENIED;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
        return KLANE_ERR_UNREACHABLE;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return KLANE_ERR_NOT_FOUND;
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
    case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return KLANE_ERR_FENCED;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE:
        return KLANE_ERR_CORRUPT;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR__NO_OFFSET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return KLANE_ERR_OUT_OF_RANGE;
    case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE:
        return KLANE_ERR_TOO_LARGE;
    case RD_KAFKA_RESP_ERR__FATAL:
        return KLANE_ERR_FATAL;
    default:
        return KLANE_ERR_IO;
    }
}

void kafka_tell(struct kafka_source *source, rd_kafka_resp_err_t err,
                const struct kafka_partition *partition, const char *what)
{
    char text[KAFKA_TEXT_SIZE];

    if (source->phase != KAFKA_RUNS)
        return;
    if (partition == NULL) {
        source->intake->ops->error(source->intake, kafka_err(err), NULL, -1, what);
        return;
    }
    snprintf(text, sizeof text, "%s [%" PRId32 "]: %s: %s", partition->topic->name,
             partition->number, what, rd_kafka_err2str(err));
    source->intake->ops->error(source->intake, kafka_err(err), partition->topic->name,
                               partition->number, text);
}

void kafka_fail(struct kafka_source *source, klane_err_t err, const char *format, ...)
{
    char text[KAFKA_TEXT_SIZE];
    va_list arguments;

    if (source->phase != KAFKA_RUNS)
        return;
    source->phase = KAFKA_FAILED;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    source->intake->ops->fatal(source->intake, err, text);
}
