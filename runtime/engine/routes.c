/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/routes.h"

#include "base/assert.h"
#include "base/errstr.h"
#include "base/given.h"
#include "core/core.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_VERSION_MAX (UINT32_MAX - 1)
#define BATCH_MAX 4096U
#define BATCH_WAIT_MAX_MS 3600000
#define STATES_IDLE_MAX (1U << 24)

static void topic_free(struct topic *topic)
{
    free((char *)(uintptr_t)topic->core.name);
    free(topic);
}

static void pattern_free(struct topic *pattern)
{
    struct topic *topic, *next;

    for (topic = pattern->brought; topic != NULL; topic = next) {
        next = topic->brought;
        topic_free(topic);
    }
    if (pattern->pattern != NULL)
        regfree(pattern->pattern);
    free(pattern->pattern);
    free(pattern->due_header);
}

void routes_deinit(struct routes *routes)
{
    for (uint32_t i = 0; i < routes->topic_count; i++) {
        struct topic *topic = routes->topics[i];

        pattern_free(topic);
        free(topic->keyed);
        free(topic->prefix_sizes);
        topic_free(topic);
    }
    for (uint32_t i = 0; i < routes->route_count; i++)
        free(routes->routes[i].key);
    free(routes->topics);
    free(routes->routes);
    *routes = (struct routes){0};
}

static struct topic *topic_find(const struct routes *routes, const char *name)
{
    for (uint32_t i = 0; i < routes->topic_count; i++)
        if (strcmp(routes->topics[i]->core.name, name) == 0)
            return routes->topics[i];
    return NULL;
}

/* The pattern's rules and routes under a name of its own; the tables stay the pattern's. */
static struct topic *topic_bring(struct topic *pattern, const char *name)
{
    struct topic *topic = malloc(sizeof(*topic));

    if (topic == NULL)
        return NULL;
    *topic = *pattern;
    topic->core.name = strdup(name);
    if (topic->core.name == NULL) {
        free(topic);
        return NULL;
    }
    topic->rules.name = topic->core.name;
    topic->pattern = NULL;
    topic->brought = pattern->brought;
    pattern->brought = topic;
    return topic;
}

struct topic *routes_resolve(struct routes *routes, const char *name)
{
    struct topic *topic = topic_find(routes, name);

    if (topic != NULL && topic->pattern == NULL)
        return topic;
    for (uint32_t i = 0; i < routes->topic_count; i++) {
        struct topic *pattern = routes->topics[i];

        if (pattern->pattern == NULL || regexec(pattern->pattern, name, 0, NULL, 0) != 0)
            continue;
        for (topic = pattern->brought; topic != NULL; topic = topic->brought)
            if (strcmp(topic->core.name, name) == 0)
                return topic;
        return topic_bring(pattern, name);
    }
    return NULL;
}

void routes_met(struct routes *routes, const char *name)
{
    struct topic *topic = topic_find(routes, name);

    if (topic != NULL)
        topic->met = true;
}

bool routes_all_met(const struct routes *routes)
{
    for (uint32_t i = 0; i < routes->topic_count; i++)
        if (!routes->topics[i]->met)
            return false;
    return true;
}

static struct topic *topic_get(struct routes *routes, struct klane_runtime *runtime,
                               const char *name)
{
    struct topic *topic = topic_find(routes, name), **topics;

    if (topic != NULL)
        return topic;
    topics = realloc(routes->topics, (routes->topic_count + 1) * sizeof(*topics));
    if (topics == NULL)
        return NULL;
    routes->topics = topics;
    topic = calloc(1, sizeof(*topic));
    if (topic == NULL)
        return NULL;
    topic->core.name = strdup(name);
    if (topic->core.name == NULL) {
        free(topic);
        return NULL;
    }
    klane_topic_init(&topic->rules, sizeof(topic->rules));
    topic->rules.name = topic->core.name;
    topic->runtime = runtime;
    topic->fallback = -1;
    topic->index = routes->topic_count;
    topics[routes->topic_count++] = topic;
    return topic;
}

/* Of a topic without a key function the version is 0. */
static struct progress_scheme scheme_of(const struct klane_topic *rules)
{
    return (struct progress_scheme){
        .order = rules->order,
        .null_keys = rules->null_keys,
        .key_version = rules->key == NULL ? 0 : rules->key_version + 1,
    };
}

