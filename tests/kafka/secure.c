/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/secure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[SECURE_LISTENERS] = {
    "PLAINTEXT", "USERS", "MUTUAL", "EXPIRED", "STRANGER", "MISNAMED",
};

static struct scratch scratch;
static bool is_up;
static char at[SECURE_LISTENERS][32];
static rd_kafka_t *admin;

/* ---- the broker -------------------------------------------------------------------------- */

static FILE *script(const char *arguments)
{
    char command[1024];
    FILE *printed;

    snprintf(command, sizeof command, "'%s' %s", KLANE_TEST_SECURE_BROKER, arguments);
    printed = popen(command, "r");
    assert_non_null(printed);
    return printed;
}

void secure_up(void)
{
    char arguments[2 * SCRATCH_PATH_SIZE], pid[16], name[16], address[32];
    FILE *printed;

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("KLANE_BROKER_PARENT", pid, 1);
    setenv("KLANE_TEST_PASSPHRASE", SECURE_PASSPHRASE, 1);
    scratch_init(&scratch);
    is_up = true;
    snprintf(arguments, sizeof arguments, "start '%s' '%s'", scratch.directory, SECURE_PASSWORD);
    printed = script(arguments);
    while (fscanf(printed, "%15s %31s", name, address) == 2)
        for (size_t i = 0; i < SECURE_LISTENERS; i++)
            if (strcmp(name, names[i]) == 0)
                memcpy(at[i], address, sizeof at[i]);
    if (pclose(printed) != 0)
        fail_msg("the broker did not start");
    kafka_kit_use(at[SECURE_PLAINTEXT]);
}

void secure_down(void)
{
    char arguments[2 * SCRATCH_PATH_SIZE];

    if (admin != NULL)
        rd_kafka_destroy(admin);
    admin = NULL;
    if (!is_up)
        return;
    is_up = false;
    snprintf(arguments, sizeof arguments, "stop '%s'", scratch.directory);
    if (pclose(script(arguments)) != 0)
        fprintf(stderr, "the broker in %s was not ended\n", scratch.directory);
    scratch_deinit(&scratch);
}

const char *secure_at(enum secure_listener listener)
{
    return at[listener];
}

const char *secure_file(const char *name)
{
    static char path[SCRATCH_PATH_SIZE];

    scratch_path(&scratch, name, path);
    return path;
}

/* ---- who may do what --------------------------------------------------------------------- */

void secure_password(const char *password)
{
    char arguments[2 * SCRATCH_PATH_SIZE];

    snprintf(arguments, sizeof arguments, "password '%s' '%s'", scratch.directory, password);
    assert_int_equal(pclose(script(arguments)), 0);
}

void secure_scram(const char *password)
{
    char arguments[256];

    snprintf(arguments, sizeof arguments, "scram %s %s '%s'", at[SECURE_PLAINTEXT], SECURE_USER,
             password);
    assert_int_equal(pclose(script(arguments)), 0);
}

static rd_kafka_t *admin_of(void)
{
    char why[256];

    if (admin == NULL)
        admin = rd_kafka_new(RD_KAFKA_PRODUCER, kafka_kit_conf(), why, sizeof why);
    assert_non_null(admin);
    return admin;
}

static rd_kafka_event_t *answer_of(rd_kafka_queue_t *queue)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_KIT_MS);

    rd_kafka_queue_destroy(queue);
    assert_non_null(event);
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail_msg("%s", rd_kafka_event_error_string(event));
    return event;
}

void secure_allow(rd_kafka_ResourceType_t type, const char *name, rd_kafka_AclOperation_t what)
{
    char why[256];
    rd_kafka_AclBinding_t *binding = rd_kafka_AclBinding_new(
        type, name, RD_KAFKA_RESOURCE_PATTERN_LITERAL, "User:" SECURE_USER, "*", what,
        RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin_of());
    const rd_kafka_acl_result_t **results;
    rd_kafka_event_t *event;
    size_t count;

    assert_non_null(binding);
    rd_kafka_CreateAcls(admin_of(), &binding, 1, NULL, queue);
    event = answer_of(queue);
    results = rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event), &count);
    assert_int_equal(count, 1);
    assert_null(rd_kafka_acl_result_error(results[0]));
    rd_kafka_event_destroy(event);
    rd_kafka_AclBinding_destroy(binding);
}

void secure_deny(rd_kafka_ResourceType_t type, const char *name, rd_kafka_AclOperation_t what)
{
    char why[256];
    rd_kafka_AclBindingFilter_t *filter = rd_kafka_AclBindingFilter_new(
        type, name, RD_KAFKA_RESOURCE_PATTERN_LITERAL, "User:" SECURE_USER, "*", what,
        RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin_of());
    const rd_kafka_DeleteAcls_result_response_t **results;
    rd_kafka_event_t *event;
    size_t count;

    assert_non_null(filter);
    rd_kafka_DeleteAcls(admin_of(), &filter, 1, NULL, queue);
    event = answer_of(queue);
    results =
        rd_kafka_DeleteAcls_result_responses(rd_kafka_event_DeleteAcls_result(event), &count);
    assert_int_equal(count, 1);
    assert_null(rd_kafka_DeleteAcls_result_response_error(results[0]));
    rd_kafka_DeleteAcls_result_response_matching_acls(results[0], &count);
    assert_int_equal(count, 1);
    rd_kafka_event_destroy(event);
    rd_kafka_AclBinding_destroy(filter);
}
