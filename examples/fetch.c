/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Fetches what records name: the value of each record of the topic "urls" in an embedded log is a
 * URL, and those of one key are requested one after the other.
 *
 *     printf 'debian\thttp://deb.debian.org/debian/README\n' | append urls.log urls
 *     fetch urls.log 5000
 *     letters urls.log urls.dead list
 *
 * So many requests at most are under way at once, by two threads: a handler hands its record to
 * one of them and answers later, so that no worker waits for a server. When the answer has come
 *
 *     2xx                     the record is done; a real program would keep the body, which is
 *                             only counted here
 *     404, 410                it is skipped
 *     408, 429, 5xx, or none  it is requested again: when Retry-After says, else at growing
 *                             distances; the tenth time it becomes a dead letter
 *     anything else           it is a dead letter at once, in the topic "urls.dead"
 *
 * SIGTERM or SIGINT end it: what is under way is given up, and requested again by the next run.
 * Exit status: 0 stopped; 1 an error; 2 wrong arguments.
 */
#include <klane/sqlite.h>

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>

#define FETCHERS 2
#define AT_ONCE_MAX 100000
#define BUSY_MS 5000
#define ANSWER_MS 30000L
#define ATTEMPTS 10
#define RETRY_AFTER_MAX_S 3600

/** How soon a fetcher notices that what it does is in vain. */
#define LOOK_MS 200

/** Descriptors besides those of requests. */
#define DESCRIPTORS 100

/** A record that is to be answered. What the record points to stays until it is finished. */
struct transfer {
    TAILQ_ENTRY(transfer) link; /* of the one list that it is in */
    struct klane_record record;
    klane_token_t token;
    CURL *easy; /* NULL: not begun */
    size_t bytes;
};

TAILQ_HEAD(transfers, transfer);

/** A thread of ours, and what belongs to it. */
struct fetcher {
    struct klane_runtime *runtime;
    pthread_t thread;
    CURLM *multi;
    long most; /* under way at once */
    long count;
    struct transfers under_way;
    struct transfers waiting;
    _Atomic bool is_over; /* main's */
    pthread_mutex_t lock;
    struct transfers inbox; /* handlers put in, the thread takes out; under the lock */
};

/** For the signal handler; set before the signals are caught. */
static struct klane_runtime *stoppable;

static void on_signal(int signal)
{
    (void)signal;
    klane_stop(stoppable);
}

/* ---- the handler ------------------------------------------------------------------------- */

static enum klane_outcome on_url(const struct klane_record *record, void *context)
{
    struct fetcher *fetchers = context;
    struct fetcher *fetcher = &fetchers[record->offset % FETCHERS];
    struct transfer *transfer = calloc(1, sizeof *transfer);
    enum klane_outcome outcome;

    if (transfer == NULL)
        return klane_retry(record, -1, "memory is exhausted");
    transfer->record = *record;
    outcome = klane_later(record, &transfer->token);
    /* From here on it may be finished, and all of it gone, before this function returns. */
    pthread_mutex_lock(&fetcher->lock);
    TAILQ_INSERT_TAIL(&fetcher->inbox, transfer, link);
    pthread_mutex_unlock(&fetcher->lock);
    curl_multi_wakeup(fetcher->multi);
    return outcome;
}

/* ---- a transfer, on its fetcher's thread ------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;

    (void)bytes;
    transfer->bytes += size * count;
    return size * count;
}

static bool set_up(struct transfer *transfer)
{
    const struct klane_record *record = &transfer->record;
    char *url = strndup(record->value != NULL ? record->value : "", record->value_size);
    CURL *easy = transfer->easy = curl_easy_init();
    bool is_set = url != NULL && easy != NULL &&
                  curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, ANSWER_MS) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
                  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK;

    free(url);
    return is_set;
}

/** The record goes its way, and the transfer, which is in this list, goes. What klane_finish()
 *  returns may be left alone: if the partition was given up, its new owner runs the record. */
static void finish(struct fetcher *fetcher, struct transfers *list, struct transfer *transfer,
                   enum klane_outcome outcome, int64_t delay_ms, const char *reason)
{
    klane_finish(fetcher->runtime, transfer->token, outcome, delay_ms, reason);
    TAILQ_REMOVE(list, transfer, link);
    if (list == &fetcher->under_way) {
        curl_multi_remove_handle(fetcher->multi, transfer->easy);
        fetcher->count--;
    }
    curl_easy_cleanup(transfer->easy);
    free(transfer);
}