static klane_err_t check_name(const char *name, char *errstr, size_t errstr_size)
{
    if (given_name_is_valid(name))
        return KLANE_OK;
    return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                      "topic \"%s\": a name has 1 to 249 bytes, no spaces or control characters",
                      name == NULL ? "(NULL)" : name);
}

static klane_err_t no_memory(const char *topic, char *errstr, size_t errstr_size)
{
    return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size, "topic \"%s\": memory is exhausted",
                      topic);
}

static klane_err_t check_topic(const struct klane_topic *rules, char *errstr, size_t errstr_size)
{
    const struct given_bound bounds[] = {
        {"order", (int)rules->order, 0, KLANE_ORDER_NONE},
        {"null_keys", (int)rules->null_keys, 0, KLANE_NULL_KEYS_ORDERED},
        {"begin", (int)rules->begin, 0, KLANE_BEGIN_ERROR},
        {"out_of_range", (int)rules->out_of_range, 0, KLANE_BEGIN_ERROR},
        {"crashed", (int)rules->crashed, 0, KLANE_CRASHED_STOP},
        {"states_idle_max", rules->states_idle_max, 0, STATES_IDLE_MAX},
        {"key_version", rules->key_version, 0, rules->key == NULL ? 0 : KEY_VERSION_MAX},
    };
    const struct given_bound *wrong = given_outside(bounds, sizeof(bounds) / sizeof(bounds[0]));
    klane_err_t err = check_name(rules->name, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    if (wrong != NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "topic \"%s\": %s is %" PRId64 ", must be from 0 to %" PRId64 "%s",
                          rules->name, wrong->name, wrong->value, wrong->high,
                          wrong->high == 0 ? " without a key function" : "");
    if (rules->due_header != NULL && (rules->due != NULL || rules->without_headers))
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "topic \"%s\": due_header is set beside %s", rules->name,
                          rules->due != NULL ? "due" : "without_headers");
    if (rules->key != NULL && rules->order != KLANE_ORDER_KEY)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "topic \"%s\": key would never be asked, as order is not by key",
                          rules->name);
    if (rules->state_free != NULL && rules->order == KLANE_ORDER_NONE)
        return errstr_set(
            KLANE_ERR_INVALID, errstr, errstr_size,
            "topic \"%s\": state_free is set, but no record has a lane, as order is "
            "none",
            rules->name);
    return KLANE_OK;
}

