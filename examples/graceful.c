/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A consumer that ends well. SIGTERM or SIGINT asks it to stop: no handler starts any more, those
 * that run may end, what is finished is committed; then it tells what it did. Its exit status says
 * how that went, so whoever runs it knows:
 *
 *     0  stopped, everything that was finished is committed
 *     1  it could not start, or it stopped on an error that it cannot repair
 *     2  wrong arguments
 *     3  handlers did not return in time; their records will be run again
 */
#include <klane/sqlite.h>

#include <signal.h>
#include <stdio.h>
#include <time.h>

#define WORK_MS 50
#define STOP_MS 5000

/** For the signal handler; set before the signals are caught. */
static struct klane_runtime *stoppable;

/** klane_stop() is one of the few calls that a signal handler may make. */
static void on_signal(int signal)
{
    (void)signal;
    klane_stop(stoppable);
}

static void catch_signals(struct klane_runtime *runtime)
{
    struct sigaction action = {.sa_handler = on_signal};

    stoppable = runtime;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/** Work that takes its time, in steps short enough to notice that it is in vain. */
static enum klane_outcome on_order(const struct klane_record *record, void *context)
{
    static const struct timespec STEP = {0, 10 * 1000000};

    (void)context;
    for (int done_ms = 0; done_ms < WORK_MS; done_ms += 10) {
        if (klane_cancelled(record))
            return klane_retry(record, 0, "stopping");
        nanosleep(&STEP, NULL);
    }
    return KLANE_DONE;
}

static void on_log(enum klane_log_level level, const char *line, void *context)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", level == KLANE_LOG_ERROR ? "error" : "note", line);
}

static void print_stats(struct klane_runtime *runtime)
{
    struct klane_stats stats;

    if (klane_stats_get(runtime, &stats, sizeof stats) != KLANE_OK)
        return;
    printf("%llu records taken in, %llu done, %llu skipped, %llu retries, %llu commits\n",
           (unsigned long long)stats.records, (unsigned long long)stats.done,
           (unsigned long long)stats.skipped, (unsigned long long)stats.retried,
           (unsigned long long)stats.commits);
}

static int exit_status(klane_err_t err)
{
    switch (err) {
    case KLANE_OK:
        return 0;
    case KLANE_ERR_BUSY:
        return 3;
    default:
        return 1;
    }
}

static klane_err_t run(struct klane_runtime *runtime)
{
    klane_err_t err = klane_handle(runtime, "orders", on_order, NULL);

    if (err == KLANE_OK)
        err = klane_start(runtime);
    if (err == KLANE_OK) {
        err = klane_wait(runtime, -1);
        print_stats(runtime);
    }
    if (err != KLANE_OK)
        fprintf(stderr, "%s\n", klane_strerror(err));
    return err;
}

int main(int argc, char **argv)
{
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    struct klane_options options;
    char why[256];
    klane_err_t err;

    if (argc != 2) {
        fprintf(stderr, "usage: graceful LOG\n");
        return 2;
    }
    klane_options_init(&options, sizeof options);
    options.stop_ms = STOP_MS;
    options.log = on_log;
    if (klane_sqlite_create(argv[1], "graceful", KLANE_SQLITE_STANDBY, &source, why,
                            sizeof why) != KLANE_OK ||
        klane_create(&options, source, &runtime, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        /* A runtime owns its source, but there is none. */
        klane_source_destroy(source);
        return 1;
    }
    catch_signals(runtime);
    err = run(runtime);

    /* From here on a signal has nothing to stop. Where handlers are out nothing is freed. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    klane_destroy(runtime);
    return exit_status(err);
}
