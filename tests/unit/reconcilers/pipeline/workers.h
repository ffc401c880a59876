/* workers: two classes and their pods, as the objects that a ledger is decided about: for the unit
 * test of ledgers and for the fuzz target. */
#pragma once

#include "reconcilers/pipeline/decide.h"

enum { NOW_S = 1800000000, WAKE_S_MAX = 86400 + UNSETTLED_S_MAX };

static const char classes[] =
    "- {metadata: {name: blue, generation: 3}, spec: {capacity: 30, maxReplicas: 2}}\n"
    "- {metadata: {name: green, generation: 1}, spec: {capacity: 15, maxReplicas: 2}}\n";

#define POD(class, name)                                                                           \
    "- metadata: {name: " name ", labels: {" LABEL_WORKER_CLASS                                    \
    ": " class "}}\n"                                                                              \
               "  status: {phase: Running, podIP: 10.0.0.1, conditions: [{type: Ready, status: "   \
               "'True'}]}\n"

static const char pods[] = POD("blue", "blue-0") POD("blue", "blue-1") POD("green", "green-0");
