/* SPDX-License-Identifier: Apache-2.0 */
/* Parking and passes, every interleaving: from the begin of a small world (parking_world.h) all
 * that may happen next is tried, in every state that is reached, until there is no new one.
 *
 * Checked in every state: the order of each key, at most one record of it at once, none handled
 * again that is known to be finished, and that a commit sent at this moment would speak for what
 * is finished, no more and no less. Where nothing has to happen any more: everything is finished,
 * committed and given back. And no state comes back to itself, so every run ends there.
 *
 *   KLANE_SOAK=1     the wider scopes too
 *   KLANE_TEST=name  this scope only */
#include "model/parking_world.h"

#include "base/assert.h"
#include "lib/check.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STATES_MAX (UINT32_C(1) << 26)
#define NO_STATE UINT32_MAX
#define DUE (UINT32_C(1) << 31) /* of an edge: what leads on happens sooner or later */

/* By all bits, or by all but one: then some keys clash, and some do not. */
#define ALL_CLASH UINT64_MAX
#define SOME_CLASH (UINT64_MAX - 1)

/* Name, keys, fewest states, quota, room, workers, records behind a pass's end. */
static const struct scope scopes[] = {
    {"quota of one", "aabab", 10000, 1, 8, 2, 1, .by_steps = true, .may = {.retries = 1}},
    {"quota of two", "aaabaa", 15000, 2, 8, 2, 1, .may = {.retries = 2}},
    {"little room", "aaababa", 10000, 2, 3, 2, 0, .may = {.retries = 1}},
    {"clash", "abaacb", 10000, 1, 8, 2, 1, .alike = SOME_CLASH, .may = {.retries = 1}},
    {"crash", "aaba", 50000, 1, 8, 2, 0, .may = {.commits = 1, .troubles = 1, .crashes = 1}},
    {"crash and retry", "aa-", 100000, 1, 8, 2, 0,
     .may = {.retries = 1, .commits = 1, .troubles = 1, .crashes = 1}},
    {"crash and clash", "abab", 20000, 1, 8, 2, 0, .alike = ALL_CLASH,
     .may = {.commits = 1, .crashes = 1}},
    {"crash and compaction", "aaa", 10000, 1, 8, 1, 0,
     .may = {.commits = 1, .crashes = 1, .gone = 1}},
    {"revoked", "aaba", 50000, 1, 8, 2, 0, .may = {.revokes = 1}},
    {"revoked by steps", "aaa", 50000, 2, 8, 2, 0, .by_steps = true, .may = {.revokes = 1}},
    {"revoked and retry", "aa-", 50000, 1, 8, 2, 0, .may = {.retries = 1, .revokes = 1}},
    {"revoked and compaction", "--", 5000, 1, 8, 1, 0, .may = {.revokes = 2, .gone = 2}},
    {"lost", "aaab", 50000, 2, 8, 2, 0, .may = {.commits = 1, .losses = 1}},
    {"compaction", "aabaa", 10000, 1, 8, 2, 1, .may = {.gone = 2}},
    {"memory is short", "aaaaabb", 50000, 5, 5, 2, 0, .may = {.retries = 1, .looks = 3}},
    {"clash and memory", "aabab", 10000, 3, 4, 2, 0, .alike = ALL_CLASH,
     .may = {.retries = 1, .looks = 2}},
    {"small map", "aabba", 50000, 1, 8, 2, 0, .has_small_map = true,
     .may = {.commits = 1, .crashes = 1}},

    {"wide: quota of one", "aababa", 200000, 1, 8, 2, 2, .by_steps = true, .is_wide = true,
     .may = {.retries = 2}},
    {"wide: quota of two", "aaabaaba", 200000, 2, 8, 3, 2, .is_wide = true,
     .may = {.retries = 2}},
    {"wide: clash", "abaabcba", 200000, 2, 8, 3, 1, .alike = SOME_CLASH, .is_wide = true,
     .may = {.retries = 1}},
    {"wide: crash", "aab-", 1000000, 1, 8, 2, 0, .is_wide = true,
     .may = {.retries = 1, .commits = 1, .troubles = 1, .crashes = 1}},
    {"wide: clash, memory", "aabaab", 100000, 3, 4, 2, 0, .alike = ALL_CLASH, .is_wide = true,
     .may = {.retries = 1, .looks = 3}},
    {"wide: revoked", "aab-", 1000000, 1, 8, 2, 0, .is_wide = true,
     .may = {.retries = 1, .revokes = 1}},
    {"wide: revoked, clash", "abab", 100000, 1, 8, 2, 0, .alike = ALL_CLASH, .is_wide = true,
     .may = {.revokes = 1}},
    {"wide: revoked and crash", "aaa", 50000, 1, 8, 2, 0, .is_wide = true,
     .may = {.commits = 1, .crashes = 1, .revokes = 1}},
    {"wide: crash by steps", "aaba", 100000, 2, 8, 2, 0, .by_steps = true, .is_wide = true,
     .may = {.commits = 1, .crashes = 1}},
    {"wide: lost", "aabaa", 1000000, 2, 8, 2, 0, .is_wide = true,
     .may = {.commits = 1, .losses = 1}},
};

