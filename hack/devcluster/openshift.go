package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	buildv1 "github.com/openshift/api/build/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// openshift is what makes the front look like OpenShift to a client that starts builds: discovery, instantiate, and
// the admission plug-in BuildByStrategy. The objects are those of the CRDs, mended to behave as the real ones.
type openshift struct {
	front     *front
	generator *generator
}

//go:embed routes.yaml
var routeDefinition []byte

var (
	routes      = schema.GroupVersionResource{Group: "route.openshift.io", Version: "v1", Resource: "routes"}
	groupPath   = "/apis/build.openshift.io/v1"
	instantiate = regexp.MustCompile("^" + regexp.QuoteMeta(groupPath) + "/namespaces/([^/]+)/buildconfigs/([^/]+)/instantiate$")
	stored      = regexp.MustCompile("^" + regexp.QuoteMeta(groupPath) + "/namespaces/([^/]+)/(buildconfigs|builds)(?:/([^/]+))?$")
)

// newOpenshift acts by itself as the admin, as the server there acts with its own rights.
func newOpenshift(f *front, kubeconfig string) (*openshift, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	core, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &openshift{f, &generator{objects, core}}, nil
}

func dig(object any, path ...string) map[string]any {
	for _, key := range path {
		object = object.(map[string]any)[key]
	}
	return object.(map[string]any)
}

// mendCRD undoes what manifests/crds does for clusters that are not OpenShift: there is no status subresource there,
// and a trigger names its secret.
func mendCRD(definition *unstructured.Unstructured) {
	version := dig(definition.Object, "spec")["versions"].([]any)[0]
	delete(version.(map[string]any), "subresources")
	if definition.GetName() != buildConfigs.GroupResource().String() {
		return
	}
	trigger := dig(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "triggers", "items", "properties")
	for _, member := range []string{"github", "gitlab", "bitbucket", "generic"} {
		webhook := dig(trigger, member)
		rules, _ := webhook["x-kubernetes-validations"].([]any)
		webhook["x-kubernetes-validations"] = append(rules, map[string]any{
			"rule":    "(has(self.secret) && self.secret != '') || has(self.secretReference)",
			"message": "must provide a value for at least one of secret or secretReference",
		})
	}
}

// installCRD waits until the kind is served.
func (o *openshift) installCRD(ctx context.Context, resource schema.GroupVersionResource, definition *unstructured.Unstructured) error {
	crds := o.generator.objects.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	options := metav1.ApplyOptions{FieldManager: "devcluster", Force: true}
	if _, err := crds.Apply(ctx, definition.GetName(), definition, options); err != nil {
		return err
	}
	served := func() bool {
		_, err := o.generator.objects.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil
	}
	if !waitFor(ctx, served) {
		return fmt.Errorf("%s are not served", resource.GroupResource())
	}
	return nil
}

// installCRDs takes those of builds from a copy of manifests/crds. Routes have no controller here: they are stored.
func (o *openshift) installCRDs(ctx context.Context, dir string) error {
	for _, resource := range []schema.GroupVersionResource{buildConfigs, builds, routes} {
		text := routeDefinition
		if resource != routes {
			var err error
			if text, err = os.ReadFile(filepath.Join(dir, resource.Resource+".yaml")); err != nil {
				return err
			}
		}
		definition := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &definition.Object); err != nil {
			return err
		}
		if resource != routes {
			mendCRD(definition)
		}
		if err := o.installCRD(ctx, resource, definition); err != nil {
			return err
		}
	}
	return nil
}

// makeBuilders gives each namespace its ServiceAccount builder, once.
func (o *openshift) makeBuilders() error {
	core := o.generator.core
	informer := informers.NewSharedInformerFactory(core, 0).Core().V1().Namespaces().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		builder := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "builder"}}
		namespace := object.(*corev1.Namespace).Name
		_, err := core.CoreV1().ServiceAccounts(namespace).Create(context.Background(), builder, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			fmt.Printf("ServiceAccount builder in %s: %v\n", namespace, err)
		}
	}})
	go informer.Run(context.Background().Done())
	return err
}

func (o *openshift) start(crds string) error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	if err := o.installCRDs(ctx, crds); err != nil {
		return err
	}
	return o.makeBuilders()
}

