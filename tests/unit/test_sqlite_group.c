/* SPDX-License-Identifier: Apache-2.0 */
/* One process consumes for a group of the embedded log; others wait for it to go, and one that was
 * passed over while it was paused is fenced. Every member is a process of its own. */
#include "lib/check.h"
#include "lib/scratch.h"

#include <klane/sqlite.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    MEMBERS_MAX = 64,
    KEYS = 8,
    BUSY_MS = 10000,
    PROBE_MS = 100,
    PATIENCE_MS = 20000,
    LOOK_MS = 2,
    STAY_MS = 1500, /* long enough for a member that waits to believe that the other has gone */
    HANDLER_MS = 5,
    COMMIT_MS = 50,
    /* Little to give up at an end: with many it takes so long under the race detector, on a busy
     * machine, that the member is passed over as one that is paused. */
    RECORDS_MAX = 256
};

/* What a member tells the others; in memory that all share. */
struct member {
    _Atomic int running;  /* handlers that run now */
    _Atomic int handled;  /* records */
    _Atomic int assigned; /* partitions that came, and went again */
    _Atomic int lost;
    _Atomic int commits;
    _Atomic int waiting; /* it was told that another consumes */
    _Atomic int fatal;   /* the error, 0: none */
    _Atomic bool is_dead;
};

struct shared {
    struct member members[MEMBERS_MAX];
    _Atomic int together; /* how often a handler of another member ran beside one */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- a member's process ------------------------------------------------------------------ */

static struct shared *shared;
static struct member *self;

static enum klane_outcome handle(const struct klane_record *record, void *context)
{
    (void)context;
    self->running++;
    for (struct member *other = shared->members; other < shared->members + MEMBERS_MAX; other++)
        if (other != self && !other->is_dead && other->running > 0)
            shared->together++;
    nap_ms(HANDLER_MS);
    self->running--;
    if (klane_cancelled(record))
        return KLANE_RETRY;
    self->handled++;
    return KLANE_DONE;
}

static void on_event(const struct klane_event *event, void *context)
{
    (void)context;
    if (event->type == KLANE_EVENT_ASSIGNED)
        self->assigned++;
    else if (event->type == KLANE_EVENT_LOST)
        self->lost++;
    else if (event->type == KLANE_EVENT_COMMITTED)
        self->commits++;
    else if (event->type == KLANE_EVENT_FATAL)
        self->fatal = (int)event->err;
    else if (event->type == KLANE_EVENT_SOURCE_ERROR && event->err == KLANE_ERR_TAKEN)
        self->waiting++;
}

static void on_log(enum klane_log_level level, const char *line, void *context)
{
    (void)level, (void)line, (void)context;
}

static struct shared *map(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    struct shared *mapped = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof *mapped) == 0)
        mapped = mmap(NULL, sizeof *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* Ends on SIGTERM, with the error of what did not succeed. */
static int consume(const char *path, const char *group, enum klane_sqlite_taken when_taken)
{
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    struct klane_options options;
    sigset_t signals;
    klane_err_t err;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    klane_options_init(&options, sizeof options);
    options.workers = 4;
    options.records_max = RECORDS_MAX;
    options.commit_interval_ms = COMMIT_MS;
    options.event = on_event;
    options.log = on_log;
    err = klane_sqlite_create(path, group, when_taken, &source, NULL, 0);
    if (err == KLANE_OK)
        err = klane_create(&options, source, &runtime, NULL, 0);
    if (err == KLANE_OK)
        err = klane_handle(runtime, "orders", handle, NULL);
    if (err == KLANE_OK)
        err = klane_start(runtime);
    if (err != KLANE_OK)
        return (int)err;
    while ((err = klane_wait(runtime, 0)) == KLANE_ERR_TIMEOUT) {
        struct timespec patience = {.tv_nsec = 5000000};

        if (sigtimedwait(&signals, NULL, &patience) == SIGTERM)
            klane_stop(runtime);
    }
    /* Of partitions that were lost handlers may still be out. */
    while (klane_destroy(runtime) == KLANE_ERR_BUSY)
        nap_ms(LOOK_MS);
    return (int)err;
}

/* PATH GROUP SHARED NUMBER WHEN_TAKEN */
static int member_main(char **arguments)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared = map(arguments[3]);
    if (shared == NULL)
        return EXIT_FAILURE;
    self = &shared->members[atoi(arguments[4])];
    return consume(arguments[1], arguments[2], (enum klane_sqlite_taken)atoi(arguments[5]));
}