/* Each of these has to be reached. */
static const char *const marks[] = {
    "a lane over its quota is parked",
    "a parked lane is in memory again",
    "kept records are let go",
    "a parked lane stands for another key too",
    "a stuck lane is shortened",
    "a progress map is taken up",
    "a record is to be retried while its partition drains",
    "a record comes back unfinished while its partition drains",
    "a partition comes back beside a handler of its last stay",
    "model: a head is told to be gone",
    "model: a parked lane is restored",
    "model: a pass brings what is beyond its end",
    "model: a pass ends early, as all have left it",
    "model: a worker is stopped by the fence",
    "model: a worker passes a lane on",
};

/* ---- states and what leads from one to another -------------------------------------------- */

/* How it was reached first, and what comes of it. */
struct state {
    uint64_t hash;
    uint64_t future; /* hash of its edges; 0: it was not looked at yet */
    uint32_t parent; /* NO_STATE: it is the first */
    uint32_t edge;   /* the first of them */
    uint8_t edge_count;
    struct event event; /* from its parent */
};

static struct {
    struct state *list;
    uint32_t count, capacity;
    uint32_t *by_hash; /* twice the capacity; NO_STATE: free */
    uint32_t *edges;
    uint32_t edge_count, edge_capacity;
} graph;

static void *grow(void *pointer, uint32_t count, size_t size)
{
    pointer = realloc(pointer, count * size);
    if (pointer == NULL) {
        perror("realloc");
        exit(2);
    }
    return pointer;
}

static uint32_t *graph_place(uint64_t hash)
{
    uint32_t mask = 2 * graph.capacity - 1, place = (uint32_t)hash & mask;

    while (graph.by_hash[place] != NO_STATE && graph.list[graph.by_hash[place]].hash != hash)
        place = (place + 1) & mask;
    return &graph.by_hash[place];
}

static void graph_grow(void)
{
    graph.capacity = graph.capacity == 0 ? 1U << 16 : 2 * graph.capacity;
    KLANE_ASSERT(graph.capacity <= STATES_MAX);
    graph.list = grow(graph.list, graph.capacity, sizeof(*graph.list));
    graph.by_hash = grow(graph.by_hash, 2 * graph.capacity, sizeof(*graph.by_hash));
    memset(graph.by_hash, 0xff, 2 * graph.capacity * sizeof(*graph.by_hash));
    for (uint32_t i = 0; i < graph.count; i++)
        *graph_place(graph.list[i].hash) = i;
}

/* The state of this hash; true: it is new. */
static bool graph_add(uint64_t hash, uint32_t parent, const struct event *event, uint32_t *state)
{
    uint32_t *place;

    if (graph.count == graph.capacity)
        graph_grow();
    place = graph_place(hash);
    *state = *place;
    if (*place != NO_STATE)
        return false;
    *state = *place = graph.count++;
    graph.list[*state] = (struct state){.hash = hash, .parent = parent, .event = *event};
    return true;
}

