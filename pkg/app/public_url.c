/*
 * Finds the Route, HTTPRoute or Ingress that leads to buildhook's Service, and looks again every
 * two minutes.
 */
#include "app/public_url.h"

#include "base/mem.h"

#include <assert.h>

#define AGAIN_MS (2 * 60 * 1000)
#define RETRY_MS 2000
#define MAX_URL  2048

#define GATEWAY_API "/apis/gateway.networking.k8s.io/v1"

/*
 * The order in which addresses are looked for: a Route is made to be shown, an Ingress may be one
 * of several. A Gateway is read after an HTTPRoute that names it, for the listener's protocol and
 * hostname.
 */
enum step {
	STEP_SERVICES,
	STEP_ROUTES,
	STEP_INGRESSES,
	STEP_HTTP_ROUTES,
	STEP_GATEWAY,
	STEPS,
};

static const char *const groups[STEPS] = {"/api/v1", "/apis/route.openshift.io/v1",
					  "/apis/networking.k8s.io/v1", GATEWAY_API, GATEWAY_API};
static const char *const resources[STEPS] = {"services", "routes", "ingresses", "httproutes",
					     "gateways"};

struct public_url {
	struct kube_client *client;
	struct clock *clock;
	char *namespace_;
	void (*fn)(void *arg, const char *url);
	void *arg;
	enum step step;
	struct kube_call *call;
	struct timer timer;
	cJSON *services;
	cJSON *http_route; /* the HTTPRoute that points at our Service, while its Gateway is read */
	char *known;       /* NULL before the first result */
};

static bool is_ours(const cJSON *services, const char *name)
{
	const cJSON *service =
		name ? json_find(json_member(services, "items"), "metadata/name", name) : NULL;
	const char *app = cJSON_GetStringValue(
		json_member(json_at(service, "spec/selector"), "app.kubernetes.io/name"));

	return app && strcmp(app, "buildhook") == 0;
}

static void put_url(struct buf *out, bool is_tls, const char *host, const char *path)
{
	struct str rest = str_of(path);

	while (str_ends(rest, STR("/")))
		rest.n--;
	if (host && *host)
		buf_printf(out, "%s://%s%.*s", is_tls ? "https" : "http", host, STR_ARG(rest));
}

/* Puts the address of the first Route that points at one of SERVICES (a list of Services); nothing
 * where there is none. Pure. */
static void put_url_of_routes(struct buf *out, const cJSON *routes, const cJSON *services)
{
	const cJSON *route;

	cJSON_ArrayForEach (route, json_member(routes, "items")) {
		const cJSON *admitted = json_at(route, "status/ingress");
		const char *host = json_str_at(admitted ? admitted->child : NULL, "host");

		if (out->len || !is_ours(services, json_str_at(route, "spec/to/name")))
			continue;
		put_url(out, json_at(route, "spec/tls") != NULL,
			host ? host : json_str_at(route, "spec/host"),
			json_str_at(route, "spec/path"));
	}
}

static bool has_tls_for(const cJSON *ingress, const char *host)
{
	const cJSON *tls, *name;

	cJSON_ArrayForEach (tls, json_at(ingress, "spec/tls")) {
		cJSON_ArrayForEach (name, json_member(tls, "hosts")) {
			if (host && cJSON_IsString(name) && strcmp(name->valuestring, host) == 0)
				return true;
		}
	}
	return false;
}

static void put_url_of_ingresses(struct buf *out, const cJSON *ingresses, const cJSON *services)
{
	const cJSON *ingress, *rule, *path;

	cJSON_ArrayForEach (ingress, json_member(ingresses, "items")) {
		cJSON_ArrayForEach (rule, json_at(ingress, "spec/rules")) {
			const char *host = json_str_at(rule, "host");

			cJSON_ArrayForEach (path, json_at(rule, "http/paths")) {
				if (!out->len &&
				    is_ours(services, json_str_at(path, "backend/service/name")))
					put_url(out, has_tls_for(ingress, host), host,
						json_str_at(path, "path"));
			}
		}
	}
}

static bool is_backend_of(const cJSON *route, const cJSON *services)
{
	const cJSON *rule, *backend;

	cJSON_ArrayForEach (rule, json_at(route, "spec/rules")) {
		cJSON_ArrayForEach (backend, json_member(rule, "backendRefs")) {
			const char *kind = json_str_at(backend, "kind");

			if ((!kind || strcmp(kind, "Service") == 0) &&
			    is_ours(services, json_str_at(backend, "name")))
				return true;
		}
	}
	return false;
}

/* The first HTTPRoute of ROUTES (a list) that points at one of SERVICES; NULL: none does. */
static const cJSON *find_http_route(const cJSON *routes, const cJSON *services)
{
	const cJSON *route;

	cJSON_ArrayForEach (route, json_member(routes, "items")) {
		if (is_backend_of(route, services))
			return route;
	}
	return NULL;
}

static const cJSON *find_listener(const cJSON *gateway, const char *section)
{
	const cJSON *listeners = json_at(gateway, "spec/listeners");

	return section ? json_find(listeners, "name", section) : cJSON_GetArrayItem(listeners, 0);
}

static bool is_host(const char *name)
{
	return name && *name && !strchr(name, '*');
}

/*
 * The route's own hostname, else that of the listener it names in GATEWAY, which is NULL where it
 * may not be read; then the scheme is https. A wildcard is no address: OUT stays empty.
 */
