/* The part of the simulated API server outside BuildConfigs: discovery, and buildhook's own Service
 * with the Route or Ingress before it. */
#include "api.h"

static void put_discovery(const struct world *w, struct api_answer *out)
{
	bool is_openshift = w->backend == CONTROLLER_OPENSHIFT;
	CLEANUP(buf_release) struct buf body = BUF_INIT(4096);

	buf_printf(&body,
		   "{\"kind\":\"APIResourceList\",\"resources\":[{\"name\":\"buildconfigs\"},"
		   "{\"name\":\"builds\"}%s]}",
		   is_openshift ? ",{\"name\":\"buildconfigs/instantiate\"}" : "");
	out->body = buf_take(&body);
}

static const char route[] =
	"{\"items\":[{\"spec\":{\"host\":\"" WORLD_PUBLIC_HOST "\",\"to\":{\"name\":\"hooks\"},"
	"\"tls\":{}}}]}";
static const char ingress[] =
	"{\"items\":[{\"spec\":{\"tls\":[{\"hosts\":[\"" WORLD_PUBLIC_HOST "\"]}],\"rules\":[{"
	"\"host\":\"" WORLD_PUBLIC_HOST "\",\"http\":{\"paths\":[{\"path\":\"/\",\"backend\":{"
	"\"service\":{\"name\":\"hooks\"}}}]}}]}}]}";
static const char service[] =
	"{\"items\":[{\"metadata\":{\"name\":\"hooks\"},\"spec\":{\"selector\":{"
	"\"app.kubernetes.io/name\":\"buildhook\"}}}]}";

bool api_serve_cluster(const struct world *w, const struct api_request *request,
		       struct api_answer *out)
{
	bool is_openshift = w->backend == CONTROLLER_OPENSHIFT;
	const struct {
		const char *path, *list;
		bool is_served, has_item;
	} lists[] = {
		{"/api/v1/namespaces/" WORLD_NAMESPACE "/services", service, true, true},
		{"/apis/route.openshift.io/v1/namespaces/" WORLD_NAMESPACE "/routes", route,
		 is_openshift, w->has_route},
		{"/apis/networking.k8s.io/v1/namespaces/" WORLD_NAMESPACE "/ingresses", ingress,
		 true, !is_openshift && w->has_route},
	};

	out->status = 200;
	if (strcmp(request->path, "/apis/build.openshift.io/v1") == 0) {
		put_discovery(w, out);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (strcmp(request->path, lists[i].path) != 0)
			continue;
		if (lists[i].is_served)
			out->body =
				mem_strdup(lists[i].has_item ? lists[i].list : "{\"items\":[]}");
		else
			api_put_status(out, 404, "NotFound", "404 page not found");
		return true;
	}
	return false;
}
