/* What the counts of a simulated world share: its BuildConfigs, and the parts that it leaves out.
 */
#include "bench/world.h"

#include "torture/alloc.h"
#include "torture/torture.h"

#include "sim/api.h"

#include <stdio.h>

/* No request without sockets is made here. */
void http_abort_all(struct replica *replica)
{
	(void)replica;
}

bool http_has_fed(const struct replica *replica)
{
	(void)replica;
	return false;
}

void http_check_patience(struct replica *replica)
{
	(void)replica;
}

bool alloc_pause(void)
{
	return false;
}

void alloc_resume(bool was_armed)
{
	(void)was_armed;
}

void add_buildconfig(const char *name)
{
	cJSON *doc = json_new_object(), *metadata = NULL, *spec = NULL, *git = NULL,
	      *trigger = NULL;
	char uri[80];

	(void)snprintf(uri, sizeof(uri), "https://git.example.com/shop/%s.git", name);
	json_put_str(doc, "apiVersion", "build.openshift.io/v1");
	json_put_str(doc, "kind", "BuildConfig");
	metadata = json_put_object(doc, "metadata");
	json_put_str(metadata, "namespace", "shop");
	json_put_str(metadata, "name", name);
	spec = json_put_object(doc, "spec");
	git = json_put_object(json_put_object(spec, "source"), "git");
	json_put_str(git, "uri", uri);
	json_put_str(git, "ref", "main");
	json_put_object(json_put_object(spec, "strategy"), "dockerStrategy");
	trigger = json_append(json_put_array(spec, "triggers"), json_new_object());
	json_put_str(trigger, "type", "GitHub");
	json_put_str(json_put_object(trigger, "github"), "secret", SECRET);
	(void)api_add(t.w.api, API_BUILDCONFIG, doc);
}
