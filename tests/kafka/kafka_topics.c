/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the topics of a cluster, one in each line: for tests that are scripts.
 *
 *     kafka_topics HOST:PORT
 */
#include <librdkafka/rdkafka.h>

#include <stdio.h>

#define PATIENCE_MS 20000

int main(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t err;
    rd_kafka_t *rk;
    char why[256] = "usage: kafka_topics HOST:PORT";

    if (argc != 2 || rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof why) !=
                         RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", why);
        return 2;
    }
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (rk == NULL) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    err = rd_kafka_metadata(rk, 1, NULL, &metadata, PATIENCE_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "%s\n", rd_kafka_err2str(err));
        return 1;
    }
    for (int i = 0; i < metadata->topic_cnt; i++)
        puts(metadata->topics[i].topic);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
    return 0;
}