klane_err_t routes_topic(struct routes *routes, struct klane_runtime *runtime,
                         const struct klane_topic *rules, char *errstr, size_t errstr_size)
{
    struct topic *topic;
    klane_err_t err = check_topic(rules, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    topic = topic_get(routes, runtime, rules->name);
    if (topic == NULL)
        return no_memory(rules->name, errstr, errstr_size);
    if (topic->stated)
        return errstr_set(KLANE_ERR_EXISTS, errstr, errstr_size,
                          "topic \"%s\" has its rules already", rules->name);
    if (rules->due_header != NULL && (topic->due_header = strdup(rules->due_header)) == NULL)
        return no_memory(rules->name, errstr, errstr_size);
    topic->stated = true;
    topic->rules = *rules;
    topic->rules.name = topic->core.name;
    topic->has_more = rules->weight != NULL || rules->due != NULL || rules->due_header != NULL ||
                      rules->state_free != NULL;
    topic->core.scheme = scheme_of(rules);
    topic->core.crashed = rules->crashed;
    if (rules->state_free != NULL) {
        idle_states_init(&topic->idle, rules->states_idle_max);
        topic->core.states = &topic->idle;
    }
    return KLANE_OK;
}

static bool route_is_twice(const struct routes *routes, const struct topic *topic,
                           const struct klane_route *rules)
{
    for (uint32_t i = 0; i < routes->route_count; i++) {
        const struct route *route = &routes->routes[i];

        if (routes->topics[route->topic] == topic && route->match == rules->match &&
            route->key_size == rules->key_size &&
            (route->key_size == 0 || memcmp(route->key, rules->key, route->key_size) == 0))
            return true;
    }
    return false;
}

/* What is wrong beside numbers; NULL: nothing. */
static const char *wrong_with(const struct klane_route *rules)
{
    if (rules->handler == NULL && rules->batch == NULL)
        return "handler is NULL, and batch too";
    if (rules->handler != NULL && rules->batch != NULL)
        return "handler is set, and batch too";
    if (rules->batch_min > 1 && rules->batch_wait_ms == 0)
        return "batch_min is set, but batch_wait_ms is 0: nothing would wait for it";
    if (rules->batch_min == 1 && rules->batch_wait_ms > 0)
        return "batch_wait_ms is set, but batch_min is 1: there is nothing to wait for";
    if (rules->exhausted == KLANE_EXHAUSTED_DEAD_LETTER && rules->dead_letter == NULL)
        return "exhausted asks for dead letters, but dead_letter is NULL";
    if (rules->later_overrun == KLANE_LATER)
        return "later_overrun is KLANE_LATER, which finishes nothing";
    if (rules->later_overrun == KLANE_DEAD_LETTER && rules->dead_letter == NULL)
        return "later_overrun asks for dead letters, but dead_letter is NULL";
    if (rules->match == KLANE_MATCH_ALL)
        return rules->key == NULL && rules->key_size == 0 ? NULL : "key is set, but match is all";
    if (rules->key == NULL)
        return "key is NULL, but match asks for one";
    /* An empty key is a key; an empty prefix would be another word for all keys. */
    return rules->match == KLANE_MATCH_PREFIX && rules->key_size == 0
               ? "key_size of a prefix is 0"
               : NULL;
}

static klane_err_t check_route(const struct klane_route *rules, char *errstr, size_t errstr_size)
{
    const struct given_bound bounds[] = {
        {"retry_delay_ms", rules->retry_delay_ms, 0, INT64_MAX},
        {"retry_delay_max_ms", rules->retry_delay_max_ms,
         rules->retry_delay_max_ms == 0 ? 0 : rules->retry_delay_ms, INT64_MAX},
        {"age_max_ms", rules->age_max_ms, 0, INT64_MAX},
        {"exhausted", (int)rules->exhausted, 0, KLANE_EXHAUSTED_DEAD_LETTER},
        {"handler_overrun", (int)rules->handler_overrun, 0, KLANE_OVERRUN_STOP},
        {"later_max_ms", rules->later_max_ms, 0, INT64_MAX},
        {"later_overrun", (int)rules->later_overrun, KLANE_RETRY, KLANE_DEAD_LETTER},
        {"match", (int)rules->match, 0, KLANE_MATCH_PREFIX},
        {"key_size", (int64_t)rules->key_size, 0, UINT32_MAX},
        {"batch_max", rules->batch_max, 1, BATCH_MAX},
        {"batch_min", rules->batch_min, 1, rules->batch_max},
        {"batch_wait_ms", rules->batch_wait_ms, 0, BATCH_WAIT_MAX_MS},
        {"batch_keys", (int)rules->batch_keys, 0, KLANE_BATCH_MANY_KEYS},
    };
    const struct given_bound *wrong = given_outside(bounds, sizeof(bounds) / sizeof(bounds[0]));
    klane_err_t err = check_name(rules->topic, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    if (wrong != NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "a route of topic \"%s\": %s is %" PRId64 ", must be from %" PRId64
                          " to %" PRId64,
                          rules->topic, wrong->name, wrong->value, wrong->low, wrong->high);
    if (wrong_with(rules) != NULL)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "a route of topic \"%s\": %s",
                          rules->topic, wrong_with(rules));
    return KLANE_OK;
}

static struct gather_rule gather_rule(const struct klane_route *rules)
{
    return (struct gather_rule){
        .records_max = rules->batch_max,
        .records_min = rules->batch_min,
        .wait_ms = rules->batch_wait_ms,
        .many_lanes = rules->batch_keys == KLANE_BATCH_MANY_KEYS,
    };
}

klane_err_t routes_route(struct routes *routes, struct klane_runtime *runtime,
                         const struct klane_route *rules, char *errstr, size_t errstr_size)
{
    struct topic *topic;
    struct route *grown, *route;
    void *key = NULL;
    klane_err_t err = check_route(rules, errstr, errstr_size);

    if (err != KLANE_OK)
        return err;
    if (routes->route_count == ROUTES_MAX)
        return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                          "a route of topic \"%s\": there are %u already", rules->topic,
                          routes->route_count);
    topic = topic_find(routes, rules->topic);
    if (topic != NULL && route_is_twice(routes, topic, rules))
        return errstr_set(KLANE_ERR_EXISTS, errstr, errstr_size,
                          "a route of topic \"%s\": there is one for the same keys",
                          rules->topic);
    grown = realloc(routes->routes, (routes->route_count + 1) * sizeof(*grown));
    if (grown == NULL)
        return no_memory(rules->topic, errstr, errstr_size);
    routes->routes = grown;
    if (rules->match != KLANE_MATCH_ALL) {
        key = malloc(rules->key_size + 1);
        if (key == NULL)
            return no_memory(rules->topic, errstr, errstr_size);
        memcpy(key, rules->key, rules->key_size);
    }
    topic = topic_get(routes, runtime, rules->topic);
    if (topic == NULL) {
        free(key);
        return no_memory(rules->topic, errstr, errstr_size);
    }
    route = &routes->routes[routes->route_count++];
    *route = (struct route){
        .handler = rules->handler,
        .context = rules->context,
        .batch = rules->batch,
        .gather = gather_rule(rules),
        .key = key,
        .key_size = (uint32_t)rules->key_size,
        .match = rules->match,
        .retry = {.delay_ms = rules->retry_delay_ms,
                  .delay_max_ms = rules->retry_delay_max_ms,
                  .age_max_ms = rules->age_max_ms,
                  .attempts_max = rules->attempts_max},
        .backoff = rules->backoff,
        .backoff_context = rules->backoff_context,
        .exhausted = rules->exhausted,
        .dead_letter = rules->dead_letter,
        .dead_letter_context = rules->dead_letter_context,
        .slow_ms = rules->slow_ms,
        .handler_max_ms = rules->handler_max_ms,
        .handler_overrun = rules->handler_overrun,
        .later_max_ms = rules->later_max_ms,
        .later_overrun = rules->later_overrun,
        .topic = topic->index,
    };
    if (rules->match == KLANE_MATCH_ALL)
        topic->fallback = (int32_t)(routes->route_count - 1);
    return KLANE_OK;
}

