/* The first process of a pod's sandbox, and of the node's namespaces: it holds them open until it
 * is told to end. What loses its parent in there becomes its child, and is reaped by the kernel at
 * once. */
#include <signal.h>

int main(void)
{
    sigset_t ends;
    int received;

    signal(SIGCHLD, SIG_IGN);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return sigwait(&ends, &received);
}
