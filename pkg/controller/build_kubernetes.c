/*
 * Backend kubernetes: the Build is created by us, and its name is the lock. NAME-N, N =
 * status.lastVersion + 1; a name that is taken by another's Build moves N on.
 */
#include "controller/build.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_BUILD_BYTES (4 * 1024 * 1024)

static void create(struct start *s);

static void describe(char *out, size_t size, const struct start *s)
{
	char name[BUILD_NAME_BYTES];

	build_name(name, s->change->name, s->number);
	(void)snprintf(out, size, "create Build %s", name);
}

static void on_taken(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	char what[300];

	s->work.call = NULL;
	if (response->err.code == ERR_OK && start_is_own(s, response->doc)) {
		start_succeed(s, response->doc, response->text);
		return;
	}
	if (response->err.code != ERR_OK && response->err.code != ERR_NOTFOUND) {
		describe(what, sizeof(what), s);
		start_retry(s, response, what);
		return;
	}
	if (start_is_overtaken(s, response->err.code == ERR_OK ? response->doc : NULL))
		return;
	/* 404: it was there a moment ago and is gone; its number stays used. */
	s->number++;
	create(s);
}

static void on_created(void *arg, const struct kube_response *response)
{
	struct start *s = arg;
	char what[300];

	s->work.call = NULL;
	if (response->err.code == ERR_OK) {
		start_succeed(s, response->doc, response->text);
	} else if (response->err.code == ERR_EXISTS) {
		start_get_build(s, s->number, on_taken);
	} else {
		describe(what, sizeof(what), s);
		start_refused(s, response, what);
	}
}

static void create(struct start *s)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(2048);
	CLEANUP(buf_release) struct buf body = BUF_INIT(MAX_BUILD_BYTES);
	CLEANUP(json_freep)
	cJSON *build = build_body(s->bc, s->change, s->number,
				  clock_wall_ms(s->work.controller->opt.clock));

	json_format(&body, build);
	buf_printf(&path, "/apis/build.openshift.io/v1/namespaces/%s/builds?fieldManager=buildhook",
		   s->change->namespace_);
	work_call(&s->work,
		  &(struct kube_request){.method = KUBE_POST,
					 .path = path.data,
					 .body = buf_str(&body),
					 .metric_resource = "builds"},
		  on_created);
}

static void post(struct start *s)
{
	s->number = start_next_number(s);
	create(s);
}

const struct build_backend build_kubernetes = {.post = post, .raises_version = true};