/* ---- look-up ----------------------------------------------------------------------------- */

/* By match, then size, then bytes: so the prefixes of one size are one sorted run. */
static int order_of(enum klane_match match, const void *key, uint32_t key_size,
                    const struct route *route)
{
    if (match != route->match)
        return match < route->match ? -1 : 1;
    if (key_size != route->key_size)
        return key_size < route->key_size ? -1 : 1;
    return key_size == 0 ? 0 : memcmp(key, route->key, key_size);
}

static int32_t search(const struct routes *routes, const struct topic *topic,
                      enum klane_match match, const void *key, uint32_t key_size)
{
    uint32_t low = 0, high = topic->exact_count + topic->prefix_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = order_of(match, key, key_size, &routes->routes[topic->keyed[middle]]);

        if (order == 0)
            return topic->keyed[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

uint16_t routes_match_key(const struct routes *routes, const struct topic *topic, const void *key,
                          uint32_t key_size)
{
    int32_t found = -1;

    if (key != NULL && topic->exact_count > 0)
        found = search(routes, topic, KLANE_MATCH_KEY, key, key_size);
    for (uint32_t i = 0; found == -1 && key != NULL && i < topic->prefix_size_count; i++)
        if (topic->prefix_sizes[i] <= key_size)
            found = search(routes, topic, KLANE_MATCH_PREFIX, key, topic->prefix_sizes[i]);
    return (uint16_t)(found == -1 ? topic->fallback : found);
}

/* Insertion keeps it simple: this runs once, over what a program wrote down by hand. */
static void insert_sorted(const struct routes *routes, struct topic *topic, uint16_t index)
{
    const struct route *route = &routes->routes[index];
    uint32_t at = topic->exact_count + topic->prefix_count;

    while (at > 0 && order_of(route->match, route->key, route->key_size,
                              &routes->routes[topic->keyed[at - 1]]) < 0) {
        topic->keyed[at] = topic->keyed[at - 1];
        at--;
    }
    topic->keyed[at] = index;
    if (route->match == KLANE_MATCH_KEY)
        topic->exact_count++;
    else
        topic->prefix_count++;
}

static bool topic_ready(const struct routes *routes, struct topic *topic)
{
    topic->exact_count = topic->prefix_count = topic->prefix_size_count = 0;
    free(topic->keyed);
    free(topic->prefix_sizes);
    topic->keyed = calloc(routes->route_count, sizeof(*topic->keyed));
    topic->prefix_sizes = calloc(routes->route_count, sizeof(*topic->prefix_sizes));
    if (topic->keyed == NULL || topic->prefix_sizes == NULL)
        return false;
    for (uint32_t i = 0; i < routes->route_count; i++)
        if (routes->topics[routes->routes[i].topic] == topic &&
            routes->routes[i].match != KLANE_MATCH_ALL)
            insert_sorted(routes, topic, (uint16_t)i);
    /* Prefixes come last and rise in size: read backwards, each size once. */
    for (uint32_t i = topic->exact_count + topic->prefix_count; i-- > topic->exact_count;) {
        uint32_t size = routes->routes[topic->keyed[i]].key_size;
        uint32_t count = topic->prefix_size_count;

        if (count == 0 || topic->prefix_sizes[count - 1] != size)
            topic->prefix_sizes[topic->prefix_size_count++] = size;
    }
    return true;
}

static klane_err_t pattern_ready(struct topic *topic, char *errstr, size_t errstr_size)
{
    char why[128];
    int failed;

    if (topic->pattern != NULL)
        return KLANE_OK; /* from a start that failed */
    topic->pattern = malloc(sizeof(*topic->pattern));
    if (topic->pattern == NULL)
        return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size,
                          "no memory for the pattern \"%s\"", topic->core.name);
    /* As librdkafka does it. */
    failed = regcomp(topic->pattern, topic->core.name, REG_EXTENDED | REG_NOSUB);
    /* What may come by it some day need not be waited for. */
    topic->met = true;
    if (failed == 0)
        return KLANE_OK;
    regerror(failed, topic->pattern, why, sizeof(why));
    free(topic->pattern);
    topic->pattern = NULL;
    return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size, "the pattern \"%s\" is wrong: %s",
                      topic->core.name, why);
}

