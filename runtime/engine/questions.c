/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and orders of the program's threads, which control answers between two rounds.
 * Upholds: whoever asked is answered, by the last round at the latest. */
#include "base/clock.h"
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

static struct klane_assignment *find(const struct klane_runtime *runtime,
                                     const struct question *question)
{
    struct klane_assignment *each;

    for (each = runtime->control.core.assignments; each != NULL; each = each->next)
        if (assignment_state(each) != ASSIGNMENT_ENDED &&
            each->partition->number == question->partition &&
            strcmp(each->partition->topic->name, question->topic) == 0)
            return each;
    return NULL;
}

static klane_err_t answer(struct klane_runtime *runtime, const struct question *question)
{
    struct klane_assignment *assignment = NULL;

    if (question->topic != NULL && (assignment = find(runtime, question)) == NULL)
        return KLANE_ERR_NOT_FOUND;
    return question->answer(runtime, assignment, question->with);
}

static void look_at(struct klane_runtime *runtime, struct question *question)
{
    struct control *control = &runtime->control;
    klane_err_t err = answer(runtime, question);

    if (err == QUESTION_WAITS && runtime_state(runtime) != RUNTIME_RUNNING)
        err = KLANE_ERR_STOPPED;
    if (err == QUESTION_WAITS && control->now_ms >= question->deadline_ms)
        err = KLANE_ERR_TIMEOUT;
    if (err == QUESTION_WAITS) {
        question->next = control->waiting;
        control->waiting = question;
        return;
    }
    question->err = err;
    /* The question may be gone as soon as it is answered. */
    sem_post(&question->answered);
}

void questions_answer(struct klane_runtime *runtime)
{
    struct question *waiting = runtime->control.waiting, *next_waiting;
    struct mail *mail = mailbox_collect(&runtime->questions), *next;

    runtime->control.waiting = NULL;
    for (; waiting != NULL; waiting = next_waiting) {
        next_waiting = waiting->next;
        look_at(runtime, waiting);
    }
    for (; mail != NULL; mail = next) {
        next = mailbox_next(mail);
        look_at(runtime, (struct question *)(void *)mail);
    }
}

int64_t questions_due_ms(const struct klane_runtime *runtime)
{
    int64_t due_ms = INT64_MAX;

    for (const struct question *each = runtime->control.waiting; each; each = each->next)
        if (each->deadline_ms < due_ms)
            due_ms = each->deadline_ms;
    return due_ms;
}

klane_err_t question_ask(struct klane_runtime *runtime, struct question *question)
{
    bool running;

    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    if (runtime_is_control(runtime))
        return KLANE_ERR_STATE;
    if (sem_init(&question->answered, 0, 0) != 0)
        return KLANE_ERR_SYSTEM;
    pthread_mutex_lock(&runtime->lock);
    running = runtime_state(runtime) == RUNTIME_RUNNING;
    if (running)
        mailbox_send(&runtime->questions, &question->mail);
    pthread_mutex_unlock(&runtime->lock);
    if (running) {
        bell_ring(&runtime->bell, BELL_URGENT);
        while (sem_wait(&question->answered) == -1 && errno == EINTR)
            continue;
    }
    sem_destroy(&question->answered);
    return running ? question->err : KLANE_ERR_STATE;
}
