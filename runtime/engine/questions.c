/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the program's threads about one partition, which control answers between two
 * rounds. Upholds: whoever asked is answered, by the last round at the latest. */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

static const struct klane_assignment *find(const struct klane_runtime *runtime,
                                           const struct question *question)
{
    const struct klane_assignment *each;

    for (each = runtime->control.core.assignments; each != NULL; each = each->next)
        if (assignment_state(each) != ASSIGNMENT_ENDED &&
            each->partition->number == question->partition &&
            strcmp(each->partition->topic->name, question->topic) == 0)
            return each;
    return NULL;
}

void questions_answer(struct klane_runtime *runtime)
{
    struct mail *mail = mailbox_collect(&runtime->questions), *next;

    for (; mail != NULL; mail = next) {
        struct question *question = (struct question *)(void *)mail;
        const struct klane_assignment *assignment;

        next = mailbox_next(mail);
        assignment = find(runtime, question);
        question->err = assignment == NULL
                            ? KLANE_ERR_NOT_FOUND
                            : question->answer(runtime, assignment, question->answered_to);
        /* The question may be gone as soon as it is answered. */
        sem_post(&question->answered);
    }
}

klane_err_t question_ask(struct klane_runtime *runtime, const char *topic, int32_t partition,
                         question_fn answer, void *to)
{
    struct question question = {
        .topic = topic, .partition = partition, .answer = answer, .answered_to = to};
    bool running;

    if (runtime_forked(runtime))
        return KLANE_ERR_FORKED;
    if (runtime_is_control(runtime))
        return KLANE_ERR_STATE;
    if (sem_init(&question.answered, 0, 0) != 0)
        return KLANE_ERR_SYSTEM;
    pthread_mutex_lock(&runtime->lock);
    running = runtime_state(runtime) == RUNTIME_RUNNING;
    if (running)
        mailbox_send(&runtime->questions, &question.mail);
    pthread_mutex_unlock(&runtime->lock);
    if (running) {
        bell_ring(&runtime->bell, BELL_URGENT);
        while (sem_wait(&question.answered) == -1 && errno == EINTR)
            continue;
    }
    sem_destroy(&question.answered);
    return running ? question.err : KLANE_ERR_STATE;
}