static void put_url_of_http_route(struct buf *out, const cJSON *route, const cJSON *gateway)
{
	const cJSON *parent = json_at(route, "spec/parentRefs");
	const cJSON *rules = json_at(route, "spec/rules");
	const cJSON *matches = json_member(rules ? rules->child : NULL, "matches");
	const cJSON *path = json_at(matches ? matches->child : NULL, "path");
	const cJSON *listener =
		find_listener(gateway, json_str_at(parent ? parent->child : NULL, "sectionName"));
	const char *protocol = json_str_at(listener, "protocol");
	const char *type = json_str_at(path, "type");
	const char *host = json_str_at(listener, "hostname");
	const cJSON *name;

	cJSON_ArrayForEach (name, json_at(route, "spec/hostnames")) {
		if (cJSON_IsString(name) && is_host(name->valuestring)) {
			host = name->valuestring;
			break;
		}
	}
	/* Without the Gateway the scheme is not known: Git hosts are to use HTTPS. */
	if (is_host(host))
		put_url(out, !protocol || strcmp(protocol, "HTTP") != 0, host,
			type && strcmp(type, "RegularExpression") == 0
				? NULL
				: json_str_at(path, "value"));
}

static void look(void *arg);

static void finish(struct public_url *lookup, const char *url)
{
	bool is_new = !lookup->known || strcmp(lookup->known, url) != 0;

	cJSON_Delete(TAKE(lookup->services));
	cJSON_Delete(TAKE(lookup->http_route));
	lookup->step = STEP_SERVICES;
	timer_start(lookup->clock, &lookup->timer, AGAIN_MS, look, lookup);
	if (!is_new)
		return;
	free(lookup->known);
	lookup->known = mem_strdup(url);
	lookup->fn(lookup->arg, lookup->known);
}

static void ask(struct public_url *lookup);

static void on_list(void *arg, const struct kube_response *response)
{
	struct public_url *lookup = arg;
	CLEANUP(buf_release) struct buf url = BUF_INIT(MAX_URL);

	lookup->call = NULL;
	/* A resource that is not served (404) or may not be read (403) has no address; after any
	 * other error the address would be a guess. */
	if (response->err.code != ERR_OK && response->status != 404 && response->status != 403) {
		lookup->step = STEP_SERVICES;
		timer_start(lookup->clock, &lookup->timer, RETRY_MS, look, lookup);
		return;
	}
	switch (lookup->step) {
	case STEP_SERVICES:
		cJSON_Delete(lookup->services);
		lookup->services = json_copy(response->doc);
		break;
	case STEP_ROUTES:
		put_url_of_routes(&url, response->doc, lookup->services);
		break;
	case STEP_INGRESSES:
		put_url_of_ingresses(&url, response->doc, lookup->services);
		break;
	case STEP_HTTP_ROUTES:
		cJSON_Delete(lookup->http_route);
		lookup->http_route = json_copy(find_http_route(response->doc, lookup->services));
		break;
	case STEP_GATEWAY:
		put_url_of_http_route(&url, lookup->http_route, response->doc);
		break;
	case STEPS:
		break;
	}
	if (url.len || lookup->step == STEP_GATEWAY ||
	    (lookup->step == STEP_HTTP_ROUTES && !lookup->http_route)) {
		finish(lookup, buf_text(&url));
		return;
	}
	lookup->step++;
	ask(lookup);
}

static void ask(struct public_url *lookup)
{
	CLEANUP(buf_release) struct buf path = BUF_INIT(MAX_URL);

	assert(lookup->step < STEPS);
	if (lookup->step == STEP_GATEWAY) {
		const cJSON *parents = json_at(lookup->http_route, "spec/parentRefs");
		const cJSON *gateway = parents ? parents->child : NULL;
		const char *namespace_ = json_str_at(gateway, "namespace");
		const char *name = json_str_at(gateway, "name");

		buf_printf(&path, "%s/namespaces/%s/gateways/%s", GATEWAY_API,
			   namespace_ ? namespace_ : lookup->namespace_, name ? name : "");
	} else {
		buf_printf(&path, "%s/namespaces/%s/%s", groups[lookup->step], lookup->namespace_,
			   resources[lookup->step]);
	}
	lookup->call =
		kube_start(lookup->client,
			   &(struct kube_request){.method = KUBE_GET,
						  .path = path.data,
						  .metric_resource = resources[lookup->step]},
			   on_list, lookup);
}

static void look(void *arg)
{
	ask(arg);
}

struct public_url *public_url_new(struct kube_client *client, struct clock *clock,
				  const char *namespace_, void (*fn)(void *arg, const char *url),
				  void *arg)
{
	struct public_url *lookup = mem_new(1, sizeof(*lookup));

	lookup->client = client;
	lookup->clock = clock;
	lookup->namespace_ = mem_strdup(namespace_);
	lookup->fn = fn;
	lookup->arg = arg;
	ask(lookup);
	return lookup;
}

void public_url_free(struct public_url *lookup)
{
	if (!lookup)
		return;
	kube_cancel(lookup->call);
	timer_stop(lookup->clock, &lookup->timer);
	cJSON_Delete(lookup->services);
	cJSON_Delete(lookup->http_route);
	free(lookup->namespace_);
	free(lookup->known);
	free(lookup);
}
