/* Readiness: one table of objects and verdicts, in YAML, by the rules of kstatus. */
#include "reconcilers/engine/ready.h"

#include "server/base/cleanup.h"
#include "server/base/clock.h"
#include "server/base/ctx.h"
#include "server/base/json.h"
#include "server/base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define APPS(kind) "apiVersion: apps/v1\nkind: " kind "\n"
#define CORE(kind) "apiVersion: v1\nkind: " kind "\n"
#define DEPLOYED                                                                                   \
    "conditions: [{type: Progressing, status: 'True', reason: NewReplicaSetAvailable}, "           \
    "{type: Available, status: 'True'}]}\n"

static const struct {
    const char *name;
    enum readiness expected;
    const char *yaml;
} cases[] = {
    {"deletion comes first", READY_TERMINATING,
     CORE("ConfigMap") "metadata: {deletionTimestamp: '2020-01-01T00:00:00Z'}\n"},
    {"old generation", READY_IN_PROGRESS,
     APPS("Foo") "metadata: {generation: 2}\nstatus: {observedGeneration: 1}\n"},
    {"reconciling", READY_IN_PROGRESS,
     APPS("Foo") "status: {conditions: [{type: Reconciling, status: 'True'}]}\n"},
    {"stalled", READY_FAILED,
     APPS("Foo") "status: {conditions: [{type: Stalled, status: 'True', message: no}]}\n"},
    {"generic without conditions", READY_CURRENT, APPS("Foo") "spec: {}\n"},
    {"generic ready", READY_CURRENT,
     APPS("Foo") "status: {conditions: [{type: Ready, status: 'True'}]}\n"},
    {"generic not ready", READY_IN_PROGRESS,
     APPS("Foo") "status: {conditions: [{type: Ready, status: 'False'}]}\n"},
    {"generic unknown", READY_IN_PROGRESS,
     APPS("Foo") "status: {conditions: [{type: Ready, status: Unknown}]}\n"},
    {"a foreign kind named Deployment is generic", READY_CURRENT,
     "apiVersion: example.org/v1\nkind: Deployment\nspec: {replicas: 3}\n"},

    {"deployment without status", READY_IN_PROGRESS, APPS("Deployment") "spec: {replicas: 1}\n"},
    {"deployment done", READY_CURRENT,
     APPS("Deployment") "spec: {replicas: 2, progressDeadlineSeconds: 600}\n"
                        "status: {replicas: 2, updatedReplicas: 2, readyReplicas: 2, "
                        "availableReplicas: 2, " DEPLOYED},
    {"deployment of default size", READY_IN_PROGRESS,
     APPS("Deployment") "spec: {}\nstatus: {replicas: 0, " DEPLOYED},
    {"deployment of size 0", READY_CURRENT,
     APPS("Deployment") "spec: {replicas: 0}\nstatus: {" DEPLOYED},
    {"deployment with old pods", READY_IN_PROGRESS,
     APPS("Deployment") "spec: {replicas: 1}\nstatus: {replicas: 2, updatedReplicas: 1, "
                        "readyReplicas: 1, availableReplicas: 1, " DEPLOYED},
    {"deployment not updated", READY_IN_PROGRESS,
     APPS("Deployment") "spec: {replicas: 2}\nstatus: {replicas: 2, updatedReplicas: 1, "
                        "readyReplicas: 2, availableReplicas: 2, " DEPLOYED},
    {"deployment not available", READY_IN_PROGRESS,
     APPS("Deployment") "spec: {replicas: 1}\nstatus: {replicas: 1, updatedReplicas: 1, "
                        "readyReplicas: 1, availableReplicas: 0, " DEPLOYED},
    {"deployment stuck", READY_FAILED,
     APPS("Deployment") "spec: {replicas: 1}\nstatus: {conditions: [{type: Progressing, "
                        "status: 'False', reason: ProgressDeadlineExceeded}]}\n"},
    {"deployment without Progressing", READY_IN_PROGRESS,
     APPS("Deployment") "spec: {replicas: 1, progressDeadlineSeconds: 1}\nstatus: {replicas: 1, "
                        "updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, "
                        "conditions: [{type: Available, status: 'True'}]}\n"},
    {"deployment without a deadline", READY_CURRENT,
     APPS("Deployment") "spec: {replicas: 1}\nstatus: {replicas: 1, updatedReplicas: 1, "
                        "readyReplicas: 1, availableReplicas: 1, "
                        "conditions: [{type: Available, status: 'True'}]}\n"},

    {"stateful set on delete", READY_CURRENT,
     APPS("StatefulSet") "spec: {updateStrategy: {type: OnDelete}}\n"},
    {"stateful set starting", READY_IN_PROGRESS,
     APPS("StatefulSet") "spec: {replicas: 2}\nstatus: {replicas: 1, readyReplicas: 1}\n"},
    {"stateful set done", READY_CURRENT,
     APPS("StatefulSet") "spec: {replicas: 2}\nstatus: {replicas: 2, readyReplicas: 2, "
                         "currentReplicas: 2, currentRevision: a, updateRevision: a}\n"},
    {"stateful set rolling", READY_IN_PROGRESS,
     APPS("StatefulSet") "spec: {replicas: 2}\nstatus: {replicas: 2, readyReplicas: 2, "
                         "currentReplicas: 2, currentRevision: a, updateRevision: b}\n"},
    {"stateful set with extra pods", READY_IN_PROGRESS,
     APPS("StatefulSet") "spec: {replicas: 1}\nstatus: {replicas: 2, readyReplicas: 2}\n"},
    {"stateful set partition reached", READY_CURRENT,
     APPS("StatefulSet") "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}\n"
                         "status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}\n"},
    {"stateful set partition pending", READY_IN_PROGRESS,
     APPS("StatefulSet") "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1}}}\n"
                         "status: {replicas: 3, readyReplicas: 3, updatedReplicas: 1}\n"},

    {"daemon set unseen", READY_IN_PROGRESS, APPS("DaemonSet") "spec: {}\n"},
    {"daemon set done", READY_CURRENT,
     APPS("DaemonSet") "metadata: {generation: 1}\nstatus: {observedGeneration: 1, "
                       "desiredNumberScheduled: 1, currentNumberScheduled: 1, "
                       "updatedNumberScheduled: 1, numberAvailable: 1, numberReady: 1}\n"},
    {"daemon set not ready", READY_IN_PROGRESS,
     APPS("DaemonSet") "metadata: {generation: 1}\nstatus: {observedGeneration: 1, "
                       "desiredNumberScheduled: 2, currentNumberScheduled: 2, "
                       "updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 1}\n"},

    {"replica set done", READY_CURRENT,
     APPS("ReplicaSet") "spec: {replicas: 1}\nstatus: {replicas: 1, fullyLabeledReplicas: 1, "
                        "availableReplicas: 1, readyReplicas: 1}\n"},
    {"replica set failing", READY_IN_PROGRESS,
     APPS("ReplicaSet") "spec: {replicas: 0}\nstatus: {conditions: [{type: ReplicaFailure, "
                        "status: 'True', message: quota}]}\n"},

    {"pod succeeded", READY_CURRENT, CORE("Pod") "status: {phase: Succeeded}\n"},
    {"pod ready", READY_CURRENT,
     CORE("Pod") "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}\n"},
    {"pod not ready", READY_IN_PROGRESS, CORE("Pod") "status: {phase: Running}\n"},
    {"pod pending", READY_IN_PROGRESS, CORE("Pod") "status: {phase: Pending}\n"},
    {"pod crash-looping", READY_FAILED,
     CORE("Pod") "status: {phase: Running, containerStatuses: [{name: a, state: {waiting: "
                 "{reason: CrashLoopBackOff}}}]}\n"},
    {"pod long unschedulable", READY_FAILED,
     CORE("Pod") "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', "
                 "reason: Unschedulable, lastTransitionTime: '2020-01-01T00:00:00Z'}]}\n"},

    {"claim bound", READY_CURRENT, CORE("PersistentVolumeClaim") "status: {phase: Bound}\n"},
    {"claim pending", READY_IN_PROGRESS,
     CORE("PersistentVolumeClaim") "status: {phase: Pending}\n"},
    {"service", READY_CURRENT, CORE("Service") "spec: {type: ClusterIP}\n"},
    {"load balancer without IP", READY_IN_PROGRESS, CORE("Service") "spec: {type: LoadBalancer}\n"},
    {"load balancer", READY_CURRENT,
     CORE("Service") "spec: {type: LoadBalancer, clusterIP: 10.0.0.1}\n"},
    {"secret", READY_CURRENT, CORE("Secret") "data: {}\n"},

    {"job not started", READY_IN_PROGRESS, "apiVersion: batch/v1\nkind: Job\nspec: {}\n"},
    {"job started", READY_IN_PROGRESS,
     "apiVersion: batch/v1\nkind: Job\nstatus: {startTime: '2020-01-01T00:00:00Z'}\n"},
    {"job suspended", READY_IN_PROGRESS,
     "apiVersion: batch/v1\nkind: Job\nstatus: {conditions: [{type: Suspended, status: "
     "'True'}]}\n"},
    {"job complete", READY_CURRENT,
     "apiVersion: batch/v1\nkind: Job\nstatus: {conditions: [{type: Complete, status: 'True'}]}\n"},
    {"job failed", READY_FAILED,
     "apiVersion: batch/v1\nkind: Job\nstatus: {conditions: [{type: Failed, status: 'True'}]}\n"},
    {"crd established", READY_CURRENT,
     "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
     "status: {conditions: [{type: Established, status: 'True'}]}\n"},
    {"crd fresh", READY_IN_PROGRESS,
     "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {}\n"},
    {"crd with taken names", READY_FAILED,
     "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
     "status: {conditions: [{type: NamesAccepted, status: 'False'}]}\n"},
};

