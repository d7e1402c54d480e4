/* SPDX-License-Identifier: Apache-2.0 */
/* Topics, and which handler takes which key of them.
 *
 * Upholds: every record of a started runtime has exactly one handler: that of its exact key, else
 * of the longest matching prefix, else the topic's own. Written before start, read-only after,
 * but for the topics that patterns bring, which are control's. */
#ifndef KLANE_ENGINE_ROUTES_H
#define KLANE_ENGINE_ROUTES_H

#include "core/assignment.h"
#include "core/gather.h"
#include "core/retry.h"

#include <klane/klane.h>

#include <regex.h>

struct core;
struct klane_runtime;

struct route {
    klane_handler_fn handler; /* NULL: it has batches */
    void *context;
    klane_batch_fn batch;      /* NULL: it has a handler */
    struct gather_rule gather; /* of its batches, whether they are gathered or not */
    bool gathers;              /* from start on */
    void *key;                 /* a copy; NULL: all keys */
    uint32_t key_size;
    enum klane_match match;
    struct retry_policy retry;
    klane_backoff_fn backoff; /* NULL: as retry says */
    void *backoff_context;
    enum klane_exhausted exhausted;
    klane_handler_fn dead_letter; /* NULL: it has none */
    void *dead_letter_context;
    uint32_t slow_ms;
    uint32_t handler_max_ms; /* 0: none */
    enum klane_overrun handler_overrun;
    int64_t later_max_ms; /* 0: none */
    enum klane_outcome later_overrun;
    uint32_t topic; /* index */
};

struct topic {
    struct core_topic core; /* its name; first, so that a partition leads here */
    struct klane_runtime *runtime;
    struct klane_topic rules;
    char *due_header;        /* a copy; NULL: none */
    struct idle_states idle; /* control's, in core.states: a pattern's is for all it brings */
    bool has_more;           /* weights, due times or states */
    uint32_t index;   /* in routes.topics; of a topic that a pattern brought: the pattern's */
    regex_t *pattern; /* NULL: the name is the name */
    struct topic *brought; /* control's: the topics that the pattern brought, by this link */
    bool met;              /* control's: the source showed it, or said that there is none yet */
    bool stated;           /* by klane_topic(), not only by a route */
    int32_t fallback;      /* route for all other keys; -1: none yet */
    uint16_t *keyed;       /* routes by key: exact ones, then prefixes, sorted */
    uint32_t exact_count;
    uint32_t prefix_count;
    uint32_t *prefix_sizes; /* distinct, longest first */
    uint32_t prefix_size_count;
};

struct routes {
    struct topic **topics;
    uint32_t topic_count;
    struct route *routes;
    uint32_t route_count;
    uint32_t running_ms_min;  /* the shortest slow_ms or handler_max_ms */
    int64_t later_ms_min;     /* the shortest later_max_ms; INT64_MAX: no route has one */
    uint32_t batch_lanes_max; /* in a batch, where it may have several; else 0 */
};

#define ROUTES_MAX 65535U

void routes_deinit(struct routes *routes);

klane_err_t routes_topic(struct routes *routes, struct klane_runtime *runtime,
                         const struct klane_topic *topic, char *errstr, size_t errstr_size);
klane_err_t routes_route(struct routes *routes, struct klane_runtime *runtime,
                         const struct klane_route *route, char *errstr, size_t errstr_size);

/* Before start: sort what is looked up, and refuse what is incomplete. has_patterns: names that
 * begin with ^ are patterns. */
klane_err_t routes_ready(struct routes *routes, bool has_patterns, char *errstr,
                         size_t errstr_size);

/* At start: tell the core which routes gather. Errors: NOMEM. */
klane_err_t routes_gather(struct routes *routes, struct core *core);

/* Control: a topic of this name, if it was registered, is known to be missing. */
void routes_met(struct routes *routes, const char *name);

/* Every topic was shown by the source, or is known to be missing. */
bool routes_all_met(const struct routes *routes);

/* Control: the topic of this name: the one registered, else one that the first matching pattern
 * brings. NULL: there is none, or no memory. */
struct topic *routes_resolve(struct routes *routes, const char *name);

/* Some topic's records have weights. */
bool routes_have_weights(const struct routes *routes);

/* The most lanes without a record in memory whose state is kept. 0: no topic has states. */
uint64_t routes_idle_states(const struct routes *routes);

/* The route of a record's key (NULL: none) in a topic that has routes by key. */
uint16_t routes_match_key(const struct routes *routes, const struct topic *topic, const void *key,
                          uint32_t key_size);

/* The same in any topic. */
static inline uint16_t routes_match(const struct routes *routes, const struct topic *topic,
                                    const void *key, uint32_t key_size)
{
    if (topic->exact_count + topic->prefix_size_count == 0)
        return (uint16_t)topic->fallback;
    return routes_match_key(routes, topic, key, key_size);
}

#endif