/* ---- fixture ----------------------------------------------------------------------------- */

struct fixture {
    struct scratch scratch;
    char path[SCRATCH_PATH_SIZE];
    char shared_path[SCRATCH_PATH_SIZE];
    struct klane_sqlite *log;
    pid_t pids[MEMBERS_MAX]; /* 0: ended */
    int count;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    scratch_init(&fixture->scratch);
    scratch_path(&fixture->scratch, "log", fixture->path);
    scratch_path(&fixture->scratch, "shared", fixture->shared_path);
    shared = map(fixture->shared_path);
    assert_non_null(shared);
    assert_int_equal(klane_sqlite_open(fixture->path, BUSY_MS, &fixture->log, NULL, 0), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "orders", 1), KLANE_OK);
    assert_int_equal(klane_sqlite_topic(fixture->log, "beside", 1), KLANE_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < fixture->count; i++)
        if (fixture->pids[i] > 0) {
            kill(fixture->pids[i], SIGKILL);
            waitpid(fixture->pids[i], NULL, 0);
        }
    klane_sqlite_close(fixture->log);
    munmap(shared, sizeof *shared);
    scratch_deinit(&fixture->scratch);
    free(fixture);
    return 0;
}

static void append(struct fixture *fixture, int count)
{
    struct klane_sqlite_record *records = calloc((size_t)count, sizeof *records);

    assert_non_null(records);
    for (int i = 0; i < count; i++)
        records[i] = (struct klane_sqlite_record){.topic = "orders",
                                                  .key = &"abcdefgh"[i % KEYS],
                                                  .key_size = 1,
                                                  .timestamp_ms = -1,
                                                  .partition = -1};
    assert_int_equal(klane_sqlite_append_batch(fixture->log, records, (size_t)count, NULL),
                     KLANE_OK);
    free(records);
}

static int64_t committed(struct fixture *fixture)
{
    int64_t offset = -2;

    assert_int_equal(klane_sqlite_committed(fixture->log, "group", "orders", 0, &offset),
                     KLANE_OK);
    return offset;
}

static int begin(struct fixture *fixture, const char *group, enum klane_sqlite_taken when_taken)
{
    int number = fixture->count++;
    char text[16], when[16];
    pid_t pid;

    assert_true(number < MEMBERS_MAX);
    snprintf(text, sizeof text, "%d", number);
    snprintf(when, sizeof when, "%d", (int)when_taken);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "member", fixture->path, group, fixture->shared_path, text, when,
              (char *)NULL);
        _exit(EXIT_FAILURE);
    }
    fixture->pids[number] = pid;
    return number;
}

static int stand_by(struct fixture *fixture)
{
    return begin(fixture, "group", KLANE_SQLITE_STANDBY);
}