static void begin(struct fetcher *fetcher, struct transfer *transfer)
{
    if (!set_up(transfer) || curl_multi_add_handle(fetcher->multi, transfer->easy) != CURLM_OK) {
        finish(fetcher, &fetcher->waiting, transfer, KLANE_RETRY, -1, "memory is exhausted");
        return;
    }
    TAILQ_REMOVE(&fetcher->waiting, transfer, link);
    TAILQ_INSERT_TAIL(&fetcher->under_way, transfer, link);
    fetcher->count++;
}

static enum klane_outcome judge(CURLcode code, long status)
{
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return KLANE_DEAD_LETTER;
    if (code != CURLE_OK || status == 408 || status == 429 || status >= 500)
        return KLANE_RETRY;
    if (status == 404 || status == 410)
        return KLANE_SKIP;
    return status >= 200 && status < 300 ? KLANE_DONE : KLANE_DEAD_LETTER;
}

/** The answer has come, or it is known that none will. */
static void on_answer(struct fetcher *fetcher, CURL *easy, CURLcode code)
{
    static const char *const WORDS[] = {[KLANE_DONE] = "done",
                                        [KLANE_RETRY] = "again",
                                        [KLANE_SKIP] = "skipped",
                                        [KLANE_DEAD_LETTER] = "dead letter"};
    struct transfer *transfer;
    const struct klane_record *record;
    enum klane_outcome outcome;
    curl_off_t after_s = 0;
    long status = 0;
    char reason[128];

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &after_s);
    record = &transfer->record;
    outcome = judge(code, status);
    if (after_s > RETRY_AFTER_MAX_S)
        after_s = RETRY_AFTER_MAX_S;
    if (code == CURLE_OK)
        snprintf(reason, sizeof reason, "status %ld, %zu bytes", status, transfer->bytes);
    else
        snprintf(reason, sizeof reason, "%s", curl_easy_strerror(code));
    printf("%.*s %.*s: %s: %s\n", (int)record->key_size,
           record->key != NULL ? (const char *)record->key : "", (int)record->value_size,
           record->value != NULL ? (const char *)record->value : "", reason, WORDS[outcome]);
    finish(fetcher, &fetcher->under_way, transfer, outcome, after_s > 0 ? after_s * 1000 : -1,
           reason);
}

/* ---- the fetchers ------------------------------------------------------------------------ */

/** Give up what is in vain: all of it once the runtime stops, in whatever way. */
static void give_up(struct fetcher *fetcher, struct transfers *list)
{
    struct transfer *transfer, *next;

    for (transfer = TAILQ_FIRST(list); transfer != NULL; transfer = next) {
        next = TAILQ_NEXT(transfer, link);
        if (klane_token_cancelled(fetcher->runtime, transfer->token))
            finish(fetcher, list, transfer, KLANE_RETRY, 0, "given up");
    }
}

static void take_over(struct fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    TAILQ_CONCAT(&fetcher->waiting, &fetcher->inbox, link);
    pthread_mutex_unlock(&fetcher->lock);
    give_up(fetcher, &fetcher->waiting);
    give_up(fetcher, &fetcher->under_way);
}

static void *fetch(void *context)
{
    struct fetcher *fetcher = context;

    while (!fetcher->is_over) {
        CURLMsg *message;
        int number;

        take_over(fetcher);
        while (fetcher->count < fetcher->most && !TAILQ_EMPTY(&fetcher->waiting))
            begin(fetcher, TAILQ_FIRST(&fetcher->waiting));
        curl_multi_perform(fetcher->multi, &number);
        while ((message = curl_multi_info_read(fetcher->multi, &number)) != NULL)
            if (message->msg == CURLMSG_DONE)
                on_answer(fetcher, message->easy_handle, message->data.result);
        /* Until a socket or a timer of libcurl's wants something, or a handler wakes it. */
        curl_multi_poll(fetcher->multi, NULL, 0, LOOK_MS, NULL);
    }
    take_over(fetcher);
    return NULL;
}

