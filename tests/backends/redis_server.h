/*
 * A private redis-server per test: loopback, a free port, a directory of its own, an ACL file with
 * an administrator who may do what reconcilers/backends/redis.h says it needs and no more. It dies
 * with the test.
 */
#pragma once

#include "tests/unit/test.h"

#include "reconcilers/backends/gate.h"
#include "reconcilers/backends/redis.h"
#include "server/adapters/crypto.h"
#include "server/adapters/redis_link.h"
#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/json.h"
#include "server/base/str.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADMIN_PASSWORD "admin-canary"
#define ADMIN_RIGHTS "-@all +acl +multi +exec +select +dbsize +flushdb +info +client|kill"

struct world {
    struct ctx ctx;
    char directory[128];
    pid_t server;
    bool tls, forgetful; /* forgetful: no ACL file; the user `default` administers */
    struct redis_pool pool;
};

static inline char *in_directory(struct world *world, const char *name)
{
    return arena_printf(world->ctx.arena, "%s/%s", world->directory, name);
}

static inline void write_file(const char *path, const char *text)
{
    _cleanup_file_ FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

/* A child that dies with us; its words go to the file `log`. */
static inline pid_t spawn(const char *log, const char *const argv[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, 1);
    dup2(fd, 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static inline int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* It takes connections before its data is loaded, but does not tell how much it is. */
static inline bool is_ready(struct world *world)
{
    const struct transport_target target = {"127.0.0.1", world->pool.port,
                                            world->tls ? "require" : "disable", NULL};
    struct redis_link *link = NULL;
    int rc = redis_link_open(&world->ctx, &target, world->pool.user, ADMIN_PASSWORD, &link);
    if (rc == 0)
        rc = redis_link_call(&world->ctx, link, &REDIS_COMMAND("DBSIZE"), NULL);
    redis_link_close(link);
    err_clear(&world->ctx);
    return rc == 0;
}

static inline void server_start(struct world *world)
{
    static const char tls[] = "port 0\ntls-port %d\ntls-cert-file server.crt\n"
                              "tls-key-file server.key\ntls-ca-cert-file server.crt\n"
                              "tls-auth-clients no\n";
    const char *path = in_directory(world, "redis.conf");
    const char *const argv[] = {"redis-server", path, NULL};
    _cleanup_str_ struct str text;
    str_init(&text, 4096);
    str_printf(&text, "bind 127.0.0.1\ndir %s\ndatabases 1024\nsave \"\"\nappendonly yes\n%s %s\n",
               world->directory, world->forgetful ? "requirepass" : "aclfile",
               world->forgetful ? ADMIN_PASSWORD : in_directory(world, "users.acl"));
    if (world->tls)
        str_printf(&text, tls, world->pool.port);
    else
        str_printf(&text, "port %d\n", world->pool.port);
    write_file(path, str_text(&text));
    world->server = spawn(in_directory(world, "log"), argv);
    for (int tries = 0; !is_ready(world); tries++) {
        assert_true(tries < 500);
        assert_int_equal(waitpid(world->server, NULL, WNOHANG), 0);
        clock_sleep_ms(20);
    }
}

static inline void server_kill(struct world *world)
{
    kill(world->server, SIGKILL);
    waitpid(world->server, NULL, 0);
}

static inline void make_acl_file(struct world *world)
{
    char hex[SHA256_HEX_BYTES];
    crypto_sha256_hex(ADMIN_PASSWORD, strlen(ADMIN_PASSWORD), hex);
    write_file(in_directory(world, "users.acl"),
               arena_printf(world->ctx.arena,
                            "user default off resetchannels -@all\n"
                            "user admin on #%s resetchannels " ADMIN_RIGHTS " +config|get\n",
                            hex));
}

/* localhost in the certificate, and no address: what verify-full looks at. */
static inline void make_certificate(struct world *world, const char *name)
{
    const char *const argv[] = {"openssl",
                                "req",
                                "-x509",
                                "-newkey",
                                "ec",
                                "-pkeyopt",
                                "ec_paramgen_curve:prime256v1",
                                "-nodes",
                                "-days",
                                "2",
                                "-subj",
                                "/CN=localhost",
                                "-addext",
                                "subjectAltName=DNS:localhost",
                                "-keyout",
                                in_directory(world, arena_printf(world->ctx.arena, "%s.key", name)),
                                "-out",
                                in_directory(world, arena_printf(world->ctx.arena, "%s.crt", name)),
                                NULL};
    int status;
    waitpid(spawn(in_directory(world, "log"), argv), &status, 0);
    assert_int_equal(status, 0);
}

static inline struct world *world_new(bool tls, bool forgetful)
{
    struct world *world = test_calloc(1, sizeof *world);
    const char *base = getenv("FLOTILLA_TEST_DIR");
    world->ctx = ctx_make(arena_new(), "test");
    world->tls = tls;
    world->forgetful = forgetful;
    snprintf(world->directory, sizeof world->directory, "%s/redis-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(world->directory));
    if (tls)
        make_certificate(world, "server");
    make_acl_file(world);
    world->pool = (struct redis_pool){
        .name = "pool",
        .host = "127.0.0.1",
        .port = free_port(),
        .ssl_mode = "disable",
        .user = forgetful ? "default" : "admin",
        .password = ADMIN_PASSWORD,
        .cell = "cell-a",
        .gates = backend_gates_new(4),
    };
    server_start(world);
    return world;
}

static inline void world_free(struct world *world)
{
    server_kill(world);
    const char *const argv[] = {"rm", "-rf", world->directory, NULL};
    waitpid(spawn("/dev/null", argv), NULL, 0);
    backend_gates_free(world->pool.gates);
    arena_free(world->ctx.arena);
    test_free(world);
}
