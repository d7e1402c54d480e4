/* SPDX-License-Identifier: Apache-2.0 */
/* The lock-free parts, on one thread: what they cost when nobody else is there. */
#include "micro/micro.h"

#include "sync/bell.h"
#include "sync/chain.h"
#include "sync/idle.h"
#include "sync/mailbox.h"
#include "sync/ready.h"
#include "sync/tokens.h"

#include <stdlib.h>

/* ---- chain ----------------------------------------------------------------------------- */

struct link_line {
    _Alignas(64) struct chain_link link;
};

/* One more, so that each of MICRO_RUN has a successor. */
struct chain_stage {
    struct link_line lines[MICRO_RUN + 1];
};

static void *chain_begin(void)
{
    return micro_alloc(sizeof(struct chain_stage));
}

static void chain_single(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = 0; i <= MICRO_RUN; i++)
        chain_init(&chain->lines[i].link);
}

static void chain_append_all(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(chain_append(&chain->lines[i].link, &chain->lines[i + 1].link), "append");
}

static void chain_linked(void *stage)
{
    chain_single(stage);
    chain_append_all(stage);
}

static void chain_finish_all(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_keep((uintptr_t)chain_finish(&chain->lines[i].link));
}

static void chain_finished(void *stage)
{
    chain_single(stage);
    chain_finish_all(stage);
}

static void chain_append_late(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(!chain_append(&chain->lines[i].link, &chain->lines[i + 1].link), "append");
}

static void chain_take_all(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(chain_take(&chain->lines[i].link) != NULL, "take");
}

static void chain_taken(void *stage)
{
    chain_linked(stage);
    chain_take_all(stage);
}

static void chain_put_back_all(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = MICRO_RUN - 1; i >= 0; i--)
        chain_put_back(&chain->lines[i].link, &chain->lines[i + 1].link);
}

static void chain_cut_all(void *stage)
{
    struct chain_stage *chain = stage;

    for (int i = MICRO_RUN - 1; i >= 0; i--)
        micro_check(chain_cut(&chain->lines[i].link, &chain->lines[i + 1].link), "cut");
}

/* ---- ready ring ------------------------------------------------------------------------ */

struct ready_stage {
    struct ready_ring ring;
    struct link_line items[MICRO_RUN];
};

static void *ready_begin(void)
{
    struct ready_stage *ready = micro_alloc(sizeof(*ready));

    micro_check(ready_init(&ready->ring, 2 * MICRO_RUN), "no memory");
    return ready;
}

static void ready_end(void *stage)
{
    struct ready_stage *ready = stage;

    ready_deinit(&ready->ring);
    free(ready);
}

static void ready_push_all(void *stage)
{
    struct ready_stage *ready = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(ready_push(&ready->ring, &ready->items[i]), "push");
}

static void ready_pop_all(void *stage)
{
    struct ready_stage *ready = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(ready_pop(&ready->ring) != NULL, "pop");
}

static void ready_empty(void *stage)
{
    struct ready_stage *ready = stage;

    while (ready_pop(&ready->ring) != NULL)
        continue;
}

static void ready_pop_none(void *stage)
{
    struct ready_stage *ready = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(ready_pop(&ready->ring) == NULL, "pop");
}

/* ---- mailbox of outcomes --------------------------------------------------------------- */

struct mail_line {
    _Alignas(64) struct mail mail;
};

struct mailbox_stage {
    struct mailbox mailbox;
    struct mail_line lines[MICRO_RUN];
};

static void *mailbox_begin(void)
{
    struct mailbox_stage *stage = micro_alloc(sizeof(*stage));

    mailbox_init(&stage->mailbox);
    return stage;
}

static void mailbox_send_all(void *stage)
{
    struct mailbox_stage *box = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        mailbox_send(&box->mailbox, &box->lines[i].mail);
}

static void mailbox_collect_all(void *stage)
{
    struct mailbox_stage *box = stage;
    struct mail *mail = mailbox_collect(&box->mailbox);
    uint32_t count = 0;

    for (; mail != NULL; mail = mailbox_next(mail))
        count++;
    micro_check(count == MICRO_RUN, "collect");
}

static void mailbox_empty(void *stage)
{
    (void)mailbox_collect(&((struct mailbox_stage *)stage)->mailbox);
}

