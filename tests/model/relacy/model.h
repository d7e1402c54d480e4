/* SPDX-License-Identifier: Apache-2.0 */
/* What the models share: mutants, and running one with a count of what was searched.
 *
 * A mutant is one planted defect, chosen at run time: in one function, an order is weakened
 * (MUTATE_ORDER), a read-modify-write is taken apart into a load and a store (MUTATE_SPLIT), or
 * the full fence is left out (MUTATE_FENCE); or a user of the code breaks its rules
 * (MUTATE_RULE). A model that does not notice its mutants proves nothing, so each model's
 * program searches the true code first and then has to find every mutant. */
#ifndef KLANE_MODEL_H
#define KLANE_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <relacy/relacy.hpp>

enum mutate { MUTATE_NOTHING, MUTATE_ORDER, MUTATE_SPLIT, MUTATE_FENCE, MUTATE_RULE };

struct mutant {
    const char *function; /* where */
    enum mutate kind;
    rl::memory_order from; /* MUTATE_ORDER: this order becomes that one */
    rl::memory_order to;
};

static struct mutant model_mutant;

static inline bool model_mutates(const char *function, enum mutate kind)
{
    return model_mutant.kind == kind && strcmp(model_mutant.function, function) == 0;
}

static inline rl::memory_order model_order(const char *function, rl::memory_order order)
{
    if (model_mutates(function, MUTATE_ORDER) && model_mutant.from == order)
        return model_mutant.to;
    return order;
}

/* The read-modify-writes: what each makes of a value, and Relacy's name for it. */
#define MODEL_OPERATION(name, method, result)                                                   \
    struct name {                                                                               \
        template <typename T>                                                                   \
        static T plain(T before, T value)                                                       \
        {                                                                                       \
            return result;                                                                      \
        }                                                                                       \
        template <typename T>                                                                   \
        static T atomically(rl::atomic<T> *object, T value, rl::memory_order order,             \
                            rl::debug_info_param info)                                          \
        {                                                                                       \
            return object->method(value, order, info);                                          \
        }                                                                                       \
    }
MODEL_OPERATION(MODEL_EXCHANGE, exchange, ((void)before, value));
MODEL_OPERATION(MODEL_ADD, fetch_add, before + value);
MODEL_OPERATION(MODEL_SUB, fetch_sub, before - value);
MODEL_OPERATION(MODEL_AND, fetch_and, before &value);
MODEL_OPERATION(MODEL_OR, fetch_or, before | value);

/* Keeps a parameter out of the deduction of T. */
template <typename T>
struct model_same {
    typedef T type;
};

template <typename T>
static bool model_compare_exchange(const char *function, rl::atomic<T> *object, T *expected,
                                   typename model_same<T>::type value, rl::memory_order success,
                                   rl::memory_order failure, rl::debug_info_param info)
{
    success = model_order(function, success);
    failure = model_order(function, failure);
    if (model_mutates(function, MUTATE_SPLIT)) {
        T found = object->load(rl::mo_acquire, info);

        if (found != *expected) {
            *expected = found;
            return false;
        }
        object->store(value, rl::mo_release, info);
        return true;
    }
    /* Relacy wants a success order that includes the failure order. An acquire more on success
     * hides nothing in the chain: what append expects there, only its own thread ever wrote. */
    if (failure == rl::mo_acquire && success == rl::mo_release)
        success = rl::mo_acq_rel;
    if (failure == rl::mo_acquire && success == rl::mo_relaxed)
        success = rl::mo_acquire;
    return object->compare_exchange_strong(*expected, value, success, info, failure, info);
}

template <typename operation, typename T>
static T model_rmw(const char *function, rl::atomic<T> *object, typename model_same<T>::type value,
                   rl::memory_order order, rl::debug_info_param info)
{
    if (model_mutates(function, MUTATE_SPLIT)) {
        T before = object->load(rl::mo_acquire, info);

        object->store(operation::plain(before, value), rl::mo_release, info);
        return before;
    }
    return operation::atomically(object, value, model_order(function, order), info);
}

static inline void model_fence(const char *function, rl::debug_info_param info)
{
    if (!model_mutates(function, MUTATE_FENCE))
        rl::atomic_thread_fence(rl::mo_seq_cst, info);
}

/* One search of one model. Returns whether no defect was found. */
template <typename test>
static bool model_search(const char *name, rl::scheduler_type_e scheduler, unsigned bound,
                         unsigned rounds, bool quiet)
{
    std::ostream nowhere(0);
    rl::ostringstream report; /* Relacy replaces the usual allocator */
    rl::test_params params;
    struct timespec begin, end;
    bool passed;

    params.output_stream = &report;
    params.progress_stream = &nowhere;
    params.search_type = scheduler;
    params.context_bound = bound;
    params.iteration_count = rounds;
    params.execution_depth_limit = 2000;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    passed = rl::simulate<test>(params);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!quiet) {
        printf("%-28s %s", name, rl::format(scheduler));
        if (scheduler == rl::sched_bound)
            printf(" %u", bound);
        printf(": %llu interleavings, %.1f s%s\n", (unsigned long long)params.stop_iteration,
               (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec),
               passed ? "" : ", a defect was found:");
        if (!passed)
            fputs(report.str().c_str(), stdout);
        fflush(stdout);
    }
    return passed;
}

/* Searches with each mutant in turn. search(true) returns whether no defect was found. */
static inline bool model_mutants(const struct mutant *mutants, size_t count, bool (*search)(bool))
{
    static const char *const kinds[] = {"nothing", "a weaker order", "not atomic", "no fence",
                                        "a broken rule"};
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        bool found;

        model_mutant = mutants[i];
        found = !search(true);
        model_mutant.kind = MUTATE_NOTHING;
        printf("mutant %-28s %s", mutants[i].function, kinds[mutants[i].kind]);
        if (mutants[i].kind == MUTATE_ORDER)
            printf(" %s to %s", rl::format(mutants[i].from), rl::format(mutants[i].to));
        printf(": %s\n", found ? "found" : "NOT FOUND");
        fflush(stdout);
        all = all && found;
    }
    return all;
}

#endif