static void test_table(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    for (size_t at = 0; at < ARRAY_SIZE(cases); at++) {
        struct ctx ctx = ctx_make(arena, "test");
        json_t *object;
        if (yaml_parse(&ctx, cases[at].yaml, strlen(cases[at].yaml), &object) < 0)
            fail_msg("%s: %s", cases[at].name, ctx.err.message);
        struct ready_verdict verdict = ready_of(&ctx, object);
        if (verdict.readiness != cases[at].expected)
            fail_msg("%s: got %d (%s), expected %d", cases[at].name, (int)verdict.readiness,
                     verdict.message, (int)cases[at].expected);
        assert_int_equal(*verdict.message == '\0', verdict.readiness == READY_CURRENT);
        arena_reset(arena);
    }
    struct ctx ctx = ctx_make(arena, "test");
    assert_int_equal(ready_of(&ctx, NULL).readiness, READY_ABSENT);
    arena_free(arena);
}

static void test_unschedulable_pod_has_some_seconds(void **state)
{
    (void)state;
    struct ctx ctx = ctx_make(arena_new(), "test");
    char now[CLOCK_RFC3339_BYTES];
    const char *yaml = arena_printf(
        ctx.arena,
        CORE("Pod") "status: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', "
                    "reason: Unschedulable, lastTransitionTime: '%s'}]}\n",
        clock_rfc3339(now, clock_wall_ms() - 2000, 0));
    json_t *pod;
    assert_int_equal(yaml_parse(&ctx, yaml, strlen(yaml), &pod), 0);
    assert_int_equal(ready_of(&ctx, pod).readiness, READY_IN_PROGRESS);
    arena_free(ctx.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_unschedulable_pod_has_some_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