static void find_shortest(struct routes *routes)
{
    routes->running_ms_min = UINT32_MAX;
    routes->later_ms_min = INT64_MAX;
    for (uint32_t i = 0; i < routes->route_count; i++) {
        const struct route *route = &routes->routes[i];

        if (route->slow_ms < routes->running_ms_min)
            routes->running_ms_min = route->slow_ms;
        if (route->handler_max_ms > 0 && route->handler_max_ms < routes->running_ms_min)
            routes->running_ms_min = route->handler_max_ms;
        if (route->later_max_ms > 0 && route->later_max_ms < routes->later_ms_min)
            routes->later_ms_min = route->later_max_ms;
    }
}

klane_err_t routes_ready(struct routes *routes, bool has_patterns, char *errstr,
                         size_t errstr_size)
{
    klane_err_t err = KLANE_OK;

    if (routes->topic_count == 0)
        return errstr_set(KLANE_ERR_STATE, errstr, errstr_size, "no handler was registered");
    find_shortest(routes);
    for (uint32_t i = 0; i < routes->topic_count && err == KLANE_OK; i++) {
        if (routes->topics[i]->fallback == -1)
            return errstr_set(KLANE_ERR_INVALID, errstr, errstr_size,
                              "topic \"%s\" has no handler for all other keys",
                              routes->topics[i]->core.name);
        if (!topic_ready(routes, routes->topics[i]))
            return errstr_set(KLANE_ERR_NOMEM, errstr, errstr_size,
                              "no memory for the routes of topic \"%s\"",
                              routes->topics[i]->core.name);
        if (has_patterns && routes->topics[i]->core.name[0] == '^')
            err = pattern_ready(routes->topics[i], errstr, errstr_size);
    }
    return err;
}

klane_err_t routes_gather(struct routes *routes, struct core *core)
{
    struct gather_rule *rules = calloc(routes->route_count, sizeof(*rules));
    bool any = false, succeeded = true;

    if (rules == NULL)
        return KLANE_ERR_NOMEM;
    for (uint32_t i = 0; i < routes->route_count; i++) {
        struct route *route = &routes->routes[i];

        route->gathers =
            route->batch != NULL && (route->gather.many_lanes || route->gather.records_min > 1);
        if (!route->gathers)
            continue;
        rules[i] = route->gather;
        if (route->gather.many_lanes && route->gather.records_max > routes->batch_lanes_max)
            routes->batch_lanes_max = route->gather.records_max;
        any = true;
    }
    if (any)
        succeeded = core_gathers(core, rules, routes->route_count);
    free(rules);
    return succeeded ? KLANE_OK : KLANE_ERR_NOMEM;
}

uint64_t routes_idle_states(const struct routes *routes)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < routes->topic_count; i++)
        if (routes->topics[i]->core.states != NULL)
            sum += 1 + (uint64_t)routes->topics[i]->idle.max;
    return sum;
}

bool routes_have_weights(const struct routes *routes)
{
    for (uint32_t i = 0; i < routes->topic_count; i++)
        if (routes->topics[i]->rules.weight != NULL)
            return true;
    return false;
}
