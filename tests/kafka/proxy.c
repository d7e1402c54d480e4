/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/proxy.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOW_BYTES 65536
#define PORTIONS 64
#define SLICE_MS 20 /* a slow link passes what it may for so long at once */
#define CONNECTIONS_MAX 1000
#define NEVER_MS INT64_MAX

/* Bytes that came at once. */
struct portion {
    size_t size;
    int64_t due_ms;
};

/* One direction of a connection. */
struct flow {
    unsigned char bytes[FLOW_BYTES];
    size_t size;
    struct portion portions[PORTIONS];
    unsigned portion_count;
    int64_t free_ms;   /* when a slow link may pass more */
    uint64_t owed;     /* bytes that it has passed, and that make no whole millisecond yet */
    uint64_t cut_left; /* UINT64_MAX: it is not cut */
    bool has_ended;    /* nothing more comes */
    bool is_shut;      /* and the other side was told */
};

struct connection {
    LIST_ENTRY(connection) entry;
    int sockets[2]; /* of who connected, and of the target */
    size_t link;
    unsigned change; /* of the link's faults that is in force */
    bool is_over;
    struct flow flows[PROXY_WAYS]; /* flow i comes from socket i */
};

struct link {
    int listener; /* -1: it refuses. The thread's */
    uint16_t port;

    /* Under the lock. */
    uint16_t target; /* 0: none yet */
    struct proxy_faults faults;
    unsigned change; /* counts those */
    struct proxy_counts counts;
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int bell; /* an eventfd: something was changed */
    bool is_ending;
    LIST_HEAD(, connection) connections; /* the thread's */
    size_t connection_count;
    uint64_t random;
    size_t link_count;
    struct pollfd polled[1 + 2 * CONNECTIONS_MAX + 16];
    struct link links[];
};

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* port 0: any. -1: it could not be made. */
static int listen_on(uint16_t port)
{
    struct sockaddr_in address = address_of(port);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 128) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- connections ------------------------------------------------------------------------- */

/* Not with a goodbye: a reset. */
static void reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
}

