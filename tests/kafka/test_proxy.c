/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy of kafka/proxy.h, with both ends of a connection in the test's hands. */
#include "kafka/proxy.h"

#include "base/clock.h"
#include "lib/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define QUIET_MS 150 /* so long nothing comes */

struct world {
    struct proxy *proxy;
    int listener;
    int client;
    int server;
};

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int try_to_connect(const struct world *world)
{
    struct sockaddr_in address = address_of(proxy_port(world->proxy, 0));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_readable(int fd, int wait_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};

    return poll(&polled, 1, wait_ms) == 1;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct sockaddr_in address = address_of(0);
    socklen_t size = sizeof(address);

    assert_non_null(world);
    world->proxy = proxy_create(2);
    assert_non_null(world->proxy);
    world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(world->listener, 8), 0);
    assert_int_equal(getsockname(world->listener, (struct sockaddr *)&address, &size), 0);
    proxy_target(world->proxy, 0, ntohs(address.sin_port));
    world->client = try_to_connect(world);
    assert_true(world->client >= 0 && is_readable(world->listener, PATIENCE_MS));
    world->server = accept(world->listener, NULL, NULL);
    assert_true(world->server >= 0);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    close(world->client);
    close(world->server);
    close(world->listener);
    proxy_destroy(world->proxy);
    free(world);
    return 0;
}

