/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster of its own for one test, which asks who one is and what one may do: the broker of
 * tests/kafka/secure_broker. Main thread only. */
#ifndef KLANE_TESTS_KAFKA_SECURE_H
#define KLANE_TESTS_KAFKA_SECURE_H

#include "kafka/kafka_kit.h"
#include "lib/scratch.h"

/* What may never be seen outside: the password of SECURE_USER, and of the client's key. */
#define SECURE_PASSWORD "canary-password-bluetit"
#define SECURE_PASSPHRASE "canary-passphrase-goldcrest"
#define SECURE_USER "secure-user"

/* See tests/kafka/secure_broker. */
enum secure_listener {
    SECURE_PLAINTEXT,
    SECURE_USERS,
    SECURE_MUTUAL,
    SECURE_EXPIRED,
    SECURE_STRANGER,
    SECURE_MISNAMED,
    SECURE_LISTENERS
};

/* Start it, with SECURE_PASSWORD by PLAIN; the kit uses it, by the listener that allows
 * everything. */
void secure_up(void);

void secure_down(void);

const char *secure_at(enum secure_listener listener);

/* The path of a file of a client's: see the script. Valid until the next call. */
const char *secure_file(const char *name);

/* The user has this password from now on: by PLAIN, for which the broker starts anew, or by
 * SCRAM-SHA-256. */
void secure_password(const char *password);
void secure_scram(const char *password);

/* The user may do this, or may not any more, to a topic or group of this name. */
void secure_allow(rd_kafka_ResourceType_t type, const char *name, rd_kafka_AclOperation_t what);
void secure_deny(rd_kafka_ResourceType_t type, const char *name, rd_kafka_AclOperation_t what);

#endif
