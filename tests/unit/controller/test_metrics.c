/* What is counted of reconciliations and builds (controller/metrics.c). */
#include "parts.h"

static void expect_line(struct parts *p, const char *line)
{
	CLEANUP(buf_release) struct buf text = BUF_INIT(256 << 10);

	metrics_format(p->metrics, &text);
	if (!strstr(text.data, line))
		fail_msg("%s is not in\n%s", line, text.data);
}

/* Dashboards for controller-runtime read these names. */
static void each_result_is_counted_and_an_error_twice(void **state)
{
	struct parts *p = *state;

	controller_count_reconcile(p->controller, RECONCILE_SUCCESS);
	controller_count_reconcile(p->controller, RECONCILE_REQUEUE);
	controller_count_reconcile(p->controller, RECONCILE_REQUEUE);
	for (int i = 0; i < 4; i++)
		controller_count_reconcile(p->controller, RECONCILE_ERROR);
#define RECONCILES "controller_runtime_reconcile_total{controller=\"buildconfig\",result="
	expect_line(p, "\n" RECONCILES "\"success\"} 1\n");
	expect_line(p, "\n" RECONCILES "\"requeue\"} 2\n");
	expect_line(p, "\n" RECONCILES "\"error\"} 4\n");
	expect_line(p,
		    "\ncontroller_runtime_reconcile_errors_total{controller=\"buildconfig\"} 4\n");
}

static void what_is_worked_on_now_is_shown(void **state)
{
	struct parts *p = *state;

	p->controller->n_working = 2;
	controller_count_reconcile(p->controller, RECONCILE_SUCCESS);
	expect_line(p, "\ncontroller_runtime_active_workers{controller=\"buildconfig\"} 2\n");
	p->controller->n_working = 0;
	controller_count_reconcile(p->controller, RECONCILE_SUCCESS);
	expect_line(p, "\ncontroller_runtime_active_workers{controller=\"buildconfig\"} 0\n");
}

static void builds_are_counted_by_the_host_that_asked_for_them(void **state)
{
	struct parts *p = *state;

	controller_count_build(p->controller, "gitea", 1500);
	controller_count_build(p->controller, "gitea", 500);
	controller_count_build(p->controller, "gitlab", 0);
	controller_count_failure(p->controller, "gitlab");
	expect_line(p, "\nbuildhook_builds_started_total{provider=\"gitea\"} 2\n");
	expect_line(p, "\nbuildhook_builds_started_total{provider=\"gitlab\"} 1\n");
	expect_line(p, "\nbuildhook_builds_failed_total{provider=\"gitlab\"} 1\n");
	/* In seconds. */
	expect_line(p, "\nbuildhook_start_seconds_sum 2\n");
	expect_line(p, "\nbuildhook_start_seconds_count 3\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PARTS_TEST(each_result_is_counted_and_an_error_twice),
		PARTS_TEST(what_is_worked_on_now_is_shown),
		PARTS_TEST(builds_are_counted_by_the_host_that_asked_for_them),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