static void send_all(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void assert_comes(int fd, const char *text)
{
    char got[64];

    for (size_t size = 0; size < strlen(text);) {
        ssize_t more;

        assert_true(is_readable(fd, PATIENCE_MS));
        more = recv(fd, got + size, strlen(text) - size, 0);
        assert_true(more > 0);
        assert_memory_equal(got + size, text + size, (size_t)more);
        size += (size_t)more;
    }
}

/* ---- the cases --------------------------------------------------------------------------- */

static void bytes_pass_both_ways_and_so_does_the_end(void **state)
{
    struct world *world = *state;
    char byte;

    send_all(world->client, "a question");
    assert_comes(world->server, "a question");
    shutdown(world->client, SHUT_WR);
    assert_true(is_readable(world->server, PATIENCE_MS));
    assert_int_equal(recv(world->server, &byte, 1, 0), 0);
    send_all(world->server, "an answer");
    assert_comes(world->client, "an answer");
    assert_int_equal(proxy_counts(world->proxy, 0).connections, 1);
    assert_int_equal(proxy_counts(world->proxy, 0).bytes[PROXY_UP], strlen("a question"));
    assert_int_equal(proxy_counts(world->proxy, 0).bytes[PROXY_DOWN], strlen("an answer"));
}

/* got: room for as many. */
static void carry_up(struct world *world, unsigned char *bytes, unsigned char *got, size_t size)
{
    size_t sent = 0, arrived = 0;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    while (arrived < size) {
        ssize_t done = sent == size ? 0
                                    : send(world->client, bytes + sent, size - sent,
                                           MSG_DONTWAIT | MSG_NOSIGNAL);

        if (done > 0)
            sent += (size_t)done;
        assert_true(is_readable(world->server, PATIENCE_MS));
        done = recv(world->server, got + arrived, size - arrived, 0);
        assert_true(done > 0);
        arrived += (size_t)done;
    }
    assert_memory_equal(bytes, got, size);
}

static void much_passes_as_it_is(void **state)
{
    struct world *world = *state;
    static unsigned char bytes[1 << 20], got[1 << 20];
    const struct proxy_faults faults = {.ways = {[PROXY_UP] = {.delay_ms = 1, .jitter_ms = 5}}};

    proxy_set(world->proxy, 0, &faults);
    carry_up(world, bytes, got, sizeof(bytes));
}

static void a_delay_holds_back_one_way(void **state)
{
    struct world *world = *state;
    const struct proxy_faults faults = {
        .ways = {[PROXY_DOWN] = {.delay_ms = 200, .jitter_ms = 50}}};
    int64_t began_ms;

    proxy_set(world->proxy, 0, &faults);
    began_ms = clock_now_ms();
    send_all(world->server, "first");
    send_all(world->server, "second");
    assert_comes(world->client, "firstsecond");
    assert_true(clock_now_ms() - began_ms >= 200);
    proxy_set(world->proxy, 0, NULL);
    send_all(world->client, "back");
    assert_comes(world->server, "back");
}

/* Half of what it passes in a second. */
static void assert_rate(struct world *world, uint32_t rate)
{
    const struct proxy_faults faults = {.ways = {[PROXY_UP] = {.rate = rate}}};
    unsigned char *bytes = malloc(rate);
    int64_t began_ms;

    assert_non_null(bytes);
    proxy_set(world->proxy, 0, &faults);
    began_ms = clock_now_ms();
    carry_up(world, bytes, bytes + rate / 2, rate / 2);
    /* The first slice goes at once, and one may be late. */
    assert_true(clock_now_ms() - began_ms >= 450);
    free(bytes);
}

static void a_slow_link_passes_no_more_than_its_rate(void **state)
{
    assert_rate(*state, 10000);
    assert_rate(*state, 100 << 20);
}

static void a_cut_resets_in_the_middle(void **state)
{
    struct world *world = *state;
    const struct proxy_faults faults = {.ways = {[PROXY_UP] = {.cut = 4}}};
    char byte;

    proxy_set(world->proxy, 0, &faults);
    send_all(world->client, "abcdefgh");
    assert_comes(world->server, "abcd");
    assert_true(is_readable(world->server, PATIENCE_MS));
    assert_int_equal(recv(world->server, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_true(is_readable(world->client, PATIENCE_MS));
    assert_int_equal(recv(world->client, &byte, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(proxy_counts(world->proxy, 0).cuts, 1);
}

static void a_black_hole_takes_connections_and_passes_nothing(void **state)
{
    struct world *world = *state;
    const struct proxy_faults faults = {
        .ways = {[PROXY_UP] = {.is_silent = true}, [PROXY_DOWN] = {.is_silent = true}}};
    int other;

    proxy_set(world->proxy, 0, &faults);
    other = try_to_connect(world);
    assert_true(other >= 0);
    send_all(world->client, "up");
    send_all(world->server, "down");
    assert_false(is_readable(world->server, QUIET_MS));
    assert_false(is_readable(world->client, QUIET_MS));
    proxy_set(world->proxy, 0, NULL);
    assert_comes(world->server, "up");
    assert_comes(world->client, "down");
    close(other);
}

static void a_half_open_link_passes_one_way(void **state)
{
    struct world *world = *state;
    const struct proxy_faults faults = {.ways = {[PROXY_DOWN] = {.is_silent = true}}};

    proxy_set(world->proxy, 0, &faults);
    send_all(world->client, "up");
    assert_comes(world->server, "up");
    send_all(world->server, "down");
    assert_false(is_readable(world->client, QUIET_MS));
    proxy_set(world->proxy, 0, NULL);
    assert_comes(world->client, "down");
}

static void a_link_that_refuses_does_so_and_comes_back(void **state)
{
    struct world *world = *state;
    const struct proxy_faults faults = {.is_refusing = true};
    int64_t due_ms = clock_now_ms() + PATIENCE_MS;
    int other;

    proxy_set(world->proxy, 0, &faults);
    while ((other = try_to_connect(world)) >= 0 && clock_now_ms() < due_ms)
        close(other);
    assert_int_equal(other, -1);
    send_all(world->client, "still there");
    assert_comes(world->server, "still there");
    proxy_set(world->proxy, 0, NULL);
    while ((other = try_to_connect(world)) < 0 && clock_now_ms() < due_ms)
        usleep(1000);
    assert_true(other >= 0);
    close(other);
}

static void a_target_that_is_away_resets(void **state)
{
    struct world *world = *state;
    char byte;
    int other;

    close(world->listener);
    world->listener = -1;
    other = try_to_connect(world);
    assert_true(other >= 0 && is_readable(other, PATIENCE_MS));
    assert_int_equal(recv(other, &byte, 1, 0), -1);
    close(other);
}

#define proxy_case(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        proxy_case(bytes_pass_both_ways_and_so_does_the_end),
        proxy_case(much_passes_as_it_is),
        proxy_case(a_delay_holds_back_one_way),
        proxy_case(a_slow_link_passes_no_more_than_its_rate),
        proxy_case(a_cut_resets_in_the_middle),
        proxy_case(a_black_hole_takes_connections_and_passes_nothing),
        proxy_case(a_half_open_link_passes_one_way),
        proxy_case(a_link_that_refuses_does_so_and_comes_back),
        proxy_case(a_target_that_is_away_resets),
    };

    return check_run(tests);
}
