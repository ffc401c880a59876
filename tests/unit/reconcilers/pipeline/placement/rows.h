/* The properties by name, and the faults that each must catch. */
#pragma once

#include "tests/unit/reconcilers/pipeline/placement/faults.h"
#include "tests/unit/reconcilers/pipeline/placement/properties_order.h"
#include "tests/unit/reconcilers/pipeline/placement/properties_rights.h"
#include "tests/unit/reconcilers/pipeline/placement/properties_room.h"

enum row {
    ROW_OVERCOMMIT,
    ROW_EXACT,
    ROW_ZONES,
    ROW_OTHERS,
    ROW_LOST,
    ROW_GANG,
    ROW_REASON,
    ROW_PRIORITY,
    ROW_METRIC,
    ROW_SOONER,
    ROW_QUOTA,
    ROW_LENT,
    ROW_GIVEN_BACK,
    ROW_FAIR,
    ROW_SHRINKS,
    PROPERTIES,
    ROW_COPY = PROPERTIES,
    ROW_LEDGER,
    ROW_LOG,
    ROWS,
    HOLDS = ROWS
};

static const struct {
    const char *name;
    bool (*holds)(const struct step *step);
} rows[] = {
    [ROW_OVERCOMMIT] = {"P1  no pod over its capacity", no_overcommit},
    [ROW_EXACT] = {"P2  the rate, in the mode's parts, on no more pods than allowed", is_exact},
    [ROW_ZONES] = {"P2  in each zone the same", in_zones},
    [ROW_OTHERS] = {"P3  others untouched", others_untouched},
    [ROW_LOST] = {"P6  only what was lost moves", only_lost_moves},
    [ROW_GANG] = {"P7  all stages or none", is_gang},
    [ROW_REASON] = {"P10 reason, numbers, a time to come", has_reason},
    [ROW_PRIORITY] = {"P11 by priority", by_priority},
    [ROW_METRIC] = {"P12 the metric is the demand; in the calm no reservation is left", scales},
    [ROW_SOONER] = {"P14 who waits for pods takes room that serves", takes_what_serves},
    [ROW_QUOTA] = {"    nobody gets more than its quota and what it may borrow", within_quota},
    [ROW_LENT] = {"    what is borrowed is what others leave unused", is_lent_of_unused},
    [ROW_GIVEN_BACK] = {"    who is displaced is less important, or has borrowed", is_given_back},
    [ROW_FAIR] = {"    the tenant with the smaller dominant share first", is_fair},
    [ROW_SHRINKS] = {"    a lower rate is always possible, and shrinks in place", shrinks_in_place},
    [ROW_COPY] = {"P13 a copy decides the same and changes nothing", NULL},
    [ROW_LEDGER] = {"P9  restored from the ledger it decides the same", NULL},
    [ROW_LOG] = {"P8  the log replayed decides the same", NULL},
};

/* In what each step shows; the others where they say. */
enum { PLANT_NONE = -1, PLANT_FORGETFUL = -2, PLANT_GAP = -3, PLANT_STALE = -4, PLANT_SHARED = -5 };
static const struct {
    enum row row;
    void (*plant)(struct seen *seen);
} faults[] = {
    {ROW_OVERCOMMIT, plant_over}, {ROW_EXACT, plant_share},     {ROW_EXACT, plant_uneven},
    {ROW_EXACT, plant_split},     {ROW_ZONES, plant_one_zone},  {ROW_OTHERS, plant_move},
    {ROW_LOST, plant_loss},       {ROW_GANG, plant_half},       {ROW_REASON, plant_bare},
    {ROW_REASON, plant_past},     {ROW_REASON, plant_late},     {ROW_PRIORITY, plant_inverted},
    {ROW_METRIC, plant_demand},   {ROW_METRIC, plant_reserved}, {ROW_SOONER, plant_passed_over},
    {ROW_QUOTA, plant_quota},     {ROW_LENT, plant_lent},       {ROW_GIVEN_BACK, plant_kept},
    {ROW_SHRINKS, plant_growth},  {ROW_FAIR, plant_unfair},
};