static bool fetchers_begin(struct fetcher *fetchers, struct klane_runtime *runtime, long at_once)
{
    for (int i = 0; i < FETCHERS; i++) {
        struct fetcher *fetcher = &fetchers[i];

        fetcher->runtime = runtime;
        fetcher->most = (at_once + i) / FETCHERS;
        pthread_mutex_init(&fetcher->lock, NULL);
        TAILQ_INIT(&fetcher->under_way);
        TAILQ_INIT(&fetcher->waiting);
        TAILQ_INIT(&fetcher->inbox);
        fetcher->multi = curl_multi_init();
        /* Connections are kept for the next request: no more than there may be at once. */
        if (fetcher->multi == NULL ||
            curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, fetcher->most) != CURLM_OK ||
            pthread_create(&fetcher->thread, NULL, fetch, fetcher) != 0)
            return false;
    }
    return true;
}

/** After the runtime has stopped. */
static void fetchers_end(struct fetcher *fetchers)
{
    for (int i = 0; i < FETCHERS; i++) {
        fetchers[i].is_over = true;
        curl_multi_wakeup(fetchers[i].multi);
        pthread_join(fetchers[i].thread, NULL);
        curl_multi_cleanup(fetchers[i].multi);
    }
}

/* ---- the program ------------------------------------------------------------------------- */

/** Make all three, or say why not. */
static bool make(const char *path, long at_once, struct klane_source **source,
                 struct klane_letters **letters, struct klane_runtime **runtime)
{
    struct klane_options options;
    char why[256];

    klane_options_init(&options, sizeof options);
    /* Room for those under way, and for what waits behind them in its lane. */
    options.records_max = (uint32_t)at_once * 4 + 16;
    if (klane_sqlite_create(path, "fetch", KLANE_SQLITE_STANDBY, source, why, sizeof why) ==
            KLANE_OK &&
        klane_sqlite_letters(path, BUSY_MS, "urls.dead", letters, why, sizeof why) == KLANE_OK &&
        klane_create(&options, *source, runtime, why, sizeof why) == KLANE_OK)
        return true;
    fprintf(stderr, "%s\n", why);
    return false;
}

static klane_err_t handle_urls(struct klane_runtime *runtime, struct fetcher *fetchers,
                               struct klane_letters *letters)
{
    struct klane_route route;

    klane_route_init(&route, sizeof route);
    route.topic = "urls";
    route.handler = on_url;
    route.context = fetchers;
    route.retry_delay_ms = 500;
    route.retry_delay_max_ms = 60000;
    route.attempts_max = ATTEMPTS;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    return klane_route(runtime, &route);
}

static void catch_signals(struct klane_runtime *runtime)
{
    struct sigaction action = {.sa_handler = on_signal};

    stoppable = runtime;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    /* A server that hangs up is an answer like any other. */
    signal(SIGPIPE, SIG_IGN);
}

/** Each request has a descriptor. */
static bool allow_descriptors(long at_once)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           limit.rlim_cur >= (rlim_t)at_once + DESCRIPTORS;
}

static klane_err_t run(struct klane_runtime *runtime, struct klane_letters *letters, long at_once)
{
    static struct fetcher fetchers[FETCHERS];
    klane_err_t err = handle_urls(runtime, fetchers, letters);

    if (err != KLANE_OK)
        return err;
    if (!fetchers_begin(fetchers, runtime, at_once))
        return KLANE_ERR_SYSTEM;
    catch_signals(runtime);
    err = klane_run(runtime);
    /* From here on a signal has nothing to stop. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    fetchers_end(fetchers);
    return err;
}

int main(int argc, char **argv)
{
    struct klane_source *source = NULL;
    struct klane_letters *letters = NULL;
    struct klane_runtime *runtime = NULL;
    long at_once = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    klane_err_t err = KLANE_ERR_INVALID;

    if (at_once < FETCHERS || at_once > AT_ONCE_MAX) {
        fprintf(stderr, "usage: fetch LOG AT-ONCE (%d to %d)\n", FETCHERS, AT_ONCE_MAX);
        return 2;
    }
    if (!allow_descriptors(at_once)) {
        fprintf(stderr, "fewer descriptors are allowed than requests: see ulimit -n\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (make(argv[1], at_once, &source, &letters, &runtime)) {
        err = run(runtime, letters, at_once);
        if (err != KLANE_OK)
            fprintf(stderr, "%s\n", klane_strerror(err));
    }
    if (klane_destroy(runtime) != KLANE_OK)
        return EXIT_FAILURE; /* A handler is out: what it uses stays until the process ends. */
    if (runtime == NULL)
        klane_source_destroy(source);
    klane_letters_destroy(letters);
    curl_global_cleanup();
    return err == KLANE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