// serve answers what it is about; false for all else, and for writes that the API server is to store.
func (o *openshift) serve(w http.ResponseWriter, r *http.Request, f *fault) bool {
	switch {
	case r.URL.Path == "/api" || r.URL.Path == "/apis":
		// Clients that would take all of discovery in this one answer then ask group by group, and get what is added.
		r.Header.Set("Accept", "application/json")
		return false
	case r.URL.Path == groupPath && r.Method == http.MethodGet:
		o.discover(w, r)
		return true
	case r.Method == http.MethodPost && instantiate.MatchString(r.URL.Path):
		match := instantiate.FindStringSubmatch(r.URL.Path)
		build, err := o.instantiate(r, match[1], match[2], f)
		if err != nil {
			writeStatus(w, err)
		} else {
			writeJSON(w, http.StatusCreated, build)
		}
		return true
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		if match := stored.FindStringSubmatch(r.URL.Path); match != nil {
			if err := o.admit(r, match[1], match[2], match[3]); err != nil {
				writeStatus(w, err)
				return true
			}
		}
	}
	return false
}

// ask sends a request of our own as the caller of r, and reads the answer; what is no success is an error.
func (o *openshift) ask(r *http.Request, method, path string, query url.Values, contentType string, body []byte, out any) error {
	code, text, err := o.front.ask(r, method, path, query, contentType, body)
	if err != nil {
		return err
	}
	if code >= 300 {
		status := metav1.Status{}
		if err := json.Unmarshal(text, &status); err != nil || status.Code == 0 {
			return apierrors.NewGenericServerResponse(code, method, schema.GroupResource{}, "", string(text), 0, true)
		}
		return &apierrors.StatusError{ErrStatus: status}
	}
	return json.Unmarshal(text, out)
}

func (o *openshift) discover(w http.ResponseWriter, r *http.Request) {
	list := &metav1.APIResourceList{}
	if err := o.ask(r, http.MethodGet, groupPath, nil, "", nil, list); err != nil {
		writeStatus(w, err)
		return
	}
	list.APIResources = append(list.APIResources, metav1.APIResource{
		Name: "buildconfigs/instantiate", Namespaced: true, Verbs: metav1.Verbs{"create"},
		Group: buildConfigs.Group, Version: buildConfigs.Version, Kind: "BuildRequest",
	})
	writeJSON(w, http.StatusOK, list)
}

// caller is who sent r, ready to be asked about.
func (o *openshift) caller(r *http.Request) (*authorizationv1.SubjectAccessReviewSpec, error) {
	review := &authenticationv1.SelfSubjectReview{}
	path := "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	body := []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	if err := o.ask(r, http.MethodPost, path, nil, "application/json", body, review); err != nil {
		return nil, err
	}
	user := review.Status.UserInfo
	spec := &authorizationv1.SubjectAccessReviewSpec{User: user.Username, Groups: user.Groups, UID: user.UID,
		Extra: map[string]authorizationv1.ExtraValue{}}
	for key, value := range user.Extra {
		spec.Extra[key] = authorizationv1.ExtraValue(value)
	}
	return spec, nil
}

func (o *openshift) mayCreate(ctx context.Context, caller *authorizationv1.SubjectAccessReviewSpec,
	namespace, resource, subresource, name string) (bool, error) {
	spec := *caller
	spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
		Verb: "create", Group: buildConfigs.Group, Version: buildConfigs.Version,
		Namespace: namespace, Resource: resource, Subresource: subresource, Name: name,
	}
	review, err := o.generator.core.AuthorizationV1().SubjectAccessReviews().Create(ctx,
		&authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	return err == nil && review.Status.Allowed, err
}

// strategyOf says what a strategy is called, and which subresource of builds stands for the right to use it.
func strategyOf(s *buildv1.BuildStrategy) (name, subresource string) {
	switch {
	case s.DockerStrategy != nil && s.DockerStrategy.ImageOptimizationPolicy != nil &&
		*s.DockerStrategy.ImageOptimizationPolicy != buildv1.ImageOptimizationNone:
		return "Docker", "optimizeddocker"
	case s.DockerStrategy != nil || s.Type == buildv1.DockerBuildStrategyType:
		return "Docker", "docker"
	case s.CustomStrategy != nil:
		return "Custom", "custom"
	case s.SourceStrategy != nil:
		return "Source", "source"
	}
	return "JenkinsPipeline", "jenkinspipeline"
}

// strategyHolder is what BuildConfig and Build have in common.
type strategyHolder struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Strategy buildv1.BuildStrategy `json:"strategy"`
	} `json:"spec"`
}