static void mailbox_filled(void *stage)
{
    mailbox_empty(stage);
    mailbox_send_all(stage);
}

/* ---- idle ------------------------------------------------------------------------------ */

struct idle_stage {
    struct idle idle;
    int seat;
};

static void *idle_begin(void)
{
    struct idle_stage *stage = micro_alloc(sizeof(*stage));

    micro_check(idle_init(&stage->idle), "no memory");
    stage->seat = idle_seat_take(&stage->idle);
    return stage;
}

static void idle_end(void *stage)
{
    struct idle_stage *idle = stage;

    idle_seat_leave(&idle->idle, idle->seat);
    idle_deinit(&idle->idle);
    free(idle);
}

static void idle_search(void *stage)
{
    struct idle_stage *idle = stage;

    for (int i = 0; i < MICRO_RUN; i++) {
        idle_search_begin(&idle->idle, idle->seat);
        micro_keep(idle_search_end(&idle->idle, idle->seat));
    }
}

static void idle_prepare_and_cancel(void *stage)
{
    struct idle_stage *idle = stage;

    idle_search_begin(&idle->idle, idle->seat);
    for (int i = 0; i < MICRO_RUN; i++) {
        idle_prepare(&idle->idle, idle->seat);
        idle_cancel(&idle->idle, idle->seat);
    }
    micro_keep(idle_search_end(&idle->idle, idle->seat));
}

static void idle_wake_nobody(void *stage)
{
    struct idle_stage *idle = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(!idle_wake_one(&idle->idle), "wake");
}

static void idle_wake_searching(void *stage)
{
    struct idle_stage *idle = stage;

    idle_search_begin(&idle->idle, idle->seat);
    idle_wake_nobody(stage);
    micro_keep(idle_search_end(&idle->idle, idle->seat));
}

/* ---- bell ------------------------------------------------------------------------------ */

static void *bell_begin(void)
{
    struct bell *bell = micro_alloc(sizeof(*bell));

    micro_check(bell_init(bell), "no descriptor");
    return bell;
}

static void bell_end(void *stage)
{
    bell_deinit(stage);
    free(stage);
}

static void bell_ring_awake(void *stage)
{
    for (int i = 0; i < MICRO_RUN; i++)
        bell_ring(stage, BELL_QUIET);
}

static void bell_arm_and_disarm(void *stage)
{
    for (int i = 0; i < MICRO_RUN; i++) {
        bell_arm(stage, BELL_WANTED);
        bell_ring(stage, BELL_QUIET);
        bell_disarm(stage, false);
    }
}

static void bell_ring_asleep(void *stage)
{
    for (int i = 0; i < MICRO_RUN; i++) {
        bell_arm(stage, BELL_WANTED);
        bell_ring(stage, BELL_URGENT);
        bell_disarm(stage, true);
    }
}

/* ---- tokens ---------------------------------------------------------------------------- */

struct tokens_stage {
    struct tokens tokens;
    klane_token_t out[MICRO_RUN];
    uint32_t steps; /* of its life, that all have behind them */
};

static void *tokens_begin(void)
{
    struct tokens_stage *stage = micro_alloc(sizeof(*stage));

    micro_check(tokens_init(&stage->tokens, 2 * MICRO_RUN, 1), "no memory");
    return stage;
}

static void tokens_end(void *stage)
{
    tokens_deinit(&((struct tokens_stage *)stage)->tokens);
    free(stage);
}

static void tokens_make_all(void *stage)
{
    struct tokens_stage *tokens = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        tokens->out[i] = tokens_make(&tokens->tokens, tokens, 1, TOKENS_NEVER);
    tokens->steps = 1;
}

static void tokens_return_all(void *stage)
{
    struct tokens_stage *tokens = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_keep(tokens_returned(&tokens->tokens, tokens_index(tokens->out[i])));
    tokens->steps = 2;
}

static void tokens_claim_all(void *stage)
{
    struct tokens_stage *tokens = stage;
    void *record;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(tokens_claim(&tokens->tokens, tokens->out[i], &record) == TOKENS_CLAIMED,
                    "claim");
    tokens->steps = 3;
}

