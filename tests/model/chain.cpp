/* SPDX-License-Identifier: Apache-2.0 */
/* The chain (runtime/sync/chain.h, as shipped) under the C11 memory model.
 *
 * Control appends the links of one lane, hands over what is its own to start, takes back what
 * workers report, cuts once at any point, and lets a retry run again. Workers run links and pass
 * on, with or without batches, of which they put back what is behind a retry. Checked in every
 * interleaving: what control wrote into a link is seen by who runs it, and control may overwrite
 * it once it came back (Relacy's race detection); links run one at a time, in order, and see what
 * the one before did; each is finished once or taken back once; and in the end nothing is left
 * behind. */
#include "sync/chain.h"

#include "model.h"

enum { REPORT_NONE, REPORT_FINISHED, REPORT_RETRY, REPORT_LATER };

/* What a search allows. */
struct plan_pair {
    enum { LINKS = 2, WORKERS = 1, CUT = 0, RETRY = 0, BATCH = 0, LATER = 0 };
};
struct plan_append {
    enum { LINKS = 3, WORKERS = 1, CUT = 0, RETRY = 0, BATCH = 0, LATER = 0 };
};
struct plan_two {
    enum { LINKS = 3, WORKERS = 2, CUT = 0, RETRY = 0, BATCH = 0, LATER = 0 };
};
struct plan_cut {
    enum { LINKS = 3, WORKERS = 1, CUT = 1, RETRY = 0, BATCH = 0, LATER = 0 };
};
struct plan_batch {
    enum { LINKS = 3, WORKERS = 1, CUT = 1, RETRY = 0, BATCH = 1, LATER = 0 };
};
struct plan_put_back {
    enum { LINKS = 3, WORKERS = 1, CUT = 1, RETRY = 1, BATCH = 2, LATER = 0 };
};
struct plan_later {
    enum { LINKS = 3, WORKERS = 1, CUT = 1, RETRY = 0, BATCH = 0, LATER = 1 };
};
struct plan_all {
    enum { LINKS = 5, WORKERS = 2, CUT = 1, RETRY = 1, BATCH = 2, LATER = 1 };
};

struct model_link {
    struct chain_link chain;
    rl::var<int> payload;
    rl::atomic<int> report; /* stands for the mailbox: release by the holder, acquire by control */
    bool passed_on;         /* by the holder, before the report */
    int attempts;
};

template <typename plan>
struct lane_model : rl::test_suite<lane_model<plan>, 1 + plan::WORKERS> {
    struct model_link links[plan::LINKS];
    rl::atomic<struct model_link *> ready; /* stands for the ring; a lane has one ready at most */
    rl::atomic<int> stop;
    rl::var<int> progress; /* links finished, by who runs them */

    /* Control's. */
    bool out[plan::LINKS]; /* appended, and neither finished nor taken back */
    int taken_back;
    int finished;
    int tail; /* -1: the lane is idle */

    void before()
    {
        for (int i = 0; i < plan::LINKS; i++) {
            links[i].report.store(REPORT_NONE, rl::mo_relaxed, RL_INFO);
            links[i].attempts = 0;
            links[i].passed_on = false;
            out[i] = false;
        }
        ready.store(NULL, rl::mo_relaxed, RL_INFO);
        stop.store(0, rl::mo_relaxed, RL_INFO);
        progress(RL_INFO) = 0;
        taken_back = 0;
        finished = 0;
        tail = -1;
    }

    void after()
    {
        RL_ASSERT(finished + taken_back == plan::LINKS);
        RL_ASSERT(progress(RL_INFO) == finished);
    }

    /* ---- control ---- */

    void start(struct model_link *link)
    {
        RL_ASSERT(ready.load(rl::mo_relaxed, RL_INFO) == NULL);
        ready.store(link, rl::mo_release, RL_INFO);
    }

    void append(int i)
    {
        links[i].payload(RL_INFO) = 100 + i;
        chain_init(&links[i].chain);
        out[i] = true;
        if (tail < 0 || !chain_append(&links[tail].chain, &links[i].chain))
            start(&links[i]);
        tail = i;
    }

    void collect()
    {
        for (int i = 0; i < plan::LINKS; i++) {
            struct model_link *link = &links[i];
            struct chain_link *next;
            int report;

            if (!out[i])
                continue;
            report = link->report.load(rl::mo_acquire, RL_INFO);
            if (report == REPORT_NONE)
                continue;
            link->report.store(REPORT_NONE, rl::mo_relaxed, RL_INFO);
            if (report == REPORT_RETRY) {
                start(link);
                continue;
            }
            if (report == REPORT_LATER) {
                next = chain_finish(&link->chain);
                if (next != NULL)
                    start((struct model_link *)next);
            }
            /* As freeing it would: nobody else may still touch the link. */
            link->payload(RL_INFO) = -1;
            link->chain.next.store(NULL, rl::mo_relaxed, RL_INFO);
            out[i] = false;
            finished++;
            if (tail == i)
                tail = -1;
        }
    }

    /* Take back what is behind link number first. */
    void cut(int first)
    {
        for (int i = first; i < tail; i++) {
            if (!out[i])
                continue;
            if (!chain_cut(&links[i].chain, &links[i + 1].chain) &&
                !model_mutates("keep to a failed cut", MUTATE_RULE))
                continue;
            for (int k = i + 1; k <= tail; k++) {
                RL_ASSERT(out[k]);
                links[k].payload(RL_INFO) = -1;
                out[k] = false;
                taken_back++;
            }
            tail = i;
            return;
        }
    }

