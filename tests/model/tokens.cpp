/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens (runtime/sync/tokens.c, as shipped) under the C11 memory model.
 *
 * A handler makes a token and returns; one or two completers race for it, each with the token of
 * an earlier record in the same place as well, and so does control, which looks through the table
 * as for what is over. Who is second reports the record to control, which frees the place; the
 * handler then makes the next token from it. Checked: one of them wins for each record, one side
 * reports it, the winner and the reporter see what others wrote before (Relacy's race detection),
 * and a tag or a due time that was read belongs to its token. */
#include "sync/tokens.h"

#include "sync/tokens.c"

enum { RECORDS = 2, RING_SIZE = 2 };

struct model_record {
    rl::var<int> made;
    rl::var<int> handler_wrote;
    rl::var<int> outcome;
    int claimed;
    int reported;
};

template <int COMPLETERS>
struct tokens_model : rl::test_suite<tokens_model<COMPLETERS>, 2 + COMPLETERS> {
    struct tokens tokens;
    struct tokens_entry entry;
    ck_ring_buffer_t buffer[RING_SIZE];
    struct model_record records[RECORDS];
    rl::atomic<uint64_t> published[RECORDS]; /* tokens, as the handler gives them to completers */
    rl::atomic<int> reports[RECORDS];        /* stands for the mailbox */

    void before()
    {
        tokens.entries = &entry;
        tokens.free_buffer = buffer;
        tokens.capacity = 1;
        tokens.generation = 1;
        tokens.fresh.store(0, rl::mo_relaxed, RL_INFO);
        ck_ring_init(&tokens.free_ring, RING_SIZE);
        for (int i = 0; i < RING_SIZE; i++)
            buffer[i].value.store(NULL, rl::mo_relaxed, RL_INFO);
        entry.state.store(0, rl::mo_relaxed, RL_INFO);
        entry.tag.store(0, rl::mo_relaxed, RL_INFO);
        entry.record = NULL;
        for (int i = 0; i < RECORDS; i++) {
            records[i].claimed = 0;
            records[i].reported = 0;
            records[i].made(RL_INFO) = 0;
            records[i].handler_wrote(RL_INFO) = 0;
            records[i].outcome(RL_INFO) = 0;
            published[i].store(0, rl::mo_relaxed, RL_INFO);
            reports[i].store(0, rl::mo_relaxed, RL_INFO);
        }
    }

    void after()
    {
        for (int i = 0; i < RECORDS; i++) {
            RL_ASSERT(records[i].claimed == 1);
            RL_ASSERT(records[i].reported == 1);
        }
        RL_ASSERT(tokens_out(&tokens) == 0);
    }

    void report(struct model_record *record)
    {
        RL_ASSERT(record->outcome(RL_INFO) == 1);
        RL_ASSERT(record->handler_wrote(RL_INFO) == 1);
        record->reported++;
        reports[record - records].store(1, rl::mo_release, RL_INFO);
    }

    void handler()
    {
        for (int i = 0; i < RECORDS; i++) {
            struct model_record *record = &records[i];
            klane_token_t token;

            record->made(RL_INFO) = 1;
            while ((token = tokens_make(&tokens, record, 100 + i, 200 + i)) == 0)
                rl::yield(1, RL_INFO);
            published[i].store(token, rl::mo_relaxed, RL_INFO);
            record->handler_wrote(RL_INFO) = 1;
            if (tokens_returned(&tokens, tokens_index(token)))
                report(record);
        }
    }

    void complete(klane_token_t token, int i)
    {
        void *found = NULL;

        if (tokens_claim(&tokens, token, &found) != TOKENS_CLAIMED)
            return;
        RL_ASSERT(found == &records[i]);
        RL_ASSERT(records[i].made(RL_INFO) == 1);
        records[i].claimed++;
        records[i].outcome(RL_INFO) = 1;
        if (tokens_complete(&tokens, token))
            report(&records[i]);
    }

    void complete_if_tagged(klane_token_t token, int i)
    {
        uint32_t tag;

        if (tokens_tag(&tokens, token, &tag))
            RL_ASSERT(tag == (uint32_t)(100 + i));
        complete(token, i);
    }

    void look_through()
    {
        klane_token_t token;
        uint32_t index = 0;
        int64_t due_ms;

        while ((token = tokens_next_due(&tokens, &index, &due_ms)) != 0) {
            RL_ASSERT(records[due_ms - 200].made(RL_INFO) == 1);
            complete(token, due_ms - 200);
        }
    }

    void control()
    {
        for (int freed = 0; freed < RECORDS;) {
            look_through();
            if (reports[freed].load(rl::mo_acquire, RL_INFO) == 0) {
                rl::yield(1, RL_INFO);
                continue;
            }
            tokens_free(&tokens, 0);
            freed++;
        }
    }

    void completer()
    {
        for (int i = 0; i < RECORDS; i++) {
            klane_token_t token;

            while ((token = published[i].load(rl::mo_relaxed, RL_INFO)) == 0)
                rl::yield(1, RL_INFO);
            complete_if_tagged(token, i);
            if (i > 0)
                complete_if_tagged(published[i - 1].load(rl::mo_relaxed, RL_INFO), i - 1);
        }
    }

    void thread(unsigned index)
    {
        if (index == 0)
            handler();
        else if (index == 1)
            control();
        else
            completer();
    }
};

static bool search(bool quiet)
{
    return model_search<tokens_model<1> >("tokens", rl::sched_bound, 1, 0, quiet) &&
           model_search<tokens_model<2> >("tokens", rl::sched_random, 0, 300000, quiet);
}

static const struct mutant mutants[] = {
    {"tokens_complete", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_acquire},
    {"tokens_complete", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_release},
    {"tokens_returned", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_acquire},
    {"tokens_returned", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_release},
    {"tokens_tag", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"tokens_make", MUTATE_ORDER, rl::mo_release, rl::mo_relaxed},
    {"tokens_next_due", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"tokens_claim", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"tokens_complete", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"tokens_returned", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
};

int main()
{
    if (!search(false))
        return 1;
    return model_mutants(mutants, sizeof(mutants) / sizeof(mutants[0]), search) ? 0 : 1;
}