static void tokens_complete_all(void *stage)
{
    struct tokens_stage *tokens = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        micro_check(tokens_complete(&tokens->tokens, tokens->out[i]), "complete");
    tokens->steps = 4;
}

static void tokens_free_all(void *stage)
{
    struct tokens_stage *tokens = stage;

    for (int i = 0; i < MICRO_RUN; i++)
        tokens_free(&tokens->tokens, tokens_index(tokens->out[i]));
    tokens->steps = 0;
}

/* All have this many steps behind them. */
static void tokens_step_to(struct tokens_stage *tokens, uint32_t steps)
{
    static void (*const all[])(void *) = {tokens_make_all, tokens_return_all, tokens_claim_all,
                                          tokens_complete_all, tokens_free_all};

    while (tokens->steps != steps)
        all[tokens->steps](tokens);
}

static void tokens_to_make(void *stage)
{
    tokens_step_to(stage, 0);
}

static void tokens_to_return(void *stage)
{
    tokens_step_to(stage, 1);
}

static void tokens_to_claim(void *stage)
{
    tokens_step_to(stage, 2);
}

static void tokens_to_complete(void *stage)
{
    tokens_step_to(stage, 3);
}

static void tokens_to_free(void *stage)
{
    tokens_step_to(stage, 4);
}

const struct micro_part micro_sync[] = {
    {
        .name = "chain",
        .what = "How records of a lane follow each other: a word in each slot.",
        .micros = {{"append", chain_begin, chain_single, chain_append_all, free, 0, false},
                   {"append-late", chain_begin, chain_finished, chain_append_late, free, 0,
                    false},
                   {"finish", chain_begin, chain_linked, chain_finish_all, free, 0, false},
                   {"take", chain_begin, chain_linked, chain_take_all, free, 0, false},
                   {"put-back", chain_begin, chain_taken, chain_put_back_all, free, 0, false},
                   {"cut", chain_begin, chain_linked, chain_cut_all, free, 0, false}},
    },
    {
        .name = "ready-ring",
        .what = "How runnable slots come from control to workers.",
        .micros = {{"push", ready_begin, ready_empty, ready_push_all, ready_end, 0, false},
                   {"pop", ready_begin, ready_push_all, ready_pop_all, ready_end, 0, false},
                   {"pop-none", ready_begin, NULL, ready_pop_none, ready_end, 0, false}},
    },
    {
        .name = "mailbox",
        .what = "How outcomes come back to control.",
        .micros = {{"send", mailbox_begin, mailbox_empty, mailbox_send_all, free, 0, false},
                   {"collect", mailbox_begin, mailbox_filled, mailbox_collect_all, free, 0,
                    false}},
    },
    {
        .name = "idle",
        .what = "Who searches, who sleeps, and whom a push wakes.",
        .micros = {{"search", idle_begin, NULL, idle_search, idle_end, 0, false},
                   {"cancel", idle_begin, NULL, idle_prepare_and_cancel, idle_end, 0, false},
                   {"wake-nobody", idle_begin, NULL, idle_wake_nobody, idle_end, 0, false},
                   {"wake-searching", idle_begin, NULL, idle_wake_searching, idle_end, 0, false}},
    },
    {
        .name = "bell",
        .what = "How control is woken: awake, asleep for what is more urgent, and woken.",
        .micros = {{"ring-awake", bell_begin, NULL, bell_ring_awake, bell_end, 0, false},
                   {"ring-in-vain", bell_begin, NULL, bell_arm_and_disarm, bell_end, 0, false},
                   {"ring-asleep", bell_begin, NULL, bell_ring_asleep, bell_end, 0, false}},
    },
    {
        .name = "tokens",
        .what = "How a record that is finished later is found, step by step.",
        .micros = {{"make", tokens_begin, tokens_to_make, tokens_make_all, tokens_end, 0, false},
                   {"return", tokens_begin, tokens_to_return, tokens_return_all, tokens_end, 0,
                    false},
                   {"claim", tokens_begin, tokens_to_claim, tokens_claim_all, tokens_end, 0,
                    false},
                   {"complete", tokens_begin, tokens_to_complete, tokens_complete_all, tokens_end,
                    0, false},
                   {"free", tokens_begin, tokens_to_free, tokens_free_all, tokens_end, 0, false}},
    },
    {.name = NULL},
};