static void graph_edge(uint32_t edge)
{
    if (graph.edge_count == graph.edge_capacity) {
        graph.edge_capacity = graph.edge_capacity == 0 ? 1U << 18 : 2 * graph.edge_capacity;
        graph.edges = grow(graph.edges, graph.edge_capacity, sizeof(*graph.edges));
    }
    graph.edges[graph.edge_count++] = edge;
}

static void graph_clear(void)
{
    free(graph.list);
    free(graph.by_hash);
    free(graph.edges);
    memset(&graph, 0, sizeof(graph));
}

/* ---- how it came to that ----------------------------------------------------------------- */

static struct {
    uint32_t state;
    const struct event *event; /* NULL: none is under way */
} current;

static void print_event(uint32_t number, const struct event *event)
{
    fprintf(stderr, "%4" PRIu32 "  %s", number, event_name(event));
    if (event->record < RECORDS_MAX)
        fprintf(stderr, " %u", event->record);
    fputc('\n', stderr);
}

static uint32_t print_path(uint32_t state)
{
    uint32_t number;

    if (state == NO_STATE || graph.list[state].parent == NO_STATE)
        return 0;
    number = print_path(graph.list[state].parent) + 1;
    print_event(number, &graph.list[state].event);
    return number;
}

void world_fail(const char *format, ...)
{
    va_list arguments;
    uint32_t number;

    va_start(arguments, format);
    fprintf(stderr, "failed: %s: ", world.scope->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    number = print_path(current.state);
    if (current.event != NULL)
        print_event(number + 1, current.event);
    _exit(1);
}

static void fail_by_assertion(const char *condition, const char *file, int line)
{
    world_fail("%s:%d: %s", file, line, condition);
}

static void fail_by_signal(int number)
{
    world_fail("%s", strsignal(number));
}

/* ---- the search -------------------------------------------------------------------------- */

/* A state from which to go on. again: it is known, and only what comes of it is compared. */
struct pending {
    struct snapshot *snapshot;
    uint32_t state;
    bool again;
};

static struct {
    struct pending *pending;
    uint32_t count, capacity;
    uint32_t again_one_in; /* so many of the states that are met again */
    uint32_t agains;
    uint32_t terminals;
} search;

static void pending_add(uint32_t state, bool again)
{
    if (search.count == search.capacity) {
        search.capacity = search.capacity == 0 ? 1024 : 2 * search.capacity;
        search.pending = grow(search.pending, search.capacity, sizeof(*search.pending));
    }
    search.pending[search.count++] = (struct pending){memory_save(), state, again};
}

static bool is_due(const struct events *events)
{
    for (uint32_t i = 0; i < events->count; i++)
        if (events->list[i].is_due)
            return true;
    return false;
}

/* Looks at the new state in ways that change it, after it was saved. */
static void inspect(void)
{
    struct events events;

    world_events(&events);
    memory_is_core(true);
    if (world.assignment != NULL)
        check_map();
    memory_is_core(false);
    if (is_due(&events))
        return;
    search.terminals++;
    check_terminal();
}

/* The world is in this state, which was reached from current. Returns its hash. */
static uint64_t arrive(bool from_again)
{
    uint64_t hash = state_hash();
    uint32_t state;

    if (from_again)
        return hash;
    if (graph_add(hash, current.state, current.event, &state)) {
        check_state();
        pending_add(state, false);
        inspect();
    } else if (hash / graph.capacity % search.again_one_in == 0) {
        pending_add(state, true);
        search.agains++;
    }
    graph_edge(state | (current.event->is_due ? DUE : 0));
    return hash;
}

static void expand(const struct pending *pending)
{
    struct state *state = &graph.list[pending->state];
    uint64_t future = 1;
    struct events events;

    current.state = pending->state;
    memory_load(pending->snapshot);
    world_events(&events);
    if (!pending->again) {
        state->edge = graph.edge_count;
        state->edge_count = (uint8_t)events.count;
    }
    for (uint32_t i = 0; i < events.count; i++) {
        if (i > 0)
            memory_load(pending->snapshot);
        current.event = &events.list[i];
        world_apply(current.event);
        future = future * UINT64_C(0x9e3779b97f4a7c15) + (arrive(pending->again) ^ i);
    }
    current.event = NULL;
    state = &graph.list[pending->state];
    if (state->future != 0 && state->future != future)
        world_fail("what is taken for one state are two: another future");
    state->future = future;
}

/* ---- what the graph shows ---------------------------------------------------------------- */

#define UNSEEN 0
#define ON_THE_WAY UINT32_MAX

/* The longest run. On it no state comes back, or there would be a run without an end. */
static uint32_t longest_run(void)
{
    uint32_t *length = calloc(graph.count, sizeof(*length)); /* plus one */
    uint32_t *next = calloc(graph.count, sizeof(*next));
    uint32_t *path = calloc(graph.count, sizeof(*path));
    uint32_t depth = 0, longest;

    if (length == NULL || next == NULL || path == NULL)
        abort();
    length[0] = ON_THE_WAY;
    path[depth++] = 0;
    while (depth > 0) {
        uint32_t from = path[depth - 1], most = 0;
        const struct state *state = &graph.list[from];

        if (next[from] < state->edge_count) {
            uint32_t to = graph.edges[state->edge + next[from]++] & ~DUE;

            current.state = to;
            if (length[to] == ON_THE_WAY)
                world_fail("it goes round in circles: this state comes again");
            if (length[to] == UNSEEN) {
                length[to] = ON_THE_WAY;
                path[depth++] = to;
            }
            continue;
        }
        for (uint32_t i = 0; i < state->edge_count; i++) {
            uint32_t to = graph.edges[state->edge + i] & ~DUE;

            most = length[to] > most ? length[to] : most;
        }
        length[from] = most + 1;
        depth--;
    }
    longest = length[0] - 1;
    free(length);
    free(next);
    free(path);
    return longest;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void search_scope(const struct scope *scope)
{
    static const struct event none;
    double begin = seconds();
    uint32_t longest;

    search.agains = search.terminals = 0;
    current.state = NO_STATE;
    world_begin(scope);
    graph_add(state_hash(), NO_STATE, &none, &current.state);
    pending_add(0, false);
    inspect();
    while (search.count > 0) {
        struct pending pending = search.pending[--search.count];

        expand(&pending);
        free(pending.snapshot);
    }
    longest = longest_run();
    printf("%-24s %9" PRIu32 " states %9" PRIu32 " transitions  longest %3" PRIu32
           "  ends %5" PRIu32 "  again %7" PRIu32 "  %5.1f s\n",
           scope->name, graph.count, graph.edge_count, longest, search.terminals, search.agains,
           seconds() - begin);
    fflush(stdout);
    if (graph.count < scope->states_min)
        world_fail("fewer than %" PRIu32 " states", scope->states_min);
    graph_clear();
}

int main(void)
{
    const char *only = getenv("KLANE_TEST"), *soak = getenv("KLANE_SOAK");
    bool is_soak = soak != NULL && strcmp(soak, "1") == 0;
    int failed = 0;

    klane_assert_hook = fail_by_assertion;
    signal(SIGSEGV, fail_by_signal);
    search.again_one_in = is_soak ? 4 : 16;
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
        if (only == NULL ? is_soak || !scopes[i].is_wide : fnmatch(only, scopes[i].name, 0) == 0)
            search_scope(&scopes[i]);
    free(search.pending);
    for (size_t i = 0; only == NULL && i < sizeof(marks) / sizeof(marks[0]); i++)
        if (check_marked(marks[i]) == 0) {
            fprintf(stderr, "failed: never reached: %s\n", marks[i]);
            failed = 1;
        }
    return failed;
}