#define wait_until(condition)                                                                    \
    do {                                                                                         \
        int64_t due_ms = now_ms() + PATIENCE_MS;                                                 \
        while (!(condition)) {                                                                   \
            if (now_ms() > due_ms)                                                               \
                fail_msg("it did not come true: %s", #condition);                                \
            nap_ms(LOOK_MS);                                                                     \
        }                                                                                        \
    } while (0)

/* Consumes, and commits. */
static void wait_for_commit(int number)
{
    const struct member *member = &shared->members[number];
    int commits = member->commits;

    wait_until(member->commits > commits);
}

static void go_on(struct fixture *fixture, int number)
{
    kill(fixture->pids[number], SIGCONT);
}

/* In the middle of a transaction, be it one that cleans, it would stop whoever writes. */
static void pause_between_writes(struct fixture *fixture, int number)
{
    const struct klane_sqlite_record record = {.topic = "beside", .timestamp_ms = -1};
    struct klane_sqlite *log;
    klane_err_t err;

    assert_int_equal(klane_sqlite_open(fixture->path, PROBE_MS, &log, NULL, 0), KLANE_OK);
    for (;;) {
        kill(fixture->pids[number], SIGSTOP);
        assert_int_equal(waitpid(fixture->pids[number], NULL, WUNTRACED), fixture->pids[number]);
        err = klane_sqlite_append(log, &record, NULL);
        if (err != KLANE_ERR_BUSY)
            break;
        go_on(fixture, number);
        nap_ms(LOOK_MS);
    }
    assert_int_equal(err, KLANE_OK);
    klane_sqlite_close(log);
}

static int wait_for_end(struct fixture *fixture, int number)
{
    int status = 0;
    int64_t due_ms = now_ms() + PATIENCE_MS;
    pid_t pid;

    while ((pid = waitpid(fixture->pids[number], &status, WNOHANG)) == 0 && now_ms() < due_ms)
        nap_ms(LOOK_MS);
    assert_int_equal(pid, fixture->pids[number]);
    fixture->pids[number] = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void kill_member(struct fixture *fixture, int number)
{
    shared->members[number].is_dead = true;
    kill(fixture->pids[number], SIGKILL);
    waitpid(fixture->pids[number], NULL, 0);
    fixture->pids[number] = 0;
}

/* The member begins to consume; prints how long after. */
static void wait_for_begin(int number, const char *what)
{
    int64_t since_ms = now_ms();

    wait_until(shared->members[number].assigned > 0);
    printf("    after %lld ms: %s\n", (long long)(now_ms() - since_ms), what);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void a_second_process_waits_and_other_groups_go_on(void **state)
{
    struct fixture *fixture = *state;
    int first, second, other;

    append(fixture, 100);
    first = stand_by(fixture);
    wait_until(shared->members[first].assigned == 1);
    second = stand_by(fixture);
    wait_until(shared->members[second].waiting == 1);
    other = begin(fixture, "other", KLANE_SQLITE_STANDBY);
    wait_until(shared->members[other].handled == 100);

    nap_ms(STAY_MS);
    append(fixture, 100);
    wait_until(shared->members[first].handled == 200);
    wait_until(shared->members[other].handled == 200);
    assert_int_equal(shared->members[second].assigned, 0);
    assert_int_equal(shared->members[second].waiting, 1);
    assert_int_equal(shared->members[first].fatal, 0);
}

static void one_that_waits_ends_when_it_is_asked_to(void **state)
{
    struct fixture *fixture = *state;
    int first = stand_by(fixture), second;

    wait_until(shared->members[first].assigned == 1);
    second = stand_by(fixture);
    wait_until(shared->members[second].waiting == 1);
    kill(fixture->pids[second], SIGTERM);
    assert_int_equal(wait_for_end(fixture, second), KLANE_OK);
}

static void when_the_first_stops_the_second_goes_on_where_it_ended(void **state)
{
    struct fixture *fixture = *state;
    int first, second;

    append(fixture, 2000);
    first = stand_by(fixture);
    wait_until(shared->members[first].handled > 50);
    second = stand_by(fixture);
    wait_until(shared->members[second].waiting == 1);

    kill(fixture->pids[first], SIGTERM);
    assert_int_equal(wait_for_end(fixture, first), KLANE_OK);
    wait_for_begin(second, "the first had ended");
    wait_until(committed(fixture) == 2000);
    assert_int_equal(shared->members[first].handled + shared->members[second].handled, 2000);
    assert_int_equal(shared->together, 0);
}

static void when_the_first_is_killed_the_second_takes_over(void **state)
{
    struct fixture *fixture = *state;
    int first, second;

    append(fixture, 2000);
    first = stand_by(fixture);
    second = stand_by(fixture);
    wait_until(shared->members[first].assigned + shared->members[second].assigned == 1);
    if (shared->members[second].assigned == 1) {
        second = first;
        first = 1 - second;
    }
    wait_until(committed(fixture) > 0);

    kill_member(fixture, first);
    wait_for_begin(second, "the first was killed");
    wait_until(committed(fixture) == 2000);
    assert_int_equal(shared->together, 0);
}

static void one_that_was_paused_is_fenced_when_it_goes_on(void **state)
{
    struct fixture *fixture = *state;
    int first, second;
    int64_t offset;

    append(fixture, 20000);
    first = stand_by(fixture);
    wait_until(shared->members[first].assigned == 1);
    second = stand_by(fixture);
    wait_until(shared->members[second].waiting == 1);

    wait_for_commit(first);
    pause_between_writes(fixture, first);
    shared->members[first].is_dead = true;
    wait_for_begin(second, "the first was paused");
    wait_for_commit(second);
    offset = committed(fixture);

    go_on(fixture, first);
    assert_int_equal(wait_for_end(fixture, first), KLANE_ERR_FATAL);
    assert_int_equal(shared->members[first].fatal, KLANE_ERR_FENCED);
    assert_int_equal(shared->members[first].lost, 1);
    assert_true(committed(fixture) >= offset);
    offset = shared->members[second].handled;
    wait_until(shared->members[second].handled > offset + 100);
    assert_int_equal(shared->members[second].fatal, 0);
}

/* The name is used again: by nobody who could be taken for the paused one. */
static void one_whose_group_was_forgotten_meanwhile_is_fenced(void **state)
{
    struct fixture *fixture = *state;
    int first, second;

    append(fixture, 20000);
    first = stand_by(fixture);
    wait_for_commit(first);
    pause_between_writes(fixture, first);
    shared->members[first].is_dead = true;
    assert_int_equal(klane_sqlite_forget(fixture->log, "group"), KLANE_OK);
    assert_int_equal(committed(fixture), -1);
    second = stand_by(fixture);
    wait_for_commit(second);

    go_on(fixture, first);
    assert_int_equal(wait_for_end(fixture, first), KLANE_ERR_FATAL);
    assert_int_equal(shared->members[first].fatal, KLANE_ERR_FENCED);
    wait_for_commit(second);
    assert_int_equal(shared->members[second].fatal, 0);
}

static void one_that_was_paused_alone_goes_on(void **state)
{
    struct fixture *fixture = *state;
    int first;

    append(fixture, 1000);
    first = stand_by(fixture);
    wait_until(shared->members[first].handled > 10);
    pause_between_writes(fixture, first);
    nap_ms(STAY_MS);
    go_on(fixture, first);
    wait_until(committed(fixture) == 1000);
    assert_int_equal(shared->members[first].fatal, 0);
    assert_int_equal(shared->members[first].handled, 1000);
}

static void one_that_would_not_wait_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int first = begin(fixture, "group", KLANE_SQLITE_REFUSE), second;

    wait_until(shared->members[first].assigned == 1);
    second = begin(fixture, "group", KLANE_SQLITE_REFUSE);
    assert_int_equal(wait_for_end(fixture, second), KLANE_ERR_TAKEN);

    kill_member(fixture, first);
    second = begin(fixture, "group", KLANE_SQLITE_REFUSE);
    wait_until(shared->members[second].assigned == 1);

    pause_between_writes(fixture, second);
    first = begin(fixture, "group", KLANE_SQLITE_REFUSE);
    wait_until(shared->members[first].assigned == 1);
}

/* Both find the group free; only one gets it. */
static void of_two_that_would_not_wait_one_begins(void **state)
{
    struct fixture *fixture = *state;
    struct klane_source *sources[2];
    struct klane_runtime *runtimes[2];
    char why[512];

    self = &shared->members[0];
    for (int i = 0; i < 2; i++) {
        struct klane_options options;

        klane_options_init(&options, sizeof options);
        options.event = on_event;
        options.log = on_log;
        assert_int_equal(klane_sqlite_create(fixture->path, "group", KLANE_SQLITE_REFUSE,
                                             &sources[i], why, sizeof why),
                         KLANE_OK);
        assert_int_equal(klane_create(&options, sources[i], &runtimes[i], why, sizeof why),
                         KLANE_OK);
        assert_int_equal(klane_handle(runtimes[i], "orders", handle, NULL), KLANE_OK);
    }
    assert_int_equal(klane_start(runtimes[0]), KLANE_OK);
    wait_until(self->assigned == 1);
    assert_int_equal(klane_start(runtimes[1]), KLANE_OK);
    assert_int_equal(klane_wait(runtimes[1], PATIENCE_MS), KLANE_ERR_FATAL);
    assert_int_equal(self->fatal, KLANE_ERR_TAKEN);
    assert_int_equal(self->assigned, 1);
    klane_stop(runtimes[0]);
    assert_int_equal(klane_wait(runtimes[0], PATIENCE_MS), KLANE_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(klane_destroy(runtimes[i]), KLANE_OK);
}

static int active(const struct fixture *fixture)
{
    for (int i = 0; i < fixture->count; i++)
        if (fixture->pids[i] > 0 && shared->members[i].assigned > 0)
            return i;
    return -1;
}

static void one_at_a_time_consumes_whatever_happens_to_them(void **state)
{
    enum { ROUNDS = 20, WAITING = 3 };
    struct fixture *fixture = *state;
    uint64_t random = check_seed();
    uint64_t rounds = check_rounds(ROUNDS, MEMBERS_MAX - WAITING - 1);
    int number;

    append(fixture, 100000);
    for (int i = 0; i < WAITING; i++)
        stand_by(fixture);
    for (uint64_t i = 0; i < rounds; i++) {
        stand_by(fixture);
        wait_until((number = active(fixture)) >= 0);
        nap_ms((long)check_random_below(&random, 60));
        if (check_random_below(&random, 3) > 0) {
            kill_member(fixture, number);
        } else {
            kill(fixture->pids[number], SIGTERM);
            assert_int_equal(wait_for_end(fixture, number), KLANE_OK);
        }
    }
    wait_until((number = active(fixture)) >= 0);
    assert_int_equal(shared->together, 0);
    for (int i = 0; i < fixture->count; i++)
        assert_int_equal(shared->members[i].fatal, 0);
}

static void a_group_without_its_locks_is_still_fenced(void **state)
{
    struct fixture *fixture = *state;
    char locks[SCRATCH_PATH_SIZE];
    int first, second;

    append(fixture, 20000);
    first = stand_by(fixture);
    wait_until(shared->members[first].commits > 0);
    scratch_path(&fixture->scratch, "log-locks", locks);
    assert_int_equal(unlink(locks), 0);
    second = stand_by(fixture);
    wait_until(shared->members[second].assigned == 1);
    assert_int_equal(wait_for_end(fixture, first), KLANE_ERR_FATAL);
    assert_int_equal(shared->members[first].fatal, KLANE_ERR_FENCED);
    wait_until(shared->members[second].commits > 3);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_second_process_waits_and_other_groups_go_on),
        TEST(one_that_waits_ends_when_it_is_asked_to),
        TEST(when_the_first_stops_the_second_goes_on_where_it_ended),
        TEST(when_the_first_is_killed_the_second_takes_over),
        TEST(one_that_was_paused_is_fenced_when_it_goes_on),
        TEST(one_whose_group_was_forgotten_meanwhile_is_fenced),
        TEST(one_that_was_paused_alone_goes_on),
        TEST(one_that_would_not_wait_is_refused),
        TEST(of_two_that_would_not_wait_one_begins),
        TEST(one_at_a_time_consumes_whatever_happens_to_them),
        TEST(a_group_without_its_locks_is_still_fenced),
    };
#undef TEST

    if (argc == 6 && strcmp(argv[0], "member") == 0)
        return member_main(argv);
    return check_run(tests);
}
