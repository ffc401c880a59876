/* node-relay PID PORT...: what listens on loopback inside the network namespace of the process PID
 * can be reached at the same ports on this side's loopback. Ends when PID ends, so that nothing is
 * left of a node that was killed. */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PORTS_MAX 32
#define THREAD_STACK_BYTES (256UL * 1024)

struct way {
    int from, to;
};

/* One accepted connection; its own thread owns it. */
struct call {
    int fd;
    in_port_t port;
};

static struct sockaddr_in loopback(in_port_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int write_all(int fd, const char *data, ssize_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, data, (size_t)length);
        if (done < 0)
            return -1;
        data += done;
        length -= done;
    }
    return 0;
}

/* Copies until one side ends. A clean end is passed on; a broken connection ends the other way,
 * too. */
static void *copy(void *argument)
{
    const struct way *way = argument;
    char buffer[16384];
    ssize_t length;

    do {
        length = read(way->from, buffer, sizeof(buffer));
    } while (length > 0 && write_all(way->to, buffer, length) == 0);
    if (length == 0) {
        shutdown(way->to, SHUT_WR);
    } else {
        shutdown(way->from, SHUT_RDWR);
        shutdown(way->to, SHUT_RDWR);
    }
    return NULL;
}

static void *serve(void *argument)
{
    struct call call = *(struct call *)argument;
    struct sockaddr_in address = loopback(call.port);
    int inner = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct way out = {call.fd, inner}, back = {inner, call.fd};
    pthread_t other;

    free(argument);
    if (inner >= 0 && connect(inner, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        pthread_create(&other, NULL, copy, &back) == 0) {
        copy(&out);
        pthread_join(other, NULL);
    }
    close(call.fd);
    if (inner >= 0)
        close(inner);
    return NULL;
}

static void accept_call(int listener, in_port_t port, const pthread_attr_t *detached)
{
    pthread_t thread;
    struct call *call = malloc(sizeof(*call));

    if (!call)
        err(1, "memory");
    call->port = port;
    call->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (call->fd >= 0 && pthread_create(&thread, detached, serve, call) == 0)
        return; /* the thread owns it now */
    if (call->fd >= 0)
        close(call->fd);
    free(call);
}

static int listen_on(in_port_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
        err(1, "port %d", (int)port);
    return fd;
}

static long number(const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (value < 1 || value > max || *end)
        errx(2, "'%s' is no number up to %ld", text, max);
    return value;
}

/* Sockets stay in the namespace in which they were made: those that listen out here, those that
 * connect in there. */
static void enter(long pid)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%ld/ns/net", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        err(1, "%s", path);
    close(fd);
}

int main(int argc, char **argv)
{
    struct pollfd polled[PORTS_MAX + 1] = {0};
    in_port_t ports[PORTS_MAX];
    pthread_attr_t detached;
    int count = argc - 2;
    long pid;

    if (count < 1 || count > PORTS_MAX)
        errx(2, "usage: node-relay PID PORT...");
    signal(SIGPIPE, SIG_IGN);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, THREAD_STACK_BYTES);
    pid = number(argv[1], INT32_MAX);
    polled[count].fd = (int)syscall(SYS_pidfd_open, pid, 0);
    polled[count].events = POLLIN;
    if (polled[count].fd < 0)
        err(1, "process %ld", pid);
    for (int i = 0; i < count; i++) {
        ports[i] = (in_port_t)number(argv[i + 2], UINT16_MAX);
        polled[i] = (struct pollfd){.fd = listen_on(ports[i]), .events = POLLIN};
    }
    enter(pid);
    while (poll(polled, (nfds_t)count + 1, -1) >= 0 || errno == EINTR) {
        if (polled[count].revents)
            return 0; /* the node is gone */
        for (int i = 0; i < count; i++)
            if (polled[i].revents)
                accept_call(polled[i].fd, ports[i], &detached);
    }
    err(1, "poll");
}
