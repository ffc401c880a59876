/* When the server is asked who is lost: a decision takes something from a pod that is not well. */
#include "tests/unit/reconcilers/pipeline/talk.h"

/* What lost_takes() says of the decision that the world gives now. */
static bool takes(struct fixture *fixture)
{
    const json_t *before = fixture->ledger;
    decided(fixture);
    return lost_takes(fixture->ctx, &fixture->world, before, fixture->ledger);
}

static void test_what_takes_from_a_pod_that_is_not_well_is_known(void **state)
{
    struct fixture fixture = fixture_new(*state);
    put_talk_pods(&fixture);
    json_t *first = put_pipeline(&fixture, "first", 10);
    assert_false(takes(&fixture)); /* there was no ledger */
    set_ready(&fixture, "blue-workers-2", false);
    fixture.now_s += FLAP_S;
    assert_false(takes(&fixture)); /* it carried nothing */
    json_put(first, "spec.documentsPerSecond", json_integer(5));
    assert_false(takes(&fixture)); /* less, but on pods that are well */
    set_ready(&fixture, "blue-workers-0", false);
    assert_false(takes(&fixture)); /* for a short time */
    fixture.now_s += FLAP_S;
    assert_true(takes(&fixture));
    assert_false(takes(&fixture));
    let_go(&fixture, "blue-workers-1");
    assert_false(takes(&fixture)); /* nobody else has room: it serves on */
    lose_pod(&fixture, "blue-workers-1");
    assert_true(takes(&fixture));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_takes_from_a_pod_that_is_not_well_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