    void control()
    {
        int cut_after = plan::CUT ? 1 + (int)rl::rand(plan::LINKS) : plan::LINKS;

        for (int i = 0; i < plan::LINKS; i++) {
            append(i);
            if (i + 1 == cut_after)
                cut((int)rl::rand(i + 1));
            if (plan::RETRY || plan::LATER)
                collect();
        }
        while (finished + taken_back < plan::LINKS) {
            collect();
            if (finished + taken_back < plan::LINKS)
                rl::yield(1, RL_INFO);
        }
        RL_ASSERT(tail == -1);
        stop.store(1, rl::mo_relaxed, RL_INFO);
    }

    /* ---- workers ---- */

    /* What the function of a batch does, whether it counts or not. */
    void see(struct model_link *link)
    {
        RL_ASSERT(link->payload(RL_INFO) == 100 + (int)(link - links));
    }

    void run(struct model_link *link)
    {
        see(link);
        RL_ASSERT(progress(RL_INFO) == (int)(link - links) || plan::CUT);
        link->attempts++;
    }

    void finish(struct model_link *link)
    {
        progress(RL_INFO) = progress(RL_INFO) + 1;
    }

    void report(struct model_link *link, int report)
    {
        link->report.store(report, rl::mo_release, RL_INFO);
    }

    /* Takes what is behind batch[0], if the plan has batches. Returns how many it has then. */
    int take_some(struct model_link **batch)
    {
        int count = 1;

        while (count <= plan::BATCH) {
            struct chain_link *next = chain_take(&batch[count - 1]->chain);

            if (next == NULL)
                break;
            batch[count++] = (struct model_link *)next;
        }
        return count;
    }

    /* What is behind number failed has not run. */
    void put_back(struct model_link **batch, int failed, int count)
    {
        bool wrongly = model_mutates("put back from the first on", MUTATE_RULE);

        for (int n = failed + 1; n < count; n++) {
            int i = wrongly ? n : count + failed - n;

            see(batch[i]);
            chain_put_back(&batch[i - 1]->chain, &batch[i]->chain);
            if (model_mutates("touch what was put back", MUTATE_RULE))
                see(batch[i]);
        }
    }

    /* Returns what the worker runs next. */
    struct model_link *run_some(struct model_link *link)
    {
        struct model_link *batch[plan::BATCH + 1];
        struct chain_link *next;
        int count, i;

        batch[0] = link;
        count = take_some(batch);
        for (i = 0; i < count; i++)
            see(batch[i]);
        for (i = 0; i < count; i++) {
            run(batch[i]);
            if (plan::RETRY && batch[i]->attempts == 1 && rl::rand(2) == 1)
                break;
            finish(batch[i]);
        }
        if (i < count)
            put_back(batch, i, count);
        for (int k = 0; k < i && k < count - 1; k++)
            report(batch[k], REPORT_FINISHED);
        if (i < count) {
            report(batch[i], REPORT_RETRY);
            return NULL;
        }
        link = batch[count - 1];
        if (plan::LATER && rl::rand(2) == 1) {
            report(link, REPORT_LATER);
            return NULL;
        }
        if (model_mutates("report before finish", MUTATE_RULE))
            report(link, REPORT_FINISHED);
        next = chain_finish(&link->chain);
        if (!model_mutates("report before finish", MUTATE_RULE))
            report(link, REPORT_FINISHED);
        RL_ASSERT(next != CHAIN_TAKEN);
        RL_ASSERT(next != CHAIN_DONE);
        return (struct model_link *)next;
    }

    void worker()
    {
        while (stop.load(rl::mo_relaxed, RL_INFO) == 0) {
            struct model_link *link = ready.load(rl::mo_relaxed, RL_INFO);

            if (link == NULL) {
                rl::yield(1, RL_INFO);
                continue;
            }
            link = ready.exchange(NULL, rl::mo_acquire, RL_INFO);
            while (link != NULL)
                link = run_some(link);
        }
    }

    void thread(unsigned index)
    {
        if (index == 0)
            control();
        else
            worker();
    }
};

static bool search(bool quiet)
{
    return model_search<lane_model<plan_pair> >("a pair", rl::sched_bound, 4, 0, quiet) &&
           model_search<lane_model<plan_append> >("append", rl::sched_bound, 3, 0, quiet) &&
           model_search<lane_model<plan_cut> >("cut", rl::sched_bound, 3, 0, quiet) &&
           model_search<lane_model<plan_batch> >("cut and batch", rl::sched_bound, 3, 0, quiet) &&
           model_search<lane_model<plan_put_back> >("cut and put back", rl::sched_bound, 2, 0,
                                                    quiet) &&
           model_search<lane_model<plan_later> >("cut and later", rl::sched_bound, 2, 0, quiet) &&
           model_search<lane_model<plan_two> >("two workers", rl::sched_bound, 2, 0, quiet) &&
           model_search<lane_model<plan_all> >("all", rl::sched_random, 0, 200000, quiet);
}

static const struct mutant mutants[] = {
    {"chain_append", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_acquire},
    {"chain_append", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"chain_append", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"chain_finish", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_acquire},
    {"chain_finish", MUTATE_ORDER, rl::mo_acq_rel, rl::mo_release},
    {"chain_finish", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"chain_take", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"chain_take", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"chain_put_back", MUTATE_ORDER, rl::mo_release, rl::mo_relaxed},
    {"chain_cut", MUTATE_ORDER, rl::mo_acquire, rl::mo_relaxed},
    {"chain_cut", MUTATE_SPLIT, rl::mo_relaxed, rl::mo_relaxed},
    {"report before finish", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
    {"put back from the first on", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
    {"touch what was put back", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
    {"keep to a failed cut", MUTATE_RULE, rl::mo_relaxed, rl::mo_relaxed},
};

int main()
{
    if (!search(false))
        return 1;
    return model_mutants(mutants, sizeof(mutants) / sizeof(mutants[0]), search) ? 0 : 1;
}
