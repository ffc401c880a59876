/* asked: what a path of the metrics API asks for. Pure; any text. */
#pragma once

struct arena;

#define METRICS_GROUP "custom.metrics.k8s.io"
#define METRICS_RESOURCE "workerclasses.scheduling.k8s.xxii.io"
#define METRICS_REQUEST "workerclass_request"

#define METRICS_VERSION_2 "v1beta2" /* preferred */
#define METRICS_VERSION_1 "v1beta1"

enum { METRICS_VERSIONS = 2 };
/* The preferred one first. */
extern const char *const metrics_versions[METRICS_VERSIONS];

enum asked_what {
    ASKED_NOTHING, /* no path of this API */
    ASKED_GROUPS,  /* /apis */
    ASKED_GROUP,   /* /apis/GROUP */
    ASKED_VERSION, /* /apis/GROUP/VERSION */
    ASKED_METRIC,  /* /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/METRIC */
};

struct asked {
    enum asked_what what;
    const char *version; /* one of ours, from ASKED_VERSION on */
    /* Of ASKED_METRIC, none empty; name "*" = all objects. Resource and metric may be unknown. */
    const char *namespace, *resource, *name, *metric;
};

/* The texts are in the arena. */
struct asked asked_read(struct arena *arena, const char *path);