static void end_connection(struct proxy *proxy, struct connection *connection)
{
    bool is_gentle = connection->flows[PROXY_UP].is_shut && connection->flows[PROXY_DOWN].is_shut;

    for (int i = 0; i < 2; i++)
        if (is_gentle)
            close(connection->sockets[i]);
        else
            reset(connection->sockets[i]);
    LIST_REMOVE(connection, entry);
    proxy->connection_count--;
    free(connection);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void accept_one(struct proxy *proxy, size_t index)
{
    struct link *link = &proxy->links[index];
    int client = accept4(link->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection = NULL;
    int server = -1, on = 1;

    if (client < 0)
        return;
    if (proxy->connection_count < CONNECTIONS_MAX && link->target != 0 &&
        (server = connect_to(link->target)) >= 0)
        connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        reset(client);
        if (server >= 0)
            close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->sockets[0] = client;
    connection->sockets[1] = server;
    connection->link = index;
    connection->change = link->change - 1;
    LIST_INSERT_HEAD(&proxy->connections, connection, entry);
    proxy->connection_count++;
    link->counts.connections++;
}

/* ---- bytes ------------------------------------------------------------------------------- */

static uint32_t chance(struct proxy *proxy, uint32_t limit)
{
    proxy->random = proxy->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)((proxy->random >> 33) % ((uint64_t)limit + 1));
}

static bool can_take(const struct flow *flow, const struct proxy_fault *fault)
{
    return !flow->has_ended && !fault->is_silent && flow->size < FLOW_BYTES &&
           flow->portion_count < PORTIONS;
}

static void take(struct proxy *proxy, struct connection *connection, int way,
                 const struct proxy_fault *fault)
{
    struct flow *flow = &connection->flows[way];
    ssize_t got =
        recv(connection->sockets[way], flow->bytes + flow->size, FLOW_BYTES - flow->size, 0);
    int64_t due_ms = clock_now_ms() + fault->delay_ms + chance(proxy, fault->jitter_ms);

    if (got < 0) {
        connection->is_over = errno != EAGAIN && errno != EINTR;
        return;
    }
    flow->has_ended = got == 0;
    if (got == 0)
        return;
    if (flow->portion_count > 0 && flow->portions[flow->portion_count - 1].due_ms > due_ms)
        due_ms = flow->portions[flow->portion_count - 1].due_ms;
    flow->size += (size_t)got;
    flow->portions[flow->portion_count++] = (struct portion){(size_t)got, due_ms};
}

/* When something may pass; NEVER_MS: nothing waits. */
static int64_t passes_ms(const struct flow *flow, const struct proxy_fault *fault)
{
    int64_t due_ms;

    if (fault->is_silent || flow->portion_count == 0)
        return NEVER_MS;
    due_ms = flow->portions[0].due_ms;
    return due_ms > flow->free_ms ? due_ms : flow->free_ms;
}

/* How much may pass now; not nothing. */
static size_t passing(const struct flow *flow, const struct proxy_fault *fault, int64_t now)
{
    size_t size = 0;

    for (unsigned i = 0; i < flow->portion_count && flow->portions[i].due_ms <= now; i++)
        size += flow->portions[i].size;
    if (fault->rate > 0 && size > (uint64_t)fault->rate * SLICE_MS / 1000 + 1)
        size = (uint64_t)fault->rate * SLICE_MS / 1000 + 1;
    return size < flow->cut_left ? size : flow->cut_left;
}

static void has_passed(struct flow *flow, size_t size)
{
    unsigned gone = 0;

    flow->size -= size;
    memmove(flow->bytes, flow->bytes + size, flow->size);
    for (; size > 0 && size >= flow->portions[gone].size; gone++)
        size -= flow->portions[gone].size;
    flow->portions[gone].size -= size;
    flow->portion_count -= gone;
    memmove(flow->portions, flow->portions + gone, flow->portion_count * sizeof(struct portion));
}

/* What the thread was late does not make the link slower, up to a slice. */
static void wait_after(struct flow *flow, uint64_t sent, uint32_t rate, int64_t now)
{
    uint64_t wait_ms = (flow->owed + sent) * 1000 / rate;
    int64_t from_ms = now - flow->free_ms < SLICE_MS ? flow->free_ms : now;

    flow->free_ms = from_ms + (int64_t)wait_ms;
    flow->owed = flow->owed + sent - wait_ms * rate / 1000;
}

static void pass(struct connection *connection, int way, const struct proxy_fault *fault,
                 struct proxy_counts *counts)
{
    struct flow *flow = &connection->flows[way];
    int64_t now = clock_now_ms();
    ssize_t sent =
        send(connection->sockets[1 - way], flow->bytes, passing(flow, fault, now), MSG_NOSIGNAL);

    if (sent < 0) {
        connection->is_over = errno != EAGAIN && errno != EINTR;
        return;
    }
    has_passed(flow, (size_t)sent);
    counts->bytes[way] += (uint64_t)sent;
    if (fault->rate > 0)
        wait_after(flow, (uint64_t)sent, fault->rate, now);
    if (flow->cut_left == UINT64_MAX)
        return;
    flow->cut_left -= (uint64_t)sent;
    if (flow->cut_left == 0) {
        counts->cuts++;
        connection->is_over = true;
    }
}

/* ---- the thread -------------------------------------------------------------------------- */

static void listen_or_refuse(struct link *link)
{
    if (link->faults.is_refusing && link->listener >= 0) {
        close(link->listener);
        link->listener = -1;
    } else if (!link->faults.is_refusing && link->listener < 0) {
        link->listener = listen_on(link->port);
    }
}

/* What the link's faults are by now. */
static void adopt(struct connection *connection, const struct link *link)
{
    if (connection->change == link->change)
        return;
    connection->change = link->change;
    for (int way = 0; way < PROXY_WAYS; way++) {
        struct flow *flow = &connection->flows[way];

        flow->cut_left = link->faults.ways[way].cut > 0 ? link->faults.ways[way].cut : UINT64_MAX;
        flow->free_ms = 0;
        flow->owed = 0;
    }
}

/* What to wait for on a connection; -1 instead of a socket: nothing, not even its end. */
static int64_t prepare_connection(struct proxy *proxy, struct connection *connection,
                                  struct pollfd *polled, int64_t now)
{
    const struct proxy_fault *faults = proxy->links[connection->link].faults.ways;
    int64_t due_ms = NEVER_MS;

    adopt(connection, &proxy->links[connection->link]);
    polled[0].events = polled[1].events = 0;
    for (int way = 0; way < PROXY_WAYS; way++) {
        const struct flow *flow = &connection->flows[way];
        int64_t at_ms = passes_ms(flow, &faults[way]);

        if (can_take(flow, &faults[way]))
            polled[way].events |= POLLIN;
        if (at_ms <= now)
            polled[1 - way].events |= POLLOUT;
        else if (at_ms < due_ms)
            due_ms = at_ms;
    }
    for (int i = 0; i < 2; i++)
        polled[i].fd = polled[i].events != 0 ? connection->sockets[i] : -1;
    return due_ms;
}

/* Returns when to look again at the latest. */
static int64_t prepare(struct proxy *proxy, nfds_t *count)
{
    struct connection *connection;
    int64_t now = clock_now_ms(), due_ms = NEVER_MS;

    *count = 0;
    proxy->polled[(*count)++] = (struct pollfd){.fd = proxy->bell, .events = POLLIN};
    for (size_t i = 0; i < proxy->link_count; i++) {
        listen_or_refuse(&proxy->links[i]);
        proxy->polled[(*count)++] =
            (struct pollfd){.fd = proxy->links[i].listener, .events = POLLIN};
        /* Its port may be somebody's for a moment. */
        if (proxy->links[i].listener < 0 && !proxy->links[i].faults.is_refusing)
            due_ms = now + SLICE_MS;
    }
    LIST_FOREACH(connection, &proxy->connections, entry)
    {
        int64_t at_ms = prepare_connection(proxy, connection, &proxy->polled[*count], now);

        *count += 2;
        if (at_ms < due_ms)
            due_ms = at_ms;
    }
    return due_ms;
}

/* What has come to its end is told to the other side, behind its last byte. */
static void shut(struct connection *connection)
{
    for (int way = 0; way < PROXY_WAYS; way++) {
        struct flow *flow = &connection->flows[way];

        if (!flow->has_ended || flow->is_shut || flow->size > 0)
            continue;
        shutdown(connection->sockets[1 - way], SHUT_WR);
        flow->is_shut = true;
    }
    if (connection->flows[PROXY_UP].is_shut && connection->flows[PROXY_DOWN].is_shut)
        connection->is_over = true;
}

static void work_on(struct proxy *proxy, struct connection *connection,
                    const struct pollfd *polled)
{
    struct link *link = &proxy->links[connection->link];
    const int any = POLLIN | POLLOUT | POLLHUP | POLLERR;

    for (int way = 0; way < PROXY_WAYS && !connection->is_over; way++) {
        const struct proxy_fault *fault = &link->faults.ways[way];
        struct flow *flow = &connection->flows[way];

        /* The faults may have changed since. */
        if ((polled[way].revents & any) != 0 && can_take(flow, fault))
            take(proxy, connection, way, fault);
        if (!connection->is_over && (polled[1 - way].revents & any) != 0 &&
            passes_ms(flow, fault) <= clock_now_ms())
            pass(connection, way, fault, &link->counts);
    }
    if (!connection->is_over)
        shut(connection);
}

static void look_at_all(struct proxy *proxy)
{
    const struct pollfd *polled = proxy->polled;
    struct connection *connection, *next;
    uint64_t rung;

    if (polled->revents != 0 && read(proxy->bell, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
        abort();
    polled += 1 + proxy->link_count;
    for (connection = LIST_FIRST(&proxy->connections); connection != NULL; connection = next) {
        next = LIST_NEXT(connection, entry);
        work_on(proxy, connection, polled);
        polled += 2;
        if (connection->is_over)
            end_connection(proxy, connection);
    }
    /* Behind those that were waited for: these were not yet. */
    for (size_t i = 0; i < proxy->link_count; i++)
        if (proxy->polled[1 + i].fd >= 0 && proxy->polled[1 + i].revents != 0)
            accept_one(proxy, i);
}

static void *run(void *argument)
{
    struct proxy *proxy = argument;
    nfds_t count;

    pthread_mutex_lock(&proxy->lock);
    while (!proxy->is_ending) {
        int64_t due_ms = prepare(proxy, &count);
        int64_t wait_ms = due_ms == NEVER_MS ? -1 : due_ms - clock_now_ms();

        pthread_mutex_unlock(&proxy->lock);
        if (due_ms != NEVER_MS && wait_ms < 0)
            wait_ms = 0;
        if (poll(proxy->polled, count, (int)wait_ms) < 0 && errno != EINTR)
            abort();
        pthread_mutex_lock(&proxy->lock);
        look_at_all(proxy);
    }
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

/* ---- from outside ------------------------------------------------------------------------ */

static void ring(struct proxy *proxy)
{
    const uint64_t one = 1;

    if (write(proxy->bell, &one, sizeof(one)) < 0)
        abort();
}

void proxy_destroy(struct proxy *proxy)
{
    if (proxy->bell >= 0) {
        pthread_mutex_lock(&proxy->lock);
        proxy->is_ending = true;
        pthread_mutex_unlock(&proxy->lock);
        ring(proxy);
        pthread_join(proxy->thread, NULL);
        close(proxy->bell);
    }
    while (!LIST_EMPTY(&proxy->connections))
        end_connection(proxy, LIST_FIRST(&proxy->connections));
    for (size_t i = 0; i < proxy->link_count; i++)
        if (proxy->links[i].listener >= 0)
            close(proxy->links[i].listener);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

static bool open_link(struct link *link)
{
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    link->listener = listen_on(0);
    if (link->listener < 0 ||
        getsockname(link->listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    link->port = ntohs(address.sin_port);
    return true;
}

struct proxy *proxy_create(size_t links)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy) + links * sizeof(struct link));
    bool is_made = proxy != NULL && links <= 16;

    if (proxy == NULL)
        return NULL;
    pthread_mutex_init(&proxy->lock, NULL);
    LIST_INIT(&proxy->connections);
    proxy->random = 1;
    for (; is_made && proxy->link_count < links; proxy->link_count++)
        is_made = open_link(&proxy->links[proxy->link_count]);
    proxy->bell = is_made ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (proxy->bell >= 0 && pthread_create(&proxy->thread, NULL, run, proxy) == 0)
        return proxy;
    if (proxy->bell >= 0)
        close(proxy->bell);
    proxy->bell = -1;
    proxy_destroy(proxy);
    return NULL;
}

uint16_t proxy_port(const struct proxy *proxy, size_t link)
{
    return proxy->links[link].port;
}

void proxy_target(struct proxy *proxy, size_t link, uint16_t port)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->links[link].target = port;
    pthread_mutex_unlock(&proxy->lock);
}

void proxy_set(struct proxy *proxy, size_t link, const struct proxy_faults *faults)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->links[link].faults =
        faults != NULL ? *faults : (struct proxy_faults){.is_refusing = 0};
    proxy->links[link].change++;
    pthread_mutex_unlock(&proxy->lock);
    ring(proxy);
}

struct proxy_counts proxy_counts(struct proxy *proxy, size_t link)
{
    struct proxy_counts counts;

    pthread_mutex_lock(&proxy->lock);
    counts = proxy->links[link].counts;
    pthread_mutex_unlock(&proxy->lock);
    return counts;
}