// checkStrategy is BuildByStrategy.
func (o *openshift) checkStrategy(r *http.Request, caller *authorizationv1.SubjectAccessReviewSpec,
	namespace, resource string, object *strategyHolder) error {
	strategy, subresource := strategyOf(&object.Spec.Strategy)
	name := object.Metadata.Name
	allowed, err := o.mayCreate(r.Context(), caller, namespace, "builds", subresource, name)
	if err != nil {
		return err
	}
	if !allowed {
		return apierrors.NewForbidden(schema.GroupResource{Group: buildConfigs.Group, Resource: resource}, name,
			fmt.Errorf("build strategy %s is not allowed", strategy))
	}
	return nil
}

// keepNumber sees to it that a write does not set status.lastVersion back. PUT, merge patch and apply all have the
// shape of the object.
func keepNumber(body []byte, last int64, isWhole bool) []byte {
	var object map[string]any
	if yaml.Unmarshal(body, &object) != nil || object == nil {
		return body // a JSON patch, or nothing that will be stored
	}
	number, found, err := unstructured.NestedFieldNoCopy(object, "status", "lastVersion")
	given, _ := number.(float64)
	if err != nil || (!found && !isWhole) || given >= float64(last) {
		return body
	}
	if unstructured.SetNestedField(object, last, "status", "lastVersion") != nil {
		return body
	}
	mended, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return mended
}

// admit lets a write through if the caller may use the strategy of what would be stored: the API server is asked for
// that with a dry run, which also refuses what it would refuse anyway.
func (o *openshift) admit(r *http.Request, namespace, resource, name string) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	caller, err := o.caller(r)
	if err != nil {
		return err
	}
	if resource == buildConfigs.Resource && name != "" {
		old, err := o.generator.objects.Resource(buildConfigs).Namespace(namespace).Get(r.Context(), name, metav1.GetOptions{})
		if err == nil {
			last, _, _ := unstructured.NestedInt64(old.Object, "status", "lastVersion")
			body = keepNumber(body, last, r.Method == http.MethodPut)
		}
	}
	query := r.URL.Query()
	query.Set("dryRun", metav1.DryRunAll)
	result := &strategyHolder{}
	if err := o.ask(r, r.Method, r.URL.Path, query, r.Header.Get("Content-Type"), body, result); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
	return o.checkStrategy(r, caller, namespace, resource, result)
}

func readRequest(r *http.Request, namespace, name string) (*buildv1.BuildRequest, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	request := &buildv1.BuildRequest{}
	if err := yaml.Unmarshal(body, request); err != nil {
		return nil, apierrors.NewBadRequest("the object provided is unrecognized: " + err.Error())
	}
	if request.Kind != "BuildRequest" || request.APIVersion != buildv1.GroupVersion.String() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a BuildRequest",
			request.Kind, request.APIVersion))
	}
	if request.Name == "" {
		return nil, apierrors.NewInvalid(buildv1.GroupVersion.WithKind("BuildRequest").GroupKind(), "",
			field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name or generateName is required")})
	}
	if request.Name != name {
		return nil, apierrors.NewBadRequest("the name of the object does not match the name on the URL")
	}
	if request.Namespace != "" && request.Namespace != namespace {
		return nil, apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	request.Namespace = namespace
	if len(request.TriggeredBy) == 0 {
		request.TriggeredBy = []buildv1.BuildTriggerCause{{Message: "Manually triggered"}}
	}
	return request, nil
}

func (o *openshift) instantiate(r *http.Request, namespace, name string, f *fault) (*buildv1.Build, error) {
	caller, err := o.caller(r)
	if err != nil {
		return nil, err
	}
	allowed, err := o.mayCreate(r.Context(), caller, namespace, "buildconfigs", "instantiate", name)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return nil, apierrors.NewForbidden(buildConfigs.GroupResource(), name, fmt.Errorf(
			"User %q cannot create resource %q in API group %q in the namespace %q",
			caller.User, "buildconfigs/instantiate", buildConfigs.Group, namespace))
	}
	request, err := readRequest(r, namespace, name)
	if err != nil {
		return nil, err
	}
	// Admission, which comes before anything else there, takes a missing BuildConfig for a reason to forbid.
	object, err := o.generator.objects.Resource(buildConfigs).Namespace(namespace).Get(r.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil, apierrors.NewForbidden(buildConfigs.GroupResource(), name, err)
	}
	holder := &strategyHolder{}
	if err := fromUnstructured(object, holder); err != nil {
		return nil, err
	}
	if err := o.checkStrategy(r, caller, namespace, buildConfigs.Resource, holder); err != nil {
		return nil, err
	}
	return o.generator.instantiate(r.Context(), request, f)
}
